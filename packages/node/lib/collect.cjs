// Garbage collection on demand, so that finalizers run: without --expose-gc.
'use strict';

const v8 = require('node:v8');
const vm = require('node:vm');

let gc = globalThis.gc;

function collector() {
  if (!gc) {
    v8.setFlagsFromString('--expose-gc');
    gc = vm.runInNewContext('gc');
    v8.setFlagsFromString('--no-expose-gc');
  }
  return gc;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Collects garbage and lets finalizers run, until `done()`: they are tasks of their own, which no promise lets through,
 * and V8 runs those of one registry a turn of the event loop; glue has a registry for each of its classes.
 */
async function collect(done, rounds = 2, turns = 256) {
  for (let i = 0; i < rounds; ++i) {
    collector()();
    for (let j = 0; j < turns && !done(); ++j) await turn();
    if (done()) return;
  }
}

module.exports = { collect };
