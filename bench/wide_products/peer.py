"""What wide_bench.cc does, natively or on Wasmtime: exports `i64 NAME(i64 turns)` are called and timed.

    peer.py native LIBRARY.so
    peer.py wasmtime MODULE.wasm PACKAGE     PACKAGE is the folder that holds the Python package `wasmtime`

Reads lines `NAME TURNS`; answers each with `RESULT NANOSECONDS`, CPU time of this thread.
"""
import ctypes
import sys
import time

MASK = 2**64 - 1


def native(path):
    library = ctypes.CDLL(path)

    def function(name):
        found = getattr(library, name)
        found.argtypes, found.restype = [ctypes.c_uint64], ctypes.c_uint64
        return found
    return function


def wasmtime(path, package):
    sys.path.insert(0, package)
    import wasmtime as api  # pylint: disable=import-outside-toplevel
    config = api.Config()
    config.cranelift_opt_level = 'speed'
    store = api.Store(api.Engine(config))
    exports = api.Instance(store, api.Module.from_file(store.engine, path), []).exports(store)
    return lambda name: lambda turns: exports[name](store, turns)


def main():
    kind, *arguments = sys.argv[1:]
    find = {'native': native, 'wasmtime': wasmtime}[kind](*arguments)
    for line in sys.stdin:
        name, turns = line.split()
        function = find(name)
        before = time.thread_time_ns()
        result = function(int(turns))
        print(result & MASK, time.thread_time_ns() - before, flush=True)


if __name__ == '__main__':
    main()
