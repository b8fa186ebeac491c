#!/usr/bin/env python3
"""Counts and times products of 128 bits in what several compilers make of them, and prints one table in Markdown.

    bench/wide_products/run.py [--quick] [--build build/release] [--only REGEX]

C programs of ours (c/, as committed in wasm/) and a Rust crate that uses other people's (rust/, built here with cargo).
Multiplications: i64.mul of the module, then those of the code at --opt 1 without and with the pass for wide products; a
called function's count as often as it is called. Times: nanoseconds of CPU a turn, medians; engines take turns, so that
a slow minute hits all of them. Every result is compared. What can't be had stands below the table with its reason. Not a
test: run it on a quiet machine.

Reads ROTOR_CACHE   where cargo's and clang's output is kept, and Wasmtime's Python package is looked for
      WASMTIME_PY   the folder of Wasmtime's Python package
      NODE          the node to ask, else the one in PATH
"""
import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

import products
from products import Unavailable

ROOT = products.FOLDER.parent.parent
CACHE = pathlib.Path(os.environ.get('ROTOR_CACHE') or
                     pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'rotor')
OUTPUT = CACHE / 'wide_products'
WASMTIME_PY = os.environ.get('WASMTIME_PY') or CACHE / 'wasmtime-50.0.1'
RUST_TARGET = 'wasm32-unknown-unknown'

# Columns of times. The first two are Rotor's.
ENGINES = ['without', 'with', 'native', 'Wasmtime', 'V8']
# Title and, for crates, the flags of the compiler and the functions that are theirs.
C_PRODUCERS = {'int128': 'C, unsigned __int128', 'rows': 'C, rows', 'carries': 'C, carries', 'cross': 'C, cross',
               'middle': 'C, middle', 'digits': 'C, digits'}
RUST_PRODUCERS = {'rust': ('Rust', '', r'.'),
                  'rust-dalek64': ('Rust, dalek for 64 bits', '--cfg curve25519_dalek_bits="64"', r'^dalek_')}


class Producer:
    """A module, the same natively, and the exports to look at."""

    def __init__(self, title, module, library, functions):
        self.title, self.module, self.library, self.functions = title, module, library, functions


class Gaps:
    """Why something is missing, for below the table."""

    def __init__(self):
        self.reasons = {}

    def add(self, what, why):
        self.reasons.setdefault(why, {})[what] = None

    def lines(self):
        return [f'{", ".join(what)}: not available: {why}' for why, what in self.reasons.items()]


def c_producers(gaps):
    library = {}
    try:
        products.output_of([products.FOLDER / 'c/build.sh', 'native', OUTPUT])
        library = {name: OUTPUT / f'{name}.so' for name in C_PRODUCERS}
    except (OSError, Unavailable) as error:
        gaps.add('C natively', f'{error} (clang-22 is needed)')
    functions = list(products.read_expected()[products.PROGRAMS])
    for name, title in C_PRODUCERS.items():
        yield Producer(title, products.WASM / f'{name}.wasm', library.get(name), functions)


def cargo(folder, flags, target=None):
    """The file that cargo builds of the crate."""
    command = ['cargo', 'build', '--release', '--locked', '--quiet', '--manifest-path',
               products.FOLDER / 'rust/Cargo.toml', '--target-dir', folder]
    products.output_of([*command, *(['--target', target] if target else [])], env={**os.environ, 'RUSTFLAGS': flags})
    return (folder / target / 'release/wide_products.wasm') if target else folder / 'release/libwide_products.so'


def rust_producers(gaps):
    if not shutil.which('cargo'):
        gaps.add('Rust', f'no cargo: get it with rustup, then `rustup target add {RUST_TARGET}`')
        return
    source = (products.FOLDER / 'rust/src/lib.rs').read_text(encoding='utf-8')
    functions = re.findall(r'extern "C" fn (\w+)', source)
    try:
        library = cargo(OUTPUT / 'rust-native', '-C target-cpu=native')
    except Unavailable as error:
        library = None
        gaps.add('Rust natively', str(error))
    for name, (title, flags, which) in RUST_PRODUCERS.items():
        try:
            module = cargo(OUTPUT / name, flags, RUST_TARGET)
        except Unavailable as error:
            gaps.add(title, f'{error} (crates.io and `rustup target add {RUST_TARGET}` are needed)')
            continue
        yield Producer(title, module, library, [function for function in functions if re.search(which, function)])


