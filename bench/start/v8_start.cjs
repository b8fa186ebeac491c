// What bench/start/start_bench.cc measures, on V8: node [flags] v8_start.cjs version | cold MODULE | compile MODULE
// One line of JSON. The tier is a matter of flags. Node has no API that writes compiled code to a file.
'use strict';
const fs = require('fs');
const [mode, file] = process.argv.slice(2);

class Stopwatch {
  constructor() {
    this.cpu = process.cpuUsage();
    this.begin = performance.now();
  }
  ms() { return performance.now() - this.begin; }
  cpuSeconds() {
    const used = process.cpuUsage(this.cpu);
    return (used.user + used.system) / 1e6;
  }
}

const peakMb = () => Number(/^VmHWM:\s+(\d+)/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1]) / 1024;

function start(module) {
  const memory = new WebAssembly.Memory({ initial: 19, maximum: 65536, shared: true }); // as kimchi_wasm imports it
  const imports = {};
  let guest;
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    if (kind === 'memory') imports[from][name] = memory;
    if (kind === 'function') imports[from][name] = () => { throw new Error(`${name} is not there`); };
  }
  imports.__wbindgen_placeholder__.__wbindgen_init_externref_table = () => {
    const table = guest.__wbindgen_export_2;
    const first = table.grow(4);
    [undefined, null, true, false].forEach((value, index) => table.set(first + index, value));
  };
  guest = new WebAssembly.Instance(module, imports).exports;
  guest.__wbindgen_start(1 << 20); // bytes of stack
  return { guest, memory };
}

function cold() {
  const bytes = fs.readFileSync(file);
  const watch = new Stopwatch();
  const module = new WebAssembly.Module(bytes);
  const moduleMs = watch.ms();
  const { guest, memory } = start(module);
  const startedMs = watch.ms();
  const srs = guest.caml_fp_srs_create(64);
  const resultMs = watch.ms();
  const [pointer, size] = guest.__wbg_get_wasmgvesta_x(guest.caml_fp_srs_h(srs));
  const check = Buffer.from(new Uint8Array(memory.buffer).slice(pointer >>> 0, (pointer >>> 0) + size)).toString('hex');
  return { module_ms: moduleMs, started_ms: startedMs, result_ms: resultMs, check };
}

function compile() {
  const bytes = fs.readFileSync(file);
  const beforeMb = peakMb();
  const watch = new Stopwatch();
  const module = new WebAssembly.Module(bytes);
  const cpu = watch.cpuSeconds();
  return { cpu_s: cpu, module_ms: watch.ms(), peak_mb: peakMb(), before_mb: beforeMb };
}

const version = () => ({ version: process.versions.v8, node: process.versions.node });
console.log(JSON.stringify({ version, cold, compile }[mode]()));
process.exit(0); // not waiting for what V8 still compiles in the background
