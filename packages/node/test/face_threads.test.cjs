// Several environments: worker threads that use the face at once, and ends of threads and of the process in a call.
'use strict';

const assert = require('node:assert');
const { describe, it } = require('node:test');
const { skip, runScript } = require('./support.cjs');

const kGuest = `(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1 10)
  (table (export "table") 1 externref)
  (func (export "put") (param externref) (table.set (i32.const 0) (local.get 0)))
  (func (export "call") (param i32) (result i32) (call $f (local.get 0)))
  (type $none (func))
  (table $funcs 2 funcref)
  (elem (table $funcs) (i32.const 0) func $nothing $leaf)
  (func $leaf)
  (func $nothing (call_indirect $funcs (type $none) (i32.const 1)) (call_indirect $funcs (type $none) (i32.const 1)))
  (func (export "spin") (loop (call_indirect $funcs (type $none) (i32.const 0)) (br 0)))
  (func (export "sum") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))`;
const kIndex = JSON.stringify(require.resolve('../index.cjs'));
/** Text of a script that starts workers with `source`, which has `make(f)`. */
const withWorker = (source) => `
  const { Worker } = require('node:worker_threads');
  const start = () => new Worker(${JSON.stringify(`
    const { parentPort, workerData } = require('node:worker_threads');
    const { WebAssembly } = require(${kIndex});
    const make = (f) => new WebAssembly.Instance(new WebAssembly.Module(workerData), { env: { f } }).exports;
    ${source}`)}, { eval: true, workerData: bytes.guest });
`;

/** Runs a script that must end well and say that. */
function expect(script, said, options = {}) {
  const child = runScript(script, { guests: { guest: kGuest }, ...options });
  assert.deepStrictEqual({ status: child.status, signal: child.signal, stdout: child.stdout, stderr: child.stderr },
    { status: options.wanted ?? 0, signal: null, stdout: said, stderr: '' });
}

describe('worker threads', { skip }, () => {
  it('have instances of their own at once, and leave nothing that crashes', () => {
    expect(`${withWorker(`
      let made = 0;
      for (let i = 0; i < 50; ++i) {
        const guest = make((n) => n + i);
        guest.put({ i });
        guest.memory.grow(1);
        new Uint8Array(guest.memory.buffer).fill(i);
        if (guest.call(1) === 1 + i && guest.sum(100) === 5050) ++made;
      }
      parentPort.postMessage(made);`)}
      const mine = make('guest', { env: { f: (n) => n } }).exports;
      let made = 0;
      const workers = Array.from({ length: 6 }, start);
      for (const worker of workers) worker.on('message', (n) => { made += n; });
      let ended = 0;
      for (const worker of workers) worker.on('exit', () => { if (++ended === 6) console.log(made, mine.call(7)); });`, '300 7');
  });

  it('may be the only ones that use it, one after another', () => {
    expect(`${withWorker('parentPort.postMessage(make((n) => n).call(3));')}
      (async () => {
        for (let i = 0; i < 5; ++i)
          await new Promise((resolve, reject) => { start().on('exit', resolve).on('error', reject); });
        await new Promise((resolve) => setTimeout(resolve, 200));
        // The engine's threads may go on: the addon must stay where it is.
        console.log(require('node:fs').readFileSync('/proc/self/maps', 'utf8').includes('rotor.node') ? 'done' : 'unloaded');
      })();`, 'done', { bare: true });
  });

  it('are terminated while JavaScript runs that a guest called', () => {
    expect(`${withWorker("make(() => { parentPort.postMessage('in'); for (;;); }).call(0);")}
      const worker = start();
      worker.on('message', async () => { console.log(await worker.terminate()); });`, '1');
  });

  it('are terminated between calls of JavaScript by a guest, or of a guest', () => {
    expect(`${withWorker(`
      const inner = make((n) => n + 1);
      const guest = make((n) => { try { return inner.call(n); } finally { n = 0; } });
      parentPort.postMessage('in');
      for (;;) { try { guest.call(1); guest.put({}); } catch {} }`)}
      let left = 10;
      for (let i = 0; i < 10; ++i) {
        const worker = start();
        worker.on('message', () => setTimeout(async () => { await worker.terminate(); if (--left === 0) console.log('all'); }, 3 * i));
      }`, 'all');
  });

  it('end while a module is compiled in the background', () => {
    expect(`${withWorker("for (let i = 0; i < 20; ++i) WebAssembly.compile(workerData).then(() => {}); parentPort.postMessage('in');")}
      let left = 5;
      for (let i = 0; i < 5; ++i) {
        const worker = start();
        worker.on('message', async () => { await worker.terminate(); if (--left === 0) console.log('all'); });
      }`, 'all');
  });

  it('exit by themselves in a call', () => {
    expect(`${withWorker('make(() => process.exit(5)).call(0);')}
      start().on('exit', (code) => console.log(code));`, '5');
  });
});

describe('the process', { skip }, () => {
  it('exits in a call, with guests inside guests', () => {
    expect(`
      const inner = make('guest', { env: { f: () => process.exit(7) } }).exports;
      const outer = make('guest', { env: { f: (n) => inner.call(n) } }).exports;
      process.on('exit', () => console.log('bye', outer.sum(3)));
      outer.call(1);`, 'bye 6', { wanted: 7 });
  });

  it('exits while a guest of a worker thread is in a long call', () => {
    expect(`${withWorker("parentPort.postMessage('in'); make((n) => n).spin();")}
      start().on('message', () => setTimeout(() => { console.log('exiting'); process.exit(3); }, 200));
      WebAssembly.validate(bytes.guest);`, 'exiting', { wanted: 3, timeout: 20_000 });
  });

  it('exits with what V8 traps and what Rotor traps in turn', () => {
    expect(`
      const text = bytes.bad;
      const run = (W) => { try { new W.Instance(new W.Module(text)).exports.load(-1); return 'none'; } catch (error) { return error instanceof W.RuntimeError; } };
      const all = new Set();
      for (let i = 0; i < 50; ++i) { all.add(run(WebAssembly)); all.add(run(globalThis.WebAssembly)); }
      console.log([...all].join());`, 'true', { guests: { bad: '(module (memory 1) (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))' } });
  });
});
