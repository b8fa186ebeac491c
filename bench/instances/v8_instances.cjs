// What run.py asks of V8: `node v8_instances.cjs SECONDS MODULE FUNCTION [ARGUMENT…]` makes an instance and calls the
// function, over and over; the collector frees them. It prints ns a round, least and median of batches.
'use strict';
const [, , seconds, file, name, ...args] = process.argv;
const module_ = new WebAssembly.Module(require('fs').readFileSync(file));
const numbers = args.map(Number);
const now = () => Number(process.hrtime.bigint());
const batch = (times) => {
  const begin = now();
  for (let i = 0; i < times; i++) new WebAssembly.Instance(module_).exports[name](...numbers);
  return now() - begin;
};
let times = 1;
while (batch(times) < 20000) times *= 2;
const samples = [];
for (const end = now() + Number(seconds) * 1e9; now() < end;) samples.push(batch(times) / times);
samples.sort((a, b) => a - b);
console.log(JSON.stringify({min: samples[0], p50: samples[samples.length >> 1]}));
