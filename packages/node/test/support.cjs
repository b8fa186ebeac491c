// What the tests of the face share: guests in text form, both implementations of WebAssembly, scripts in processes.
'use strict';

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { collect } = require('../lib/collect.cjs');

const tool = process.env.ROTOR;
/** Why tests that need the tool are skipped; false: they are not. */
const skip = tool && fs.existsSync(tool) ? false : 'ROTOR names no rotor tool, which assembles the guests of these tests';

const assembled = new Map();

/** Assembles a module of a text. Returns its bytes. */
function wat(text) {
  let bytes = assembled.get(text);
  if (!bytes) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rotor-wat-'));
    try {
      fs.writeFileSync(path.join(folder, 'guest.wat'), text);
      execFileSync(tool, ['wat2wasm', path.join(folder, 'guest.wat'), '-o', path.join(folder, 'guest.wasm')]);
      assembled.set(text, bytes = new Uint8Array(fs.readFileSync(path.join(folder, 'guest.wasm'))));
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  }
  return bytes;
}

/** WebAssembly by V8 and by Rotor: what holds for both is what the platform says. */
const faces = { V8: globalThis.WebAssembly, get Rotor() { return require('../index.cjs').WebAssembly; } };

/**
 * Runs a script that has `WebAssembly` (Rotor's, unless `bare`), `bytes` (of the guests) and `require`, in a process of
 * its own.
 */
function runScript(script, { guests = {}, flags = [], bare = false, timeout = 120_000 } = {}) {
  const bytes = JSON.stringify(Object.fromEntries(Object.entries(guests).map(([name, text]) => [name, Buffer.from(wat(text)).toString('base64')])));
  const head = `'use strict';
${bare ? '' : `const { WebAssembly } = require(${JSON.stringify(path.join(__dirname, '..', 'index.cjs'))});`}
const bytes = Object.fromEntries(Object.entries(${bytes}).map(([name, text]) => [name, new Uint8Array(Buffer.from(text, 'base64'))]));
const make = (name, imports) => new WebAssembly.Instance(new WebAssembly.Module(bytes[name]), imports);
`;
  const child = spawnSync(process.execPath, [...flags, '-e', head + script], { encoding: 'utf8', timeout });
  return { status: child.status, signal: child.signal, stdout: child.stdout.trim(), stderr: child.stderr.trim() };
}

/** Collects garbage until `done()`, and lets what finalizes the addon's objects run. Returns whether it is done. */
async function collectUntil(done) {
  for (let round = 0; round < 20 && !done(); ++round) {
    collect();
    for (let turn = 0; turn < 16 && !done(); ++turn) await new Promise((resolve) => setImmediate(resolve));
  }
  return done();
}

module.exports = { skip, wat, faces, runScript, collectUntil };
