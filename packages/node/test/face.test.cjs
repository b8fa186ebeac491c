// WebAssembly's classes, one behaviour a test, by V8 and by Rotor.
'use strict';

const assert = require('node:assert');
const { describe, it } = require('node:test');
const { skip, wat, faces } = require('./support.cjs');

const kKinds = `(module
  (import "env" "f" (func (param i32)))
  (import "env" "m" (memory 1))
  (import "env" "t" (table 1 funcref))
  (import "env" "g" (global i32))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (memory (export "memory") 1 3)
  (table (export "table") 2 4 externref)
  (global (export "global") (mut i64) (i64.const -5)))`;
const kEmpty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);

for (const [name, WebAssembly] of Object.entries(faces)) {
  const instantiate = (text, imports) => new WebAssembly.Instance(new WebAssembly.Module(wat(text)), imports).exports;

  describe(`${name}: modules`, { skip }, () => {
    it('describe their imports and exports, in order', { skip: name === 'V8' && 'two memories' }, () => {
      const module = new WebAssembly.Module(wat(kKinds));
      assert.deepStrictEqual(WebAssembly.Module.imports(module), [
        { module: 'env', name: 'f', kind: 'function' }, { module: 'env', name: 'm', kind: 'memory' },
        { module: 'env', name: 't', kind: 'table' }, { module: 'env', name: 'g', kind: 'global' }]);
      assert.deepStrictEqual(WebAssembly.Module.exports(module), [
        { name: 'add', kind: 'function' }, { name: 'memory', kind: 'memory' }, { name: 'table', kind: 'table' }, { name: 'global', kind: 'global' }]);
    });

    it('are made of a copy of any buffer or view', () => {
      const bytes = wat('(module (func (export "f") (result i32) (i32.const 7)))');
      const padded = new Uint8Array(bytes.length + 8);
      padded.set(bytes, 4);
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      const sources = [bytes, bytes.slice().buffer, padded.subarray(4, 4 + bytes.length)];
      if (name === 'Rotor') sources.push(new DataView(padded.buffer, 4, bytes.length), shared, shared.buffer);  // V8 refuses them
      for (const source of sources)
        assert.strictEqual(new WebAssembly.Instance(new WebAssembly.Module(source)).exports.f(), 7);
      const changing = bytes.slice();
      const module = new WebAssembly.Module(changing);
      changing.fill(0);
      assert.strictEqual(new WebAssembly.Instance(module).exports.f(), 7);
    });

    it('refuse what is no module, each error by its class', async () => {
      assert.throws(() => new WebAssembly.Module(new Uint8Array(8)), WebAssembly.CompileError);
      assert.throws(() => new WebAssembly.Module(wat('(module)').slice(0, 4)), WebAssembly.CompileError);
      for (const source of [undefined, null, 1, 'bytes', {}, []]) assert.throws(() => new WebAssembly.Module(source), TypeError);
      assert.throws(() => WebAssembly.Module(kEmpty), TypeError);
      await assert.rejects(WebAssembly.compile(new Uint8Array(8)), WebAssembly.CompileError);
      await assert.rejects(WebAssembly.compile(5), TypeError);
    });

    it('that are too large in some way are refused as others are', async () => {
      const bytes = new Uint8Array([...kEmpty, 1, 0xee, 7, 1, 0x60, 0xe9, 7, ...Array(1001).fill(0x7f), 0]);
      assert.strictEqual(WebAssembly.validate(bytes), false);
      assert.throws(() => new WebAssembly.Module(bytes), (error) => error instanceof WebAssembly.CompileError && /1001|1,001/.test(error.message));
      await assert.rejects(WebAssembly.compile(bytes), WebAssembly.CompileError);
    });

    it('are validated without an error', () => {
      assert.strictEqual(WebAssembly.validate(kEmpty), true);
      assert.strictEqual(WebAssembly.validate(new Uint8Array(8)), false);
      assert.throws(() => WebAssembly.validate({}), TypeError);
    });

    it('give their custom sections, as copies', () => {
      const bytes = new Uint8Array([...kEmpty, 0, 4, 1, 97, 7, 8, 0, 3, 1, 98, 9, 0, 3, 1, 97, 5]);
      const module = new WebAssembly.Module(bytes);
      const sections = WebAssembly.Module.customSections(module, 'a');
      assert.deepStrictEqual(sections.map((section) => [...new Uint8Array(section)]), [[7, 8], [5]]);
      new Uint8Array(sections[0]).fill(0);
      assert.deepStrictEqual([...new Uint8Array(WebAssembly.Module.customSections(module, 'a')[0])], [7, 8]);
      assert.deepStrictEqual(WebAssembly.Module.customSections(module, 'c'), []);
      assert.throws(() => WebAssembly.Module.customSections(module), TypeError);
      assert.throws(() => WebAssembly.Module.customSections({}, 'a'), TypeError);
    });
  });

  describe(`${name}: instances`, { skip }, () => {
    it('have frozen exports without a prototype, the same each time', () => {
      const instance = new WebAssembly.Instance(new WebAssembly.Module(wat('(module (func (export "f")) (memory (export "m") 1))')));
      assert.strictEqual(instance.exports, instance.exports);
      assert.strictEqual(Object.getPrototypeOf(instance.exports), null);
      assert.ok(Object.isFrozen(instance.exports));
      assert.deepStrictEqual(Object.keys(instance.exports), ['f', 'm']);
      assert.throws(() => { 'use strict'; instance.exports = {}; }, TypeError);
    });

    it('have one object for what is exported twice, imported or exported again', () => {
      const a = instantiate(`(module (func $f (export "f") (export "g")) (func (export "h"))
        (memory (export "m") (export "n") 1) (table (export "t") (export "u") 1 funcref) (global (export "x") (export "y") i32 (i32.const 1)))`);
      assert.strictEqual(a.f, a.g);
      assert.notStrictEqual(a.f, a.h);
      assert.strictEqual(a.m, a.n);
      assert.strictEqual(a.t, a.u);
      if (name === 'Rotor') assert.strictEqual(a.x, a.y);  // V8 makes two
      const b = instantiate(`(module (import "a" "f" (func $f)) (import "a" "m" (memory 1)) (import "a" "t" (table 1 funcref)) (import "a" "x" (global i32))
        (export "f" (func $f)) (export "m" (memory 0)) (export "t" (table 0)) (export "x" (global 0)) (elem (i32.const 0) func $f))`, { a });
      assert.deepStrictEqual([b.f === a.f, b.m === a.m, b.t === a.t, b.x === a.x], [true, true, true, true]);
      assert.strictEqual(a.t.get(0), a.f);
    });

    it('export functions with the index as name and the number of parameters as length', () => {
      const { g } = instantiate('(module (func) (func (export "g") (param i32 i64 f32)))');
      assert.strictEqual(g.name, '1');
      assert.strictEqual(g.length, 3);
    });

    it('refuse imports that are missing or do not fit, by name', () => {
      const link = (imports, text) => () => instantiate(text, imports);
      const func = '(module (import "env" "f" (func (param i32))))';
      assert.throws(link(undefined, func), TypeError);
      assert.throws(link({}, func), TypeError);
      assert.throws(link({ env: {} }, func), WebAssembly.LinkError);
      assert.throws(link({ env: { f: 1 } }, func), WebAssembly.LinkError);
      const { g } = instantiate('(module (func (export "g") (param i64)))');
      assert.throws(link({ env: { f: g } }, func), WebAssembly.LinkError);
      const memory = '(module (import "env" "m" (memory 2 3)))';
      assert.throws(link({ env: { m: {} } }, memory), WebAssembly.LinkError);
      assert.throws(link({ env: { m: new WebAssembly.Memory({ initial: 1, maximum: 3 }) } }, memory), WebAssembly.LinkError);
      assert.throws(link({ env: { m: new WebAssembly.Memory({ initial: 2 }) } }, memory), WebAssembly.LinkError);
      const table = '(module (import "env" "t" (table 1 funcref)))';
      assert.throws(link({ env: { t: new WebAssembly.Table({ initial: 1, element: 'externref' }) } }, table), WebAssembly.LinkError);
      const global = '(module (import "env" "g" (global i32)))';
      assert.throws(link({ env: { g: 1n } }, global), WebAssembly.LinkError);
      assert.throws(link({ env: { g: new WebAssembly.Global({ value: 'i32', mutable: true }, 1) } }, global), WebAssembly.LinkError);
      assert.throws(link({ env: { g: 1 } }, '(module (import "env" "g" (global (mut i32))))'), WebAssembly.LinkError);
    });

    it('take numbers and values as immutable globals', () => {
      const text = `(module (import "env" "a" (global i32)) (import "env" "b" (global i64)) (import "env" "c" (global externref))
        (export "a" (global 0)) (export "b" (global 1)) (export "c" (global 2)))`;
      const object = {};
      const { a, b, c } = instantiate(text, { env: { a: -1.9, b: 2n ** 64n + 3n, c: object } });
      assert.deepStrictEqual([a.value, b.value, c.value === object], [-1, 3n, true]);
    });

    it('are made at once or later, of bytes or of a module', async () => {
      const bytes = wat('(module (import "env" "n" (global i32)) (export "n" (global 0)))');
      const made = await WebAssembly.instantiate(bytes, { env: { n: 3 } });
      assert.ok(made.module instanceof WebAssembly.Module && made.instance instanceof WebAssembly.Instance);
      assert.strictEqual(made.instance.exports.n.value, 3);
      const second = await WebAssembly.instantiate(made.module, { env: { n: 4 } });
      assert.ok(second instanceof WebAssembly.Instance);
      assert.strictEqual(second.exports.n.value, 4);
      await assert.rejects(WebAssembly.instantiate(bytes, { env: {} }), WebAssembly.LinkError);
      await assert.rejects(WebAssembly.instantiate(bytes), TypeError);
      await assert.rejects(WebAssembly.instantiate(bytes, 5), TypeError);
    });

    it('report a trap of the start function, and what it throws', () => {
      assert.throws(() => instantiate('(module (func $s unreachable) (start $s))'), WebAssembly.RuntimeError);
      const error = new Error('of mine');
      assert.throws(() => instantiate('(module (import "env" "f" (func $f)) (start $f))', { env: { f: () => { throw error; } } }),
        (thrown) => thrown === error);
    });
  });

  describe(`${name}: memories`, { skip }, () => {
    it('have one buffer until they grow, and then another one', () => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
      const before = memory.buffer;
      assert.strictEqual(memory.buffer, before);
      new Uint8Array(before)[65535] = 7;
      assert.strictEqual(memory.grow(1), 1);
      assert.strictEqual(before.byteLength, 0);
      assert.strictEqual(memory.buffer.byteLength, 131072);
      assert.strictEqual(new Uint8Array(memory.buffer)[65535], 7);
      const same = memory.buffer;
      assert.strictEqual(memory.grow(0), 2);
      assert.notStrictEqual(memory.buffer, same);
      assert.strictEqual(same.byteLength, 0);
      assert.throws(() => memory.grow(2), RangeError);
      assert.throws(() => memory.grow(-1), TypeError);
      assert.throws(() => memory.grow(2 ** 32), TypeError);
    });

    it('of no pages have an empty buffer', () => {
      const memory = new WebAssembly.Memory({ initial: 0 });
      const empty = memory.buffer;
      assert.strictEqual(empty.byteLength, 0);
      assert.strictEqual(memory.buffer, empty);
      memory.grow(1);
      assert.strictEqual(memory.buffer.byteLength, 65536);
    });

    it('check their descriptor', () => {
      for (const bad of [undefined, null, 5, {}, { initial: undefined }, { initial: -1 }, { initial: 2 ** 32 }, { initial: NaN }, { initial: 1n }, { initial: 1, shared: true }])
        assert.throws(() => new WebAssembly.Memory(bad), TypeError, String(bad));
      assert.throws(() => new WebAssembly.Memory({ initial: 2, maximum: 1 }), RangeError);
    });

    it('show the guest what JavaScript writes, and the other way round', () => {
      const { memory, load, store } = instantiate(`(module (memory (export "memory") 1)
        (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1))))`);
      const view = new DataView(memory.buffer);
      view.setInt32(8, -77, true);
      assert.strictEqual(load(8), -77);
      store(12, 99);
      assert.strictEqual(view.getInt32(12, true), 99);
    });
  });

  describe(`${name}: tables`, { skip }, () => {
    it('of functions hold functions of WebAssembly and null', () => {
      const { f } = instantiate('(module (func (export "f") (result i32) (i32.const 4)))');
      const table = new WebAssembly.Table({ element: 'anyfunc', initial: 2, maximum: 4 });
      assert.deepStrictEqual([table.length, table.get(0)], [2, null]);
      table.set(0, f);
      assert.strictEqual(table.get(0), f);
      table.set(0);
      assert.strictEqual(table.get(0), null);
      for (const bad of [() => {}, 1, {}, undefined]) assert.throws(() => table.set(0, bad), TypeError);
      assert.throws(() => table.set(2, null), RangeError);
      assert.throws(() => table.get(2), RangeError);
      assert.throws(() => table.get(-1), TypeError);
      assert.strictEqual(table.grow(2, f), 2);
      assert.strictEqual(table.get(3), f);
      assert.throws(() => table.grow(1), RangeError);
      assert.throws(() => new WebAssembly.Table({ element: 'i32', initial: 1 }), TypeError);
      assert.throws(() => new WebAssembly.Table({ element: 'anyfunc', initial: 2, maximum: 1 }), RangeError);
      assert.strictEqual(new WebAssembly.Table({ element: 'anyfunc', initial: 1 }, f).get(0), f);
    });

    it('of external references hold anything', () => {
      const table = new WebAssembly.Table({ element: 'externref', initial: 1 });
      assert.strictEqual(table.get(0), undefined);
      for (const value of [{}, null, 0, '', Symbol('x'), 5n, () => {}, undefined]) {
        table.set(0, value);
        assert.strictEqual(table.get(0), value);
      }
      table.set(0, 1);
      table.set(0);
      assert.strictEqual(table.get(0), undefined);
    });
  });

  describe(`${name}: globals`, { skip }, () => {
    it('convert as the JS API says', () => {
      const of = (value, type) => new WebAssembly.Global({ value: type, mutable: true }, value);
      for (const [type, value, result] of [
        ['i32', 2 ** 32 + 5, 5], ['i32', '0x10', 16], ['i32', NaN, 0], ['i32', -1.9, -1], ['i64', true, 1n], ['i64', -(2n ** 63n) - 1n, 2n ** 63n - 1n],
        ['f32', 0.1, Math.fround(0.1)], ['f64', '1e3', 1000], ['f64', null, 0]])
        assert.strictEqual(of(value, type).value, result, `${type} ${String(value)}`);
      for (const [type, value] of [['i32', 1n], ['i32', Symbol()], ['i64', 1], ['i64', 'x'.repeat(3)], ['f64', 1n]])
        assert.throws(() => of(value, type), type === 'i64' && value === 'xxx' ? SyntaxError : TypeError);
      assert.ok(Number.isNaN(of('no number', 'f32').value));
    });

    it('are immutable, unless they say otherwise', () => {
      const global = new WebAssembly.Global({ value: 'i32' }, 5);
      let asked = false;
      assert.throws(() => { global.value = { valueOf: () => { asked = true; return 1; } }; }, TypeError);
      assert.ok(!asked);
      assert.strictEqual(global.valueOf(), 5);
      for (const bad of [undefined, {}, { value: 'i31' }, { value: 'toString' }]) assert.throws(() => new WebAssembly.Global(bad), TypeError);
    });

    it('are the guest\'s', () => {
      const counter = new WebAssembly.Global({ value: 'i64', mutable: true }, 1n);
      const { next } = instantiate(`(module (import "env" "counter" (global $c (mut i64)))
        (func (export "next") (result i64) (global.set $c (i64.add (global.get $c) (i64.const 1))) (global.get $c)))`, { env: { counter } });
      assert.strictEqual(next(), 2n);
      counter.value = -2n;
      assert.strictEqual(next(), -1n);
      assert.strictEqual(counter.value, -1n);
    });
  });

  describe(`${name}: objects`, { skip }, () => {
    it('are asked for by their methods', () => {
      const value = Object.getOwnPropertyDescriptor(WebAssembly.Global.prototype, 'value');
      const buffer = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'buffer');
      const global = new WebAssembly.Global({ value: 'i32' }, 5);
      for (const other of [undefined, {}, new WebAssembly.Memory({ initial: 1 }), WebAssembly.Global.prototype])
        assert.throws(() => value.get.call(other), TypeError);
      assert.throws(() => buffer.get.call(global), TypeError);
      assert.throws(() => WebAssembly.Table.prototype.get.call(global, 0), TypeError);
      assert.throws(() => WebAssembly.Module.exports(global), TypeError);
      Object.setPrototypeOf(global, null);
      assert.strictEqual(value.get.call(global), 5);
    });

    it('may be of classes that extend these', () => {
      class Mine extends WebAssembly.Memory { pages() { return this.buffer.byteLength / 65536; } }
      const mine = new Mine({ initial: 2 });
      assert.strictEqual(mine.pages(), 2);
      assert.strictEqual(instantiate('(module (import "env" "m" (memory 2)) (export "m" (memory 0)))', { env: { m: mine } }).m, mine);
    });
  });
}

describe('Rotor: what it has not', () => {
  it('is refused by name', async () => {
    const { Rotor } = faces;
    await assert.rejects(Rotor.compileStreaming({}), /compileStreaming/);
    await assert.rejects(Rotor.instantiateStreaming({}), /instantiateStreaming/);
    assert.throws(() => new Rotor.Memory({ initial: 1n, address: 'i64' }), /i32/);
    assert.throws(() => new Rotor.Table({ element: 'anyfunc', initial: 1, address: 'i65' }), TypeError);
  });
});