def command_of(engine, producer, build):
    if engine == 'native':
        if producer.library is None:
            raise Unavailable('see its own line')
        return [sys.executable, products.FOLDER / 'peer.py', 'native', producer.library]
    if engine == 'Wasmtime':
        if not pathlib.Path(WASMTIME_PY).is_dir():
            raise Unavailable(f'no {WASMTIME_PY}: scripts/setup.sh fetches it')
        return [sys.executable, products.FOLDER / 'peer.py', 'wasmtime', producer.module, WASMTIME_PY]
    if engine == 'V8':
        node = os.environ.get('NODE') or shutil.which('node')
        if not node:
            raise Unavailable('no node')
        return [node, '--no-liftoff', '--no-wasm-lazy-compilation', products.FOLDER / 'v8_peer.cjs', producer.module]
    return [build / 'bench/wide_bench', producer.module, {'without': 'o1-narrow', 'with': 'o1'}[engine]]


def runners_of(producer, build, gaps):
    runners = {}
    for engine in ENGINES:
        try:
            runners[engine] = products.Runner(command_of(engine, producer, build))
        except (OSError, Unavailable) as error:
            gaps.add(engine, str(error))
    return runners


def measure(runners, function, options):
    """{engine: nanoseconds a turn}. Exits if results differ."""
    turns = 100
    while runners['with'].call(function, turns)[1] < options.milliseconds * 1e6:
        turns *= 2
    spent = {engine: [] for engine in runners}
    results = {}
    for _ in range(options.runs):
        for engine, runner in runners.items():
            result, spent_ns = runner.call(function, turns)
            results[engine] = result
            spent[engine].append(spent_ns / turns)
    if len(set(results.values())) != 1:
        sys.exit(f'run.py: results of {function} differ: {results}')
    return {engine: statistics.median(times) for engine, times in spent.items()}


def time_text(nanoseconds):
    return '-' if nanoseconds is None else f'{nanoseconds:.0f}' if nanoseconds >= 100 else f'{nanoseconds:.1f}'


def ratio_text(times, engine):
    return f'{times["with"] / times[engine]:.2f}' if engine in times else '-'


def rows_of(producer, rotor, options, gaps):
    counts = [products.count_wasm(rotor, producer.module),
              products.count_code(rotor, producer.module, '--no-wide-products'),
              products.count_code(rotor, producer.module)]
    runners = runners_of(producer, options.build, gaps)
    for function in producer.functions:
        if options.only and not re.search(options.only, f'{producer.title} {function}'):
            continue
        times = measure(runners, function, options)
        yield ' | '.join(['', producer.title, function, *(str(count.of(function)) for count in counts),
                          *(time_text(times.get(engine)) for engine in ENGINES),
                          *(ratio_text(times, engine) for engine in ENGINES if engine != 'with'), '']).strip()
    for runner in runners.values():
        runner.close()


def header(options):
    def said(*command):
        try:
            return products.output_of(command).splitlines()[0]
        except (OSError, Unavailable):
            return f'{command[0]}: none'
    with open('/proc/cpuinfo', encoding='utf-8') as info:
        model = next((line.partition(':')[2].strip() for line in info if line.startswith('model name')), '?')
    commit = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty'], capture_output=True, text=True,
                            check=False).stdout.strip()
    node = os.environ.get('NODE') or 'node'
    return [f'{model}, {len(os.sched_getaffinity(0))} cores; Rotor {commit}; {said("clang-22", "--version")}; '
            f'{said("rustc", "--version")}; {pathlib.Path(WASMTIME_PY).name}; node {said(node, "--version")}',
            f'medians of {options.runs} runs of {options.milliseconds} ms and more; ns of CPU a turn; '
            'with/x below 1: faster than x']


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build/release')
    parser.add_argument('--quick', action='store_true', help='three short runs')
    parser.add_argument('--only', help='rows whose producer and function match this regular expression')
    options = parser.parse_args()
    options.runs, options.milliseconds = (3, 2) if options.quick else (9, 10)
    rotor = options.build / 'tools/rotor/rotor'
    for program in (rotor, options.build / 'bench/wide_bench'):
        if not program.is_file():
            sys.exit(f'run.py: there is no {program}: cmake --build {options.build} --target rotor_cli wide_bench')
    OUTPUT.mkdir(parents=True, exist_ok=True)
    gaps = Gaps()
    print('\n'.join(header(options)) + '\n')
    columns = ['producer', 'function', 'i64.mul', 'without', 'with',
               *(f'{engine}, ns' for engine in ENGINES),
               *(f'with/{engine}' for engine in ENGINES if engine != 'with')]
    print('| ' + ' | '.join(columns) + ' |\n' + '| --- | --- |' + ' ---: |' * (len(columns) - 2))
    for producer in [*c_producers(gaps), *rust_producers(gaps)]:
        for row in rows_of(producer, rotor, options, gaps):
            print(row, flush=True)
    print('\n'.join(['', *gaps.lines()]).rstrip())


if __name__ == '__main__':
    main()
