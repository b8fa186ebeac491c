// WebAssembly's classes as the JS API has them, over Rotor's addon: Module, Instance, Memory, Table, Global.
'use strict';

const { isAnyArrayBuffer } = require('node:util/types');
const { isMainThread } = require('node:worker_threads');

const V8 = globalThis.WebAssembly;
const kNone = Symbol('none');

// ---- what the addon calls ----

const keeps = new WeakMap();  // what an object must keep alive
const groups = new WeakMap();  // of an object of the addon's: those that its code may reach, and whose code may reach it

/** Returns what is to live as long as an object: at last an instance, or a table or global of JavaScript's. */
function homeOf(object) {
  for (let home = object; ; home = keeps.get(home)) if (!keeps.has(home)) return home;
}

function groupOf(object) {
  const home = homeOf(object);
  let group = groups.get(home);
  if (!group) groups.set(home, group = { homes: [home], next: undefined });
  while (group.next) group = group.next;
  return group;
}

/**
 * Makes two objects keep each other alive. Native code holds weakly what instances import, or a closure over its
 * instance would keep that for ever: so what may call an instance has to keep it, as far as a collector can see.
 */
function link(one, other) {
  let into = groupOf(one);
  let from = groupOf(other);
  if (into === from) return;
  if (into.homes.length < from.homes.length) [into, from] = [from, into];
  into.homes.push(...from.homes);
  from.homes = undefined;
  from.next = into;
}

/** Makes a list of what an iterable yields, which must be so many. */
function toList(values, count) {
  const method = isObject(values) ? values[Symbol.iterator] : undefined;
  if (typeof method !== 'function') throw new TypeError('several results are wanted, in something iterable');
  const list = [...{ [Symbol.iterator]: () => method.call(values) }];
  if (list.length !== count) throw new TypeError(`${count} results are wanted, not ${list.length}`);
  return list;
}

const isObject = (value) => value !== null && (typeof value === 'object' || typeof value === 'function');

/** Gives the addon what of JavaScript it calls. Once an environment, before anything else. */
function initialize(addon) {
  addon.init({
    RuntimeError: V8.RuntimeError,
    LinkError: V8.LinkError,
    CompileError: V8.CompileError,
    toBigInt64: (value) => BigInt.asIntN(64, value),
    toList,
    keep: (object, kept) => { keeps.set(object, kept); },
    link,
  });
  // Node ends worker threads when the process exits and waits for them, and can't tell a guest: which ends at the next
  // function that it enters.
  if (isMainThread) process.on('exit', () => addon.stopOthers());
}

// ---- conversions of arguments ----

