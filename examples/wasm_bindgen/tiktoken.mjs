// Counts tokens for ever with tiktoken, by a program that forgets to free its encoders: the collector frees them some time,
// but what it knows of them is a few bytes each, so the module's memory may be full before.
//
//     npm install rotor-wasm tiktoken
//     node tiktoken.mjs 200              ROTOR_ROTATE=0: it takes what the collector happens to leave
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { configure, install, metrics, presets, use } = require(process.env.ROTOR_PACKAGE ?? 'rotor-wasm');
configure({ limit: process.env.ROTOR_LIMIT ?? '256MiB' });
use(presets.wasmBindgen({
  name: 'tiktoken',
  glue: (file) => /tiktoken[\\/]tiktoken(_bg)?\.cjs$/.test(file),
  policy: { passing: ['get_encoding*', 'tiktoken_*', 'encoding_for_model'] },
  reseed: 'none',
}));
install();

const { get_encoding } = require('tiktoken');
const kept = get_encoding('cl100k_base');
const text = 'The quick brown fox jumps over the lazy dog. ';
const expected = kept.encode(text).length;
// A function of its own: in a function that awaits, what a line needed in passing is held until the next turn of the loop.
const tokens = () => get_encoding('cl100k_base').encode(text).length;
const count = Number(process.argv[2] ?? 200);
let most = 0;
for (let i = 0; i < count; ++i) {
  if (tokens() !== expected || kept.encode(text).length !== expected) throw new Error(`count ${i} is another one than the first`);
  most = Math.max(most, metrics()[0].bytes);
  await new Promise((resolve) => setImmediate(resolve));
}
console.log(`${count} counts, ${metrics()[0].rewinds ?? 0} rewinds, at most ${(most / 2 ** 20).toFixed(1)} MiB`);
