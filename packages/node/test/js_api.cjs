// Runs the tests of WebAssembly's JavaScript API (test/js-api of a clone of the repository WebAssembly/spec) against the
// face, and holds what fails to the list beside this file.
//
//   node packages/node/test/js_api.cjs CLONE [--v8] [--only TEXT] [--verbose]
//
// Each file runs in a process of its own. --v8: against V8's WebAssembly, for comparison, without the list. --only: the
// files whose path has TEXT in it. The exit status is 1 if a test fails that is not listed, a listed one passes or is
// not there, or a file ends without its results.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const kList = path.join(__dirname, 'js_api_expected.txt');
const kMark = '\u0001js-api ';

// ---- a file's process ----

/** The functions of the harness that the tests use. Results go to `report(name, error)`. */
function makeHarness(report) {
  class Failure extends Error {}
  const fail = (what, description) => { throw new Failure(description ? `${description}: ${what}` : what); };
  const show = (value) => {
    if (typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'bigint') return `${value}n`;
    if (Object.is(value, -0)) return '-0';
    try {
      return Array.isArray(value) ? `[${value.map(show).join(', ')}]` : String(value);
    } catch {
      return Object.prototype.toString.call(value);
    }
  };
  const check = (holds, what, description) => { if (!holds) fail(what(), description); };
  const isA = (error, Kind) => error !== null && typeof error === 'object' && error.constructor === Kind;
  /** What a test is given. */
  const makeTest = () => {
    const cleanUps = [];
    const self = {
      add_cleanup: (run) => { cleanUps.push(run); },
      unreached_func: (description) => () => fail('was called', description),
    };
    return { self, cleanUp: () => cleanUps.forEach((run) => run()) };
  };
  const later = [];
  const assertThrowsJs = (Kind, run, description) => {
    let error;
    try {
      run.call(undefined);
    } catch (thrown) {
      error = thrown;
      return check(isA(error, Kind), () => `threw ${show(error)}, not a ${Kind.name}`, description);
    }
    fail(`threw nothing, not a ${Kind.name}`, description);
  };
  const harness = {
    setup: (run) => { if (typeof run === 'function') run(); },
    test(run, name) {
      const { self, cleanUp } = makeTest();
      try {
        run.call(self, self);
        report(name);
      } catch (error) {
        report(name, error);
      }
      cleanUp();
    },
    promise_test(run, name) { later.push([run, name]); },
    format_value: show,
    assert_true: (value, description) => check(value === true, () => `${show(value)}, not true`, description),
    assert_false: (value, description) => check(value === false, () => `${show(value)}, not false`, description),
    assert_equals: (value, wanted, description) => check(Object.is(value, wanted), () => `${show(value)}, not ${show(wanted)}`, description),
    assert_not_equals: (value, other, description) => check(!Object.is(value, other), () => `${show(value)}, of all`, description),
    assert_array_equals(value, wanted, description) {
      check(value !== null && typeof value === 'object' && 'length' in value, () => `${show(value)} is no array`, description);
      check(value.length === wanted.length, () => `${value.length} elements, not ${wanted.length}`, description);
      for (let i = 0; i < wanted.length; ++i) {
        check(Object.hasOwn(value, i) === Object.hasOwn(wanted, i), () => `element ${i}`, description);
        check(Object.is(value[i], wanted[i]), () => `element ${i} is ${show(value[i])}, not ${show(wanted[i])}`, description);
      }
    },
    assert_own_property: (object, name, description) => check(Object.hasOwn(object, name), () => `no own property ${String(name)}`, description),
    assert_not_own_property: (object, name, description) => check(!Object.hasOwn(object, name), () => `an own property ${String(name)}`, description),
    assert_class_string(object, name, description) {
      const text = Object.prototype.toString.call(object);
      check(text === `[object ${name}]`, () => `${text}, not [object ${name}]`, description);
    },
    assert_unreached: (description) => fail('was reached', description),
    assert_not_reached: (description) => fail('was reached', description),
    assert_throws_js: assertThrowsJs,
    assert_throws: (error, run, description) => assertThrowsJs(error.constructor, run, description),
    assert_throws_exactly(wanted, run, description) {
      try {
        run.call(undefined);
      } catch (error) {
        return check(Object.is(error, wanted), () => `threw ${show(error)}, not ${show(wanted)}`, description);
      }
      fail(`threw nothing, not ${show(wanted)}`, description);
    },
    async promise_rejects_js(test, Kind, promise, description) {
      const error = await promise.then(() => fail(`was fulfilled, not rejected with a ${Kind.name}`, description), (thrown) => thrown);
      if (error instanceof Failure) throw error;
      check(isA(error, Kind), () => `was rejected with ${show(error)}, not a ${Kind.name}`, description);
    },
    promise_rejects: (test, error, promise, description) => harness.promise_rejects_js(test, error.constructor, promise, description),
  };
  const finish = async () => {
    for (const [run, name] of later) {
      const { self, cleanUp } = makeTest();
      try {
        await run.call(self, self);
        report(name);
      } catch (error) {
        report(name, error);
      }
      cleanUp();
    }
  };
  return { harness, finish };
}

