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
const timed = (run) => (times) => {
  const begin = now();
  run(times);
  return now() - begin;
};
const calls = () => {
  const turns = 1000, data = {step: 1};
  const env = {f: (v) => v + 1, g: (v) => v + data.step};
  const {add, host_loop, data_loop, trap} = new WebAssembly.Instance(module_, {env}).exports;
  // A loop a kind of call, so that each is compiled for that alone; a call of one export is then inlined.
  const adds = (times) => {
    let sum = 0;
    for (let i = 0; i < times * turns; i++) sum = add(sum, 1);
    return sum;
  };
  const hosts = (times) => {
    for (let i = 0; i < times; i++) host_loop(turns);
  };
  const datas = (times) => {
    for (let i = 0; i < times; i++) data_loop(turns);
  };
  const traps = (times) => {
    for (let i = 0; i < times; i++) {
      try {
        trap();
      } catch {
      }
    }
  };
  return {add: measure(timed(adds)).min / turns, host: measure(timed(hosts)).min / turns,
          data: measure(timed(datas)).min / turns, trap: measure(timed(traps)).min};
};
const rounds = () => measure(timed((times) => {
  for (let i = 0; i < times; i++) new WebAssembly.Instance(module_).exports[name](...numbers);
}));
console.log(JSON.stringify(name === '--calls' ? calls() : rounds()));
