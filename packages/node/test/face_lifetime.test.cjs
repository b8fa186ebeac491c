// What lives how long: instances, what they import, external references, buffers.
'use strict';

const assert = require('node:assert');
const { describe, it } = require('node:test');
const { skip, wat, faces, runScript, collectUntil } = require('./support.cjs');
const { loadAddon } = require('../lib/engines/rotor.cjs');
const { settings } = require('../lib/settings.cjs');

const kCaller = `(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (func $call (export "call") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "myself") (result funcref) (ref.func $call))
  (elem declare func $call))`;
const kHolder = `(module
  (type $t (func (param i32) (result i32)))
  (table (export "table") 4 funcref)
  (global $g (mut funcref) (ref.null func))
  (func (export "put") (param i32 funcref) (table.set (local.get 0) (local.get 1)) (global.set $g (local.get 1)))
  (func (export "run") (param i32 i32) (result i32) (call_indirect (type $t) (local.get 1) (local.get 0)))
  (func (export "last") (result funcref) (global.get $g)))`;
const kTabled = `(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (import "env" "table" (table 4 funcref))
  (import "env" "start" (func $start))
  (func $call (param i32) (result i32) (call $f (local.get 0)))
  (elem (i32.const 1) func $call)
  (start $start))`;
const kRefs = `(module
  (import "env" "far" (table $far 4 externref))
  (import "env" "given" (global $given (mut externref)))
  (import "env" "back" (func $back (param externref) (result externref)))
  (table $near (export "near") 4 externref)
  (global $kept (export "kept") (mut externref) (ref.null extern))
  (func (export "pass") (param externref) (result externref) (local.get 0))
  (func (export "first") (param externref i32) (result externref) (local.get 0))
  (func (export "keep") (param externref) (global.set $kept (local.get 0)))
  (func (export "put") (param i32 externref) (table.set $near (local.get 0) (local.get 1)))
  (func (export "get") (param i32) (result externref) (table.get $near (local.get 0)))
  (func (export "hold") (param externref) (result externref) (drop (call $back (ref.null extern))) (local.get 0)))`;

const { Rotor: WebAssembly } = faces;
const instantiate = (text, imports) => new WebAssembly.Instance(new WebAssembly.Module(wat(text)), imports).exports;
/** An instance that its import closes over. */
function closed(add = 0) {
  const own = { exports: undefined };
  own.exports = instantiate(kCaller, { env: { f: (n) => n + add + (own.exports ? 0 : 1) } });
  return own.exports;
}

