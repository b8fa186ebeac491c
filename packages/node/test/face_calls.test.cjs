// Calls between JavaScript and guests: values, errors, exceptions, re-entrance, growth and the stack.
'use strict';

const assert = require('node:assert');
const { describe, it } = require('node:test');
const { skip, wat, faces, runScript } = require('./support.cjs');

const kEcho = `(module
  (import "env" "all" (func $all (param i32 i64 f32 f64 externref) (result i32 i64 f32 f64 externref)))
  (func (export "all") (param i32 i64 f32 f64 externref) (result i32 i64 f32 f64 externref)
    (call $all (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "ref") (param externref) (result externref) (local.get 0))
  (func (export "func") (param funcref) (result funcref) (local.get 0))
  (func (export "v128") (param v128))
  (func (export "gives v128") (result v128) (v128.const i64x2 0 0)))`;

const kThrough = `(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (func (export "call") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
  (func (export "trap") unreachable)
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (memory (export "memory") 1 100)
  (func (export "grow then call") (param i32) (result i32)
    (drop (memory.grow (i32.const 1)))
    (call $f (local.get 0)))
  (func (export "call then load") (param i32) (result i32)
    (drop (call $f (local.get 0)))
    (i32.load (local.get 0)))
  (func $deep (export "deep") (param i32) (result i32) (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1))))`;

