// The tarball, as somebody installs it on a machine with no compiler: with code of a module it runs in Rotor, without any
// in V8.
'use strict';

const assert = require('node:assert');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { it } = require('node:test');

const { ROTOR: tool, ROTOR_BUILD: build } = process.env;
const npm = spawnSync('npm', ['--version']).status === 0;

it('the tarball installs and runs', { skip: npm ? false : 'npm is not installed' }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rotor-pack-'));
  try {
    const env = { ...process.env, KIMCHI_WASM: '', ROTOR_PACK_COMPILER: '', ROTOR_ADDON: '', ROTOR_CODE: '', ROTOR_LOG: '1', XDG_CACHE_HOME: path.join(folder, 'cache') };
    delete env.ROTOR_ADDON;
    // Of node's test runner, which this test runs in.
    delete env.NODE_TEST_CONTEXT;
    const tarball = execFileSync(path.join(__dirname, '../../../scripts/pack_node.sh'), [build, folder], { env, encoding: 'utf8' }).trim();
    fs.writeFileSync(path.join(folder, 'package.json'), '{"private": true}');
    execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', path.join(folder, tarball)], { cwd: folder, env, stdio: 'pipe' });
    const installed = path.join(folder, 'node_modules/rotor-wasm');
    for (const name of JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8')).files)
      assert.ok(fs.existsSync(path.join(installed, name)), `${name} is in the tarball`);
    for (const name of ['counters.cjs', 'counters.wat']) fs.copyFileSync(path.join(__dirname, 'fixtures', name), path.join(folder, name));
    execFileSync(tool, ['wat2wasm', 'counters.wat', '-o', 'counters.wasm'], { cwd: folder });
    fs.writeFileSync(path.join(folder, 'app.mjs'), `
      import rotor, { use, install, presets, metrics } from 'rotor-wasm';
      import { createRequire } from 'node:module';
      use(presets.wasmBindgen({ name: 'counters', glue: 'counters.cjs', policy: { passing: ['leak', 'counter_*'] }, reseed: 'none',
                                moduleOf: () => 'counters.wasm' }));
      install();
      const glue = createRequire(import.meta.url)('./counters.cjs');
      const kept = new glue.Counter(5);
      for (let i = 0; i < 300; ++i) { glue.leak(65536); await new Promise((resolve) => setTimeout(resolve, 1)); }
      console.log(kept.get(), metrics()[0].rewinds > 0, typeof rotor.prometheus);
    `);
    const run = (more = {}) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, ['app.mjs'], {
        cwd: folder, encoding: 'utf8', env: { ...env, ROTOR_LIMIT: '4MiB', COUNTERS_WASM: path.join(folder, 'counters.wasm'), ...more },
      });
      assert.equal(status, 0, stderr);
      assert.equal(stdout.trim(), '5 true function');
      return stderr;
    };
    assert.match(run(), /no librotor-compiler\.so beside the addon, and no code of the module: V8's own instances are rotated/);
    execFileSync(tool, ['compile', 'counters.wasm', '-o', 'counters.rotor'], { cwd: folder, stdio: 'pipe' });
    assert.match(run({ ROTOR_CODE: path.join(folder, 'counters.rotor') }), /runs in rotor/);
    const command = spawnSync(path.join(folder, 'node_modules/.bin/rotor-wasm'), ['compile', 'counters.wasm'], { cwd: folder, encoding: 'utf8', env });
    assert.equal(command.status, 1);
    assert.match(command.stderr, /^rotor-wasm: .*compiler/);
    assert.equal(spawnSync(path.join(folder, 'node_modules/.bin/rotor-wasm'), ['cmpile'], { cwd: folder, env }).status, 2);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
