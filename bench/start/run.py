#!/usr/bin/env python3
"""Times how long kimchi_wasm takes to start on Rotor, Wasmtime and V8, and prints one table.

    bench/start/run.py [--runs N] [--rotor build/release/bench/start_bench] [--json FILE]

Each run is a fresh process; engines take turns, so that a slow minute hits all of them. Cells are medians, and in
brackets the ratio to Rotor's: above 1 is slower or larger than Rotor. What can't be had stands below the table with its
reason. Not a test: run it on a quiet machine.

Reads KIMCHI_WASM   the prover; else where scripts/setup.sh puts it
      ROTOR_CACHE   where Wasmtime's Python package is kept, fetched with pip if it is not there
      NODE          the node to ask, else the one in PATH
"""
import argparse
import collections
import gzip
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
CACHE = pathlib.Path(os.environ.get('ROTOR_CACHE') or
                     pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'rotor')
KIMCHI = 'o1js/node_modules/o1js/dist/node/bindings/compiled/node_bindings/kimchi_wasm_bg.wasm'
WASMTIME_VERSION = '50.0.1'
RUN_TIMEOUT_S = 600

EAGER = ['--no-wasm-lazy-compilation', '--no-wasm-tier-up']
COLUMNS = ['Rotor', 'Cranelift', 'Winch', 'V8']


class Gap(str):
    """Why a column has nothing in a row, instead of the tier to ask for."""


# What each column is told for a tier. V8: its flags, where it may compile lazily and where it must compile all.
FAST = {'Rotor': '0', 'Cranelift': 'cranelift-none', 'Winch': 'winch'}
BEST = {'Rotor': '1', 'Cranelift': 'cranelift', 'Winch': Gap('it has one tier')}
V8_LAZY = {'fast': [], 'best': ['--no-liftoff']}
V8_WHOLE = {'fast': ['--liftoff', *EAGER], 'best': ['--no-liftoff', *EAGER]}
V8_FILE = dict.fromkeys(('fast', 'best'), Gap('node has no API that writes compiled code to a file'))

# Letter, what is in the cells, mode of the programs, key of their answer, V8's flags.
MEASURES = [
    ('a', 'bytes to first result, wall ms', 'cold', 'result_ms', V8_LAZY),
    ('b', 'compiled whole on one core, CPU s', 'compile', 'cpu_s', V8_WHOLE),
    ('b', 'peak RSS, MB', 'compile', 'peak_mb', V8_WHOLE),
    ('b', 'peak RSS above that of the process before, MB', 'compile', 'grown_mb', V8_WHOLE),
    ('c', 'artifact to module ready, ms', 'load', 'module_ms', V8_FILE),
    ('c', 'artifact to first call of an export done, ms', 'load', 'started_ms', V8_FILE),
    ('c', 'artifact to first result, ms', 'load', 'result_ms', V8_FILE),
]
# From the automatic cache: Rotor's alone, in the mode lazy.
NO_CACHE = {column: Gap('its cache is not measured') for column in COLUMNS} | {'V8': Gap('node has no such cache')}
CACHE_MEASURES = [
    ('d', 'cache to module ready, ms', 'module_ms'),
    ('d', 'cache to first call of an export done, ms', 'started_ms'),
    ('d', 'cache to first result, ms', 'result_ms'),
]


def rows():
    """(letter, tier, what, mode, key, what each column is told)"""
    for tier, told in (('fast', FAST), ('best', BEST)):
        for letter, what, mode, key, v8 in MEASURES:
            # What a person waits for: functions are compiled as they are called, as V8 does it.
            ours = {'Rotor': 'lazy'} if mode == 'cold' and tier == 'fast' else {}
            yield letter, tier, what, mode, key, told | {'V8': v8[tier]} | ours
    for letter, what, key in CACHE_MEASURES:
        yield letter, 'lazy', what, 'cache', key, NO_CACHE | {'Rotor': 'lazy'}


class Unavailable(Exception):
    pass


