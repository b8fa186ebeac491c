// WebAssembly's classes as the JS API has them, over Rotor's addon: Module, Instance, Memory, Table, Global.
'use strict';

const V8 = globalThis.WebAssembly;
const kNone = Symbol('none');
const keeps = new WeakMap();  // what a JavaScript object must keep alive

/** Gives the addon what of JavaScript it calls. Once an environment, before anything else. */
function initialize(addon) {
  addon.init({
    RuntimeError: V8.RuntimeError,
    LinkError: V8.LinkError,
    CompileError: V8.CompileError,
    toBigInt64: (value) => BigInt.asIntN(64, value),
    toList: (value, count) => {
      if (value === null || (typeof value !== 'object' && typeof value !== 'function') || typeof value[Symbol.iterator] !== 'function')
        throw new TypeError('several results are wanted, in something iterable');
      const list = [...value];
      if (list.length !== count) throw new TypeError(`${count} results are wanted, not ${list.length}`);
      return list;
    },
    keep: (object, kept) => { keeps.set(object, kept); },
  });
}

/**
 * Makes the classes over an addon. `rotatingBytes`: the limit of memories that are made for a guest that rotates;
 * undefined: they are ordinary ones. `stackBytes`: what guests may use of the stack.
 */
function makeFace(addon, { rotatingBytes, stackBytes } = {}) {
  // The addon's handles, and the objects of the classes that stand for them.
  const handles = new WeakMap();
  const objects = new WeakMap();
  const adopt = (object, handle) => { handles.set(object, handle); objects.set(handle, object); return object; };
  const handleOf = (object, kind, method) => {
    const handle = object !== null && typeof object === 'object' ? handles.get(object) : undefined;
    if (!handle || !(object instanceof kind) || kinds.get(handle) !== kind)
      throw new TypeError(`WebAssembly.${kind.name}${method ? '.' + method : ''}: not a WebAssembly.${kind.name}`);
    return handle;
  };
  const kinds = new WeakMap();
  const become = (object, kind, handle) => { kinds.set(handle, kind); return adopt(object, handle); };
  const made = (kind, handle) => objects.get(handle) ?? become(Object.create(kind.prototype), kind, handle);

  const bytesOf = (source, where) => {
    if (source instanceof ArrayBuffer || (typeof SharedArrayBuffer !== 'undefined' && source instanceof SharedArrayBuffer))
      return new Uint8Array(source.slice(0));
    if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice();
    throw new TypeError(`WebAssembly.${where}: the bytes of a module are wanted: an ArrayBuffer or a view of one`);
  };
  /** Converts as `[EnforceRange] unsigned long` does. */
  const toIndex = (value, what, most = 0xffff_ffff) => {
    if (typeof value === 'bigint') throw new TypeError(`${what}: a number is wanted, not a BigInt`);
    const number = Math.trunc(Number(value));
    if (!Number.isFinite(number) || number < 0 || number > 0xffff_ffff) throw new TypeError(`${what}: not a number of 32 bits`);
    if (number > most) throw new RangeError(`${what}: above ${most}`);
    return number + 0;
  };
  const limitsOf = (descriptor, what, most) => {
    if (descriptor === null || (typeof descriptor !== 'object' && typeof descriptor !== 'function'))
      throw new TypeError(`${what}: a descriptor is wanted`);
    const maximum = descriptor.maximum === undefined ? undefined : toIndex(descriptor.maximum, `${what}: maximum`);
    if (descriptor.initial === undefined) throw new TypeError(`${what}: initial is wanted`);
    const initial = toIndex(descriptor.initial, `${what}: initial`, most);
    if (maximum !== undefined && maximum < initial) throw new RangeError(`${what}: the maximum is below the initial size`);
    return { initial, maximum };
  };
  const describe = (module) => {
    const handle = handleOf(module, Module);
    return descriptions.get(handle) ?? descriptions.set(handle, addon.describe(handle)).get(handle);
  };
  const descriptions = new WeakMap();
  const sources = new WeakMap();

  class Module {
    constructor(source) {
      const bytes = bytesOf(source, 'Module()');
      become(this, Module, addon.compile(bytes));
      sources.set(this, bytes);
    }
    static exports(module) { return describe(module).exports.map(({ name, kind }) => ({ name, kind })); }
    static imports(module) { return describe(module).imports.map(({ module: from, name, kind }) => ({ module: from, name, kind })); }
    static customSections(module, name) {
      const handle = handleOf(module, Module, 'customSections()');
      if (name === undefined) throw new TypeError('WebAssembly.Module.customSections(): a name is wanted');
      const bytes = sources.get(module);
      if (!bytes) throw new Error('rotor: a module that was loaded from a code file has no bytes');
      return addon.customSections(handle, String(name)).map(([offset, size]) => bytes.slice(offset, offset + size).buffer);
    }
  }

  class Memory {
    constructor(descriptor) {
      const limits = limitsOf(descriptor, 'WebAssembly.Memory()', 65536);
      const shared = Boolean(descriptor.shared);
      if (shared && limits.maximum === undefined) throw new TypeError('WebAssembly.Memory(): a shared memory needs a maximum');
      if (limits.maximum > 65536) throw new RangeError('WebAssembly.Memory(): the maximum is above 65536 pages');
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
      const limits = limitsOf(descriptor, 'WebAssembly.Table()', 10_000_000);
      const element = String(descriptor.element);
      if (element !== 'anyfunc' && element !== 'funcref' && element !== 'externref')
        throw new TypeError(`WebAssembly.Table(): no element type is named '${element}'`);
      become(this, Table, addon.createTable({ ...limits, element }, initial(element, init)));
    }
    get length() { return addon.tableLength(handleOf(this, Table, 'length')); }
    get(index) {
      const handle = handleOf(this, Table, 'get()');
      return addon.tableGet(handle, toIndex(index, 'WebAssembly.Table.get()'));
    }
    set(index, value = kNone) {
      const handle = handleOf(this, Table, 'set()');
      if (arguments.length === 0) throw new TypeError('WebAssembly.Table.set(): an index is wanted');
      addon.tableSet(handle, toIndex(index, 'WebAssembly.Table.set()'), initial(addon.tableElement(handle), arguments.length > 1 ? value === kNone ? undefined : value : kNone));
    }
    grow(delta, value = kNone) {
      const handle = handleOf(this, Table, 'grow()');
      return addon.tableGrow(handle, toIndex(delta, 'WebAssembly.Table.grow()'), initial(addon.tableElement(handle), value));
    }
  }
  /** Returns what a table's elements are without a value: null, or of external references undefined. */
  const initial = (element, value) => (value !== kNone ? (value === undefined && element !== 'externref' ? null : value) : element === 'externref' ? undefined : null);

  const kZero = { i32: 0, i64: 0n, f32: 0, f64: 0, v128: 0, anyfunc: null, funcref: null, externref: undefined };
  class Global {
    constructor(descriptor, value) {
      if (descriptor === null || (typeof descriptor !== 'object' && typeof descriptor !== 'function'))
        throw new TypeError('WebAssembly.Global(): a descriptor is wanted');
      const mutable = Boolean(descriptor.mutable);
      const type = String(descriptor.value);
      if (!(type in kZero)) throw new TypeError(`WebAssembly.Global(): no value type is named '${type}'`);
      if (type === 'v128') throw new TypeError('WebAssembly.Global(): JavaScript has no v128');
      become(this, Global, addon.createGlobal({ value: type, mutable }, value === undefined ? kZero[type] : value));
    }
    get value() { return addon.globalGet(handleOf(this, Global, 'value')); }
    set value(value) {
      const handle = handleOf(this, Global, 'value');
      addon.globalSet(handle, value);
    }
    valueOf() { return addon.globalGet(handleOf(this, Global, 'valueOf()')); }
  }

  const isObject = (value) => value !== null && (typeof value === 'object' || typeof value === 'function');
  /** Reads what a module imports, in order, as the addon wants it. */
  const readImports = (module, imports) => {
    const wanted = describe(module).imports;
    if (imports !== undefined && !isObject(imports)) throw new TypeError('WebAssembly.Instance(): the imports are not an object');
    if (wanted.length && imports === undefined) throw new TypeError('WebAssembly.Instance(): imports are wanted');
    return wanted.map(({ module: from, name, kind, value: type }) => {
      const group = imports[from];
      if (!isObject(group)) throw new TypeError(`WebAssembly.Instance(): import ${from}: not an object`);
      const value = group[name];
      if (kind === 'memory' || kind === 'table') {
        const handle = isObject(value) ? handles.get(value) : undefined;
        if (!handle || kinds.get(handle) !== (kind === 'memory' ? Memory : Table))
          throw new V8.LinkError(`WebAssembly.Instance(): import ${from}.${name}: not a WebAssembly.${kind === 'memory' ? 'Memory' : 'Table'}`);
        return handle;
      }
      if (kind === 'global') {
        const handle = isObject(value) ? handles.get(value) : undefined;
        if (handle && kinds.get(handle) === Global) return handle;
        if (type === 'v128') throw new V8.LinkError(`WebAssembly.Instance(): import ${from}.${name}: JavaScript has no v128`);
        return value;
      }
      if (typeof value !== 'function') throw new V8.LinkError(`WebAssembly.Instance(): import ${from}.${name}: not a function`);
      return value;
    });
  };

  class Instance {
    constructor(module, imports) {
      handleOf(module, Module, 'Instance()');
      instantiate(this, module, readImports(module, imports));
    }
  }
  const classOf = { memory: Memory, table: Table, global: Global };
  function instantiate(instance, module, values, options) {
    const handle = addon.instantiate(handleOf(module, Module), values, { stackBytes, ...options });
    become(instance, Instance, handle);
    const exports = Object.create(null);
    for (const [name, kind, value] of addon.exportsOf(handle))
      exports[name] = kind === 'function' ? value : made(classOf[kind], value);
    Object.defineProperty(instance, 'exports', { value: Object.freeze(exports), enumerable: true, configurable: true });
    return handle;
  }

  async function compile(source) {
    const bytes = bytesOf(source, 'compile()');
    const module = become(Object.create(Module.prototype), Module, await addon.compileAsync(bytes));
    sources.set(module, bytes);
    return module;
  }
  async function instantiateAsync(source, imports) {
    if (isObject(source) && kinds.get(handles.get(source)) === Module) {
      await undefined;
      return new Instance(source, imports);
    }
    const bytes = bytesOf(source, 'instantiate()');
    if (imports !== undefined && !isObject(imports)) throw new TypeError('WebAssembly.instantiate(): the imports are not an object');
    const module = await compile(bytes);
    return { module, instance: new Instance(module, imports) };
  }
  const streaming = (name) => async () => {
    throw new TypeError(`rotor: WebAssembly.${name} is not there: compile the bytes of the response`);
  };

  for (const [kind, name] of [[Module, 'Module'], [Instance, 'Instance'], [Memory, 'Memory'], [Table, 'Table'], [Global, 'Global']]) {
    Object.defineProperty(kind.prototype, Symbol.toStringTag, { value: `WebAssembly.${name}`, configurable: true });
    for (const method of Object.getOwnPropertyNames(kind.prototype)) {
      const property = Object.getOwnPropertyDescriptor(kind.prototype, method);
      if (method !== 'constructor') Object.defineProperty(kind.prototype, method, { ...property, enumerable: true });
    }
  }
  const WebAssembly = Object.create(Object.prototype, {
    [Symbol.toStringTag]: { value: 'WebAssembly', configurable: true },
  });
  const define = (name, value) => Object.defineProperty(WebAssembly, name, { value, writable: true, configurable: true });
  for (const kind of [Module, Instance, Memory, Table, Global]) define(kind.name, kind);
  for (const name of ['CompileError', 'LinkError', 'RuntimeError']) define(name, V8[name]);
  define('validate', (source) => addon.validate(bytesOf(source, 'validate()')));
  define('compile', compile);
  define('instantiate', instantiateAsync);
  define('compileStreaming', streaming('compileStreaming'));
  define('instantiateStreaming', streaming('instantiateStreaming'));

  return {
    WebAssembly,
    /** Makes a module of a handle, and of its bytes if they are known. */
    moduleOf: (handle, bytes) => {
      const module = become(Object.create(Module.prototype), Module, handle);
      if (bytes) sources.set(module, bytes);
      return module;
    },
    describe,
    handleOf: (object) => handles.get(object),
    /** Makes an instance with options of the addon's. Returns it and its handle. */
    instantiate: (module, imports, options) => {
      const instance = Object.create(Instance.prototype);
      const handle = instantiate(instance, module, readImports(module, imports), options);
      return { instance, handle };
    },
  };
}

module.exports = { initialize, makeFace };
