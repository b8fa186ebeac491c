#!/usr/bin/env python3
"""Times making an instance, calling an export and dropping it, then calls alone, on Rotor, Wasmtime and V8, and prints
two tables.

    bench/instances/run.py [--build build/release] [--seconds S] [--runs N] [--only instances|calls] [--json FILE]

Engines take turns, so that a slow minute hits all of them; cells are the least of all batches, in microseconds, and in
brackets its ratio to Wasmtime's. Wasmtime is measured in six configurations, of which each row has the best. V8 frees
nothing within a round; its collector's time is in the median, not in the least. What can't be had stands below the table
with its reason. Not a test: run it on a quiet machine.

Reads ROTOR_CACHE   where the program that links the wasmtime crate is kept, built with cargo if it is not there
      NODE          the node to ask, else the one in PATH
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
CACHE = pathlib.Path(os.environ.get('ROTOR_CACHE') or
                     pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'rotor')
BUILD_TIMEOUT_S = 3600
RUN_TIMEOUT_S = 600

# `run` reads; `dirty` writes one byte of each of `pages` pages of the system, `stride` bytes apart.
MODULE = '''(module {memory}
  (func (export "run") (result i32) {run})
  (func (export "dirty") (param $pages i32) (param $stride i32) (result i32) (local $at i32)
    (loop $next
      {store}
      (local.set $at (i32.add (local.get $at) (local.get $stride)))
      (br_if $next (local.tee $pages (i32.sub (local.get $pages) (i32.const 1)))))
    (local.get $at)))'''
STORE = '(i32.store8 (local.get $at) (local.get $pages))'
LOAD = '(i32.load (i32.const 1024))'
MODULES = {
    'function': ('', '(i32.const 42)', ''),
    'page': ('(memory 1) (data (i32.const 1024) "hello, world")', LOAD, STORE),
    'big': ('(memory 1024) (data (i32.const 0) "%s")' % ('0123456789abcdef' * (1 << 20)), LOAD, STORE),
    'zero': ('(memory 1024)', LOAD, STORE),
}
# What a row says, module, function and arguments.
ROWS = [
    ('one function, no memory', 'function', ['run']),
    ('one page, a data segment: call', 'page', ['run']),
    ('the same: 16 pages written', 'page', ['dirty', '16', '4096']),
    ('64 MiB, 16 MiB of data: call', 'big', ['run']),
    ('the same: 16 pages written', 'big', ['dirty', '16', '4096']),
    ('the same: 256 pages, scattered', 'big', ['dirty', '256', '262144']),
    ('the same: 4,096 pages', 'big', ['dirty', '4096', '4096']),
    ('64 MiB, no data: call', 'zero', ['run']),
    ('the same: 16 pages written', 'zero', ['dirty', '16', '4096']),
    ('the same: 256 pages written', 'zero', ['dirty', '256', '4096']),
]


# Modules as bench/modules.h has them; V8's data is a JavaScript object's.
CALLS = '''(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (import "env" "g" (func $g (param i32) (result i32)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "host_loop") (param $n i32) (result i32) (local $s i32)
    (loop $l
      (local.set $s (call $f (local.get $s)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "data_loop") (param $n i32) (result i32) (local $s i32)
    (loop $l
      (local.set $s (call $g (local.get $s)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "trap") unreachable))'''
# What a row says, and the name of its figure; Rotor's is a benchmark.
CALL_ROWS = [
    ('host → wasm, typed', 'add', 'host_to_wasm'),
    ('the same, in a `Stay`', 'stay', 'host_to_wasm_stay'),
    ('wasm → host', 'host', 'wasm_to_host'),
    ('the same, with `Caller` and data', 'data', 'wasm_to_host_data'),
    ('a trap, returned to the host', 'trap', 'trap_to_host'),
]


class Missing(Exception):
    """An engine can't be had, and why."""


def output_of(command, timeout=RUN_TIMEOUT_S):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Missing((done.stderr or done.stdout).strip().splitlines()[-1] if done.stderr or done.stdout
                      else f'{command[0]} ended with {done.returncode}')
    return done.stdout


class Rotor:
    name = 'Rotor'

    def __init__(self, build):
        self.path = pathlib.Path(build, 'tools/rotor/rotor')
        self.benchmarks = pathlib.Path(build, 'bench/engine_bench')
        for path in self.path, self.benchmarks:
            if not path.exists():
                raise Missing(f'{path} is not built')
        self.version = output_of([self.path, '--version']).split()[-1]

    def least_ns(self, seconds, module, call):
        answer = json.loads(output_of([self.path, 'bench', 'instantiate', '--json', '--count', '100', '--seconds',
                                       str(seconds), '--invoke', call[0], module, *call[1:]]))
        return answer['all_by_batches_ns']['min'], ''

    def calls_ns(self, seconds, _):
        names = '|'.join(benchmark for _, _, benchmark in CALL_ROWS)
        answer = json.loads(output_of([self.benchmarks, f'--benchmark_filter=^({names})$', '--benchmark_format=json',
                                       '--benchmark_repetitions=9', f'--benchmark_min_time={seconds / 9}']))
        least = {}
        for run in answer['benchmarks']:
            if run['run_type'] == 'iteration':
                ns = 1e9 / run['items_per_second'] if 'items_per_second' in run else run['real_time']
                least[run['run_name']] = min(ns, least.get(run['run_name'], ns))
        return {figure: least[benchmark] for _, figure, benchmark in CALL_ROWS}


