// How glue comes to its guest: the source of a file that is known as glue gets another WebAssembly and another
// FinalizationRegistry, of its own module scope. Nothing global is changed.
'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { settings, events, log } = require('./settings.cjs');
const { matcher } = require('./globs.cjs');
const { allocator, transform } = require('./glue.cjs');
const { Rotation } = require('./rotation.cjs');

const presets = [];
const guests = [];

/** Adds a preset: what of a package is glue, and how its guest is kept. Later ones are asked first. */
function use(preset) {
  for (const key of ['name', 'policy', 'isGlue']) if (!preset[key]) throw new TypeError(`rotor: a preset needs '${key}'`);
  if (!presets.includes(preset)) presets.unshift(preset);
}

/**
 * Sorts the names of exports by what a policy says that they leave behind. What no pattern matches is lasting. `found`:
 * the allocator's exports, as the glue has them.
 */
function sortExports(policy, names, found = { allocate: [], release: [] }) {
  const lasting = matcher(policy.lasting ?? []);
  const methods = matcher(policy.methods ?? []);
  const passing = matcher(policy.passing ?? []);
  const allocate = policy.allocate ?? ['__wbindgen_malloc', '__wbindgen_realloc', ...found.allocate];
  const release = policy.release ?? ['__wbindgen_free', ...found.release];
  const sorted = { lasting: [], methods: [], passing: [], allocate: [], release: [] };
  for (const name of names) {
    const kind = allocate.includes(name) ? 'allocate' : release.includes(name) ? 'release' : lasting(name) ? 'lasting'
      : methods(name) ? 'methods' : passing(name) ? 'passing' : 'lasting';
    sorted[kind].push(name);
  }
  return sorted;
}

/** Known imports of random bytes. */
const kRandom = /getRandomValues|randomFillSync|random_get|getentropy/;

/** Makes the engine that the settings say, or the best that there is. `content`: that of the glue in a file. */
function makeEngine(preset, filename, content, options) {
  const make = (name) => require(`./engines/${name}.cjs`).createEngine(settings, options);
  let reason = preset.whyNotRotor?.(content);
  if (settings.engine === 'rotor' && reason) throw new Error(`rotor: ${filename}: ${reason}`);
  if (settings.engine) return make(settings.engine);
  const rotor = require('./engines/rotor.cjs');
  const file = preset.moduleOf?.(filename);
  if (!reason && file && fs.existsSync(file)) reason = rotor.whyNot(settings, file);
  if (!reason) {
    try {
      return make('rotor');
    } catch (error) {
      if (error.code !== 'ROTOR_NO_ENGINE') throw error;
      reason = error.message;
    }
  }
  log(`${reason}: V8's own instances are rotated`);
  return make('v8');
}

