#!/usr/bin/env python3
"""Compiles a module to a file, runs it with a program that has no compiler, and looks at what that program is made of."""
import os
import subprocess
import sys
import tempfile

# (func (export "twice") (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
MODULE = bytes.fromhex('0061736d01000000' '0106016001' '7f017f' '03020100'
                       '07090105' + 'twice'.encode().hex() + '0000' '0a09010700200020006a0b')


def main():
    rotor, precompiled = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        wasm, code = os.path.join(folder, 'm.wasm'), os.path.join(folder, 'm.rotor')
        with open(wasm, 'wb') as file:
            file.write(MODULE)
        subprocess.run([rotor, 'compile', wasm, '-o', code], check=True)
        run = subprocess.run([precompiled, code, 'twice', '21'], check=True, stdout=subprocess.PIPE, text=True)
        assert run.stdout == '42\n', run.stdout
        # A module itself is no code file, and there is nobody to compile it.
        run = subprocess.run([precompiled, wasm, 'twice', '21'], stdout=subprocess.PIPE, text=True)
        assert run.returncode == 1 and 'no Rotor code file' in run.stdout, run.stdout
    symbols = subprocess.run(['nm', '-C', precompiled], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert 'rotor::' in symbols, 'the program has no symbols to look at'
    assert 'llvm::' not in symbols, 'LLVM is in the program'
    libraries = subprocess.run(['ldd', precompiled], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert 'LLVM' not in libraries, libraries
    print(f'{os.path.getsize(precompiled)} bytes, with symbols')


if __name__ == '__main__':
    main()