/** Returns a copy of the bytes of a module. */
function bytesOf(source, where) {
  if (isAnyArrayBuffer(source)) return new Uint8Array(new Uint8Array(source));
  if (ArrayBuffer.isView(source)) return new Uint8Array(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
  throw new TypeError(`WebAssembly.${where}: the bytes of a module are wanted: an ArrayBuffer or a view of one`);
}

/** Converts as `[EnforceRange] unsigned long` does. */
function toIndex(value, what) {
  if (typeof value === 'bigint') throw new TypeError(`${what}: a number is wanted, not a BigInt`);
  const number = Math.trunc(Number(value));
  if (!Number.isFinite(number) || number < 0 || number > 0xffff_ffff) throw new TypeError(`${what}: not a number of 32 bits`);
  return number + 0;
}

/** Reads how large a memory or a table is and may become, in the order that the JS API has. */
function limitsOf(descriptor, what, most) {
  const address = descriptor.address;
  if (address !== undefined && String(address) !== 'i32') throw new TypeError(`${what}: addresses are of type i32 here`);
  const read = (name) => {
    const value = descriptor[name];
    return value === undefined ? undefined : toIndex(value, `${what}: ${name}`);
  };
  const initial = read('initial');
  const maximum = read('maximum');
  if (initial === undefined) throw new TypeError(`${what}: initial is wanted`);
  if (initial > most) throw new RangeError(`${what}: initial is above ${most}`);
  if (maximum !== undefined && maximum < initial) throw new RangeError(`${what}: the maximum is below the initial size`);
  return { initial, maximum };
}

function wantDescriptor(descriptor, what) {
  if (!isObject(descriptor)) throw new TypeError(`${what}: a descriptor is wanted`);
}

/** Returns what the elements of a table are without a value: null, or of external references undefined. */
const emptyElement = (element) => (element === 'externref' ? undefined : null);
const kZero = { i32: 0, i64: 0n, f32: 0, f64: 0, v128: 0, anyfunc: null, funcref: null, externref: undefined };

/** Gives the properties of a class or namespace the attributes that Web IDL says: methods and accessors are enumerable. */
function makeEnumerable(object, names) {
  for (const name of names) Object.defineProperty(object, name, { enumerable: true });
}

// ---- the classes ----

/**
 * Makes the classes over an addon. `rotatingBytes`: the limit of memories that are made for a guest that rotates;
 * undefined: they are ordinary ones. `stackBytes`: what guests may use of the stack.
 */
function makeFace(addon, { rotatingBytes, stackBytes } = {}) {
  // The addon's handles, the objects of the classes that stand for them, and the classes.
  const handles = new WeakMap();
  const objects = new WeakMap();
  const kinds = new WeakMap();
  const isA = (object, kind) => isObject(object) && kinds.get(object) === kind;
  const handleOf = (object, kind, method) => {
    if (!isA(object, kind)) throw new TypeError(`WebAssembly.${kind.name}${method ? `.${method}` : ''}: not a WebAssembly.${kind.name}`);
    return handles.get(object);
  };
  const become = (object, kind, handle) => {
    kinds.set(object, kind);
    handles.set(object, handle);
    objects.set(handle, object);
    return object;
  };
  const make = (kind, handle) => become(Object.create(kind.prototype), kind, handle);
  const describe = (module) => {
    const handle = handleOf(module, Module);
    return descriptions.get(handle) ?? descriptions.set(handle, addon.describe(handle)).get(handle);
  };
  const descriptions = new WeakMap();
  const sources = new WeakMap();
  const exportsOf = new WeakMap();

  class Module {
    constructor(source) {
      const bytes = bytesOf(source, 'Module()');
      become(this, Module, addon.compile(bytes));
      sources.set(this, bytes);
    }
    static exports(module) { return describe(module).exports.map(({ name, kind }) => ({ name, kind })); }
    static imports(module) { return describe(module).imports.map(({ module: from, name, kind }) => ({ module: from, name, kind })); }
    static customSections(module, sectionName) {
      const handle = handleOf(module, Module, 'customSections()');
      if (sectionName === undefined) throw new TypeError('WebAssembly.Module.customSections(): a name is wanted');
      const name = String(sectionName);
      if (!name.isWellFormed()) return [];  // no section has such a name
      const bytes = sources.get(module);
      if (!bytes) throw new Error('rotor: a module that was loaded from a code file has no bytes');
      return addon.customSections(handle, name).map(([offset, size]) => bytes.slice(offset, offset + size).buffer);
    }
  }

  class Memory {
    constructor(descriptor) {
      const what = 'WebAssembly.Memory()';
      wantDescriptor(descriptor, what);
      const limits = limitsOf(descriptor, what, 65536);
      const shared = Boolean(descriptor.shared);
      if (shared && limits.maximum === undefined) throw new TypeError(`${what}: a shared memory needs a maximum`);
      if (limits.maximum > 65536) throw new RangeError(`${what}: the maximum is above 65536 pages`);
      become(this, Memory, addon.createMemory({ ...limits, shared, limitBytes: rotatingBytes, imageable: rotatingBytes !== undefined }));
    }
    get buffer() { return addon.memoryBuffer(handleOf(this, Memory, 'buffer')); }
    grow(delta) {
      const handle = handleOf(this, Memory, 'grow()');
      return addon.memoryGrow(handle, toIndex(delta, 'WebAssembly.Memory.grow()'));
    }
  }

  class Table {
    constructor(descriptor, init = kNone) {
      const what = 'WebAssembly.Table()';
      wantDescriptor(descriptor, what);
      const element = String(descriptor.element);
      if (element !== 'anyfunc' && element !== 'funcref' && element !== 'externref')
        throw new TypeError(`${what}: no element type is named '${element}'`);
      const limits = limitsOf(descriptor, what, 10_000_000);
      become(this, Table, addon.createTable({ ...limits, element }, init === kNone ? emptyElement(element) : init));
    }
    get length() { return addon.tableLength(handleOf(this, Table, 'length')); }
    get(index) {
      const handle = handleOf(this, Table, 'get()');
      return addon.tableGet(handle, toIndex(index, 'WebAssembly.Table.get()'));
    }
    set(index, value = undefined) {
      const handle = handleOf(this, Table, 'set()');
      if (arguments.length === 0) throw new TypeError('WebAssembly.Table.set(): an index is wanted');
      const at = toIndex(index, 'WebAssembly.Table.set()');
      addon.tableSet(handle, at, arguments.length === 1 ? emptyElement(addon.tableElement(handle)) : value);
    }
    grow(delta, value = kNone) {
      const handle = handleOf(this, Table, 'grow()');
      const by = toIndex(delta, 'WebAssembly.Table.grow()');
      return addon.tableGrow(handle, by, value === kNone ? emptyElement(addon.tableElement(handle)) : value);
    }
  }

  class Global {
    constructor(descriptor, value = kNone) {
      const what = 'WebAssembly.Global()';
      wantDescriptor(descriptor, what);
      const mutable = Boolean(descriptor.mutable);
      const type = String(descriptor.value);
      if (!Object.hasOwn(kZero, type)) throw new TypeError(`${what}: no value type is named '${type}'`);
      if (type === 'v128') throw new TypeError(`${what}: JavaScript has no v128`);
      become(this, Global, addon.createGlobal({ value: type, mutable }, value === kNone ? kZero[type] : value));
    }
    get value() { return addon.globalGet(handleOf(this, Global, 'value')); }
    set value(value) { addon.globalSet(handleOf(this, Global, 'value'), value); }
    valueOf() { return addon.globalGet(handleOf(this, Global, 'valueOf()')); }
  }
  const classOf = { memory: Memory, table: Table, global: Global };

  class Instance {
    constructor(module, imports = undefined) {
      handleOf(module, Module, 'Instance()');
      start(this, module, readImports(module, imports));
    }
    get exports() {
      handleOf(this, Instance, 'exports');
      return exportsOf.get(this);
    }
  }

  /** Reads what a module imports, in order, as the addon wants it. */
  function readImports(module, imports) {
    const wanted = describe(module).imports;
    if (imports !== undefined && !isObject(imports)) throw new TypeError('WebAssembly.Instance(): the imports are not an object');
    if (wanted.length && imports === undefined) throw new TypeError('WebAssembly.Instance(): imports are wanted');
    return wanted.map(({ module: from, name, kind, value: type }) => {
      const refuse = (why) => new V8.LinkError(`WebAssembly.Instance(): import ${from}.${name}: ${why}`);
      const group = imports[from];
      if (!isObject(group)) throw new TypeError(`WebAssembly.Instance(): import ${from}: not an object`);
      const value = group[name];
      if (kind === 'function') {
        if (typeof value !== 'function') throw refuse('not a function');
        return value;
      }
      if (isA(value, classOf[kind])) return handles.get(value);
      if (kind !== 'global') throw refuse(`not a WebAssembly.${classOf[kind].name}`);
      if (type === 'v128') throw refuse('JavaScript has no v128');
      return value;
    });
  }

  /** Makes `instance` one of a module. Returns its handle. */
  function start(instance, module, values, options) {
    const handle = addon.instantiate(handleOf(module, Module), values, { stackBytes, ...options });
    become(instance, Instance, handle);
    const exports = Object.create(null);
    for (const [name, kind, value] of addon.exportsOf(handle))
      exports[name] = kind === 'function' ? value : objects.get(value) ?? make(classOf[kind], value);
    exportsOf.set(instance, Object.freeze(exports));
    return handle;
  }

  async function compileBytes(bytes) {
    const module = make(Module, await addon.compileAsync(bytes));
    sources.set(module, bytes);
    return module;
  }
  const refuseStreaming = (name) => {
    throw new TypeError(`rotor: WebAssembly.${name} is not there: compile the bytes of the response`);
  };
  const functions = {
    validate(source) { return addon.validate(bytesOf(source, 'validate()')); },
    async compile(source) { return compileBytes(bytesOf(source, 'compile()')); },
    async instantiate(source, imports = undefined) {
      if (isA(source, Module)) {
        // The imports are read at once; the instance starts in a later turn.
        const values = readImports(source, imports);
        const instance = Object.create(Instance.prototype);
        await undefined;
        start(instance, source, values);
        return instance;
      }
      const bytes = bytesOf(source, 'instantiate()');
      if (imports !== undefined && !isObject(imports)) throw new TypeError('WebAssembly.instantiate(): the imports are not an object');
      const module = await compileBytes(bytes);
      return { module, instance: new Instance(module, imports) };
    },
    async compileStreaming() { refuseStreaming('compileStreaming'); },
    async instantiateStreaming() { refuseStreaming('instantiateStreaming'); },
  };

  makeEnumerable(Module, ['exports', 'imports', 'customSections']);
  const WebAssembly = Object.create(Object.prototype, { [Symbol.toStringTag]: { value: 'WebAssembly', configurable: true } });
  const define = (name, value, enumerable) => Object.defineProperty(WebAssembly, name, { value, writable: true, enumerable, configurable: true });
  for (const kind of [Module, Instance, Memory, Table, Global]) {
    makeEnumerable(kind.prototype, Object.getOwnPropertyNames(kind.prototype).filter((name) => name !== 'constructor'));
    Object.defineProperty(kind.prototype, Symbol.toStringTag, { value: `WebAssembly.${kind.name}`, configurable: true });
    define(kind.name, kind, false);
  }
  for (const name of ['CompileError', 'LinkError', 'RuntimeError']) define(name, V8[name], false);
  for (const [name, value] of Object.entries(functions)) define(name, value, true);

  return {
    WebAssembly,
    /** Makes a module of a handle, and of its bytes if they are known. */
    moduleOf: (handle, bytes) => {
      const module = make(Module, handle);
      if (bytes) sources.set(module, bytes);
      return module;
    },
    handleOf: (object) => handles.get(object),
    /** Makes an instance with options of the addon's. Returns it and its handle. */
    instantiate: (module, imports, options) => {
      const instance = Object.create(Instance.prototype);
      const handle = start(instance, module, readImports(module, imports), options);
      return { instance, handle };
    },
  };
}

module.exports = { initialize, makeFace };
