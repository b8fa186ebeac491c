#!/usr/bin/env python3
"""run_wasi_test.py ROTOR TEST.wasm [OPTION...]: runs a test of WebAssembly/wasi-testsuite by `rotor run`.

What a test wants stands in TEST.json beside it: args, env, root (a folder beside it that is the guest's /, here a fresh
copy of it), exit_code, stdout and stderr. OPTIONs are given to `rotor run`.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 60


def wants(module):
    path = module.removesuffix('.wasm') + '.json'
    if not os.path.exists(path):
        return {}
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def command(rotor, module, want, options, folder):
    arguments = [rotor, 'run', '--no-cache', *options]
    if 'root' in want:
        root = os.path.join(folder, 'root')
        shutil.copytree(os.path.join(os.path.dirname(module), want['root']), root)
        arguments += ['--dir', root + '::/']
    for name, value in want.get('env', {}).items():
        arguments += ['--env', f'{name}={value}']
    return arguments + [module, '--', *want.get('args', [])]


def main(rotor, module, options):
    want = wants(module)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command(rotor, module, want, options, folder), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=TIMEOUT_S, check=False)
    faults = []
    if done.returncode != want.get('exit_code', 0):
        faults.append(f'exit code {done.returncode}, not {want.get("exit_code", 0)}')
    for stream, got in (('stdout', done.stdout), ('stderr', done.stderr)):
        if stream in want and got.decode(errors='replace') != want[stream]:
            faults.append(f'{stream}: {got!r}, not {want[stream]!r}')
    if faults:
        print(*faults, done.stdout.decode(errors='replace'), done.stderr.decode(errors='replace'), sep='\n')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]))
