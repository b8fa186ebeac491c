// V8's side of bench/gc/run.py, with the arguments of gc_bench.
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const [what, file, ...rest] = process.argv.slice(2);
const bytes = readFileSync(file);
const now = () => performance.now();
const began = now();
const module = new WebAssembly.Module(bytes);
const compileMs = now() - began;
const runs = [];
let result = 0;

if (what === 'call') {
  const [name, number, count] = rest;
  for (let i = 0; i < count; ++i) {
    const func = new WebAssembly.Instance(module).exports[name];
    const begin = now();
    result = func(Number(number));
    runs.push({ ms: now() - begin });
  }
} else {
  const [folder, count] = rest;
  for (let i = 0; i < count; ++i) {
    const wasi = new WASI({ version: 'preview1', preopens: { '.': folder }, returnOnExit: true });
    let begin = 0;
    let ms = 0;
    const bench = { start: () => { begin = now(); }, end: () => { ms = now() - begin; } };
    wasi.start(new WebAssembly.Instance(module, { ...wasi.getImportObject(), bench }));
    runs.push({ ms });
  }
}
console.log(JSON.stringify({ compile_ms: compileMs, result, runs }));
