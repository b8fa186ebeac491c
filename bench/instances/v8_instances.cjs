// What run.py asks of V8: `node v8_instances.cjs SECONDS MODULE FUNCTION [ARGUMENT…]` makes an instance and calls the
// function, over and over; the collector frees them. It prints ns a round, least and median of batches. `node
// v8_instances.cjs SECONDS MODULE --calls` times the calls of run.py's CALLS instead: ns a call by name.
'use strict';
const [, , seconds, file, name, ...args] = process.argv;
const module_ = new WebAssembly.Module(require('fs').readFileSync(file));
const numbers = args.map(Number);
const now = () => Number(process.hrtime.bigint());
const measure = (batch) => {
  let times = 1;
  while (batch(times) < 20000) times *= 2;
  const samples = [];
  for (const end = now() + Number(seconds) * 1e9; now() < end;) samples.push(batch(times) / times);
  samples.sort((a, b) => a - b);
  return {min: samples[0], p50: samples[samples.length >> 1]};
};
const calls = () => {
  const turns = 1000, data = {step: 1};
  const env = {f: (v) => v + 1, g: (v) => v + data.step};
  const {add, host_loop, data_loop, trap} = new WebAssembly.Instance(module_, {env}).exports;
  // One function a kind of call, so that each is compiled for that alone.
  const adds = (times) => {
    const begin = now();
    let sum = 0;
    for (let i = 0; i < times; i++) sum = add(sum, 1);
    return now() - begin;
  };
  const hosts = (times) => {
    const begin = now();
    for (let i = 0; i < times; i++) host_loop(turns);
    return now() - begin;
  };
  const datas = (times) => {
    const begin = now();
    for (let i = 0; i < times; i++) data_loop(turns);
    return now() - begin;
  };
  const traps = (times) => {
    const begin = now();
    for (let i = 0; i < times; i++) {
      try {
        trap();
      } catch {
      }
    }
    return now() - begin;
  };
  return {add: measure(adds).min, host: measure(hosts).min / turns, data: measure(datas).min / turns,
          trap: measure(traps).min};
};
const rounds = () => measure((times) => {
  const begin = now();
  for (let i = 0; i < times; i++) new WebAssembly.Instance(module_).exports[name](...numbers);
  return now() - begin;
});
console.log(JSON.stringify(name === '--calls' ? calls() : rounds()));
