// Types of rotor-wasm. No other package's are needed but those of Node's events.
import type { EventEmitter } from 'node:events';

/** A size: "512MiB", "2GiB", or bytes. */
export type Size = number | `${number}${'' | 'B' | 'KiB' | 'MiB' | 'GiB'}`;

/** Settings. A guest takes those that hold when it is made; the environment's variables (ROTOR_…) give the first ones. */
export interface Settings {
  /** What runs guests: Rotor's addon, or V8 with instances that are copied. The addon where there is one. */
  engine?: 'rotor' | 'v8';
  /** Size that the memory of a guest may have. Its preset's. */
  limit?: Size;
  /** Part of the limit, above 0 and at most `swapAt`, from which on a rotation is prepared. 0.7 */
  warmAt?: number;
  /** Part of the limit, at most 1, at which a guest is rewound. 0.9 */
  swapAt?: number;
  /** Whether guests rotate. true */
  rotate?: boolean;
  /** Whether, or where, it is said what happens: true is the standard error output. false */
  log?: boolean | ((line: string) => void);
  /** Folder of compiled code. Rotor's own, below the user's cache folder. */
  cacheFolder?: string;
  /** File with code that was compiled ahead; no other is used then. */
  code?: string;
  /** When functions are compiled: at their first call, when the module is, or that and the highest tier. 'lazy' */
  mode?: 'lazy' | 'eager' | 'aot';
  /** What gives a guest's generator of random numbers a new seed after a rewind; 'none': it has none. Its preset's. */
  reseed?: Reseed;
}

/** Is called with the guest's exports after each rewind. */
export type Reseed = 'none' | ((exports: GuestExports) => void);
export type GuestExports = Record<string, unknown>;

/** Changes settings. Throws a TypeError that names what is none, or has no such value. */
export function configure(changes?: Settings): void;

/** Figures of one guest. Sizes are in bytes, times in milliseconds; those of its rotation are missing if it has none. */
export interface GuestMetrics {
  preset: string;
  generation: number;
  calls: number;
  bytes: number;
  workers: number;
  /** Whether something lasting ran since the checkpoint, and what. */
  stale: boolean;
  staleBy: string;
  trapped: boolean;
  hasCheckpoint: boolean;
  checkpointBytes: number;
  checkpointResident: number;
  limitBytes?: number;
  liveHandles?: number;
  checkpoints?: number;
  rewinds?: number;
  restores?: number;
  postponed?: number;
  futile?: number;
  endedHandles?: number;
  lastCheckpointMs?: number;
  lastRewindMs?: number;
  maxPauseMs?: number;
  swapsPerHour?: number;
  [figure: string]: unknown;
}

/** Returns the figures of each guest, in the order in which they were made. */
export function metrics(): GuestMetrics[];
/** Returns them as text in Prometheus's exposition format. */
export function prometheus(): string;

export interface CheckpointEvent { guest: string; why: string; ms: number; bytes: number; resident: number; handles: number }
export interface RewindEvent { guest: string; ms: number; bytesBefore: number; bytesAfter: number; generation: number; ended: number }
export interface PostponedEvent { guest: string; why: string }
export interface FutileEvent { guest: string; why: string; bytes: number; limitBytes: number }

export interface RotorEvents extends EventEmitter {
  on(name: 'checkpoint', listener: (event: CheckpointEvent) => void): this;
  on(name: 'rewind' | 'restore', listener: (event: RewindEvent) => void): this;
  on(name: 'postponed', listener: (event: PostponedEvent) => void): this;
  on(name: 'futile', listener: (event: FutileEvent) => void): this;
  on(name: string | symbol, listener: (...values: any[]) => void): this;
  once(name: 'checkpoint', listener: (event: CheckpointEvent) => void): this;
  once(name: 'rewind' | 'restore', listener: (event: RewindEvent) => void): this;
  once(name: 'postponed', listener: (event: PostponedEvent) => void): this;
  once(name: 'futile', listener: (event: FutileEvent) => void): this;
  once(name: string | symbol, listener: (...values: any[]) => void): this;
}

