// What is done to the text of wasm-bindgen's glue, of each age.
'use strict';

const assert = require('node:assert');
const { describe, it } = require('node:test');
const { allocator, transform } = require('../lib/glue.cjs');
const { LiveSet } = require('../lib/live_set.cjs');

/** Runs glue that was transformed, and returns what its last line says. */
function run(source, live = new LiveSet({ isTrapped: () => false })) {
  const names = ['FinalizationRegistry', '__rotorMade', '__rotorLeft', '__rotorHeap'];
  const values = [live.Registry, live.made, live.left, (heap) => live.heaps.push(heap)];
  return { live, result: new Function(...names, transform(source))(...values) };
}

describe('objects', () => {
  it('that glue registers itself are not changed', () => {
    const source = `class A { constructor(p) {
      this.__wbg_ptr = p >>> 0;
      AFinalization.register(this, this.__wbg_ptr, this);
      return this; } }`;
    assert.equal(transform(source), source);
  });

  it('whose constructor registers nothing are seen, from when they are made until they are freed', () => {
    const { live, result: A } = run(`
      const AFinalization = new FinalizationRegistry(() => {});
      class A {
        constructor(p) {
          this.__wbg_ptr = p >>> 0;
          return this;
        }
        free() {
          const ptr = this.__wbg_ptr;
          this.__wbg_ptr = 0;
          AFinalization.unregister(this);
          return ptr;
        }
      }
      return A;`);
    const a = new A(16);
    assert.equal(live.newer().length, 1);
    assert.deepEqual([...live.checkpoint()], [16]);
    assert.equal(live.newer().length, 0);
    const b = new A(24);
    assert.equal(live.newer().length, 1);
    assert.equal(b.free(), 24);
    assert.equal(live.newer().length, 0);
    assert.equal(a.free(), 16);
    assert.equal(live.released.size, 1, "the checkpoint's is let go again after a rewind, were there a way to");
    live.releaseAgain();
  });

  it('of glue without any registry are seen, too', () => {
    const { live, result: A } = run(`
      class A {
        static __wrap(ptr) {
          ptr = ptr >>> 0;
          const obj = Object.create(A.prototype);
          obj.__wbg_ptr = ptr;
          return obj;
        }
        __destroy_into_raw() {
          const ptr = this.__wbg_ptr;
          this.__wbg_ptr = 0;
          return ptr;
        }
      }
      return A;`);
    const a = A.__wrap(8);
    assert.equal(live.live.size, 1);
    assert.equal(a.__destroy_into_raw(), 8);
    assert.equal(live.live.size, 0);
  });
});

it("the table of values is the checkpoint's again after a rewind", () => {
  for (const word of ['let', 'var']) {
    const { live, result: glue } = run(`
      const heap = new Array(4).fill(undefined);
      heap.push(undefined, null, true, false);
      ${word} heap_next = heap.length;
      function add(value) {
        if (heap_next === heap.length) heap.push(heap.length + 1);
        const index = heap_next;
        heap_next = heap[index];
        heap[index] = value;
        return index;
      }
      function drop(index) {
        heap[index] = heap_next;
        heap_next = index;
      }
      return { add, drop, get: (index) => heap[index] };`);
    const kept = glue.add('kept');
    live.checkpoint();
    glue.drop(kept);
    assert.equal(glue.add('other'), kept);
    glue.add('more');
    live.releaseAgain();
    assert.equal(glue.get(kept), 'kept');
    assert.equal(glue.add('after'), kept + 1);
  }
});

it('the allocator is found by its uses', () => {
  assert.deepEqual(allocator(`
    const ptr0 = passStringToWasm0(text, wasm.__wbindgen_export_1, wasm.__wbindgen_export_2);
    wasm.__wbindgen_export_3(deferred3_0, deferred3_1, 1);`),
  { allocate: ['__wbindgen_export_1', '__wbindgen_export_2'], release: ['__wbindgen_export_3'] });
  assert.deepEqual(allocator('nothing'), { allocate: [], release: [] });
});

it('lines keep their numbers', () => {
  const source = 'a\nthis.__wbg_ptr = 0;\n  return ptr;\nlet heap_next = heap.length;\nobj.__wbg_ptr = ptr;\nreturn obj;\n';
  assert.equal(transform(source).split('\n').length, source.split('\n').length);
});
