#!/usr/bin/env python3
"""Tests the committed modules: results at each level against native ones, and multiplications against expected.txt.

    check.py --rotor ROTOR --bench WIDE_BENCH            a line a fault, exit 1 if there is one
    check.py --rotor ROTOR --update                      writes expected.txt anew; needs clang-22
    check.py --rebuild                                   the committed modules are what c/build.sh makes of the sources;
                                                         exit 77 without the clang-22 that they were made with
"""
import argparse
import filecmp
import pathlib
import re
import shutil
import sys
import tempfile

import products

LEVELS = ['o0', 'o1-narrow', 'o1']
TURNS = {products.PROGRAMS: 300, products.SHAPES: 20000}
SKIPPED = 77


def modules():
    """(idiom, PROGRAMS or SHAPES, name of the module)"""
    return [(idiom, kind, idiom + kind) for kind in (products.PROGRAMS, products.SHAPES) for idiom in products.IDIOMS]


def counted(function, kind):
    """The function whose multiplications count: of a shape's export not the loop, which calls it through a pointer."""
    return f'shape_{function}' if kind == products.SHAPES else function


def check_results(bench, module, expected):
    faults = []
    for level in LEVELS:
        runner = products.Runner([bench, products.WASM / f'{module}.wasm', level])
        for function, (turns, result, _) in expected.items():
            got, _ = runner.call(function, turns)
            if got != result:
                faults.append(f'{module} {function} {level}: {got}, but natively {result}')
        runner.close()
    return faults


def check_counts(rotor, idiom, kind, expected):
    """Faults, and what became better."""
    faults, better = [], []
    counts = products.count_code(rotor, products.WASM / f'{idiom}{kind}.wasm')
    for function, (_, _, most) in expected.items():
        got = counts.of(counted(function, kind))
        if got != most[idiom]:
            (faults if got > most[idiom] else better).append(
                f'{idiom} {function}: {got} multiplications, {most[idiom]} expected')
    return faults, better


def check(rotor, bench):
    expected = products.read_expected()
    faults = []
    for idiom, kind, module in modules():
        faults += check_results(bench, module, expected[kind])
        too_many, better = check_counts(rotor, idiom, kind, expected[kind])
        faults += too_many
        for line in better:
            print(f'{line}: better than expected.txt says; check.py --update writes it down')
    print('\n'.join(faults))
    return 1 if faults else 0


def exports_of(source):
    return re.findall(r'^(?:EXPORT|SHAPE)\(\s*(?!name\b)(\w+)', source.read_text(encoding='utf-8'), re.MULTILINE)


def line_of(cells):
    """Aligned for who reads it; blanks separate."""
    name, turns, result, *counts = map(str, cells)
    return f'{name:<36}{turns:>6}{result:>22}' + ''.join(f'{count:>9}' for count in counts)


def update_lines(rotor, native, kind, sources):
    """Lines of expected.txt for the exports of `sources`; `native` is the folder of the libraries."""
    runners = [products.Runner([sys.executable, products.FOLDER / 'peer.py', 'native', f'{native}/{idiom}{kind}.so'])
               for idiom in products.IDIOMS]
    counts = [products.count_code(rotor, products.WASM / f'{idiom}{kind}.wasm') for idiom in products.IDIOMS]
    for function in (function for source in sources for function in exports_of(source)):
        results = {runner.call(function, TURNS[kind])[0] for runner in runners}
        if len(results) != 1:
            sys.exit(f'check.py: the ways to write a product disagree natively: {function}: {results}')
        name = counted(function, kind)
        yield line_of([name, TURNS[kind], *results, *(count.of(name) for count in counts)])
    for runner in runners:
        runner.close()


def update(rotor):
    shapes = products.FOLDER / 'c/shapes.c'
    programs = [path for path in sorted(shapes.parent.glob('*.c')) if path != shapes]
    with tempfile.TemporaryDirectory() as native:
        products.output_of([products.FOLDER / 'c/build.sh', 'native', native])
        lines = ['# What clang natively makes of c/*.c returns, and the multiplications that are left in each module. '
                 'Written by check.py --update.',
                 line_of(['# function', 'turns', 'result', *products.IDIOMS]),
                 *update_lines(rotor, native, products.PROGRAMS, programs),
                 *update_lines(rotor, native, products.SHAPES, [shapes])]
    products.EXPECTED.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return 0


def rebuild():
    if not shutil.which('clang-22') or not shutil.which('wasm-ld-22'):
        print('skipped: no clang-22 and lld-22')
        return SKIPPED
    version = re.search(r'version (.*)', products.output_of(['clang-22', '--version']))[1]
    with tempfile.TemporaryDirectory() as scratch:
        products.output_of([products.FOLDER / 'c/build.sh', 'wasm', scratch])
        unlike = [module for _, _, module in modules()
                  if not filecmp.cmp(f'{scratch}/{module}.wasm', products.WASM / f'{module}.wasm', shallow=False)]
        same_clang = all(version.encode() in (products.WASM / f'{module}.wasm').read_bytes() for _, _, module in modules())
    if unlike and not same_clang:
        print(f'skipped: clang-22 is {version}, not the one that built what is committed')
        return SKIPPED
    for module in unlike:
        print(f'wasm/{module}.wasm is not what c/build.sh wasm builds')
    return 1 if unlike else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--rotor', type=pathlib.Path)
    parser.add_argument('--bench', type=pathlib.Path)
    parser.add_argument('--update', action='store_true')
    parser.add_argument('--rebuild', action='store_true')
    options = parser.parse_args()
    if options.rebuild:
        return rebuild()
    return update(options.rotor) if options.update else check(options.rotor, options.bench)


if __name__ == '__main__':
    sys.exit(main())