/** Returns what stands in the module scope of the glue of one guest in place of the globals of these names. */
function glueScope(preset, filename, content) {
  const found = { allocate: [], release: [] };
  const wraps = [];  // what takes the place of some of the glue's own exports, once it is loaded
  const limitBytes = settings.limit ?? preset.defaultLimitBytes ?? 4 * 2 ** 30;
  const rotation = settings.rotate
    ? new Rotation({ name: preset.name, limitBytes, warmAt: settings.warmAt, swapAt: settings.swapAt, log, ask: preset.ask })
    : undefined;
  const engine = makeEngine(preset, filename, content, { rotatingBytes: limitBytes, log });
  const face = engine.WebAssembly;

  function instantiate(module, imports) {
    const names = engine.exportNames(module);
    const policy = sortExports(preset.policy, names, found);
    const reseed = settings.reseed ?? preset.reseed;
    const random = face.Module.imports(module).filter(({ name }) => kRandom.test(name));
    if (rotation && random.length && !reseed)
      throw new Error(`rotor: the guest of ${filename} imports a source of randomness (${random[0].name}): a generator in its memory would give the same numbers ` +
                      "again after each rewind. Name what reseeds it (reseed: a function), or say that it has none (reseed: 'none')");
    let pool;
    const wrapped = { ...imports };
    if (preset.importWhileSwapping)
      for (const { module: from, name, kind } of face.Module.imports(module))
        if (kind === 'function' && preset.importWhileSwapping.test(name)) {
          const given = imports[from][name];
          wrapped[from] = { ...wrapped[from], [name]: (...rest) => (pool?.isSwapping() ? undefined : given(...rest)) };
        }
    const guest = engine.guest(module, wrapped, { policy, limitBytes, tell: (what) => rotation?.tell(what) });
    pool = preset.makePool?.({ guest, rotation, real: guest.exports, log });
    wraps.push((glue) => pool?.wrap({ ...glue }));
    const exports = Object.assign(Object.create(null), guest.exports, pool?.exports);
    rotation?.attach(guest, { reseed: typeof reseed === 'function' ? () => reseed(guest.exports) : undefined });
    guests.push({ preset: preset.name, guest, rotation });
    log(`${preset.name}: ${filename} runs in ${engine.name}, ${rotation ? `limit ${(limitBytes / 2 ** 20).toFixed(0)} MiB` : 'without rotation'}`);
    return Object.create(face.Instance.prototype, { exports: { value: exports, enumerable: true } });
  }

  if (rotation) {
    for (const name of ['checkpoint', 'rewind', 'restore', 'postponed', 'futile'])
      rotation.on(name, (what) => events.emit(name, { guest: preset.name, ...what }));
  }
  /** A class of which `make` makes what `new` returns, with the face's prototype. */
  const standIn = (kind, make) => {
    const Class = function (...rest) { return make(...rest); };
    Class.prototype = kind.prototype;
    for (const name of Object.getOwnPropertyNames(kind)) if (typeof kind[name] === 'function') Class[name] = kind[name];
    return Class;
  };
  const WebAssembly = Object.create(Object.getPrototypeOf(face), Object.getOwnPropertyDescriptors(face));
  WebAssembly.Module = standIn(face.Module, (source) => engine.module(new Uint8Array(source.buffer ?? source, source.byteOffset ?? 0, source.byteLength)));
  WebAssembly.Instance = standIn(face.Instance, instantiate);
  WebAssembly.compile = async (source) => new WebAssembly.Module(source);
  WebAssembly.instantiate = async (source, imports) => {
    if (source instanceof face.Module) return new WebAssembly.Instance(source, imports);
    const module = new WebAssembly.Module(source);
    return { module, instance: new WebAssembly.Instance(module, imports) };
  };
  const nothing = () => {};
  return {
    found,
    wraps,
    files: new Set(),
    WebAssembly,
    FinalizationRegistry: rotation ? rotation.live.Registry : globalThis.FinalizationRegistry,
    made: rotation ? rotation.live.made : nothing,
    left: rotation ? rotation.live.left : nothing,
    heap: rotation ? (heap) => { rotation.live.heaps.push(heap); } : nothing,
  };
}

/** Finds the scope of a file of glue: files in one folder are of one guest, until one of them is loaded again. */
function scopeOf(preset, filename, content) {
  const folder = path.dirname(filename);
  let scope = scopes.findLast((candidate) => candidate.preset === preset && candidate.folder === folder && !candidate.files.has(filename));
  if (!scope) scopes.push((scope = Object.assign(glueScope(preset, filename, content), { preset, folder })));
  scope.files.add(filename);
  return scope;
}

let installed = false;

/** Hooks the loading of CommonJS files, once. */
function install() {
  if (installed) return;
  installed = true;
  const compile = Module.prototype._compile;
  const here = __filename;
  Module.prototype._compile = function (content, filename, ...rest) {
    const preset = presets.find((candidate) => candidate.isGlue(filename));
    if (!preset) return compile.call(this, content, filename, ...rest);
    const scope = scopeOf(preset, filename, content);
    const names = allocator(content);
    for (const kind of ['allocate', 'release']) scope.found[kind].push(...names[kind]);
    const source = transform(preset.transform ? preset.transform(content) : content);
    // In the first line, so that lines keep their numbers.
    const prefix = 'const { WebAssembly, FinalizationRegistry, made: __rotorMade, left: __rotorLeft, heap: __rotorHeap } = ' +
      `require(${JSON.stringify(here)}).scopes[${scopes.indexOf(scope)}];`;
    const result = compile.call(this, prefix + source, filename, ...rest);
    for (const wrap of scope.wraps.splice(0)) Object.assign(this.exports, wrap(this.exports));
    return result;
  };
}

const scopes = [];

module.exports = { use, install, scopes, guests, sortExports };
