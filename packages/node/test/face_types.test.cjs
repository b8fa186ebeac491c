// The types say what the package exports, and what programs write compiles against them.
'use strict';

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { it } = require('node:test');

/** The folder node_modules that has TypeScript and the types of Node; undefined: there is none. */
function modulesWithTypeScript() {
  const has = (folder) => ['typescript/bin/tsc', '@types/node/package.json'].every((file) => fs.existsSync(path.join(folder, file)));
  return [process.env.TYPESCRIPT_MODULES, ...(require.resolve.paths('typescript') ?? [])].find((folder) => folder && has(folder));
}

const modules = modulesWithTypeScript();
const skip = modules ? false : 'TYPESCRIPT_MODULES names no folder node_modules with typescript and @types/node';

it('programs compile against the types, and wrong ones do not', { skip }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rotor-types-'));
  try {
    fs.mkdirSync(path.join(folder, 'node_modules', '@types'), { recursive: true });
    fs.symlinkSync(path.join(modules, '@types/node'), path.join(folder, 'node_modules/@types/node'));
    if (fs.existsSync(path.join(modules, 'undici-types'))) fs.symlinkSync(path.join(modules, 'undici-types'), path.join(folder, 'node_modules/undici-types'));
    // As it is installed: a copy, so that it finds the types of Node where the program's are.
    const to = path.join(folder, 'node_modules/rotor-wasm');
    fs.mkdirSync(to);
    for (const file of ['package.json', 'index.cjs', 'index.mjs', 'index.d.ts', 'index.d.mts']) fs.copyFileSync(path.join(__dirname, '..', file), path.join(to, file));
    for (const file of ['uses.cts', 'uses.mts']) fs.copyFileSync(path.join(__dirname, 'types', file), path.join(folder, file));
    const tsc = spawnSync(process.execPath, [path.join(modules, 'typescript/bin/tsc'), '--noEmit', '--strict', '--module', 'node16', '--moduleResolution', 'node16',
      '--target', 'es2022', '--lib', 'es2022', '--types', 'node', 'uses.cts', 'uses.mts'], { cwd: folder, encoding: 'utf8' });
    assert.strictEqual(tsc.stdout + tsc.stderr, '');
    assert.strictEqual(tsc.status, 0);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

it('every export has a type', () => {
  const text = fs.readFileSync(path.join(__dirname, '../index.d.ts'), 'utf8');
  const names = [...text.matchAll(/^export (?:function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepStrictEqual([...new Set(names)].sort(), Object.keys(require('../index.cjs')).sort());
});
