#!/usr/bin/env python3
"""test_without_llvm.py ROTOR: what the cache answers needs no compiler. A copy of the tool without the compiler's library
beside it runs what the whole tool has compiled, and nothing else."""
import os
import shutil
import subprocess
import sys
import tempfile

# (func (export "twice") (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
MODULE = bytes.fromhex('0061736d01000000' '0106016001' '7f017f' '03020100'
                       '07090105' + 'twice'.encode().hex() + '0000' '0a09010700200020006a0b')
LIBRARY = 'librotor-compiler.so'


def main(rotor):
    assert os.path.exists(os.path.join(os.path.dirname(rotor), LIBRARY))
    with tempfile.TemporaryDirectory() as folder:
        module = os.path.join(folder, 'm.wasm')
        with open(module, 'wb') as file:
            file.write(MODULE)
        alone = shutil.copy(rotor, folder)
        environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, 'cache'))

        def run(program, *options):
            return subprocess.run([program, 'run', *options, module, '--invoke', 'twice', '21'], env=environment,
                                  capture_output=True, text=True)

        refused = run(alone)
        assert refused.returncode == 1 and LIBRARY in refused.stderr, refused
        compiled = run(rotor)
        assert (compiled.returncode, compiled.stdout) == (0, '42\n'), compiled
        cached = run(alone)
        assert (cached.returncode, cached.stdout, cached.stderr) == (0, '42\n', ''), cached
        refused = run(alone, '--no-cache')
        assert refused.returncode == 1 and LIBRARY in refused.stderr, refused


if __name__ == '__main__':
    main(os.path.abspath(sys.argv[1]))