def run(command, one_core=False):
    """The JSON that a program prints. Raises Unavailable with the last line it said instead."""
    core = {max(os.sched_getaffinity(0))}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
                              preexec_fn=(lambda: os.sched_setaffinity(0, core)) if one_core else None)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(said[-1] if said else f'exit status {done.returncode}')
    return json.loads(done.stdout)


class Engines:
    def __init__(self, rotor, kimchi, scratch):
        self.rotor, self.kimchi, self.scratch = rotor, kimchi, scratch
        self.node = os.environ.get('NODE') or shutil.which('node')
        self.package = CACHE / f'wasmtime-{WASMTIME_VERSION}'
        self.expected = self.expected_check()
        self.reasons = {}   # column -> why it can't be had at all
        self.versions = {}

    @staticmethod
    def expected_check():
        """What the guest must answer after its first result, as a recorded trace has it."""
        with gzip.open(ROOT / 'examples/kimchi/traces/kimchi_nopool_k6.jsonl.gz', 'rt') as trace:
            calls = [json.loads(line) for line in trace]
        return next(call[3][1] for call in calls if call[0] == '__wbg_get_wasmgvesta_x')

    def program(self, column, tier):
        if column == 'Rotor':
            return [self.rotor]
        if column == 'V8':
            return [self.node or 'node', *(tier or []), FOLDER / 'v8_start.cjs']
        return [sys.executable, FOLDER / 'wasmtime_start.py', self.package]

    def find(self):
        if not self.package.is_dir():
            pip = subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
                                  '--no-deps', '--target', self.package, f'wasmtime=={WASMTIME_VERSION}'],
                                 capture_output=True, text=True, check=False)
            if pip.returncode != 0:
                shutil.rmtree(self.package, ignore_errors=True)
                self.reasons['Cranelift'] = self.reasons['Winch'] = f'pip: {(pip.stderr.strip() or "failed").splitlines()[-1]}'
        for column in COLUMNS:
            if column in self.reasons:
                continue
            try:
                self.versions[column] = run([*self.program(column, None), 'version'])
            except Unavailable as error:
                self.reasons[column] = str(error)

    def artifact(self, column, tier):
        return self.scratch / f'{column}-{tier}.artifact'

    def arguments(self, column, mode, tier):
        """The command of one run. An artifact is made by the run that compiles, after what it measures."""
        tiers = [] if column == 'V8' else [tier]
        if mode == 'cache':
            return [*self.program(column, tier), mode, self.kimchi, self.scratch / 'cache']
        if mode == 'load':
            return [*self.program(column, tier), mode, self.artifact(column, tier), *tiers]
        command = [*self.program(column, tier), mode, self.kimchi, *tiers]
        if mode == 'compile' and column != 'V8':
            command.append(self.artifact(column, tier))
        return command

    def measure(self, column, mode, tier):
        if column in self.reasons:
            raise Unavailable(self.reasons[column])
        if mode == 'load' and not self.artifact(column, tier).exists():
            raise Unavailable('no artifact: see its row (b)')
        answer = run(self.arguments(column, mode, tier), one_core=mode == 'compile')
        if answer.get('check', self.expected) != self.expected:
            raise Unavailable(f'a wrong result: {answer["check"]}')
        if 'peak_mb' in answer:
            answer['grown_mb'] = answer['peak_mb'] - answer['before_mb']
        return answer


def jobs():
    """key: (mode, column, tier) of each process to run, once; those that compile before those that load."""
    return {job_key(mode, column, told[column]): (mode, column, told[column])
            for _, _, _, mode, _, told in rows() for column in COLUMNS if not isinstance(told[column], Gap)}


def job_key(mode, column, tier):
    return (mode, column, ' '.join(tier) if isinstance(tier, list) else tier)


def measure_all(engines, runs):
    answers, failed, all_jobs = {}, {}, jobs()
    for number in range(runs):
        for position, (key, (mode, column, tier)) in enumerate(all_jobs.items()):
            if key in failed:
                continue
            if sys.stderr.isatty():
                print(f'\r\033[Krun {number + 1} of {runs}, {position + 1} of {len(all_jobs)}: {column} {mode}',
                      end='', file=sys.stderr, flush=True)
            try:
                answers.setdefault(key, []).append(engines.measure(column, mode, tier))
            except Unavailable as error:
                failed[key] = str(error)
    if sys.stderr.isatty():
        print('\r\033[K', end='', file=sys.stderr)
    return answers, failed