for (const [name, WebAssembly] of Object.entries(faces)) {
  const instantiate = (text, imports) => new WebAssembly.Instance(new WebAssembly.Module(wat(text)), imports).exports;

  describe(`${name}: values of calls`, { skip }, () => {
    const echo = (all = (...values) => values) => instantiate(kEcho, { env: { all } });

    it('cross both ways, several at once', () => {
      const object = {};
      let seen;
      const { all } = echo((...values) => { seen = values; return new Set(['-1', true, 0.1, null, object]); });
      const results = all(5.9, '12', 1 / 3, undefined, object);
      assert.deepStrictEqual(seen, [5, 12n, Math.fround(1 / 3), NaN, object]);
      assert.ok(Array.isArray(results));
      assert.deepStrictEqual(results, [-1, 1n, Math.fround(0.1), 0, object]);
      assert.strictEqual(results[4], object);
    });

    it('several that JavaScript returns are as many as wanted, in something iterable', () => {
      for (const bad of [undefined, 5, {}, [1], [1, 2n, 3, 4, 5, 6], 'text', { [Symbol.iterator]: 5 }])
        assert.throws(() => echo(() => bad).all(0, 0n, 0, 0, 0), TypeError, String(bad));
      const mine = new Error('of the iterator');
      const iterable = { *[Symbol.iterator]() { yield 1; throw mine; } };
      assert.throws(() => echo(() => iterable).all(0, 0n, 0, 0, 0), (error) => error === mine);
    });

    it('convert as the JS API says', () => {
      const e = echo();
      assert.deepStrictEqual([e.i32(2 ** 31), e.i32('7'), e.i32(), e.i32(-(2 ** 53)), e.i32(Infinity), e.i32([3])], [-(2 ** 31), 7, 0, 0, 0, 3]);
      assert.deepStrictEqual([e.i64(2n ** 63n), e.i64('8'), e.i64(true)], [-(2n ** 63n), 8n, 1n]);
      assert.deepStrictEqual([e.f32(16777217), e.f64(16777217), e.f64('1e-3'), e.f32(1e40)], [16777216, 16777217, 0.001, Infinity]);
      assert.ok(Object.is(e.f64(-0), -0) && Object.is(e.f32(-0), -0) && Number.isNaN(e.f64({})));
      for (const bad of [() => e.i32(1n), () => e.i32(Symbol()), () => e.f32(1n), () => e.i64(1), () => e.i64(), () => e.i64(null), () => e.i64(Symbol())]) assert.throws(bad, TypeError);
      assert.throws(() => e.i64('x'), SyntaxError);
    });

    it('of functions are functions of WebAssembly and null', () => {
      const e = echo();
      assert.strictEqual(e.func(e.i32), e.i32);
      assert.strictEqual(e.func(null), null);
      for (const bad of [undefined, () => {}, {}, 0]) assert.throws(() => e.func(bad), TypeError);
    });

    it('of external references are the same, whatever they are', () => {
      const e = echo();
      for (const value of [{}, [], () => {}, null, undefined, 0, '', Symbol('x'), 1n, NaN]) assert.ok(Object.is(e.ref(value), value));
    });

    it('of v128 are refused', () => {
      const e = echo();
      assert.throws(() => e.v128(0), TypeError);
      assert.throws(() => e['gives v128'](), TypeError);
    });

    it('convert in order, and throw what a conversion throws', () => {
      const { all } = echo();
      const order = [];
      const mine = new Error('of valueOf');
      const at = (index, value) => ({ valueOf: () => { order.push(index); return value; } });
      all(at(0, 1), at(1, 1n), at(2, 1), at(3, 1), at(4, 1));
      assert.deepStrictEqual(order, [0, 1, 2, 3]);
      assert.throws(() => all(0, { valueOf: () => { throw mine; } }, at(5, 0), 0), (error) => error === mine);
      assert.deepStrictEqual(order, [0, 1, 2, 3]);
    });
  });

  describe(`${name}: errors of calls`, { skip }, () => {
    it('traps are RuntimeErrors, after which the instance goes on', () => {
      const { trap, divide } = instantiate(kThrough, { env: { f: () => 0 } });
      assert.throws(trap, WebAssembly.RuntimeError);
      assert.throws(() => divide(1, 0), WebAssembly.RuntimeError);
      assert.strictEqual(divide(6, 3), 2);
    });

    it('exceptions pass through the guest and are the same, whatever they are', () => {
      for (const thrown of [new Error('x'), {}, 5, 'text', undefined, null, Symbol('x'), 1n]) {
        const { call } = instantiate(kThrough, { env: { f: () => { throw thrown; } } });
        let caught = 'nothing';
        try { call(0); } catch (error) { caught = error; }
        assert.ok(Object.is(caught, thrown));
      }
    });

    it('an exception may be caught between guests, and another one thrown', () => {
      const inner = instantiate(kThrough, { env: { f: (n) => { throw new RangeError(`inner ${n}`); } } });
      const outer = instantiate(kThrough, { env: { f: (n) => {
        try { return inner.call(n); } catch (error) { if (n === 1) throw new TypeError(error.message); return 40; }
      } } });
      assert.strictEqual(outer.call(0), 41);
      assert.throws(() => outer.call(1), (error) => error instanceof TypeError && error.message === 'inner 1');
      assert.strictEqual(outer.call(2), 41);
    });

    it('what a JavaScript function returns that does not convert is its error', () => {
      const mine = new Error('of valueOf');
      assert.throws(() => instantiate(kThrough, { env: { f: () => 1n } }).call(0), TypeError);
      assert.throws(() => instantiate(kThrough, { env: { f: () => ({ valueOf() { throw mine; } }) } }).call(0), (error) => error === mine);
    });
  });

  describe(`${name}: re-entrance`, { skip }, () => {
    it('a guest is called again from what it calls, and from a conversion', () => {
      const guest = instantiate(kThrough, { env: { f: (n) => (n > 0 ? guest.call(n - 1) : 0) } });
      assert.strictEqual(guest.call(50), 51);
      assert.strictEqual(guest.call({ valueOf: () => guest.call(3) }), 5);
    });

    it('a memory grows during a call, and JavaScript sees it at once', () => {
      const seen = [];
      let before;
      const guest = instantiate(kThrough, { env: { f: (n) => {
        seen.push([before.byteLength, guest.memory.buffer.byteLength]);
        new DataView(guest.memory.buffer).setInt32(n, 1234, true);
        return guest.memory.grow(1);
      } } });
      before = guest.memory.buffer;
      assert.strictEqual(guest['grow then call'](65536), 2);
      assert.deepStrictEqual(seen, [[0, 131072]]);
      assert.strictEqual(guest.memory.buffer.byteLength, 3 * 65536);
      before = guest.memory.buffer;
      assert.strictEqual(guest['call then load'](3 * 65536 - 4), 1234);
      assert.strictEqual(before.byteLength, 0);
      assert.strictEqual(guest.memory.buffer.byteLength, 4 * 65536);
    });

    it('a memory grows while an argument is converted', () => {
      const guest = instantiate(kThrough, { env: { f: () => 0 } });
      const before = guest.memory.buffer;
      assert.strictEqual(guest['call then load']({ valueOf: () => { guest.memory.grow(1); return 65536; } }), 0);
      assert.strictEqual(before.byteLength, 0);
    });
  });

  describe(`${name}: the stack`, { skip }, () => {
    it('a guest that recurses ends in a RangeError, and goes on', () => {
      const guest = instantiate(kThrough, { env: { f: (n) => n } });
      for (let i = 0; i < 3; ++i) assert.throws(() => guest.deep(0), RangeError);
      assert.strictEqual(guest.call(1), 2);
    });

    it('so do guest and JavaScript in turn, at any depth', () => {
      let depth = 0;
      const guest = instantiate(kThrough, { env: { f: (n) => { ++depth; return guest.call(n + 1); } } });
      for (let i = 0; i < 3; ++i) assert.throws(() => guest.call(0), RangeError);
      assert.ok(depth > 300, String(depth));
      // At the very end of V8's stack.
      const errors = [];
      const attempt = (f) => { try { f(); errors.push('none'); } catch (error) { errors.push(error.constructor); } };
      const down = () => { try { down(); } catch { if (!errors.length) [guest.deep, guest.call].forEach((f) => attempt(() => f(0))); } };
      down();
      assert.deepStrictEqual(new Set(errors), new Set([RangeError]));
    });
  });
}

