"""What bench/start/start_bench.cc measures, on Wasmtime, through its Python package (a thin layer over its C API).

    wasmtime_start.py PACKAGE version | cold MODULE TIER | compile MODULE TIER [ARTIFACT] | load ARTIFACT TIER

PACKAGE is the folder that holds the package `wasmtime`; TIER is cranelift, cranelift-none (opt_level `none`) or winch.
One line of JSON. Until its first result kimchi_wasm calls one import: __wbindgen_init_externref_table.
"""
import ctypes
import importlib.metadata
import json
import resource
import sys
import time

PACKAGE, MODE, *ARGUMENTS = sys.argv[1:]
sys.path.insert(0, PACKAGE)
import wasmtime  # noqa: E402
from wasmtime import _ffi as ffi  # noqa: E402
from wasmtime._extern import wrap_extern  # noqa: E402


class Stopwatch:
    def __init__(self):
        self.cpu_begin = self.cpu_now()
        self.begin = time.perf_counter()

    def ms(self):
        return (time.perf_counter() - self.begin) * 1e3

    def cpu_s(self):
        return self.cpu_now() - self.cpu_begin

    @staticmethod
    def cpu_now():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime


def peak_mb():
    with open('/proc/self/status', encoding='ascii') as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith('VmHWM:'))


def make_engine(tier, parallel):
    config = wasmtime.Config()
    config.wasm_threads = True
    config.shared_memory = True
    config.parallel_compilation = parallel
    if tier == 'winch':
        ffi.wasmtime_config_strategy_set(config.ptr(), 2)  # WASMTIME_STRATEGY_WINCH: the package has no name for it
    else:
        config.strategy = 'cranelift'
        config.cranelift_opt_level = 'none' if tier == 'cranelift-none' else 'speed'
    return wasmtime.Engine(config)


class SharedMemory(wasmtime.SharedMemory):
    def _as_extern(self):  # 50.0.1's own passes a pointer too many and raises TypeError
        return ffi.wasmtime_extern_t(ffi.WASMTIME_EXTERN_SHAREDMEMORY,
                                     ffi.wasmtime_extern_union(sharedmemory=self.ptr()))


class Guest:
    def __init__(self, engine, module):
        self.store = wasmtime.Store(engine)
        self.memory = None
        linker = wasmtime.Linker(engine)
        for item in module.imports:
            if isinstance(item.type, wasmtime.MemoryType):
                self.memory = SharedMemory(engine, item.type)
                linker.define(self.store, item.module, item.name, self.memory)
            elif item.name == '__wbindgen_init_externref_table':
                linker.define_func(item.module, item.name, item.type, self.init_externref_table)
        linker.define_unknown_imports_as_traps(module)
        self.instance = linker.instantiate(self.store, module)
        self.call('__wbindgen_start', 1 << 20)  # bytes of stack

    def export(self, name):
        """By name: Instance.exports wraps all of the thousand first, 15 ms."""
        item = ffi.wasmtime_extern_t()
        if not ffi.wasmtime_instance_export_get(self.store._context(), ctypes.byref(self.instance._instance),
                                                name.encode(), len(name), ctypes.byref(item)):
            raise KeyError(name)
        return wrap_extern(item)

    def init_externref_table(self):
        """The values that wasm-bindgen's guests expect in their table."""
        table = self.export('__wbindgen_export_2')
        first = table.grow(self.store, 4, None)
        for index, value in enumerate(('undefined', None, True, False)):
            table.set(self.store, first + index, value)

    def call(self, name, *arguments):
        return self.export(name)(self.store, *arguments)


def run_guest(engine, module, watch):
    module_ms = watch.ms()
    guest = Guest(engine, module)
    started_ms = watch.ms()
    srs = guest.call('caml_fp_srs_create', 64)
    result_ms = watch.ms()
    pointer, size = guest.call('__wbg_get_wasmgvesta_x', guest.call('caml_fp_srs_h', srs))
    return {'module_ms': module_ms, 'started_ms': started_ms, 'result_ms': result_ms,
            'check': bytes(guest.memory.data_ptr()[pointer:pointer + size]).hex()}


def cold(file, tier):
    with open(file, 'rb') as opened:
        data = opened.read()
    watch = Stopwatch()
    engine = make_engine(tier, parallel=True)
    return run_guest(engine, wasmtime.Module(engine, data), watch)


def compile_whole(file, tier, artifact=None):
    with open(file, 'rb') as opened:
        data = opened.read()
    before_mb = peak_mb()
    watch = Stopwatch()
    module = wasmtime.Module(make_engine(tier, parallel=False), data)
    measured = {'cpu_s': watch.cpu_s(), 'module_ms': watch.ms(), 'peak_mb': peak_mb(), 'before_mb': before_mb}
    if artifact:
        with open(artifact, 'wb') as opened:
            opened.write(module.serialize())
    return measured


def load(artifact, tier):
    watch = Stopwatch()
    engine = make_engine(tier, parallel=True)
    return run_guest(engine, wasmtime.Module.deserialize_file(engine, artifact), watch)


def version():
    found = next(importlib.metadata.distributions(name='wasmtime', path=[PACKAGE]))
    return {'version': found.version, 'python': sys.version.split()[0]}


print(json.dumps({'version': version, 'cold': cold, 'compile': compile_whole, 'load': load}[MODE](*ARGUMENTS)))
