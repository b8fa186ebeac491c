// The engine 'rotor': guests run in the addon.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { initialize, makeFace } = require('../face.cjs');

const kCompiler = 'librotor-compiler.so';
const kPackage = path.join(__dirname, '..', '..');

let loaded;

/** The addon's file: beside this package, or what ROTOR_ADDON names. */
const addonFile = () => process.env.ROTOR_ADDON ?? path.join(kPackage, 'prebuilt', 'rotor.node');

/** Loads the addon. */
function loadAddon(settings) {
  if (loaded) return loaded;
  const file = addonFile();
  if (!fs.existsSync(file)) throw Object.assign(new Error(`rotor: there is no addon at ${file} (${process.platform}-${process.arch})`), { code: 'ROTOR_NO_ENGINE' });
  try {
    loaded = require(file);
  } catch (error) {
    throw Object.assign(new Error(`rotor: the addon can't be loaded: ${error.message}`), { code: 'ROTOR_NO_ENGINE' });
  }
  initialize(loaded);
  try {
    loaded.configure({ cache: true, cacheFolder: settings.cacheFolder, mode: settings.mode });
  } catch (error) {
    if (error.code !== 'ROTOR_INVALID_ARGUMENT') throw error;  // another thread of this process made the engine
  }
  return loaded;
}

/** The folder of the engine's cache. */
const cacheFolder = (settings) => settings.cacheFolder ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'rotor', 'code');
/** Where `rotor-wasm compile` puts the code of a module. */
const codeFile = (settings, bytes) => path.join(cacheFolder(settings), 'node', `${crypto.createHash('sha256').update(bytes).digest('hex')}.rotor`);

/** The files with code of a module that are there: compiled ahead by the user, or shipped with this package. */
function codeFiles(settings, bytes) {
  const ahead = codeFile(settings, bytes);
  const files = [ahead, path.join(kPackage, 'prebuilt', path.basename(ahead))];
  return files.filter((file) => fs.existsSync(file));
}

/** Tells why the engine can't run the module in a file; undefined if it can. Without a compiler it reads the file. */
function whyNot(settings, file) {
  if (settings.code !== undefined || fs.existsSync(path.join(path.dirname(addonFile()), kCompiler))) return undefined;
  if (codeFiles(settings, fs.readFileSync(file)).length) return undefined;
  return `there is no ${kCompiler} beside the addon, and no code of the module`;
}

/**
 * The bytes of stack that guests may use. JavaScript that a guest calls must find some below V8's own limit, which
 * lies `--stack-size` KiB (984) under where the thread began.
 */
function stackBytes() {
  const flag = process.execArgv.map((argument) => /^--stack[-_]size=(\d+)$/.exec(argument)).find(Boolean);
  return (flag ? Number(flag[1]) : 984) * 1024 * 0.75;
}

/** Makes the engine. */
function createEngine(settings, { rotatingBytes, log }) {
  const addon = loadAddon(settings);
  const face = makeFace(addon, { rotatingBytes, stackBytes: stackBytes() });

  /** Makes a module: of a code file, of the cache, or by the compiler. */
  function module(bytes) {
    for (const file of settings.code !== undefined ? [settings.code] : codeFiles(settings, bytes)) {
      try {
        const made = face.moduleOf(addon.loadCode(file), bytes);
        log(`code of ${file}`);
        return made;
      } catch (error) {
        if (settings.code !== undefined) throw error;
        log(`${file} is of no use: ${error.message}`);
      }
    }
    const made = face.moduleOf(addon.compile(bytes), bytes);
    log(addon.codeState(face.handleOf(made)).cacheHit ? 'code of the cache' : 'code is compiled when it is first called, and kept in the cache');
    return made;
  }

  /** Makes a guest that rotates. `policy`: names of exports by what they leave behind; `tell`: what is told of it. */
  function guest(from, imports, { policy, limitBytes, tell }) {
    const { instance, handle } = face.instantiate(from, imports, { rotating: true, limitBytes, ...policy, tell });
    const exports = { ...instance.exports };
    return {
      exports,
      state: () => addon.stateOf(handle),
      checkpoint: (pointers) => addon.checkpoint(handle, pointers),
      rewind: () => addon.rewind(handle),
      release: (pointer) => addon.release(handle, pointer),
      notifyAt: (bytes) => addon.notifyAt(handle, Math.min(bytes, Number.MAX_SAFE_INTEGER)),
      startWorker: (receiver) => addon.startWorker(handle, receiver),
      joinWorkers: (milliseconds) => addon.joinWorkers(handle, milliseconds),
    };
  }

  return {
    name: 'rotor',
    WebAssembly: face.WebAssembly,
    exportNames: (from) => face.WebAssembly.Module.exports(from).filter(({ kind }) => kind === 'function').map(({ name }) => name),
    module,
    guest,
  };
}

module.exports = { createEngine, loadAddon, codeFile, whyNot };
