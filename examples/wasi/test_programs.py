#!/usr/bin/env python3
"""Runs programs of others, as they are in the registries, and compares what comes of them.

    test_programs.py --rotor ROTOR (--cpython MODULE | --flite MODULE) [--wasmtime]

CPython works with files (files.py), flite speaks into one. With --wasmtime the same is done by Wasmtime's wheel
(WASMTIME_PY), and output and folders are compared with that; else with what is known to come out.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 240

CPYTHON_PRINTS = """\
[1, 2.5, None, 'é']
256000 b57b64b198d5d59c
['sub'] ['y']
sub/y 256000 True
b'\\xfc\\xfd\\xfe\\xff'
b'zz\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\t'
['1', '2']
../x PermissionError
/../etc/passwd PermissionError
/dir/../../x PermissionError
/no FileNotFoundError
/dir ['sub'] ['l']
/dir/sub [] ['y']
True 16 ['one', '--two']
"""
FLITE_WRITES = '8fe51b878538d385'

WASMTIME = """
import sys, wasmtime
config = wasmtime.WasiConfig()
config.argv = [sys.argv[1], *sys.argv[3:]]
config.preopen_dir(sys.argv[2], '/')
config.inherit_stdout()
config.inherit_stderr()
engine = wasmtime.Engine()
store = wasmtime.Store(engine)
store.set_wasi(config)
linker = wasmtime.Linker(engine)
linker.define_wasi()
try:
    linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1])).exports(store)['_start'](store)
except wasmtime.ExitTrap as end:
    sys.exit(end.code)
"""


def contents(folder):
    """All files and links below a folder, by their paths."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            if os.path.islink(path):
                found[os.path.relpath(path, folder)] = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, 'rb') as file:
                    found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def run(command, environment=None):
    """Runs a command that ends with the name of a folder, which is fresh: exit code, output, errors and what it left."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FOLDER / 'files.py', folder)
        done = subprocess.run(command(folder), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                              env=environment)
        return done.returncode, done.stdout, done.stderr, contents(folder)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--rotor', required=True)
    arguments.add_argument('--cpython')
    arguments.add_argument('--flite')
    arguments.add_argument('--wasmtime', action='store_true')
    options = arguments.parse_args()
    module = options.cpython or options.flite
    guest_args = ['/files.py', 'one', '--two'] if options.cpython else ['-t', 'Hello there', '-o', '/speech.wav']
    got = run(lambda folder: [options.rotor, 'run', '--no-cache', '--dir', folder + '::/', module, '--', *guest_args])
    if options.wasmtime:
        environment = dict(os.environ, PYTHONPATH=os.environ['WASMTIME_PY'])
        wanted = run(lambda folder: [sys.executable, '-c', WASMTIME, module, folder, *guest_args], environment)
        good = got == wanted
    elif options.cpython:
        wanted = (9, CPYTHON_PRINTS, '')
        good = got[:3] == wanted
    else:
        wanted = FLITE_WRITES
        good = got[0] == 0 and got[3].get('speech.wav', '').startswith(wanted)
    if not good:
        print(f'wanted {wanted}\ngot {got}')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
