// The same by import.
import rotor, { configure, events, install, metrics, presets, prometheus, use } from 'rotor-wasm';
import type { Preset, Settings } from 'rotor-wasm';

const settings: Settings = { limit: '1GiB' };
configure(settings);
const preset: Preset = presets.o1js;
use(preset);
install();
events.once('checkpoint', ({ resident }) => console.log(resident));
void [metrics().length, prometheus().length, new rotor.WebAssembly.Global({ value: 'i32' }, 5).value];

// An ES module's exports are made when it is loaded: the addon is not to be, only because this package is.
import { WebAssembly } from 'rotor-wasm';
// @ts-expect-error
void WebAssembly;