describe('instances', { skip }, () => {
  it('are collected though what they import closes over them', async () => {
    let left = 500;
    const registry = new FinalizationRegistry(() => { --left; });
    for (let i = 0; i < 500; ++i) registry.register(closed(), i);
    assert.ok(await collectUntil(() => left === 0), `${left} are left`);
  });

  it('and so are instances that are linked to each other and to tables', async () => {
    let left = 200;
    const registry = new FinalizationRegistry(() => { --left; });
    const build = () => {
      const table = new WebAssembly.Table({ element: 'anyfunc', initial: 4 });
      const own = {};
      own.instance = new WebAssembly.Instance(new WebAssembly.Module(wat(kTabled)), { env: { f: () => own, table, start: () => {} } });
      const holder = instantiate(kHolder);
      holder.put(0, closed().call);
      table.set(0, holder.run);
      registry.register(own.instance, 'tabled');
      registry.register(holder, 'holder');
    };
    for (let i = 0; i < 100; ++i) build();
    assert.ok(await collectUntil(() => left === 0), `${left} are left`);
  });

  it('live as long as an export, a function in a table, or one that another guest holds', async () => {
    const seen = {};
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
    const global = new WebAssembly.Global({ value: 'anyfunc', mutable: true }, null);
    const holder = instantiate(kHolder);
    let value;
    (() => {
      seen.call = closed(1).call;
      table.set(0, closed(2).call);
      global.value = closed(3).call;
      holder.table.set(1, closed(4).call);
      holder.put(2, closed(5).call);
      value = closed(6).myself();
      seen.initial = new WebAssembly.Table({ element: 'anyfunc', initial: 1 }, closed(7).call);
      seen.global = new WebAssembly.Global({ value: 'anyfunc' }, closed(8).call);
    })();
    for (let i = 0; i < 3; ++i) await collectUntil(() => false);
    assert.deepStrictEqual(
      [seen.call(10), table.get(0)(10), global.value(10), holder.run(1, 10), holder.run(2, 10), value(10), seen.initial.get(0)(10), seen.global.value(10), holder.last()(10)],
      [11, 12, 13, 14, 15, 16, 17, 18, 15]);
  });

  it('live as long as a table that they were to be put in, though their start failed', async () => {
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: 4 });
    assert.throws(() => instantiate(kTabled, { env: { f: (n) => n + 7, table, start: () => { throw new Error('no'); } } }), /no/);
    for (let i = 0; i < 3; ++i) await collectUntil(() => false);
    assert.strictEqual(table.get(1)(1), 8);
  });

  it('are reached by what they hand to JavaScript', async () => {
    let given;
    (() => {
      const own = { add: 5 };
      own.exports = instantiate(`(module (import "env" "take" (func $take (param funcref))) (import "env" "f" (func $f (result i32)))
        (elem declare func $g) (func $g (result i32) (call $f))
        (func (export "give") (call $take (ref.func $g))))`, { env: { take: (func) => { given = func; }, f: () => own.add } });
      own.exports.give();
    })();
    for (let i = 0; i < 3; ++i) await collectUntil(() => false);
    assert.strictEqual(given(), 5);
  });

  it('are collected before many are there, though nobody asks for it', () => {
    // A hundred MiB are in use at any time; 10,000 instances take 10 GiB. V8 sees small objects only, and is told.
    const child = runScript(`
      const fs = require('node:fs');
      const module = new WebAssembly.Module(bytes.guest);
      (async () => {
        const peak = { MiB: 0, maps: 0 };
        const recent = [];  // so that V8 takes them for old ones
        for (let i = 0; i < 10_000; ++i) {
          const own = {};
          own.instance = new WebAssembly.Instance(module, { env: { f: (n) => (own.instance ? n : 0) } });
          own.instance.exports.fill();
          recent[i % 100] = own;
          if (own.instance.exports.call(3) !== 3) throw new Error('wrong');
          if (i % 20) continue;
          await new Promise((resolve) => setImmediate(resolve));
          peak.MiB = Math.max(peak.MiB, process.memoryUsage.rss() / 2 ** 20);
          peak.maps = Math.max(peak.maps, fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').length);
        }
        console.log(JSON.stringify(peak));
      })();`, { guests: { guest: `${kCaller.slice(0, -1)} (memory (export "memory") 16)
      (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))))` } });
    assert.strictEqual(child.status, 0, child.stderr);
    const { MiB, maps } = JSON.parse(child.stdout);
    assert.ok(MiB < 800, `${MiB} MiB`);
    assert.ok(maps < 5000, `${maps} mappings`);
  });
});