/** Runs one file, and writes a line for each of its tests. */
async function runFile(root, file, useV8) {
  const lines = [];
  const counts = new Map();
  const report = (name, error) => {
    const plain = String(name).replace(/\s+/g, ' ');
    const count = (counts.get(plain) ?? 0) + 1;
    counts.set(plain, count);
    lines.push({ name: count === 1 ? plain : `${plain} (${count})`, error: error === undefined ? undefined : String(error?.message ?? error) });
  };
  const { harness, finish } = makeHarness(report);
  const source = fs.readFileSync(path.join(root, file), 'utf8');
  const scripts = [...source.matchAll(/^\/\/ META: script=(\S+)/gm)].map(([, script]) =>
    fs.readFileSync(script.startsWith('/wasm/jsapi/') ? path.join(root, script.slice('/wasm/jsapi/'.length)) : path.join(root, path.dirname(file), script), 'utf8'));
  if (!useV8) Object.defineProperty(globalThis, 'WebAssembly', { value: require('../index.cjs').WebAssembly, writable: true, configurable: true });
  // One scope for the helpers and the tests: what the helpers declare the tests see.
  const names = Object.keys(harness);
  try {
    Function('self', ...names, [...scripts, source].join('\n;\n'))(globalThis, ...names.map((name) => harness[name]));
  } catch (error) {
    report('(the file itself)', error);
  }
  await finish();
  process.stdout.write(lines.map((line) => `${kMark}${JSON.stringify(line)}\n`).join('') + `${kMark}end\n`);
}

// ---- all files ----

/** Reads the list: "out FILE" and "FAIL FILE: TEST", under a line "# reason" that holds until the next one. */
function readList() {
  const list = { out: new Map(), fails: new Map() };
  let reason = '';
  for (const line of fs.readFileSync(kList, 'utf8').split('\n')) {
    const entry = /^(out|FAIL) (\S+\.js)(?:: (.*))?$/.exec(line);
    if (line.startsWith('# ')) reason = line.slice(2);
    else if (entry?.[1] === 'out') list.out.set(entry[2], reason);
    else if (entry) list.fails.set(`${entry[2]}: ${entry[3]}`, reason);
    else if (line.trim()) throw new Error(`${kList}: '${line}'`);
  }
  return list;
}

function filesUnder(root, folder = '') {
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) return filesUnder(root, name);
    return name.endsWith('.any.js') ? [name] : [];
  }).sort();
}

/** Runs one file in a process. Returns its tests, and how the process ended if not well. */
function results(root, file, useV8) {
  const child = spawnSync(process.execPath, ['--expose-gc', __filename, '--file', root, file, ...(useV8 ? ['--v8'] : [])],
    { encoding: 'utf8', timeout: 300_000, maxBuffer: 2 ** 28 });
  const said = child.stdout.split('\n').filter((line) => line.startsWith(kMark)).map((line) => line.slice(kMark.length));
  const ended = said.at(-1) === 'end';
  const tests = said.filter((line) => line !== 'end').map((line) => JSON.parse(line));
  return { tests, trouble: ended ? undefined : `ended by ${child.signal ?? child.status}: ${child.stderr.trim().split('\n').slice(-3).join(' / ')}` };
}

function main(clone, { useV8, only, verbose }) {
  const root = fs.existsSync(path.join(clone, 'test', 'js-api')) ? path.join(clone, 'test', 'js-api') : clone;
  const list = useV8 ? { out: new Map(), fails: new Map() } : readList();
  const files = filesUnder(root).filter((file) => file.includes(only));
  if (!files.length) throw new Error(`${root} has no *.any.js`);
  const problems = [];
  let passed = 0;
  let listed = 0;
  for (const file of files) {
    if (list.out.has(file)) {
      console.log(`${'out'.padStart(9)}  ${file}: ${list.out.get(file)}`);
      continue;
    }
    const { tests, trouble } = results(root, file, useV8);
    const failed = tests.filter(({ error }) => error !== undefined);
    passed += tests.length - failed.length;
    console.log(`${`${tests.length - failed.length}/${tests.length}`.padStart(9)}  ${file}${trouble ? `: ${trouble}` : ''}`);
    if (trouble) problems.push(`${file}: ${trouble}`);
    const seen = new Set(failed.map(({ name }) => `${file}: ${name}`));
    for (const { name, error } of failed) {
      if (verbose || useV8 || !list.fails.has(`${file}: ${name}`)) console.log(`           FAIL ${file}: ${name}\n                ${error.split('\n')[0]}`);
      if (list.fails.has(`${file}: ${name}`)) ++listed;
      else problems.push(`fails: ${file}: ${name}`);
    }
    for (const entry of list.fails.keys())
      if (entry.startsWith(`${file}: `) && !seen.has(entry)) problems.push(`is listed and does not fail: ${entry}`);
  }
  console.log(`js-api: ${passed} passed, ${listed} failed as listed, ${list.out.size} files out, ${problems.length} problems`);
  if (!useV8) for (const problem of problems) console.log(`  ${problem}`);
  return problems.length && !useV8 ? 1 : 0;
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--file') {
  runFile(rest[0], rest[1], rest.includes('--v8'));
} else if (!first || !fs.existsSync(first)) {
  console.error('usage: node js_api.cjs CLONE [--v8] [--only TEXT] [--verbose]');
  process.exitCode = 2;
} else {
  process.exitCode = main(path.resolve(first), {
    useV8: rest.includes('--v8'),
    only: rest.includes('--only') ? rest[rest.indexOf('--only') + 1] : '',
    verbose: rest.includes('--verbose'),
  });
}
