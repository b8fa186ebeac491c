// What a call costs, in nanoseconds, by Rotor and by V8: exports called from JavaScript, and JavaScript called by a guest.
//
//   ROTOR=build/release/tools/rotor/rotor ROTOR_ADDON=… node packages/node/bench/calls.cjs
'use strict';

const { wat, faces } = require('../test/support.cjs');

const kGuest = `(module
  (import "env" "none" (func $none))
  (import "env" "i32" (func $i32 (param i32) (result i32)))
  (import "env" "f64" (func $f64 (param f64) (result f64)))
  (func (export "none"))
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "four i32") (param i32 i32 i32 i32) (result i32) (local.get 3))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "externref") (param externref) (result externref) (local.get 0))
  (func (export "two results") (param i32) (result i32 i32) (local.get 0) (local.get 0))
  (func (export "import none") (param i32)
    (loop (call $none) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "import i32") (param i32)
    (loop (drop (call $i32 (local.get 0))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "import f64") (param i32)
    (loop (drop (call $f64 (f64.const 1.5))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`;

const kCalls = 100_000;
const kBatches = 15;
const object = {};

/** Loops of their own, so that V8 makes code for each call that knows what it calls. */
const loop = (call) => Function('f', 'object', 'count', `for (let i = 0; i < count; ++i) ${call};`);
const kRows = [
  ['none', 'none', 'f()'], ['i32 → i32', 'i32', 'f(i)'], ['4 × i32 → i32', 'four i32', 'f(i, i, i, i)'], ['i64 → i64', 'i64', 'f(5n)'], ['f64 → f64', 'f64', 'f(i + 0.5)'],
  ['externref → externref', 'externref', 'f(object)'], ['i32 → 2 × i32', 'two results', 'f(i)'],
  ['guest calls: none', 'import none'], ['guest calls: i32 → i32', 'import i32'], ['guest calls: f64 → f64', 'import f64'],
];

function medianNs(run) {
  const times = [];
  for (let batch = -3; batch < kBatches; ++batch) {
    const begin = process.hrtime.bigint();
    run();
    if (batch >= 0) times.push(Number(process.hrtime.bigint() - begin) / kCalls);
  }
  return times.sort((a, b) => a - b)[kBatches >> 1];
}

function measure(WebAssembly) {
  const module = new WebAssembly.Module(wat(kGuest));
  return kRows.map(([, name, call]) => {
    const exports = new WebAssembly.Instance(module, { env: { none: () => {}, i32: (n) => n, f64: (n) => n } }).exports;
    const f = exports[name];
    const many = call && loop(call);
    return medianNs(call ? () => many(f, object, kCalls) : () => f(kCalls));
  });
}

const v8 = measure(faces.V8);
const rotor = measure(faces.Rotor);
console.log(`median of ${kBatches} batches of ${kCalls} calls, ns a call; node ${process.version}\n`);
console.log(`${''.padEnd(24)}${'Rotor'.padStart(8)}${'V8'.padStart(8)}${'ratio'.padStart(8)}`);
kRows.forEach(([title], i) =>
  console.log(`${title.padEnd(24)}${rotor[i].toFixed(1).padStart(8)}${v8[i].toFixed(1).padStart(8)}${(rotor[i] / v8[i]).toFixed(1).padStart(8)}`));
