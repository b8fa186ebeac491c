// o1js: its prover is kimchi_wasm (plonk_wasm before 2.15), a wasm-bindgen module with a rayon pool whose memory leaks.
//
// Where nothing of it is on the stack and no worker runs is inside `initThreadPool`: o1js awaits it before an operation,
// and only if no other one is under way. It keeps the pool running from one operation to the next; after its own
// `terminateWorkers` the next operation asks for the pool anew. The pool's threads are the engine's own, so o1js is told
// that there are none for it to start.
'use strict';

const kPolicy = {
  // What JavaScript takes note of itself, so that it must not get lost; and whatever no line here names.
  lasting: ['*_set_lagrange_basis', '*_add_lagrange_basis', '*_get_lagrange_basis', '*_srs_lagrange_commitment', '*_index_create', '*_index_read', '*_index_decode'],
  // What changes its first argument, and nothing else that JavaScript could see.
  methods: ['__wbg_set_*', 'wasm*_set_*', 'wasmvec*_push', 'wasmvec*_set', '*_gate_vector_add', '*_gate_vector_wrap'],
  // What changes nothing that was there before: it computes, or makes something new.
  passing: [
    '__wbg_get_*', '__wbg_*_free', '__wbindgen_*', '__externref_*', 'initThreadPool', 'exitThreadPool', 'poolbuilder_*',
    'get_memory', 'get_memory_byte_length', 'console_log',
    '*_new', '*_deep_copy', '*_dummy', '*_serialize', '*_digest', 'prover_to_json',
    'caml_bigint_256_*', 'caml_pallas_*', 'caml_vesta_*', '*_poseidon_block_cipher', '*_gate_vector_get', '*_gate_vector_len', '*_gate_vector_create',
    '*_proof_create', '*_proof_verify', '*_proof_batch_verify', '*_oracles_create', '*_verifier_index_create', '*_verifier_index_shifts',
    '*_verifier_index_read', '*_verifier_index_write', '*_verifier_index_deserialize', '*_index_write', '*_index_encode', '*_index_max_degree',
    '*_index_public_inputs', '*_index_domain_*',
    '*_srs_b_poly_commitment', '*_srs_batch_accumulator_check', '*_srs_batch_accumulator_generate', '*_srs_commit_evaluations', '*_srs_h',
    '*_srs_get', '*_srs_set', '*_srs_create', '*_srs_create_parallel', '*_srs_read', '*_srs_write', '*_srs_maybe_lagrange_commitment',
    '*_srs_lagrange_commitments_whole_domain_ptr', '*_srs_lagrange_commitments_whole_domain_read_from_ptr',
    'wasmvec*_create', 'wasmvec*_get', 'wire_create', 'wasmfp*_*', 'wasmfq*_*', 'wasmpasta*_new', 'wasmgatewires_new', 'wasmg*_clone',
  ],
};

/** Of a file that is loaded by require: whether it is the prover's glue. */
const isGlue = (filename) => /[\\/](kimchi|plonk)_wasm\.cjs$/.test(filename);

/** What the pool's life goes through. `real`: the guest's exports. */
function makePool({ guest, rotation, real, log }) {
  let workers = 0;
  let swapping = false;
  let workerSource;
  const stop = () => {
    if (!workers) return;
    swapping = true;
    try {
      workers = 0;
      real.exitThreadPool();
      if (!guest.joinWorkers(5000)) log('a worker did not leave its pool and was interrupted');
    } finally {
      swapping = false;
    }
  };
  guest.stopWorkers = (trapped) => {
    if (!trapped) return stop();
    // Its locks may be held: nothing of it is called any more.
    workers = 0;
    guest.joinWorkers(0);
  };
  return {
    /** Whether the pool ends because it has to, and not because o1js wants it to. */
    isSwapping: () => swapping,
    /** In place of the guest's exports. */
    exports: {
      poolbuilder_numThreads: () => 0,
      poolbuilder_build(builder) {
        const count = real.poolbuilder_numThreads(builder);
        const receiver = real.poolbuilder_receiver(builder);
        for (let i = 0; i < count; ++i) guest.startWorker(receiver, workerSource);
        const built = real.poolbuilder_build(builder);
        workers = count;
        return built;
      },
    },
    /** In place of what the glue exports. */
    wrap: (glue) => ({
      async initThreadPool(count, source) {
        // In a turn of its own, so that what JavaScript had weak references to in this turn is not kept alive by them.
        await new Promise((resolve) => setImmediate(resolve));
        if (guest.state().trapped) {
          if (guest.state().hasCheckpoint) rotation.restore();
          else guest.stopWorkers(true);
        }
        stop();
        rotation?.quiescent();
        workerSource = source;
        return glue.initThreadPool(count, source);
      },
      // Before 2.15 each operation ends its pool.
      async exitThreadPool() { stop(); },
    }),
  };
}

module.exports = {
  name: 'o1js',
  policy: kPolicy,
  isGlue,
  /** Before 2.15 the pool's workers pass JavaScript's values by index, which the engine's own threads can't. */
  whyNotRotor: (content) => (/\bheap_next\b/.test(content) ? 'its workers want a JavaScript of their own' : undefined),
  moduleOf: (filename) => filename.replace(/\.cjs$/, '_bg.wasm'),
  /** The source of randomness is the system's; no state of a generator is in the guest. */
  reseed: 'none',
  defaultLimitBytes: 4 * 2 ** 30,
  makePool,
  /** What asks o1js for the next quiescent point. */
  async ask() {
    try {
      await globalThis.terminateWorkers?.();
    } catch {
      // Before 2.15 it fails where no worker of Node's was ever started. There each operation begins with a new pool anyway.
    }
  },
  /** What the guest imports to start and end workers is not for a pool that is stopped to be started again. */
  importWhileSwapping: /^__wbg_terminateWorkers/,
};
