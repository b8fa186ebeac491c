#!/usr/bin/env python3
"""run.py: Rotor, at --opt 0 and 1 and with values in frames, against Wasmtime, on modules that `wasm-tools smith` makes.

    run.py --rotor build/dev/fuzz/differential/rotor_diff --modules 1000 --seed 1
    run.py --rotor … --hours 8 --seed $RANDOM --jobs 2
    run.py --rotor … --wide --modules 1000
    run.py --rotor … --check MODULE.wasm --call-seed N

Results, traps, globals, tables, memories and calls of imports must be the same. What is not is put into --out: the
module, its text, and both transcripts' difference, made smaller by `wasm-tools shrink` with --shrink. The last line
counts. Exits with 1 if there was a difference. Module number I of a seed is the same in each run, of the same
--only.

With --wide the modules are those of wide_modules.py, and Rotor runs at --opt 1 without wide products too; with
--accesses those of access_modules.py; with --objects those of gc_modules.py, and Rotor runs with a collection at each
allocation too. With --cpus Rotor runs for each set of CPU features that this machine has; those
that it lacks are named.

The environment: WASM_TOOLS names wasm-tools, WASMTIME_PY the folder of the wheel `wasmtime` (scripts/setup.sh).
"""
import argparse
import collections
import difflib
import json
import os
import pathlib
import random
import re
import select
import shlex
import subprocess
import sys
import tempfile
import threading
import time

import access_modules
import configs
import gc_modules
import wide_modules

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'cmake'))
import run_test  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 30  # of one module on one side; most take milliseconds
GENERATE_TIMEOUT_S = 20