def number_text(value):
    return f'{value:.0f}' if value >= 1000 else f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def table(answers, failed):
    """Lines of the table, then of the reasons for its gaps."""
    lines = ['| | tier | ' + ' | '.join(COLUMNS) + ' |', '| --- | --- |' + ' --- |' * len(COLUMNS)]
    gaps = {}
    for letter, tier, what, mode, field, told in rows():
        cells, ours = [], None
        for column in COLUMNS:
            key = job_key(mode, column, told[column])
            why = told[column] if isinstance(told[column], Gap) else failed.get(key)
            if why:
                gaps.setdefault((column, why), {})[f'({letter}) {tier}'] = None
                cells.append('-')
                continue
            value = statistics.median(answer[field] for answer in answers[key])
            if column == 'Rotor':
                ours = value
            cells.append(number_text(value) + (f' ({value / ours:.2g})' if column != 'Rotor' and ours else ''))
        lines.append(f'| ({letter}) {what} | {tier} | ' + ' | '.join(cells) + ' |')
    lines.append('')
    lines += [f'{column}: not available for {", ".join(where)}: {why}' for (column, why), where in gaps.items()]
    return lines


def cpu_model():
    with open('/proc/cpuinfo', encoding='utf-8') as info:
        found = {}
        for line in info:
            name, _, value = line.partition(':')
            found.setdefault(name.strip(), value.strip())
    return (f"{found.get('model name', platform.processor())} (family {found.get('cpu family')}, "
            f"model {found.get('model')}), {len(os.sched_getaffinity(0))} cores")


def header(engines, runs):
    commit = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty'], capture_output=True, text=True,
                            check=False).stdout.strip()
    versions = engines.versions
    rotor, wasmtime, v8 = (versions.get(column, collections.defaultdict(lambda: '?'))
                           for column in ('Rotor', 'Cranelift', 'V8'))
    return [
        f'{cpu_model()}; {platform.system()} {platform.release()}',
        f"Rotor {rotor['version']} ({commit or 'no git'}), LLVM {rotor['llvm']}: tiers are --opt 0 and --opt 1; (a) fast and (d) are --mode lazy",
        f"Wasmtime {wasmtime['version']} (Python package, Python {wasmtime['python']}): Cranelift's tiers are opt_level none "
        'and speed',
        f"V8 {v8['version']} (node {v8['node']}): tiers are Liftoff and TurboFan; in (a) lazily, as it comes",
        f'medians of {runs} runs; in brackets the ratio to Rotor, above 1: slower or larger',
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--rotor', type=pathlib.Path, default=ROOT / 'build/release/bench/start_bench')
    parser.add_argument('--json', type=pathlib.Path, help='writes every single answer there')
    options = parser.parse_args()
    kimchi = pathlib.Path(os.environ.get('KIMCHI_WASM') or CACHE / KIMCHI)
    if not kimchi.is_file():
        sys.exit(f'run.py: there is no {kimchi}: set KIMCHI_WASM')
    if not options.rotor.is_file():
        sys.exit(f'run.py: there is no {options.rotor}: cmake --build build/release --target start_bench')
    with tempfile.TemporaryDirectory() as scratch:
        engines = Engines(options.rotor.resolve(), kimchi, pathlib.Path(scratch))
        engines.find()
        print('\n'.join(header(engines, options.runs)))
        before = os.getloadavg()[0]
        answers, failed = measure_all(engines, options.runs)
        print(f'load average before {before:.1f}, after {os.getloadavg()[0]:.1f}\n')
        print('\n'.join(table(answers, failed)))
    if options.json:
        options.json.write_text(json.dumps({' '.join(key): value for key, value in answers.items()}, indent=1) + '\n',
                                encoding='utf-8')


if __name__ == '__main__':
    main()
