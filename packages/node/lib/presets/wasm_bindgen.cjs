// Any package of wasm-bindgen's: a preset for it, of a few lines of policy.
'use strict';

/**
 * Makes a preset. `glue`: the end of the path of the package's glue, a CommonJS file ("resvg-wasm/index.js"), or a
 * function of the path. `policy`: patterns of exports: `passing` change nothing that was there before, `methods` change
 * at most the object that is their first argument, `lasting` anything, as do those that no pattern names. `reseed`:
 * 'none', or a function that is called with the exports after each rewind. `moduleOf`: the file of the module, of the
 * glue's path: without code for it, and without a compiler, V8's instances are rotated.
 */
function wasmBindgen({ name, glue, policy = {}, reseed, limit, moduleOf, transform }) {
  if (!name || !glue) throw new TypeError("rotor: a preset of wasm-bindgen needs 'name' and 'glue'");
  const preset = {
    name,
    isGlue: typeof glue === 'function' ? glue : (filename) => filename.replaceAll('\\', '/').endsWith(glue),
    policy: {
      ...policy,
      passing: ['__wbg_get_*', '__wbg_*_free', '__wbindgen_*', '__externref_*', ...(policy.passing ?? [])],
      methods: ['__wbg_set_*', ...(policy.methods ?? [])],
    },
    reseed,
    moduleOf,
    defaultLimitBytes: limit,
    transform,
    // A guest without workers is quiescent between two turns of the event loop.
    ask: (rotation) => setImmediate(() => rotation.quiescent()),
  };
  return preset;
}

module.exports = wasmBindgen;
