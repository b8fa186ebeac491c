// Types of rotor-wasm as an ES module: `WebAssembly`, which loads the addon when it is asked for, is of the default export.
import * as rotor from './index.js';

export { configure, metrics, prometheus, events, use, install, presets } from './index.js';
export type * from './index.js';
export default rotor;
