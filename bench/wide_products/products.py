"""What the table and the test of wide products share: programs that run exports, and how multiplications are counted.

A function's count includes those it calls, as often as there are calls in its code: so a call of __multi3 costs its
multiplications, whether it was inlined or not. Calls through tables and imports count nothing.
"""
import functools
import pathlib
import re
import subprocess
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
WASM = FOLDER / 'wasm'
EXPECTED = FOLDER / 'expected.txt'
# The ways to write a product. Each has a module of programs and one of shapes; suffixes of their names.
IDIOMS = ['int128', 'rows', 'carries', 'cross', 'middle', 'digits']
PROGRAMS, SHAPES = '', '-shapes'


class Unavailable(Exception):
    """Why something can't be had: the last line that a program said."""


def output_of(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(said[-1] if said else f'{command[0]}: exit status {done.returncode}')
    return done.stdout


class Runner:
    """A process that reads `NAME TURNS` and answers `RESULT NANOSECONDS`: wide_bench.cc, peer.py or v8_peer.cjs."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)

    def call(self, name, turns):
        """(result, nanoseconds)"""
        try:
            self.process.stdin.write(f'{name} {turns}\n')
            self.process.stdin.flush()
            result, spent_ns = self.process.stdout.readline().split()
        except (OSError, ValueError) as error:
            said = self.process.communicate()[1].strip().splitlines()
            raise Unavailable(said[-1] if said else str(error)) from error
        return int(result), int(spent_ns)

    def close(self):
        self.process.communicate()


class Counts:
    """Multiplications by function, from the functions' own and from what they call."""

    def __init__(self):
        self.own, self.calls, self.numbers = {}, {}, {}

    def function(self, index, name=None):
        self.own[index], self.calls[index] = 0, []
        if name is not None:
            self.numbers[name] = index

    def of(self, name):
        @functools.cache
        def total(index, seen):
            if index in seen or index not in self.own:  # recursion; an import
                return 0
            return self.own[index] + sum(total(callee, seen | {index}) for callee in self.calls[index])
        return total(self.numbers[name], frozenset())


def count_wasm(rotor, module):
    """i64.mul in a module."""
    counts, index, exports = Counts(), None, {}
    with tempfile.NamedTemporaryFile(suffix='.wat') as text:
        output_of([rotor, 'wasm2wat', '--no-names', '--no-custom', module, '-o', text.name])
        for line in pathlib.Path(text.name).read_text(encoding='utf-8').splitlines():
            if found := re.match(r' *\(export "([^"]*)" \(func (\d+)\)\)', line):
                exports[int(found[2])] = found[1]
            elif found := re.match(r'  \(func \(;(\d+);\)', line):
                index = int(found[1])
                counts.function(index, exports.get(index))
            elif found := re.match(r' *(?:return_)?call (\d+)$', line):
                counts.calls[index].append(int(found[1]))
            elif re.match(r' *i64\.mul$', line):
                counts.own[index] += 1
    return counts


def count_code(rotor, module, *flags):
    """`mul` of 64 and 128 bits in a module's functions after --opt 1; those by 1 become nothing."""
    counts, index, name = Counts(), None, None
    for line in output_of([rotor, 'compile', module, '--emit', 'llvm-ir', '--opt', '1', *flags]).splitlines():
        if found := re.match(r'; "(.*)"$', line):
            name = found[1]
        elif found := re.match(r'define .*@f(\d+)\(', line):
            index = int(found[1])
            counts.function(index, name)
        elif line == '}':
            index = None
        elif index is not None and (found := re.search(r'\bcall .*@f(\d+)\(', line)):
            counts.calls[index].append(int(found[1]))
        elif index is not None and re.search(r'= mul (?:nuw |nsw )*i(?:64|128) ', line) and not re.search(r', 1\b', line):
            counts.own[index] += 1
    return counts


def read_expected():
    """{PROGRAMS or SHAPES: {function: (turns, result, {idiom: multiplications})}}"""
    tables = {PROGRAMS: {}, SHAPES: {}}
    for line in EXPECTED.read_text(encoding='utf-8').splitlines():
        cells = line.split()
        if line.startswith('#') or not cells:
            continue
        function, turns, result, *counts = cells
        table = tables[SHAPES if function.startswith('shape_') else PROGRAMS]
        table[function.removeprefix('shape_')] = int(turns), int(result), dict(zip(IDIOMS, map(int, counts), strict=True))
    return tables