/** Tells what rotations do. */
export const events: RotorEvents;

/** What exports of a guest leave behind, as patterns of names with `*`. */
export interface Policy {
  /** They may change anything, as those that no pattern names. */
  lasting?: readonly string[];
  /** They change at most what their first argument points to. */
  methods?: readonly string[];
  /** They change nothing that was there before. */
  passing?: readonly string[];
  /** Names of those that return memory that JavaScript fills and passes on. */
  allocate?: readonly string[];
  /** Names of those that free the memory that their first argument points to. */
  release?: readonly string[];
}

/** What of a package is glue, and how its guest is kept. */
export interface Preset {
  name: string;
  policy: Policy;
  /** Returns whether a file, of that path, is the package's glue. */
  isGlue(filename: string): boolean;
  reseed?: Reseed;
  defaultLimitBytes?: number;
  /** Changes the source of the glue before it is compiled. */
  transform?(source: string): string;
  [part: string]: unknown;
}

export interface WasmBindgenOptions {
  name: string;
  /** The end of the path of the package's glue, a CommonJS file, or what tells whether a path is its. */
  glue: string | ((filename: string) => boolean);
  policy?: Policy;
  reseed?: Reseed;
  /** Limit of the guest's memory, in bytes. 4 GiB */
  limit?: number;
  transform?(source: string): string;
}

export const presets: {
  readonly o1js: Preset;
  /** Makes a preset of any package of wasm-bindgen's. */
  wasmBindgen(options: WasmBindgenOptions): Preset;
};

/** Adds a preset. Later ones are asked first. */
export function use(preset: Preset): void;
/** Has the glue of the presets' packages, which must not be loaded yet, get guests that rotate. */
export function install(): void;

// ---- WebAssembly's classes, by Rotor, for modules that need no rotation ----

export type BufferSource = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;
export type ExternKind = 'function' | 'memory' | 'table' | 'global';
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'anyfunc' | 'externref';
export type ExportValue = ((...values: any[]) => any) | Memory | Table | Global;
export type ImportValue = ExportValue | number | bigint | unknown;
export type Imports = Record<string, Record<string, ImportValue>>;

export interface Module {}
export interface Instance { readonly exports: Readonly<Record<string, ExportValue>> }
export interface Memory {
  /** All its bytes, until it grows. It is no SharedArrayBuffer for a shared memory either. */
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
export interface Table {
  readonly length: number;
  get(index: number): any;
  set(index: number, value?: any): void;
  grow(count: number, value?: any): number;
}
export interface Global { value: any; valueOf(): any }

export interface WebAssemblyNamespace {
  readonly Module: {
    new (source: BufferSource): Module;
    readonly prototype: Module;
    imports(module: Module): { module: string; name: string; kind: ExternKind }[];
    exports(module: Module): { name: string; kind: ExternKind }[];
    customSections(module: Module, name: string): ArrayBuffer[];
  };
  readonly Instance: { new (module: Module, imports?: Imports): Instance; readonly prototype: Instance };
  readonly Memory: { new (descriptor: { initial: number; maximum?: number; shared?: boolean }): Memory; readonly prototype: Memory };
  readonly Table: {
    new (descriptor: { element: 'anyfunc' | 'externref'; initial: number; maximum?: number }, value?: any): Table;
    readonly prototype: Table;
  };
  readonly Global: { new (descriptor: { value: ValueType; mutable?: boolean }, value?: any): Global; readonly prototype: Global };
  readonly CompileError: ErrorConstructor;
  readonly LinkError: ErrorConstructor;
  readonly RuntimeError: ErrorConstructor;
  validate(source: BufferSource): boolean;
  compile(source: BufferSource): Promise<Module>;
  instantiate(source: BufferSource, imports?: Imports): Promise<{ module: Module; instance: Instance }>;
  instantiate(module: Module, imports?: Imports): Promise<Instance>;
}

/** Throws an Error with the code ROTOR_NO_ENGINE where there is no addon. Of the default export in an ES module. */
export const WebAssembly: WebAssemblyNamespace;