class Side:
    """An engine: a process that answers module by module, started again after a crash."""

    def __init__(self, name, command, environment=None):
        self.name, self.command, self.environment = name, command, environment
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=self.environment)

    def stop(self):
        """Ends the process; what it said last on stderr."""
        if self.process is None:
            return ''
        self.process.kill()
        _, errors = self.process.communicate()
        self.process = None
        return ' '.join(errors.decode(errors='replace').split())[-300:]

    def transcript(self, seed, path):
        """Its lines. A crash or a hang is the last one then."""
        if self.process is None:
            self.start()
        try:
            self.process.stdin.write(f'{seed} {path}\n'.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the read below tells
        data, deadline = b'', time.monotonic() + TIMEOUT_S
        output = self.process.stdout
        while not data.endswith(b'\nend\n'):
            ready, _, _ = select.select([output], [], [], max(0, deadline - time.monotonic()))
            part = os.read(output.fileno(), 1 << 16) if ready else b''
            if not part:
                return data.decode().split('\n')[:-1] + [self.failure(hang=not ready)]
            data += part
        return data.decode().split('\n')[:-2]

    def failure(self, hang):
        if hang:
            self.stop()
            return f'hang: no answer in {TIMEOUT_S} s'
        status = self.process.wait()
        return f'crash: exit status {status}: {self.stop()}'


class Sides:
    """Wasmtime, and Rotor at both levels and with all values in frames, as functions have that would take too long to
    compile; with `wide`, also without wide products; with `cpus`, at both levels for each of them. Modules with objects
    run once more at both levels, with a collection at each allocation."""

    def __init__(self, rotor, mode, wasmtime, wide, cpus=('native',)):
        environment = os.environ | {'PYTHONPATH': wasmtime}
        self.reference = Side('wasmtime', [sys.executable, str(HERE / 'wasmtime_side.py')], environment)
        self.rotors = [Side(f'rotor-o{level}-{cpu}', [rotor, '--opt', str(level), '--mode', mode, '--cpu', cpu])
                       for level in (0, 1) for cpu in cpus]
        self.rotors.append(Side('rotor-frames', [rotor, '--mode', mode, '--frames', 'on']))
        if wide:
            self.rotors.append(Side('rotor-o1-narrow', [rotor, '--mode', mode, '--wide-products', 'off']))

        self.collecting = [Side(f'rotor-o{level}-collecting', [rotor, '--opt', str(level), '--mode', mode,
                                                                '--gc-stress', 'on']) for level in (0, 1)]

    def stop(self):
        for side in [self.reference, *self.rotors, *self.collecting]:
            side.stop()

    def compare(self, seed, path, objects=False):
        """(the reference's transcript, {side: its transcript where that differs}). `objects`: the module has them."""
        expected = self.reference.transcript(seed, path)
        differing = {}
        for side in self.rotors + (self.collecting if objects else []):
            actual = side.transcript(seed, path)
            if not same(expected, actual):
                differing[side.name] = actual
        return expected, differing


def same(expected, actual):
    """Equal, up to where one of the two runs out of stack: engines need not agree on how much there is."""
    ends = [len(lines) - 1 for lines in (expected, actual) if lines[-1].startswith('stop ')]
    if ends:
        end = min(ends)
        return expected[:end] == actual[:end]
    return expected == actual


class SmithGenerator:
    """Modules by number."""

    def __init__(self, tool, seed, folder, only='.*'):
        self.tool, self.seed, self.folder = tool, seed, folder
        self.configs = [config for config in configs.enabled() if re.fullmatch(only, config.name)]
        for config in self.configs:
            imports = folder / f'{config.name}.imports.wasm'
            (folder / 'imports.wat').write_text(configs.imports(config))
            subprocess.run([tool, 'parse', folder / 'imports.wat', '-o', imports], check=True)
            options = configs.smith_options(config) | {'available-imports': str(imports)}
            (folder / f'{config.name}.json').write_text(json.dumps(options))

    def config(self, index):
        return self.configs[index % len(self.configs)].name

    def objects(self, index):
        return 'gc' in self.configs[index % len(self.configs)].features

    def call_seed(self, index):
        return random.Random(f'{self.seed}:{index}:calls').getrandbits(64)

    def make(self, index, path):
        """False if smith makes nothing of these bytes, which happens, or what is not to be run."""
        data = random.Random(f'{self.seed}:{index}').randbytes(configs.SEED_BYTES)
        made = subprocess.run([self.tool, 'smith', '--ensure-termination', '--fuel', str(configs.FUEL), '-c',
                               self.folder / f'{self.config(index)}.json', '-o', path], input=data,
                              stderr=subprocess.PIPE, timeout=GENERATE_TIMEOUT_S)
        if made.returncode not in (0, 2):
            raise RuntimeError('wasm-tools smith: ' + made.stderr.decode(errors='replace'))
        avoid = self.configs[index % len(self.configs)].avoid
        if made.returncode == 0 and avoid:
            text = subprocess.run([self.tool, 'print', path], stdout=subprocess.PIPE, check=True).stdout
            return not re.search(avoid.encode(), text, re.MULTILINE)
        return made.returncode == 0


class TextGenerator:
    """The same of a Python module's that writes them as text."""

    def __init__(self, name, maker, tool, seed, folder):
        self.name, self.maker, self.tool, self.seed, self.folder = name, maker, tool, seed, folder

    def config(self, _):
        return self.name

    def objects(self, _):
        return self.maker is gc_modules

    def call_seed(self, index):
        return random.Random(f'{self.seed}:{index}:calls').getrandbits(64)

    def make(self, index, path):
        text = self.maker.module(random.Random(f'{self.seed}:{index}'))
        subprocess.run([self.tool, 'parse', '-', '-o', path], input=text.encode(), check=True)
        return True


def generator_of(arguments, folder):
    if arguments.wide:
        return TextGenerator('wide', wide_modules, arguments.tool, arguments.seed, folder)
    if arguments.accesses:
        return TextGenerator('accesses', access_modules, arguments.tool, arguments.seed, folder)
    if arguments.objects:
        return TextGenerator('objects', gc_modules, arguments.tool, arguments.seed, folder)
    return SmithGenerator(arguments.tool, arguments.seed, folder, arguments.only)


def sides_of(arguments):
    cpus = [cpu for cpu in run_test.CPUS if not run_test.missing_features(cpu)] if arguments.cpus else ['native']
    return Sides(arguments.rotor, arguments.mode, arguments.wasmtime, arguments.wide, cpus)


class Campaign:
    """The whole run, whose counts its jobs add to."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.lock = threading.Lock()
        self.next_index = 0
        self.counts = collections.Counter()
        self.per_config = collections.Counter()
        self.deadline = time.monotonic() + arguments.hours * 3600 if arguments.hours else None
        self.failed = None  # what ended a job early

    def take(self):
        """The next module's number; None: enough."""
        with self.lock:
            over = self.next_index >= self.arguments.modules if self.deadline is None else \
                time.monotonic() >= self.deadline
            if over or self.failed:
                return None
            self.next_index += 1
            return self.next_index - 1 + self.arguments.first

    def job(self, generator, number):
        sides = sides_of(self.arguments)
        path = generator.folder / f'module-{number}.wasm'
        try:
            while (index := self.take()) is not None:
                self.one(generator, sides, index, path)
        except Exception as error:  # a job that dies must not pass for one that found nothing
            self.failed = error
        finally:
            sides.stop()

    def one(self, generator, sides, index, path):
        made = generator.make(index, path)
        with self.lock:
            self.counts['modules' if made else 'not made'] += 1
        if not made:
            return
        seed = generator.call_seed(index)
        expected, differing = sides.compare(seed, path, generator.objects(index))
        with self.lock:
            self.per_config[generator.config(index)] += 1
            self.counts['calls'] += sum(line.startswith('call ') for line in expected)
            self.counts['traps'] += sum(' trap ' in line for line in expected)
            self.counts['instances'] += expected.count('instance ok')
            self.counts['stopped'] += expected[-1].startswith('stop ')
            if self.counts['modules'] % 1000 == 0:
                print(f'{self.counts["modules"]} modules, {self.counts["differences"]} differences', flush=True)
            if not differing:
                return
            self.counts['differences'] += 1
            folder = self.arguments.out / f'seed{self.arguments.seed}-{index}-{generator.config(index)}'
            report(folder, self.arguments, path, seed, generator.objects(index), expected, differing)

    def summary(self):
        each = ', '.join(f'{name} {count}' for name, count in sorted(self.per_config.items()))
        return (f'configs: {each}\n'
                f'{self.counts["modules"]} modules ({self.counts["not made"]} not made), '
                f'{self.counts["instances"]} instances, {self.counts["calls"]} calls, {self.counts["traps"]} traps, '
                f'{self.counts["stopped"]} out of stack, {self.counts["differences"]} differences')


def first_difference(expected, actual):
    """What shrinking must keep: the words before any number of the first pair of lines that differ."""
    for left, right in zip(expected + ['end'], actual + ['end']):
        if left != right:
            return [' '.join(word for word in line.replace('(', ' ').split() if word.isalpha())
                    for line in (left.split(' = ')[0], right.split(' = ')[0])]
    return None


def report(folder, arguments, path, seed, objects, expected, differing):
    folder.mkdir(parents=True, exist_ok=True)
    module = folder / 'module.wasm'
    module.write_bytes(path.read_bytes())
    text = ''
    for name, actual in differing.items():
        text += '\n'.join(difflib.unified_diff(expected, actual, 'wasmtime', name, lineterm='', n=2)) + '\n'
    (folder / 'difference.txt').write_text(text)
    again = [sys.executable, str(HERE / 'run.py'), '--rotor', arguments.rotor, '--mode', arguments.mode,
             *(['--wide'] if arguments.wide else []), *(['--objects'] if objects else []),
             *(['--cpus'] if arguments.cpus else []), '--call-seed', str(seed), '--check']
    (folder / 'again.sh').write_text(f'#!/bin/sh\nexec {shlex.join(again)} "${{1:-{module}}}"\n')
    (folder / 'again.sh').chmod(0o755)
    print(f'difference: {folder}\n' + '\n'.join(text.split('\n')[:12]), flush=True)
    if arguments.shrink:
        shrink(folder, arguments, again, differing, expected)
    smallest = folder / 'shrunken.wasm'
    with open(folder / 'module.wat', 'w', encoding='utf-8') as out:
        subprocess.run([arguments.tool, 'print', smallest if smallest.exists() else module], stdout=out, check=False)


def shrink(folder, arguments, again, differing, expected):
    """A predicate that holds if the same kind of difference is there, for `wasm-tools shrink`."""
    kind = json.dumps({name: first_difference(expected, actual) for name, actual in differing.items()})
    predicate = folder / 'predicate.sh'
    predicate.write_text(f'#!/bin/sh\nexec {shlex.join(again[:-1])} --same-as {shlex.quote(kind)} --check "$1"\n')
    predicate.chmod(0o755)
    subprocess.run([arguments.tool, 'shrink', '--attempts', str(arguments.shrink), predicate, folder / 'module.wasm',
                    '-o', folder / 'shrunken.wasm'], check=False, stdout=subprocess.DEVNULL)


def check(arguments):
    """One module: prints what differs and exits with 1; with --same-as as `wasm-tools shrink` wants it."""
    sides = sides_of(arguments)
    expected, differing = sides.compare(arguments.call_seed, arguments.check, arguments.objects)
    sides.stop()
    if arguments.same_as:
        kind = {name: first_difference(expected, actual) for name, actual in differing.items()}
        return 0 if kind == json.loads(arguments.same_as) else 1
    for name, actual in differing.items():
        print('\n'.join(difflib.unified_diff(expected, actual, 'wasmtime', name, lineterm='', n=2)))
    return 1 if differing else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rotor', required=True, help='the program rotor_diff')
    parser.add_argument('--mode', default='aot', help='when Rotor compiles: aot (the default), eager or lazy')
    parser.add_argument('--wide', action='store_true', help='modules full of 128-bit products, instead of smith\'s')
    parser.add_argument('--accesses', action='store_true', help='modules of accesses at the end of memory')
    parser.add_argument('--objects', action='store_true', help='modules of structures, arrays and casts')
    parser.add_argument('--cpus', action='store_true', help='each set of CPU features that this machine has')
    parser.add_argument('--only', default='.*', metavar='PATTERN', help='the configs whose whole name this matches')
    parser.add_argument('--modules', type=int, default=1000)
    parser.add_argument('--modules-in-ci', type=int, help='instead of --modules, with CI=true in the environment')
    parser.add_argument('--hours', type=float, help='instead of --modules: for how long')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--first', type=int, default=0, help="number of the first module")
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('--out', type=pathlib.Path, default=pathlib.Path('differences'))
    parser.add_argument('--shrink', type=int, metavar='ATTEMPTS',
                        help='makes what differs smaller, in so many attempts')
    parser.add_argument('--check', metavar='MODULE', help='just this module')
    parser.add_argument('--call-seed', type=int, default=1, help='for --check: what its calls are made of')
    parser.add_argument('--same-as', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.tool, arguments.wasmtime = os.environ.get('WASM_TOOLS'), os.environ.get('WASMTIME_PY')
    if not arguments.tool or not arguments.wasmtime:
        parser.error('WASM_TOOLS and WASMTIME_PY must be set: `source scripts/setup.sh; rotor_setup`')
    if arguments.modules_in_ci is not None and os.environ.get('CI') == 'true':
        arguments.modules = arguments.modules_in_ci
    return arguments


def main():
    arguments = parse()
    if arguments.check:
        return check(arguments)
    campaign, started = Campaign(arguments), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        generator = generator_of(arguments, pathlib.Path(folder))
        jobs = [threading.Thread(target=campaign.job, args=(generator, n)) for n in range(arguments.jobs)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
    if campaign.failed:
        raise campaign.failed
    for cpu in run_test.CPUS if arguments.cpus else ():
        if missing := run_test.missing_features(cpu):
            print(f'skipped: {cpu}: this CPU lacks ' + ', '.join(missing))
    print(f'{time.monotonic() - started:.0f} s, seed {arguments.seed}, {campaign.summary()}')
    return 1 if campaign.counts['differences'] or not campaign.counts['modules'] else 0


if __name__ == '__main__':
    sys.exit(main())
