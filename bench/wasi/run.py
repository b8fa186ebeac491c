#!/usr/bin/env python3
"""Times WASI calls on Rotor, on Wasmtime's Python wheel and in a program of the system's, and prints a table.

    bench/wasi/run.py [--rotor build/release/tools/rotor/rotor] [--runs N] [--folder FOLDER]

The same module runs on both; engines take turns, and a cell is the least of all runs, in nanoseconds. FOLDER is where the
file lies that is written and read; by default a folder of /dev/shm, so that no disk is measured. Not a test: run it on a
quiet machine.

Reads WASMTIME_PY   the folder of Wasmtime's wheel, as scripts/setup.sh has it
"""
import argparse
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
ROWS = ['clock_time_get', 'fd_write, 16 bytes', 'fd_read, 16 bytes', 'fd_write, 1 MiB, and fd_seek',
        'fd_read, 1 MiB, and fd_seek', 'path_open and fd_close']
TIMEOUT_S = 600

WASMTIME = '''
import sys, wasmtime
config = wasmtime.WasiConfig()
config.preopen_dir(sys.argv[2], '/')
config.inherit_stdout()
engine = wasmtime.Engine()
store = wasmtime.Store(engine)
store.set_wasi(config)
linker = wasmtime.Linker(engine)
linker.define_wasi()
module = wasmtime.Module.from_file(engine, sys.argv[1])
linker.instantiate(store, module).exports(store)['_start'](store)
'''


def times_of(command, environment=None):
    done = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S, env=environment)
    return struct.unpack(f'<{len(ROWS)}q', done.stdout)


def engines(rotor, scratch, folder):
    """Commands by name, and the environment of each."""
    module, native = os.path.join(scratch, 'calls.wasm'), os.path.join(scratch, 'native')
    subprocess.run([rotor, 'wat2wasm', FOLDER / 'calls.wat', '-o', module], check=True)
    subprocess.run(['cc', '-O2', FOLDER / 'native.c', '-o', native], check=True)
    commands = {'native': ([native, folder], None),
                'Rotor': ([rotor, 'run', '--mode', 'aot', '--no-cache', '--dir', folder + '::/', module], None)}
    if os.environ.get('WASMTIME_PY'):
        environment = dict(os.environ, PYTHONPATH=os.environ['WASMTIME_PY'])
        commands['Wasmtime'] = ([sys.executable, '-c', WASMTIME, module, folder], environment)
    return commands


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--rotor', default=str(ROOT / 'build/release/tools/rotor/rotor'))
    arguments.add_argument('--runs', type=int, default=5)
    arguments.add_argument('--folder', default='/dev/shm')
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, tempfile.TemporaryDirectory() as scratch:
        commands = engines(os.path.abspath(options.rotor), scratch, folder)
        least = {}
        for _ in range(options.runs):
            for name, (command, environment) in commands.items():
                got = times_of(command, environment)
                least[name] = [min(pair) for pair in zip(got, least.get(name, got))]
    print(f'{"ns a call":<32}' + ''.join(f'{name:>12}' for name in least) + f'{"Rotor/Wasmtime":>18}')
    for i, row in enumerate(ROWS):
        ratio = f'{least["Rotor"][i] / least["Wasmtime"][i]:.2f}' if 'Wasmtime' in least else '-'
        print(f'{row:<32}' + ''.join(f'{column[i]:>12,}' for column in least.values()) + f'{ratio:>18}')


if __name__ == '__main__':
    main()
