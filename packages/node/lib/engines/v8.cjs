// The engine 'v8': guests run in V8's own instances. On any platform, without an addon; a rewind copies the image.
//
// An instance has globals that nobody but its code sees. It can be made anew from an image of its memory and its tables
// of references if these globals are, between calls, what they are after its start: so it is with what Rust's compilers
// make, where they hold the stack pointer and the thread's own storage (`__wbindgen_start`, which is called again).
'use strict';

const { Worker } = require('node:worker_threads');

const V8 = globalThis.WebAssembly;
const kPage = 65536;

/** Takes the place of a memory whose real one changes with each generation. */
class Memory {
  constructor(descriptor, limitBytes) {
    const maximum = Math.min(descriptor.maximum ?? 65536, Math.floor(limitBytes / kPage));
    this.descriptor = { ...descriptor, maximum };
    Object.defineProperty(this, 'real', { value: new V8.Memory(this.descriptor), writable: true });
  }
  get buffer() { return this.real.buffer; }
  grow(pages) { return this.real.grow(pages); }
}

/** Takes the place of a table, likewise. */
class Table {
  constructor(real) { Object.defineProperty(this, 'real', { value: real, writable: true }); }
  get length() { return this.real.length; }
  get(index) { return this.real.get(index); }
  set(index, ...value) { return this.real.set(index, ...value); }
  grow(count, ...value) { return this.real.grow(count, ...value); }
}

/** Returns whether a table holds external references: one of functions refuses this value. */
function holdsReferences(table) {
  if (table.length === 0) return false;
  const last = table.length - 1;
  const before = table.get(last);
  try {
    table.set(last, 0);
    table.set(last, before);
    return true;
  } catch {
    return false;
  }
}

class Guest {
  constructor(module, imports, { policy, limitBytes, tell }) {
    Object.assign(this, { module, imports, limitBytes, tell });
    this.effects = new Map();
    for (const [effect, names] of Object.entries(policy)) for (const name of names) this.effects.set(name, effect);
    Object.assign(this, {
      generation: 1, calls: 0, depth: 0, stale: true, staleBy: 'there is none yet', toldStale: false, trapped: false,
      threshold: Infinity, held: new Set(), unpassed: new Set(), image: undefined, workers: [], startArguments: undefined,
    });
    this.memories = new Map();  // what the guest imports, by name
    this.instance = this.makeInstance();
    this.exports = Object.create(null);
    this.tables = new Map();
    for (const { name, kind } of V8.Module.exports(module)) {
      const value = this.instance.exports[name];
      if (kind === 'function') this.exports[name] = this.stableFunction(name, value.length);
      else if (kind === 'memory') this.exports[name] = this.memory ??= Object.create(Memory.prototype, { real: { value, writable: true } });
      else if (kind === 'table') this.tables.set(name, (this.exports[name] = new Table(value)));
      else this.exports[name] = value;
    }
  }

  makeInstance() {
    const given = Object.create(null);
    for (const { module: from, name } of V8.Module.imports(this.module)) {
      const value = this.imports?.[from]?.[name];
      if (value instanceof Memory) this.memory = value;
      (given[from] ??= Object.create(null))[name] = value instanceof Memory ? value.real : value instanceof Table ? value.real : value;
    }
    return new V8.Instance(this.module, given);
  }

  stableFunction(name, length) {
    const guest = this;
    const effect = this.effects.get(name) ?? 'lasting';
    const stable = function (...rest) {
      guest.enter(name, effect, rest);
      ++guest.depth;
      let returned = false;
      try {
        const result = guest.instance.exports[name](...rest);
        returned = true;
        if (effect === 'allocate' && guest.depth === 1) guest.unpassed.add(result >>> 0);
        return result;
      } catch (error) {
        if (error instanceof V8.RuntimeError) guest.trapped = true;
        throw error;
      } finally {
        if (--guest.depth === 0) guest.left(returned);
      }
    };
    Object.defineProperty(stable, 'name', { value: name, configurable: true });
    Object.defineProperty(stable, 'length', { value: length, configurable: true });
    return stable;
  }

  enter(name, effect, values) {
    ++this.calls;
    if (this.trapped && this.image)
      throw Object.assign(new Error('the guest trapped and is restored in a later turn of the event loop'), { code: 'ROTOR_STALE_HANDLE' });
    if (name === '__wbindgen_start') this.startArguments = values;
    if (!this.stale && (effect === 'lasting' || (effect === 'methods' && this.held.has(values[0] >>> 0)))) {
      this.stale = true;
      this.staleBy = name;
    }
    if (this.unpassed.size === 0) return;
    for (const value of effect === 'allocate' ? values.slice(0, 1) : values) if (typeof value === 'number') this.unpassed.delete(value >>> 0);
  }

