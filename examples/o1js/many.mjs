// Many proofs, over runs: keeps its state in a file and goes on where it was stopped. Between proofs it leaks as o1js
// itself does (commitments that nobody frees), as much as MiB says. Each proof is verified, and each fiftieth by a
// process of its own in V8.
//
//     node --require rotor-wasm/register many.mjs --proofs 1000 --minutes 100 --mib 40 --state many.json
//     node many.mjs --mib 40 --maximum …      without Rotor it ends by a panic
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    proofs: { type: 'string', default: '1000' },
    minutes: { type: 'string', default: '100' },
    mib: { type: 'string', default: '40' },
    workers: { type: 'string', default: '1' },
    state: { type: 'string', default: 'many.json' },
    keys: { type: 'string', default: 'keys' },
    verify: { type: 'string' },
  },
});
const { Cache, Field, setNumberOfWorkers, verify } = await import('o1js');

if (options.verify) {
  // The other process: V8, and no program of ours.
  const { proof, verificationKey } = JSON.parse(fs.readFileSync(options.verify, 'utf8'));
  setNumberOfWorkers(1);
  process.exit((await verify(proof, verificationKey)) ? 0 : 1);
}

const require = createRequire(import.meta.url);
const rotor = process.execArgv.some((argument) => argument.includes('register')) ? require(process.env.ROTOR_PACKAGE ?? 'rotor-wasm') : undefined;
const wasm = require(require.resolve('o1js').replace(/dist[\\/]node[\\/].*$/, 'dist/node/bindings/compiled/node_bindings/kimchi_wasm.cjs'));
setNumberOfWorkers(Number(options.workers));

const kNew = { proofs: 0, verified: 0, checkedByV8: 0, runs: 0, rewinds: 0, restores: 0, seconds: 0, proofCpuSeconds: 0, maxRssMiB: 0, maxGuestMiB: 0 };
const state = { ...kNew, ...(fs.existsSync(options.state) ? JSON.parse(fs.readFileSync(options.state, 'utf8')) : {}) };
++state.runs;
const began = performance.now();
const before = { ...state };
const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
const save = () => {
  const figures = rotor?.metrics()[0];
  state.rewinds = before.rewinds + (figures?.rewinds ?? 0);
  state.restores = before.restores + (figures?.restores ?? 0);
  state.maxRssMiB = Math.max(state.maxRssMiB, Math.round(process.memoryUsage().rss / 2 ** 20));
  state.maxGuestMiB = Math.max(state.maxGuestMiB, Math.round((figures?.bytes ?? wasm.__wasm.memory.buffer.byteLength) / 2 ** 20));
  state.seconds = before.seconds + (performance.now() - began) / 1000;
  fs.writeFileSync(`${options.state}.new`, `${JSON.stringify(state, null, 1)}\n`);
  fs.renameSync(`${options.state}.new`, options.state);
};

const { square } = await import('./square.mjs');
const { verificationKey } = await square.compile({ cache: Cache.FileSystem(options.keys) });
const key = { data: verificationKey.data, hash: verificationKey.hash.toString() };

const kDomain = 1 << 12;
const srs = wasm.caml_fp_srs_create(kDomain);
const leak = (mib) => {
  for (let bytes = 0; bytes < mib * 2 ** 20; bytes += 192 * kDomain)
    wasm.caml_fp_srs_lagrange_commitments_whole_domain_read_from_ptr(wasm.caml_fp_srs_lagrange_commitments_whole_domain_ptr(srs, kDomain));
};

while (state.proofs < Number(options.proofs) && performance.now() - began < Number(options.minutes) * 60_000) {
  const i = state.proofs + 1;
  const start = cpu();
  const { proof } = await square.square(Field(i * i), Field(i));
  state.proofCpuSeconds += cpu() - start;
  ++state.proofs;
  if (!(await verify(proof, verificationKey))) throw new Error(`proof ${i} does not verify`);
  ++state.verified;
  if (i % 50 === 0) {
    const file = `${options.state}.proof`;
    fs.writeFileSync(file, JSON.stringify({ proof: proof.toJSON(), verificationKey: key }));
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--verify', file], { stdio: 'inherit' });
    ++state.checkedByV8;
  }
  leak(Number(options.mib));
  save();
}
save();
console.log(JSON.stringify(state));
