#!/usr/bin/env python3
"""Times whole programs for WASI, from start to end, on Rotor and on Wasmtime's Python wheel, and prints a table: cold (the
module is compiled) and cached (its code is there).

    bench/wasi/programs.py [--rotor build/release/tools/rotor/rotor] [--reactors build/release/examples/wasi/wasi_reactors]
                           [--runs N] [--esbuild MODULE]

What the programs do is in examples/wasi/test_programs.py. Rotor's time is that of the whole process; Wasmtime's begins once
Python and the wheel are loaded; both have the module's bytes looked up in their own cache. Engines take turns, and a cell is the
least of all runs, in milliseconds. Not a test: run it on a quiet machine.

Reads CPYTHON_WASM, FLITE_WASM, QJS_REACTOR_WASM, GRAPHVIZ_WASM, WASMTIME_PY   as scripts/setup.sh has them
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'examples/wasi'))
import test_programs  # noqa: E402

MODULES = {'cpython': 'CPYTHON_WASM', 'flite': 'FLITE_WASM', 'quickjs': 'QJS_REACTOR_WASM', 'graphviz': 'GRAPHVIZ_WASM'}
TIMEOUT_S = 600


def once(command, environment, stdin):
    """Runs a command: the milliseconds that it took, and what it says on standard error."""
    begin = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment,
                          input=stdin)
    return (time.perf_counter() - begin) * 1e3, done.stderr


def wasmtime_times(name, module, kind, cache, program, folder):
    """Runs a program on Wasmtime: the milliseconds that it says."""
    environment = dict(os.environ, PYTHONPATH=os.environ['WASMTIME_PY'], ROTOR_BENCH=kind, XDG_CACHE_HOME=cache)
    _, errors = once([sys.executable, '-c', test_programs.WASMTIME, name, module, folder, *program.args], environment,
                     program.stdin)
    return float(errors.strip().splitlines()[-1].removeprefix('ms '))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--rotor', default=str(ROOT / 'build/release/tools/rotor/rotor'))
    arguments.add_argument('--reactors', default=str(ROOT / 'build/release/examples/wasi/wasi_reactors'))
    arguments.add_argument('--runs', type=int, default=5)
    arguments.add_argument('--esbuild', help='esbuild, as the nightly builds it')
    options = arguments.parse_args()
    modules = {name: os.environ.get(variable) for name, variable in MODULES.items()}
    modules['esbuild'] = options.esbuild

    print('| ms | Rotor, cold | Wasmtime, cold | ratio | Rotor, cached | Wasmtime, cached | ratio |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for name, module in modules.items():
        if not module:
            print(f'| {name} | its module is not here | | | | | |')
            continue
        program = test_programs.PROGRAMS[name]
        least = {}
        with tempfile.TemporaryDirectory() as scratch:
            for run in range(options.runs + 1):  # the first fills the caches
                for kind in ['cold', 'cached'] if run else ['cached']:
                    for engine in ['rotor', 'wasmtime']:
                        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as fresh:
                            program.put_files(folder)
                            cache = fresh if kind == 'cold' else scratch
                            if engine == 'rotor':
                                took, _ = once(test_programs.command(options, name, module, folder, cached=True),
                                               dict(os.environ, XDG_CACHE_HOME=cache), program.stdin)
                            else:
                                took = wasmtime_times(name, module, kind, cache, program, folder)
                            if run:
                                least[engine, kind] = min(took, least.get((engine, kind), took))
        cells = [name]
        for kind in ['cold', 'cached']:
            ours, theirs = least['rotor', kind], least['wasmtime', kind]
            cells += [f'{ours:,.0f}', f'{theirs:,.0f}', f'{ours / theirs:.2f}']
        print('| ' + ' | '.join(cells) + ' |', flush=True)


if __name__ == '__main__':
    main()
