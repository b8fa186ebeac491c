// The package's settings: of the environment's variables, and of `configure`.
'use strict';

const { EventEmitter } = require('node:events');

const kUnits = { '': 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Reads "512MiB" or a number of bytes. */
function toBytes(text, what) {
  if (typeof text === 'number' && text > 0) return text;
  const match = /^\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)?\s*$/.exec(String(text));
  if (!match || Number(match[1]) === 0) throw new TypeError(`rotor: ${what}: '${text}' is no size: 512MiB, 2GiB or bytes`);
  return Number(match[1]) * kUnits[match[2] ?? ''];
}

function toFraction(value, what) {
  const number = Number(value);
  if (!(number > 0 && number <= 1)) throw new TypeError(`rotor: ${what}: '${value}' is not above 0 and at most 1`);
  return number;
}

const kReaders = {
  engine: (value) => {
    if (value !== 'rotor' && value !== 'v8') throw new TypeError(`rotor: engine: '${value}' is neither 'rotor' nor 'v8'`);
    return value;
  },
  limit: (value) => toBytes(value, 'limit'),
  warmAt: (value) => toFraction(value, 'warmAt'),
  swapAt: (value) => toFraction(value, 'swapAt'),
  rotate: Boolean,
  log: (value) => (typeof value === 'function' ? value : Boolean(value)),
  cacheFolder: String,
  code: String,
  mode: (value) => {
    if (!['lazy', 'eager', 'aot'].includes(value)) throw new TypeError(`rotor: mode: '${value}' is neither 'lazy', 'eager' nor 'aot'`);
    return value;
  },
  reseed: (value) => {
    if (value !== 'none' && typeof value !== 'function') throw new TypeError("rotor: reseed: a function, or 'none'");
    return value;
  },
};

const { env } = process;
const off = (value) => value === '0' || value === 'false' || value === 'off';
const settings = {
  engine: env.ROTOR_ENGINE,
  limit: env.ROTOR_LIMIT,
  warmAt: env.ROTOR_WARM_AT ?? 0.7,
  swapAt: env.ROTOR_SWAP_AT ?? 0.9,
  rotate: !off(env.ROTOR_ROTATE),
  log: env.ROTOR_LOG !== undefined && !off(env.ROTOR_LOG),
  cacheFolder: env.ROTOR_CACHE_FOLDER,
  code: env.ROTOR_CODE || undefined,
  mode: env.ROTOR_MODE,
};
for (const [name, value] of Object.entries(settings)) if (value !== undefined) settings[name] = kReaders[name](value);
if (settings.warmAt > settings.swapAt) throw new TypeError('rotor: warmAt is above swapAt');

const events = new EventEmitter();

/** Changes settings. A guest takes those that hold when it is made. */
function configure(changes = {}) {
  const next = {};
  for (const [name, value] of Object.entries(changes)) {
    const read = kReaders[name];
    if (!read) throw new TypeError(`rotor: no setting is named '${name}': ${Object.keys(kReaders).join(', ')}`);
    next[name] = value === undefined ? undefined : read(value);
  }
  const warmAt = next.warmAt ?? settings.warmAt;
  const swapAt = next.swapAt ?? settings.swapAt;
  if (warmAt > swapAt) throw new TypeError('rotor: warmAt is above swapAt');
  Object.assign(settings, next);
}

function log(text) {
  if (typeof settings.log === 'function') settings.log(text);
  else if (settings.log) process.stderr.write(`[rotor] ${text}\n`);
}

module.exports = { settings, configure, events, log, toBytes, enabled: !off(env.O1JS_ENABLE_WASM_PROXY) };
