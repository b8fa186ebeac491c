// The engine 'rotor': guests run in the addon.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { initialize, makeFace } = require('../face.cjs');

let loaded;

/** Loads the addon: a shared library beside this package, or the file that ROTOR_ADDON names. */
function loadAddon(settings) {
  if (loaded) return loaded;
  const file = process.env.ROTOR_ADDON ?? path.join(__dirname, '..', '..', 'prebuilt', 'rotor.node');
  if (!fs.existsSync(file)) throw Object.assign(new Error(`rotor: there is no addon at ${file} (${process.platform}-${process.arch}); the engine 'v8' needs none`), { code: 'ROTOR_NO_ADDON' });
  loaded = require(file);
  initialize(loaded);
  try {
    loaded.configure({ cache: true, cacheFolder: settings.cacheFolder, mode: settings.mode });
  } catch (error) {
    if (error.code !== 'ROTOR_INVALID_ARGUMENT') throw error;  // another thread of this process made the engine
  }
  return loaded;
}

/** The folder with code files that were compiled ahead (rotor-wasm compile). */
function codeFolder(settings) {
  return settings.cacheFolder ?? path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'rotor', 'code');
}

function codeFile(settings, bytes) {
  return path.join(codeFolder(settings), 'node', `${crypto.createHash('sha256').update(bytes).digest('hex')}.rotor`);
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
    const ahead = settings.code ?? codeFile(settings, bytes);
    if (settings.code !== undefined || fs.existsSync(ahead)) {
      try {
        const made = face.moduleOf(addon.loadCode(ahead), bytes);
        log(`code of ${ahead}`);
        return made;
      } catch (error) {
        if (settings.code !== undefined) throw error;
        log(`${ahead} is of no use: ${error.message}`);
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
    const moduleHandle = face.handleOf(from);
    return {
      exports,
      state: () => addon.stateOf(handle),
      checkpoint: (pointers) => addon.checkpoint(handle, pointers),
      rewind: () => addon.rewind(handle),
      notifyAt: (bytes) => addon.notifyAt(handle, Math.min(bytes, Number.MAX_SAFE_INTEGER)),
      startWorker: (receiver) => addon.startWorker(handle, receiver),
      joinWorkers: (milliseconds) => addon.joinWorkers(handle, milliseconds),
      code: () => addon.codeState(moduleHandle),
      updateCache: () => addon.updateCache(moduleHandle),
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

module.exports = { createEngine, loadAddon, codeFile };
