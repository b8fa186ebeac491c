#!/usr/bin/env node
// rotor-wasm compile [FILE.wasm]: compiles a module ahead of time, o1js's prover if none is named, so that the first run
// of a program is as fast as any later one.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');

const kUsage = `usage: rotor-wasm compile [FILE.wasm]
  compiles a module of WebAssembly, o1js's prover if none is named, and keeps the code where rotor-wasm looks for it
`;

function o1jsModule() {
  const from = createRequire(path.join(process.cwd(), 'here.js'));
  const main = from.resolve('o1js');
  return path.join(main.slice(0, main.lastIndexOf(`${path.sep}dist${path.sep}node`)), 'dist/node/bindings/compiled/node_bindings/kimchi_wasm_bg.wasm');
}

function main([command, file, ...rest]) {
  if (command === '--help' || command === '-h') return process.stdout.write(kUsage);
  if (command !== 'compile' || rest.length) {
    process.stderr.write(kUsage);
    process.exitCode = 2;
    return undefined;
  }
  const { settings } = require('../lib/settings.cjs');
  const { codeFile, loadAddon } = require('../lib/engines/rotor.cjs');
  const source = file ?? o1jsModule();
  const bytes = fs.readFileSync(source);
  const addon = loadAddon({ ...settings, mode: 'aot' });
  const target = codeFile(settings, bytes);
  fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  const began = performance.now();
  addon.saveCode(addon.compile(new Uint8Array(bytes)), target);
  return process.stdout.write(`${source}: ${((performance.now() - began) / 1000).toFixed(1)} s, code in ${target}\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`rotor-wasm: ${error.message}\n`);
  process.exitCode = 1;
}
