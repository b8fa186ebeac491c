// node --require rotor-wasm/register app.mjs: o1js proves in Rotor. O1JS_ENABLE_WASM_PROXY=0 turns it off.
'use strict';

const { workerData } = require('node:worker_threads');
const { enabled } = require('./lib/settings.cjs');

// A worker of a pool of V8's has its memory from the main thread: it is part of a guest, and none of its own.
if (enabled && !workerData?.rotorPool) {
  const { use, install } = require('./lib/hook.cjs');
  use(require('./lib/presets/o1js.cjs'));
  install();
}
