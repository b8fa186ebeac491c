#!/usr/bin/env python3
"""Times garbage-collected guests on Rotor, Wasmtime and V8, and prints a table.

    bench/gc/run.py [--build build/release] [--runs N] [--only NAME] [--programs FOLDER] [--node NODE]

Kernels are kernels.wat's. Programs are splay.wasm and kotlin-richards.wasm of bytecodealliance/sightglass, if a folder
has them. Engines take turns; cells are the least of all runs in milliseconds, and in brackets Rotor's ratio to that
engine's. What can't be had stands below the table with its reason. Not a test: run it on a quiet machine.

Reads ROTOR_CACHE   where the Python package wasmtime 50.0.1 is kept, put there by pip if it is not
      NODE          the node to ask, else the one in PATH; it needs V8 12 or later
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get('ROTOR_CACHE') or
                     pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'rotor')
WASMTIME = CACHE / 'wasmtime-50.0.1'
KERNELS = [('trees', 16), ('lists', 5000), ('elements', 3000), ('copies', 3000), ('arrays', 5_000_000),
           ('casts', 50_000), ('calls', 32)]
PROGRAMS = {'splay': '8000,540,5', 'kotlin-richards': '120'}


class Missing(Exception):
    """An engine can't be had, and why."""


def output_of(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=900, **options)
    if done.returncode != 0:
        raise Missing(((done.stderr or done.stdout).strip().splitlines() or [f'ended with {done.returncode}'])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def engines(build, node):
    sides = {'Rotor': ([pathlib.Path(build, 'bench/gc_bench')], {})}
    if not WASMTIME.exists():
        subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--target', str(WASMTIME), 'wasmtime==50.0.1'],
                       check=False)
    if WASMTIME.exists():
        sides['Wasmtime'] = ([sys.executable, FOLDER / 'wasmtime_gc.py'],
                             {'env': dict(os.environ, PYTHONPATH=str(WASMTIME))})
    if node:
        sides['V8'] = ([node, '--no-warnings', FOLDER / 'v8_gc.mjs'], {})
    return sides


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default='build/release')
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--turns', type=int, default=2, help='how often each engine comes to its turn')
    parser.add_argument('--only', default='')
    parser.add_argument('--programs', type=pathlib.Path, help='the folder of splay.wasm and kotlin-richards.wasm')
    parser.add_argument('--node', default=os.environ.get('NODE') or shutil.which('node'))
    options = parser.parse_args()
    sides = engines(options.build, options.node)
    missing = []
    with tempfile.TemporaryDirectory() as scratch:
        kernels = pathlib.Path(scratch, 'kernels.wasm')
        subprocess.run([pathlib.Path(options.build, 'tools/rotor/rotor'), 'wat2wasm', FOLDER / 'kernels.wat', '-o', kernels],
                       check=True)
        rows = [(name, ['call', kernels, name, number, options.runs]) for name, number in KERNELS]
        if options.programs:
            for name, text in PROGRAMS.items():
                own = pathlib.Path(scratch, name)
                own.mkdir()
                (own / 'default.input').write_text(text)
                rows.append((name, ['program', options.programs / f'{name}.wasm', own, options.runs]))
        print('| | ' + ' | '.join(f'{side}, ms' for side in sides) + ' | Rotor\'s collections; longest pause, ms |')
        print('| --- |' + ' --- |' * (len(sides) + 1))
        for name, arguments in rows:
            if options.only and options.only != name:
                continue
            least, results, rotor = {}, {}, None
            for _ in range(options.turns):
                for side, (command, extra) in sides.items():
                    try:
                        answer = output_of(command + arguments, **extra)
                    except Missing as error:
                        missing.append(f'{name} on {side}: {error}')
                        continue
                    best = min(run['ms'] for run in answer['runs'])
                    least[side] = min(best, least.get(side, best))
                    results[side] = answer['result']
                    rotor = answer if side == 'Rotor' else rotor
            if len(set(results.values())) > 1:
                missing.append(f'{name}: the results differ: {results}')
            cells = [f'{least[side]:.1f}' + (f' ({least["Rotor"] / least[side]:.2f})' if side != 'Rotor' and 'Rotor' in least
                                            else '') if side in least else '-' for side in sides]
            last = rotor['runs'][-1] if rotor else {}
            print(f'| {name} | ' + ' | '.join(cells) +
                  f' | {last.get("collections", "-")}; {last.get("pause_ms_max", 0):.2f} |', flush=True)
    for line in dict.fromkeys(missing):
        print(line)


main()
