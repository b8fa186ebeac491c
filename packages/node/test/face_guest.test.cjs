// Guests that rotate, beneath the rules: what the addon takes note of, and what stays the same object.
'use strict';

const assert = require('node:assert');
const { describe, it } = require('node:test');
const { skip, wat, collectUntil } = require('./support.cjs');
const { createEngine } = require('../lib/engines/rotor.cjs');
const { settings } = require('../lib/settings.cjs');

const kGuest = `(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1 8)
  (table (export "table") 2 funcref)
  (table (export "kept") 2 externref)
  (global $count (export "count") (mut i32) (i32.const 0))
  (func $hidden (result i32) (global.set $count (i32.add (global.get $count) (i32.const 1))) (global.get $count))
  (elem (table 0) (i32.const 0) func $hidden)
  (elem declare func $hidden)
  (func (export "add") (param i32) (result i32) (global.set $count (i32.add (global.get $count) (local.get 0))) (global.get $count))
  (func (export "peek") (result i32) (global.get $count))
  (func (export "hand out") (result funcref) (ref.func $hidden))
  (func (export "keep") (param i32 externref) (table.set 1 (local.get 0) (local.get 1)))
  (func (export "kept at") (param i32) (result externref) (table.get 1 (local.get 0)))
  (func (export "grow") (drop (memory.grow (i32.const 1))))
  (func (export "call") (param i32) (result i32) (call $f (local.get 0))))`;
const kLimit = 16 * 2 ** 20;

describe('a guest that rotates', { skip }, () => {
  const engine = skip ? undefined : createEngine(settings, { rotatingBytes: kLimit, log: () => {} });
  const make = ({ f = (n) => n, tell = () => {} } = {}) =>
    engine.guest(engine.module(wat(kGuest)), { env: { f } }, { limitBytes: kLimit, tell,
      policy: { lasting: [], passing: ['peek', 'hand out', 'call', 'kept at'], methods: [], allocate: [], release: [] } });
  const checkpoint = (guest) => guest.checkpoint(new Uint32Array(0));

  it('keeps its exports through rewinds: the same objects, of the next generation', () => {
    const guest = make();
    const { add, peek, memory, table, count } = guest.exports;
    add(5);
    new Uint8Array(memory.buffer)[9] = 9;
    checkpoint(guest);
    add(1);
    new Uint8Array(memory.buffer)[9] = 1;
    count.value += 10;
    const before = memory.buffer;
    guest.rewind();
    assert.strictEqual(before.byteLength, 0, 'a buffer of the last generation shows nothing');
    assert.deepStrictEqual([peek(), count.value, new Uint8Array(memory.buffer)[9], table.get(0)()], [5, 5, 9, 6]);
    assert.deepStrictEqual([guest.exports.add === add, guest.state().generation], [true, 2]);
  });

  it('is changed by functions that are no exports, too', () => {
    const guest = make();
    const ways = [() => guest.exports.table.get(0), () => guest.exports['hand out']()];
    for (const way of ways) {
      const hidden = way();
      checkpoint(guest);
      guest.exports.peek();
      assert.strictEqual(guest.state().stale, false);
      hidden();
      assert.deepStrictEqual([guest.state().stale, guest.state().staleBy], [true, 'a function that is no export']);
      guest.rewind();
      assert.throws(hidden, { code: 'ROTOR_STALE_HANDLE' }, 'one of the last generation is refused by name');
      assert.strictEqual(guest.state().stale, false, 'and changes nothing');
      assert.notStrictEqual(way(), hidden);
    }
  });

  it('keeps external references that its state or its checkpoint names', async () => {
    const guest = make();
    const [first, second] = [{}, {}];
    guest.exports.keep(0, first);
    checkpoint(guest);
    guest.exports.keep(0, second);
    for (let i = 0; i < 20_000; ++i) guest.exports.keep(1, { i });
    await collectUntil(() => false);
    assert.strictEqual(guest.exports['kept at'](0), second);
    guest.rewind();
    assert.strictEqual(guest.exports['kept at'](0), first);
    assert.strictEqual(guest.exports['kept at'](1), null);
  });

  it('is not imaged nor rewound during a call, nor while an argument is converted', () => {
    const errors = [];
    const attempt = (f) => { try { f(); errors.push('none'); } catch (error) { errors.push(error.code); } return 1; };
    const guest = make({ f: () => { attempt(() => checkpoint(guest)); attempt(() => guest.rewind()); return 0; } });
    checkpoint(guest);
    guest.exports.call(0);
    guest.exports.add({ valueOf: () => attempt(() => guest.rewind()) });
    assert.deepStrictEqual(errors, Array(3).fill('ROTOR_INVALID_ARGUMENT'));
    assert.strictEqual(guest.exports.peek(), 1);
  });

  it('throws what was thrown, though who is told of its end calls guests that throw as well', () => {
    const other = make({ f: () => { throw new Error('of the other'); } });
    let told = 0;
    const guest = make({
      f: () => { throw new Error('of mine'); },
      tell: () => { ++told; assert.throws(() => other.exports.call(1), /of the other/); throw new Error('of the teller'); },
    });
    checkpoint(guest);
    guest.notifyAt(0);
    assert.throws(() => guest.exports.call(1), (error) => error.message === 'of mine');
    assert.strictEqual(told, 1);
  });

  it('is collected with what it tells', async () => {
    let left = 50;
    const registry = new FinalizationRegistry(() => { --left; });
    const build = () => {
      const own = {};
      own.guest = make({ f: () => own, tell: () => own });
      checkpoint(own.guest);
      registry.register(own, 0);
    };
    for (let i = 0; i < 50; ++i) build();
    assert.ok(await collectUntil(() => left === 0), `${left} are left`);
  });
});