  left(returned) {
    if (this.memory && this.memory.buffer.byteLength >= this.threshold) {
      this.threshold = Infinity;
      this.tell('memory');
    }
    if (this.stale && !this.toldStale) {
      this.toldStale = true;
      this.tell('stale');
    }
    if (this.trapped && !returned) this.tell('trap');
  }

  notifyAt(bytes) { this.threshold = bytes; }

  release(pointer) { this.held.delete(pointer); }

  checkpoint(pointers) {
    const begin = performance.now();
    const tables = new Map();
    for (const [name, table] of this.tables)
      if (holdsReferences(table.real)) tables.set(name, Array.from({ length: table.length }, (_, index) => table.get(index)));
    this.image = { bytes: new Uint8Array(this.memory.buffer).slice(), tables };
    this.held = new Set(pointers);
    this.stale = false;
    this.toldStale = false;
    return { ms: performance.now() - begin, bytes: this.image.bytes.length, resident: this.image.bytes.length };
  }

  rewind() {
    const begin = performance.now();
    const { bytes, tables } = this.image;
    const imported = this.memory.descriptor !== undefined;
    const old = this.memory.real;
    if (imported) this.memory.real = new V8.Memory(this.memory.descriptor);
    try {
      this.instance = this.makeInstance();
    } catch (error) {
      this.memory.real = old;
      throw error;
    }
    if (this.startArguments) this.instance.exports.__wbindgen_start(...this.startArguments);
    if (!imported) this.memory.real = this.instance.exports[V8.Module.exports(this.module).find(({ kind }) => kind === 'memory').name];
    const missing = (bytes.length - this.memory.buffer.byteLength) / kPage;
    if (missing > 0) this.memory.real.grow(missing);
    new Uint8Array(this.memory.buffer).set(bytes);
    for (const [name, table] of this.tables) {
      table.real = this.instance.exports[name];
      const values = tables.get(name);
      if (!values) continue;
      if (table.length < values.length) table.real.grow(values.length - table.length);
      values.forEach((value, index) => table.real.set(index, value));
    }
    // Detaches the buffer, if it is not shared: glue that looks for that only is to see that there is another one.
    if (!(old.buffer instanceof SharedArrayBuffer)) {
      try { old.grow(0); } catch { /* at its maximum; then it throws after detaching, or keeps what nobody asks for */ }
    }
    ++this.generation;
    this.trapped = false;
    this.stale = false;
    this.toldStale = false;
    this.unpassed.clear();
    return performance.now() - begin;
  }

  startWorker(receiver, source) {
    const worker = new Worker(source, { workerData: { memory: this.memory.real, receiver, rotorPool: true } });
    worker.on('error', (error) => process.stderr.write(`rotor: a worker of the pool failed: ${error.stack}\n`));
    worker.unref();
    this.workers.push(worker);
  }

  joinWorkers() {
    for (const worker of this.workers) worker.terminate();
    this.workers = [];
    return true;
  }

  state() {
    return {
      generation: this.generation, calls: this.calls, bytes: this.memory?.buffer.byteLength ?? 0, unpassed: this.unpassed.size,
      workers: this.workers.length, references: 0, checkpointBytes: this.image?.bytes.length ?? 0, checkpointResident: this.image?.bytes.length ?? 0,
      hasCheckpoint: this.image !== undefined, stale: this.stale, staleBy: this.stale ? this.staleBy : '', trapped: this.trapped,
    };
  }
}

function createEngine(settings, { rotatingBytes = 4 * 2 ** 30 }) {
  const face = Object.create(Object.getPrototypeOf(V8), Object.getOwnPropertyDescriptors(V8));
  const Stand = function (descriptor) { return new Memory(descriptor, rotatingBytes); };
  Stand.prototype = Memory.prototype;
  Object.defineProperty(face, 'Memory', { value: Stand, writable: true, configurable: true });
  return {
    name: 'v8',
    WebAssembly: face,
    exportNames: (module) => V8.Module.exports(module).filter(({ kind }) => kind === 'function').map(({ name }) => name),
    module: (bytes) => new V8.Module(bytes),
    guest: (module, imports, options) => new Guest(module, imports, options),
  };
}

module.exports = { createEngine };