class Wasmtime:
    name = 'Wasmtime'

    def __init__(self):
        cargo = shutil.which('cargo') or str(pathlib.Path.home() / '.cargo/bin/cargo')
        if not pathlib.Path(cargo).exists():
            raise Missing('there is no cargo')
        target = CACHE / 'wasmtime-instances'
        env = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS='allow')
        env.pop('RUST_BACKTRACE', None)
        built = subprocess.run([cargo, 'build', '--release', '--ignore-rust-version'], cwd=FOLDER / 'wasmtime', env=env,
                               capture_output=True, text=True, timeout=BUILD_TIMEOUT_S)
        if built.returncode != 0:
            raise Missing('cargo: ' + built.stderr.strip().splitlines()[-1])
        self.path = target / 'release/wasmtime-instances'
        self.version = '50.0.1'

    def least_ns(self, seconds, module, call):
        answer = json.loads(output_of([self.path, str(seconds), module, *call]))
        best = min(answer, key=lambda name: answer[name]['min'])
        return answer[best]['min'], best

    def calls_ns(self, seconds, module):
        figures = json.loads(output_of([self.path, str(seconds), module, '--calls']))
        return figures | {'stay': figures['add']}


class V8:
    name = 'V8'

    def __init__(self):
        self.path = os.environ.get('NODE') or shutil.which('node')
        if not self.path:
            raise Missing('there is no node')
        self.version = output_of([self.path, '-p', 'process.versions.v8']).strip()

    def least_ns(self, seconds, module, call):
        return json.loads(output_of([self.path, FOLDER / 'v8_instances.cjs', str(seconds), module, *call]))['min'], ''

    def calls_ns(self, seconds, module):
        figures = json.loads(output_of([self.path, FOLDER / 'v8_instances.cjs', str(seconds), module, '--calls']))
        return figures | {'stay': figures['add']}


def write_modules(rotor, folder):
    for name, (memory, run, store) in MODULES.items():
        text = pathlib.Path(folder, name + '.wat')
        text.write_text(MODULE.format(memory=memory, run=run, store=store))
        output_of([rotor, 'wat2wasm', text, '-o', pathlib.Path(folder, name + '.wasm')])
    text = pathlib.Path(folder, 'calls.wat')
    text.write_text(CALLS)
    output_of([rotor, 'wat2wasm', text, '-o', pathlib.Path(folder, 'calls.wasm')])


def measure(engines, seconds, runs, folder):
    """Returns the least ns and the configuration that had it, by row and engine."""
    cells = {}
    for _ in range(runs):
        for i, (_, module, call) in enumerate(ROWS):
            for engine in engines:
                ns, how = engine.least_ns(seconds, str(pathlib.Path(folder, module + '.wasm')), call)
                if (i, engine.name) not in cells or ns < cells[i, engine.name][0]:
                    cells[i, engine.name] = (ns, how)
    return cells


def print_table(unit, rows, engines, cells, text_of):
    print(f'| {unit} | ' + ' | '.join(f'{e.name} {e.version}' for e in engines) + ' |')
    print('| --- |' + ' --- |' * len(engines))
    for i, row in enumerate(rows):
        texts = []
        for engine in engines:
            ns, how = cells[i, engine.name]
            base = cells.get((i, 'Wasmtime'))
            ratio = f' ({ns / base[0]:.2f})' if base and engine.name != 'Wasmtime' else ''
            texts.append(text_of(ns) + ratio + (f', {how}' if how else ''))
        print(f'| {row[0]} | ' + ' | '.join(texts) + ' |')


def measure_calls(engines, seconds, runs, folder):
    """Returns the least ns of a call, by row and engine, as `measure` does."""
    cells = {}
    for _ in range(runs):
        for engine in engines:
            figures = engine.calls_ns(seconds, str(pathlib.Path(folder, 'calls.wasm')))
            for i, (_, figure, _) in enumerate(CALL_ROWS):
                cells[i, engine.name] = min((figures[figure], ''), cells.get((i, engine.name), (figures[figure], '')))
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=ROOT / 'build/release', help='with the tool and engine_bench')
    parser.add_argument('--only', choices=['instances', 'calls'])
    parser.add_argument('--seconds', type=float, default=0.3, help='for each cell and configuration, in each run')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--json', help='a file for the numbers')
    options = parser.parse_args()
    engines, missing = [], []
    for make in (lambda: Rotor(options.build), Wasmtime, V8):
        try:
            engines.append(make())
        except Missing as why:
            missing.append(str(why))
    if not engines or engines[0].name != 'Rotor':
        sys.exit('; '.join(missing))
    with tempfile.TemporaryDirectory() as folder:
        write_modules(engines[0].path, folder)
        cells, call_cells = {}, {}
        if options.only != 'calls':
            cells = measure(engines, options.seconds, options.runs, folder)
            print_table('µs', ROWS, engines, cells, lambda ns: f'{ns / 1000:.{2 if ns < 100_000 else 0}f}')
            print()
        if options.only != 'instances':
            call_cells = measure_calls(engines, options.seconds, options.runs, folder)
            print_table('ns', CALL_ROWS, engines, call_cells, lambda ns: f'{ns:.{1 if ns < 100 else 0}f}')
    for why in missing:
        print(f'\nNot measured: {why}')
    cpu = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')), '?')
    print(f'\n{cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}')
    if options.json:
        rows = [{'row': ROWS[i][0], 'engine': name, 'ns': ns, 'how': how} for (i, name), (ns, how) in cells.items()]
        rows += [{'row': CALL_ROWS[i][0], 'engine': name, 'ns': ns} for (i, name), (ns, _) in call_cells.items()]
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
