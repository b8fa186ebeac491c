// Unmodified o1js, proving in a guest that rotates: a saved proof after each of ten rotations, a proof that is wrong, two
// proofs after rotations, and what of them must differ.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { it } = require('node:test');
const { pathToFileURL } = require('node:url');

const kimchi = process.env.KIMCHI_WASM;
const addon = process.env.ROTOR_ADDON ?? path.join(__dirname, '../prebuilt/rotor.node');
const glue = kimchi && path.join(path.dirname(kimchi), 'kimchi_wasm.cjs');
const skip = !kimchi ? 'KIMCHI_WASM names no kimchi_wasm_bg.wasm of o1js (npm install o1js)' : !fs.existsSync(glue) ? `KIMCHI_WASM is no part of an installed o1js: there is no ${glue}` : !fs.existsSync(addon) ? `there is no addon at ${addon}` : false;

it('o1js proves and verifies over rotations', { skip, timeout: 900_000 }, async () => {
  const rotor = require('../index.cjs');
  rotor.configure({ engine: 'rotor', limit: '448MiB', log: process.env.ROTOR_LOG !== undefined });
  require('../register.cjs');
  const root = kimchi.slice(0, kimchi.lastIndexOf(`${path.sep}dist${path.sep}node`));
  const { ZkProgram, Field, verify, setNumberOfWorkers, Cache } = await import(pathToFileURL(path.join(root, 'dist/node/index.js')));
  const wasm = require(glue);
  setNumberOfWorkers(1);
  const program = ZkProgram({
    name: 'square', publicInput: Field, publicOutput: Field,
    methods: { square: { privateInputs: [Field], async method(x, root) { root.mul(root).assertEquals(x); return { publicOutput: root.add(1) }; } } },
  });
  const { verificationKey } = await program.compile({ cache: Cache.None });
  const saved = JSON.parse(fs.readFileSync(path.join(__dirname, 'fixtures/o1js_proof.json'), 'utf8'));
  assert.equal(verificationKey.hash.toString(), saved.verificationKey.hash, "the program's key is that of any other engine");

  // o1js's own leak: commitments that nobody frees, 192 bytes each.
  const size = 1 << 12;
  const srs = wasm.caml_fp_srs_create(size);
  const leak = () => wasm.caml_fp_srs_lagrange_commitments_whole_domain_read_from_ptr(wasm.caml_fp_srs_lagrange_commitments_whole_domain_ptr(srs, size));
  const fill = () => { while (figures().bytes < 0.9 * figures().limitBytes) leak(); };
  leak();
  const figures = () => rotor.metrics().find(({ preset }) => preset === 'o1js');
  assert.equal(await verify(saved.proof, verificationKey), true, 'before any rotation');

  for (let i = 0; i < 10; ++i) {
    fill();
    assert.equal(await verify(saved.proof, verificationKey), true, `after rotation ${i + 1}`);
    assert.equal(figures().rewinds, i + 1);
  }
  assert.ok(figures().maxPauseMs < 30_000);
  const wrong = { ...saved.proof, publicOutput: ['5'] };
  assert.equal(await verify(wrong, verificationKey), false, 'a proof of something else');

  const proofs = [];
  for (let i = 0; i < 2; ++i) {
    const before = figures().rewinds;
    fill();
    const { proof } = await program.square(Field(9), Field(3));
    assert.equal(figures().rewinds, before + 1, `a rotation before proof ${i + 1}`);
    assert.equal(proof.publicOutput.toString(), '4');
    assert.equal(await verify(proof, verificationKey), true, `proof ${i + 1}`);
    proofs.push(proof.toJSON().proof);
    await verify(saved.proof, verificationKey);  // where the checkpoint is made anew, with the prover's index in it
  }
  assert.notEqual(proofs[0], proofs[1], 'blinding factors that come again would tell the secret');
  assert.equal(figures().restores, 0);
  assert.equal(figures().endedHandles, 0);

  // A panic: nothing looks between two of these calls, so the memory gets full.
  assert.throws(() => { for (;;) leak(); }, WebAssembly.RuntimeError);
  assert.throws(() => leak(), /restored in a later turn/);
  assert.equal(await verify(saved.proof, verificationKey), true, 'after a panic');
  assert.equal(figures().restores, 1);
  leak();
});
