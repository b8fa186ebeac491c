"""The adapter of Rotor for the runner of WebAssembly/wasi-testsuite, at the commit that docs/building.md names:

    ROTOR=build/release/tools/rotor/rotor ./run-tests --runtime-adapter tools/wasi_testsuite_adapter.py

The environment variable ROTOR is the command; by default the first `rotor` of the path.
"""
import os
import shlex
import subprocess

ROTOR = shlex.split(os.environ.get('ROTOR', 'rotor'))


def get_name():
    return 'rotor'


def get_version():
    done = subprocess.run([*ROTOR, '--version'], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def get_wasi_versions():
    return ['wasm32-wasip1']


def get_wasi_worlds():
    return ['wasi:cli/command']


def compute_argv(test_path, args_env_root, _proposals, _wasi_world, _wasi_version):
    args, variables, root = args_env_root
    command = [*ROTOR, 'run', *(['--dir', f'{root}::/'] if root else [])]
    for name, value in variables.items():
        command += ['--env', f'{name}={value}']
    return [*command, str(test_path), '--', *args]
