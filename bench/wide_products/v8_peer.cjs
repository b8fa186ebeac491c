// What bench/wide_products/wide_bench.cc does, on V8: node --no-liftoff --no-wasm-lazy-compilation v8_peer.cjs MODULE
'use strict';
const fs = require('fs');
const readline = require('readline');

const guest = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(process.argv[2])), {}).exports;
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [name, turns] = line.split(' ');
  const count = BigInt(turns);
  const before = process.cpuUsage();
  const result = guest[name](count);
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(`${BigInt.asUintN(64, result)} ${(user + system) * 1000}\n`);
});
