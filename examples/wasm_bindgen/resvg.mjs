// Renders pictures for ever with @resvg/resvg-wasm, whose Resvg objects are never freed by the collector: each that a
// program forgets to free() stays. The ten lines are the preset.
//
//     npm install rotor-wasm @resvg/resvg-wasm
//     node resvg.mjs 2000                ROTOR_ROTATE=0: it dies
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { configure, install, metrics, presets, use } = require(process.env.ROTOR_PACKAGE ?? 'rotor-wasm');
configure({ limit: process.env.ROTOR_LIMIT ?? '32MiB' });
use(presets.wasmBindgen({
  name: 'resvg',
  glue: '@resvg/resvg-wasm/index.js',
  policy: { passing: ['resvg_*', 'renderedimage_*'], methods: ['resvg_cropByBBox', 'resvg_resolveImage'] },
  reseed: 'none',
}));
install();

const { initWasm, Resvg } = require('@resvg/resvg-wasm');
await initWasm(fs.readFileSync(require.resolve('@resvg/resvg-wasm/index_bg.wasm')));

const picture = (i) => `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><circle cx="32" cy="32" r="${8 + (i % 24)}" fill="#${(0x100000 + i).toString(16)}"/>${'<rect width="1" height="1"/>'.repeat(200)}</svg>`;
// A function of its own: in a function that awaits, what a line needed in passing is held until the next turn of the loop.
const render = (i) => new Resvg(picture(i)).render().asPng();
const count = Number(process.argv[2] ?? 2000);
let first;
let most = 0;
for (let i = 0; i < count; ++i) {
  const png = render(i % 100);
  if (png[1] !== 0x50) throw new Error(`picture ${i} is no PNG`);
  if (i === 0) first = Buffer.from(png);
  else if (i % 100 === 0 && !first.equals(png)) throw new Error(`picture ${i} is another one than the first`);
  most = Math.max(most, metrics()[0].bytes);
  await new Promise((resolve) => setImmediate(resolve));
}
console.log(`${count} pictures, ${metrics()[0].rewinds ?? 0} rewinds, at most ${(most / 2 ** 20).toFixed(1)} MiB`);
