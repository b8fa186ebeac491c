// Garbage collection on demand, without --expose-gc.
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

/** Collects garbage now. Finalizers run later: in turns of the event loop of their own. */
function collect() { collector()(); }

module.exports = { collect };
