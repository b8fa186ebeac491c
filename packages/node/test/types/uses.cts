// What programs write that use rotor-wasm by require: it must compile.
import rotor = require('rotor-wasm');

rotor.configure({ engine: 'rotor', limit: '512MiB', warmAt: 0.6, swapAt: 0.8, rotate: true, log: (line) => console.log(line.length) });
rotor.configure({ limit: 2 ** 29, log: true, mode: 'aot', reseed: (exports) => { void exports.seed; } });
rotor.use(rotor.presets.o1js);
rotor.use(rotor.presets.wasmBindgen({ name: 'mine', glue: 'mine/glue.js', policy: { passing: ['get_*'], methods: ['set_*'] }, reseed: 'none' }));
rotor.install();
rotor.events.on('rewind', ({ guest, ms, bytesAfter }) => console.log(guest.length, ms.toFixed(1), bytesAfter));
rotor.events.on('postponed', ({ why }) => console.log(why.length));
const rewinds: number = rotor.metrics().reduce((sum, { rewinds: count = 0 }) => sum + count, 0);
const text: string = rotor.prometheus();

async function run(bytes: Uint8Array): Promise<number> {
  const { WebAssembly } = rotor;
  const { module, instance } = await WebAssembly.instantiate(bytes, { env: { f: (n: number) => n, limit: 5 } });
  const again: rotor.Instance = await WebAssembly.instantiate(module);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  const table = new WebAssembly.Table({ element: 'externref', initial: 1 }, {});
  const global = new WebAssembly.Global({ value: 'i64', mutable: true }, 1n);
  const names: string[] = WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`);
  const sections: ArrayBuffer[] = WebAssembly.Module.customSections(module, 'name');
  try {
    return (instance.exports.f as (n: number) => number)(memory.grow(1) + table.length + Number(global.value) + names.length + sections.length);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) console.log(error.message);
    return Object.keys(again.exports).length + memory.buffer.byteLength;
  }
}
void [rewinds, text, run];

// And these must not.
// @ts-expect-error
rotor.configure({ engine: 'v9' });
// @ts-expect-error
rotor.configure({ limits: 5 });
// @ts-expect-error
rotor.configure({ limit: '5 TB' });
// @ts-expect-error
rotor.presets.wasmBindgen({ name: 'no glue' });
// @ts-expect-error
rotor.use({ name: 'no policy' });
// @ts-expect-error
rotor.events.on('rewind', ({ bytes }) => bytes);
// @ts-expect-error
new rotor.WebAssembly.Memory({});
