// What wasm-bindgen's glue of any version is changed by, as text, before it is loaded: so that the rotation sees each object
// that stands for a pointer, and has the glue's own table of values with each image.
//
// - Glue of 0.2.91 and later registers each object with a FinalizationRegistry; before, constructors did not, and still
//   older glue has none at all. An object that is made without being registered is made known by `__rotorMade`, and one
//   that is freed or passed on, where no registry is told, by `__rotorLeft`.
// - Glue without external references passes values by their index in an array of its own, `heap`, whose free places
//   are a list from `heap_next` on. What a guest has in it belongs to the guest's state.
'use strict';

const kMade = /((?:this|obj)\.__wbg_ptr = [^;\n]+;)(\s*)return (this|obj);/g;
const kLeft = /(this\.__wbg_ptr = 0;)(\s*)return ptr;/g;
const kHeap = /(\b(?:let|var|const) heap_next = heap\.length;)/;
const kHeapCode = ' __rotorHeap({ save: () => [heap.slice(), heap_next], ' +
  'restore: ([saved, next]) => { heap.length = 0; for (const value of saved) heap.push(value); heap_next = next; } });';

/** Changes the source of glue. Lines keep their numbers. */
function transform(source) {
  return source
    .replace(kMade, (all, made, space, object) => `${made} __rotorMade(${object});${space}return ${object};`)
    .replace(kLeft, (all, left, space) => `${left} __rotorLeft(this);${space}return ptr;`)
    .replace(kHeap, (all, declared) => declared + kHeapCode);
}

/** Finds the allocator's exports, which newer glue gives short names. */
function allocator(source) {
  const [, malloc, realloc] = /passStringToWasm0\([^()]*, wasm\.(\w+), wasm\.(\w+)\)/.exec(source) ?? [];
  const [, free] = /wasm\.(\w+)\(\w+_0, \w+_1(?: \* \d+)?, \d+\)/.exec(source) ?? [];
  return { allocate: [malloc, realloc].filter(Boolean), release: [free].filter(Boolean) };
}

module.exports = { transform, allocator };
