#!/usr/bin/env python3
"""Times o1js's prover beside V8 and Wasmtime, with and without the pass for wide products, and prints two tables.

    bench/wide_products/prover.py [--runs N] [--build build/release] [--traces NAME,...] [--workers 1,2]
                                  [--v8-replay REPLAY.mjs] [--wasmtime-replay PROGRAM]

The first is of single field operations, each on the result of the last: functions of kimchi that call nothing, taken out
of it byte for byte and put into a module of their own with a loop. The second is of whole traces (examples/kimchi/traces),
process CPU less compiling where that can be told apart: Rotor runs a code file, Wasmtime's replayer says what it took, V8
compiles as it goes. Engines take turns; cells are medians. Every result is compared.

Hosts of the prover for V8 and Wasmtime are no part of Rotor: without the options those columns are missing. Both must take
a trace as `rotor replay` does and print a line of JSON.

Reads KIMCHI_WASM, ROTOR_CACHE, WASMTIME_PY, NODE as run.py beside it does.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys

import products
import run

KIMCHI = 'o1js/node_modules/o1js/dist/node/bindings/compiled/node_bindings/kimchi_wasm_bg.wasm'
# What to call them, and what their names end with; both fields' are timed, the first in order of index.
OPERATIONS = {'mul_assign': ('MulAssign<&', '::mul_assign', 2), 'square': ('FpConfig<4usize>>', '::square_in_place', 1),
              'sum_of_products<2>': ('MontConfig<4usize>>', '::sum_of_products::<2usize>', 3)}
# Bytes of memory at which the operands lie, and what a trial adds up.
PLACES = [1024, 1088, 1152]


class Reader:
    """A cursor over wasm bytes."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        result = shift = 0
        while True:
            byte = self.byte()
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    def bytes(self):
        size = self.number()
        self.at += size
        return self.data[self.at - size:self.at]

    def done(self):
        return self.at == len(self.data)


def leb(number):
    out = bytearray()
    while True:
        byte, number = number & 127, number >> 7
        out.append(byte | (128 if number else 0))
        if not number:
            return bytes(out)


def signed(number):
    out = bytearray()
    while True:
        byte, number = number & 127, number >> 7
        last = number == (-1 if byte & 64 else 0)
        out.append(byte | (0 if last else 128))
        if last:
            return bytes(out)


def sections_of(module):
    reader = Reader(module, 8)
    sections = {}
    while not reader.done():
        kind, data = reader.byte(), reader.bytes()
        if kind == 0:
            custom = Reader(data)
            name = custom.bytes()
            sections[name] = data[custom.at:]
        else:
            sections[kind] = data
    return sections


def body_of(sections, defined):
    reader = Reader(sections[10])
    reader.number()
    for _ in range(defined):
        reader.bytes()
    return reader.bytes()


def imported_functions(sections):
    reader, count = Reader(sections[2]), 0
    for _ in range(reader.number()):
        reader.bytes()
        reader.bytes()
        kind = reader.byte()
        if kind == 0:
            reader.number()
            count += 1
        elif kind == 2:
            flags = reader.number()
            reader.number()
            if flags & 1:
                reader.number()
        elif kind == 3:
            reader.at += 2
        else:
            raise products.Unavailable(f'an import of kind {kind}')
    return count


def names_of(sections):
    reader = Reader(sections[b'name'])
    while not reader.done():
        kind, data = reader.byte(), Reader(reader.bytes())
        if kind == 1:
            return [(data.number(), data.bytes().decode()) for _ in range(data.number())]
    raise products.Unavailable('the module has no names of functions')


def section(kind, data):
    return bytes([kind]) + leb(len(data)) + data


def loop_module(body, operands):
    """(export "run" (func i64 -> i64)): turns of the operation, two a turn of the loop, on what the last one left."""
    def i32(value):
        return b'\x41' + signed(value)

    def call(places):
        return b''.join(i32(place) for place in places) + b'\x10\x00'

    # sum_of_products reads two pairs at the second and third place: limbs stand behind one another.
    first, second = (PLACES[:operands], [PLACES[1], PLACES[0], PLACES[2]][:operands])
    code = bytearray(b'\x00')
    for place in PLACES:
        for limb in range(8):
            value = (0x0123456789abcdef * (place + limb)) & (2**61 - 1 if limb % 4 == 3 else 2**63 - 1)
            code += i32(place) + b'\x42' + signed(value) + b'\x37\x03' + leb(8 * limb)
    code += b'\x03\x40' + call(first) + call(second if operands > 1 else first)
    code += b'\x20\x00\x42\x02\x7d\x22\x00\x42\x00\x55\x0d\x00\x0b'  # turns -= 2, again if it is above 0
    code += b'\x42\x00' + b''.join(
        i32(PLACES[0]) + b'\x29\x03' + leb(8 * limb) + b'\x85' for limb in range(4)) + b'\x0b'
    types = b'\x02\x60' + leb(operands) + b'\x7f' * operands + b'\x00' + b'\x60\x01\x7e\x01\x7e'
    bodies = leb(2) + leb(len(body)) + body + leb(len(code)) + bytes(code)
    return (b'\0asm\x01\0\0\0' + section(1, types) + section(3, b'\x02\x00\x01') + section(5, b'\x01\x00\x01') +
            section(7, b'\x01\x03run\x00\x01') + section(10, bodies))