describe('Rotor: the stack of a worker', { skip }, () => {
  it('is as deep as V8 leaves it, and no deeper', () => {
    // V8 uses all but 192 KiB of a worker's stack: a guest that is called at the end of it has no more.
    const worker = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { WebAssembly } = require(workerData.index);
      const guest = new WebAssembly.Instance(new WebAssembly.Module(workerData.bytes), { env: { f: (n) => guest.exports.call(n + 1) } });
      const kinds = [];
      const attempt = (f) => { try { f(); kinds.push('none'); } catch (error) { kinds.push(error.constructor.name); } };
      attempt(() => guest.exports.deep(0));
      attempt(() => guest.exports.call(0));
      // At the very end of V8's stack.
      const down = () => { try { down(); } catch { if (kinds.length < 4) { attempt(() => guest.exports.deep(0)); attempt(() => guest.exports.call(0)); } } };
      down();
      parentPort.postMessage(kinds);`;
    const child = runScript(`
      const { Worker } = require('node:worker_threads');
      const path = ${JSON.stringify(require.resolve('../index.cjs'))};
      for (const stackSizeMb of [1, 4]) {
        const worker = new Worker(${JSON.stringify(worker)},
          { eval: true, workerData: { index: path, bytes: bytes.through }, resourceLimits: { stackSizeMb } });
        worker.on('message', (kinds) => console.log(stackSizeMb, kinds.join()));
        worker.on('error', (error) => console.log(error.stack));
      }`, { guests: { through: kThrough } });
    assert.strictEqual(child.status, 0, child.stderr + child.signal);
    assert.deepStrictEqual(child.stdout.split('\n').sort(), ['1 RangeError,RangeError,RangeError,RangeError', '4 RangeError,RangeError,RangeError,RangeError']);
  });
});