describe('external references', { skip }, () => {
  const addon = skip ? undefined : loadAddon(settings);
  const make = () => {
    const far = new WebAssembly.Table({ element: 'externref', initial: 4 });
    const given = new WebAssembly.Global({ value: 'externref', mutable: true });
    const env = { far, given, back: () => undefined };
    return { far, given, env, ...instantiate(kRefs, { env }) };
  };

  it('a million that pass take the room of some thousands', () => {
    const guest = make();
    for (let i = 0; i < 1_000_000; ++i) if (guest.pass(i) !== i) assert.fail(String(i));
    assert.ok(addon.sweepReferences() < 10_000);
  });

  it('are all kept while an instance is there whose start failed, which nobody can ask, and looked for seldom', async () => {
    const guests = Array.from({ length: 1000 }, make);
    await (async () => {
      const table = new WebAssembly.Table({ element: 'anyfunc', initial: 4 });
      assert.throws(() => instantiate(kTabled, { env: { f: (n) => n + 7, table, start: () => { throw new Error('no'); } } }), /no/);
      const begin = performance.now();
      for (let i = 0; i < 100_000; ++i) guests[0].pass(i);
      const ms = performance.now() - begin;
      assert.ok(ms < 2000, `${ms} ms`);
      assert.strictEqual(table.get(1)(1), 8);
      assert.ok(addon.sweepReferences() > 100_000);
    })();
    assert.ok(await collectUntil(() => addon.sweepReferences() < 10_000));
    assert.strictEqual(guests[999].pass(5), 5);
  });

  it('live as long as a table or a global names them', () => {
    const guest = make();
    const objects = [{}, {}, {}, {}, {}, {}];
    guest.far.set(0, objects[0]);
    guest.near.set(1, objects[1]);
    guest.put(2, objects[2]);
    guest.keep(objects[3]);
    guest.given.value = objects[4];
    const other = new WebAssembly.Global({ value: 'externref' }, objects[5]);
    for (let i = 0; i < 100_000; ++i) guest.pass({});
    addon.sweepReferences();
    assert.deepStrictEqual(
      [guest.far.get(0), guest.near.get(1), guest.get(2), guest.kept.value, guest.given.value, other.value].map((value, i) => value === objects[i]),
      Array(6).fill(true));
  });

  it('are let go when nothing names them', async () => {
    const guest = make();
    let gone = false;
    const registry = new FinalizationRegistry(() => { gone = true; });
    (() => {
      const object = {};
      registry.register(object);
      guest.put(0, object);
      guest.put(0, null);
    })();
    addon.sweepReferences();
    assert.ok(await collectUntil(() => gone));
  });

  it('stay what they are while later arguments are converted, and while a frame holds them', () => {
    const guest = make();
    const object = {};
    const flood = () => { for (let i = 0; i < 20_000; ++i) guest.pass({ i }); addon.sweepReferences(); return 0; };
    assert.strictEqual(guest.first(object, { valueOf: flood }), object);
    guest.env.back = flood;
    const holding = instantiate(kRefs, { env: { ...guest.env, back: flood } });
    assert.strictEqual(holding.hold(object), object);
  });
});

describe('buffers', { skip }, () => {
  it('go on when the memory and its guest are gone', async () => {
    let buffer = (() => {
      const { memory } = instantiate('(module (memory (export "memory") 1) (data (i32.const 3) "x"))');
      return memory.buffer;
    })();
    for (let i = 0; i < 3; ++i) await collectUntil(() => false);
    const view = new Uint8Array(buffer);
    assert.strictEqual(view[3], 120);
    view.fill(9);
    assert.strictEqual(view[65535], 9);
    buffer = undefined;
  });

  it('that are transferred keep their bytes, and the memory gets a new one', async () => {
    const transfer = (buffer) => (buffer.transfer ? buffer.transfer() : buffer);  // which Node 20 has no way to do
    let other;
    (() => {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
      const old = memory.buffer;
      new Uint8Array(old)[5] = 5;
      other = transfer(old);
      assert.strictEqual(old.byteLength, other === old ? 65536 : 0);
      assert.strictEqual(new Uint8Array(memory.buffer)[5], 5);
      assert.strictEqual(memory.buffer.byteLength, 65536);
      memory.grow(1);
      assert.strictEqual(memory.buffer.byteLength, 131072);
    })();
    for (let i = 0; i < 3; ++i) await collectUntil(() => false);
    if (!other.byteLength) return;  // it was the memory's, which grew
    const view = new Uint8Array(other);
    assert.strictEqual(view[5], 5);
    view.fill(1);
  });
});
