// rotor-wasm: leaking WebAssembly that runs for ever. See README.md.
'use strict';

const { configure, events, settings } = require('./lib/settings.cjs');
const hook = require('./lib/hook.cjs');
const { metrics, prometheus } = require('./lib/metrics.cjs');

let face;

module.exports = {
  configure,
  metrics,
  prometheus,
  events,
  use: hook.use,
  install: hook.install,
  presets: { o1js: require('./lib/presets/o1js.cjs'), wasmBindgen: require('./lib/presets/wasm_bindgen.cjs') },
  /** WebAssembly's classes by Rotor, for modules that need no rotation. */
  get WebAssembly() {
    if (!face) {
      const { createEngine } = require('./lib/engines/rotor.cjs');
      face = createEngine(settings, { log: () => {} }).WebAssembly;
    }
    return face;
  },
};