def operation_rows(options, gaps):
    sections = sections_of(options.kimchi.read_bytes())
    imported, names = imported_functions(sections), names_of(sections)
    for title, (within, end, operands) in OPERATIONS.items():
        index = next(index for index, name in names if within in name and name.endswith(end) and 'pasta' in name)
        path = run.OUTPUT / f'{title.partition("<")[0]}.wasm'
        path.write_bytes(loop_module(body_of(sections, index - imported), operands))
        counts = [products.count_wasm(options.rotor, path),
                  products.count_code(options.rotor, path, '--no-wide-products'),
                  products.count_code(options.rotor, path)]
        producer = run.Producer(title, path, None, ['run'])
        runners = run.runners_of(producer, options.build, gaps)
        runners.pop('native', None)
        times = run.measure(runners, 'run', options)
        for runner in runners.values():
            runner.close()
        # The loop has two calls of it.
        yield [f'{title} (function {index})', *(str(count.of('run') // 2) for count in counts),
               *(run.time_text(times.get(engine)) for engine in ('with', 'without', 'Wasmtime', 'V8')),
               *(run.ratio_text(times, engine) for engine in ('without', 'Wasmtime', 'V8'))]


def cpu_of(command, environment=None):
    """(CPU seconds of the process, the last line of JSON it printed)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{')]
    if done.returncode or not lines:
        sys.exit(f'prover.py: {command[0]}: {done.stderr.strip() or done.stdout}')
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, json.loads(lines[-1])


def replay(engine, trace, workers, options):
    """(CPU seconds, results that were compared, of them equal)"""
    if engine == 'V8':
        cpu_s, said = cpu_of([os.environ.get('NODE') or 'node', options.v8_replay],
                             {'TRACE': str(trace), 'POOL': str(workers)})
        return cpu_s, said['ok'] + said['bad'], said['ok']
    if engine == 'Wasmtime':
        _, said = cpu_of([options.wasmtime_replay, 'replay', options.kimchi, trace, str(workers)])
        return said['cpu_ms'] / 1000, said['checked'], said['equal']
    _, said = cpu_of([options.rotor, 'replay', '--module', options.code[engine], '--trace', trace, '--workers',
                      str(workers), '--json'])
    return said['cpu_ms'] / 1000, said['checked'], said['equal']


def trace_rows(options, engines):
    options.code = {}
    for engine, flags in (('with', []), ('without', ['--no-wide-products'])):
        options.code[engine] = run.OUTPUT / f'kimchi-{engine}.rotor'
        products.output_of([options.rotor, 'compile', options.kimchi, '-o', options.code[engine], *flags])
    for trace in options.traces:
        for workers in options.workers:
            spent = {engine: [] for engine in engines}
            for _ in range(options.runs):
                for engine in engines:
                    cpu_s, checked, equal = replay(engine, trace, workers, options)
                    if checked != equal or not checked:
                        sys.exit(f'prover.py: {engine}, {trace.name}: {equal} of {checked} results are equal')
                    spent[engine].append(cpu_s)
            times = {engine: statistics.median(values) for engine, values in spent.items()}
            yield [trace.name.partition('.')[0], str(workers), f'{equal} of {checked}',
                   *(f'{times[engine]:.2f}' if engine in times else '-'
                     for engine in ('with', 'without', 'Wasmtime', 'V8')),
                   *(run.ratio_text(times, engine) for engine in ('without', 'Wasmtime', 'V8'))]


def table(columns, rows):
    print('| ' + ' | '.join(columns) + ' |\n| --- |' + ' ---: |' * (len(columns) - 1))
    for row in rows:
        print('| ' + ' | '.join(row) + ' |', flush=True)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--build', type=pathlib.Path, default=run.ROOT / 'build/release')
    parser.add_argument('--traces', default='kimchi_nopool_k6,kimchi_k8,o1js_compile_prove')
    parser.add_argument('--workers', default='1,2')
    parser.add_argument('--v8-replay', type=pathlib.Path)
    parser.add_argument('--wasmtime-replay', type=pathlib.Path)
    options = parser.parse_args()
    options.milliseconds = 20
    options.rotor = options.build / 'tools/rotor/rotor'
    options.kimchi = pathlib.Path(os.environ.get('KIMCHI_WASM') or run.CACHE / KIMCHI)
    options.traces = [run.ROOT / f'examples/kimchi/traces/{name}.jsonl.gz' for name in options.traces.split(',')]
    options.workers = [int(workers) for workers in options.workers.split(',')]
    for file in (options.rotor, options.build / 'bench/wide_bench', options.kimchi, *options.traces):
        if not file.is_file():
            sys.exit(f'prover.py: there is no {file}')
    run.OUTPUT.mkdir(parents=True, exist_ok=True)
    print('\n'.join(run.header(options)[:1]) + f'; medians of {options.runs} runs\n')
    gaps = run.Gaps()
    rotor = ['Rotor', 'without the pass', 'Wasmtime', 'V8', 'Rotor/without', 'Rotor/Wasmtime', 'Rotor/V8']
    table(['ns of CPU a dependent operation', 'i64.mul', 'multiplications without the pass', 'with', *rotor],
          operation_rows(options, gaps))
    engines = ['with', 'without']
    if options.wasmtime_replay:
        engines.append('Wasmtime')
    if options.v8_replay:
        engines.append('V8')
    table(['CPU seconds of a trace', 'workers', 'results equal', *rotor], trace_rows(options, engines))
    gaps.reasons.pop('see its own line', None)  # of native code: there is none
    print('\n'.join(gaps.lines()))


if __name__ == '__main__':
    main()
