// node --require rotor-wasm/register app.mjs: o1js proves in Rotor. O1JS_ENABLE_WASM_PROXY=0 turns it off.
'use strict';

const { enabled } = require('./lib/settings.cjs');

if (enabled) {
  const { use, install } = require('./lib/hook.cjs');
  use(require('./lib/presets/o1js.cjs'));
  install();
}
