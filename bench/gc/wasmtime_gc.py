#!/usr/bin/env python3
"""Wasmtime's side of bench/gc/run.py, with the arguments of gc_bench."""
import json
import sys
import time

import wasmtime


def main():
    what, file, *rest = sys.argv[1:]
    config = wasmtime.Config()
    config.wasm_gc = True
    config.wasm_function_references = True
    config.wasm_exceptions = True
    engine = wasmtime.Engine(config)
    began = time.perf_counter()
    module = wasmtime.Module.from_file(engine, file)
    compile_ms = (time.perf_counter() - began) * 1e3
    runs, result = [], 0
    if what == 'call':
        name, number, count = rest
        for _ in range(int(count)):
            store = wasmtime.Store(engine)
            func = wasmtime.Instance(store, module, []).exports(store)[name]
            begin = time.perf_counter()
            result = func(store, int(number))
            runs.append({'ms': (time.perf_counter() - begin) * 1e3})
    else:
        folder, count = rest
        for _ in range(int(count)):
            store = wasmtime.Store(engine)
            wasi = wasmtime.WasiConfig()
            wasi.inherit_stdout()
            wasi.preopen_dir(folder, '.')
            store.set_wasi(wasi)
            linker = wasmtime.Linker(engine)
            linker.define_wasi()
            times = {}
            kind = wasmtime.FuncType([], [])
            linker.define_func('bench', 'start', kind, lambda: times.update(begin=time.perf_counter()))
            linker.define_func('bench', 'end', kind, lambda: times.update(end=time.perf_counter()))
            start = linker.instantiate(store, module).exports(store)['_start']
            try:
                start(store)
            except wasmtime.ExitTrap:
                pass
            runs.append({'ms': (times['end'] - times['begin']) * 1e3})
    print(json.dumps({'compile_ms': compile_ms, 'result': result, 'runs': runs}))


main()
