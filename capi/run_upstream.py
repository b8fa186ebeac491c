#!/usr/bin/env python3
"""Builds the 13 C examples of github.com/WebAssembly/wasm-c-api against our header, unchanged, runs them, and compares what
they print with what they have to: run_upstream.py --cc CC --include FOLDER --library librotor.so CHECKOUT"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

# Lines that an example prints, as patterns in this order, beside its last one. Addresses differ from run to run.
FRAME = r'> (0x[0-9a-f]+) @ 0x{offset} = {func}\.0x[0-9a-f]+'
EXPECTED = {
    'callback': [r'> 7', r'> 42', r'Printing result\.\.\.', r'> 49'],
    'finalize': [r'Live count 0', r'Live count 100001', r'Live count 200002', r'Deleting store 2', r'Live count 100001',
                 r'Deleting store 1', r'Live count 0'],
    'global': [r'Creating globals', r'Accessing globals', r'Done'],
    'hello': [r'> Hello World!'],
    'hostref': [r'Accessing global', r'Accessing table', r'Accessing function'],
    'memory': [r'Checking memory', r'Mutating memory', r'Growing memory', r'Creating stand-alone memory'],
    'multi': [r'Calling back', r'Printing result', r'> 4 2 3 1|> 4 3 2 1'],
    'reflect': [r'> export 0 "func"', r'>> initial: func i32 f64 f32 -> i32', r'>> in-arity: 3, out-arity: 1',
                r'>> initial: global const f64', r'>> initial: table 0d 50d funcref', r'>> initial: memory 1d'],
    'serialize': [r'> Hello World!'],
    'start': [r'> unreachable', r'> \(nil\) @ 0x[0-9a-f]+ = 0\.0x[0-9a-f]+'],
    'table': [r'Checking table', r'Mutating table', r'Growing table', r'Creating stand-alone table'],
    'threads': [r'Waiting for thread: 9'],
    'trap': [r'> callback abort', r'> 0x[0-9a-f]+ @ 0x[0-9a-f]+ = 1\.0x1', r'> unreachable',
             r'> 0x[0-9a-f]+ @ 0x[0-9a-f]+ = 2\.0x1'],
}


def modern(name, module):
    """The module as an example needs it. That of hostref is of a draft, in which ref.null named no type: nobody takes it any more."""
    if name != 'hostref':
        return module
    old, new = b'\x06\x85\x80\x80\x80\x00\x01\x6f\x01\xd0\x0b', b'\x06\x86\x80\x80\x80\x00\x01\x6f\x01\xd0\x6f\x0b'
    assert old in module
    return module.replace(old, new)


def faults_of(name, status, output):
    if status:
        return f'exit code {status}'
    lines = iter(output.splitlines())
    for pattern in EXPECTED[name]:
        if not any(re.fullmatch(pattern + r'.*', line) for line in lines):
            return f'no line {pattern!r} where it should be'
    if name == 'threads':
        seen = sorted(re.findall(r'> Thread (\d) running', output))
        return None if seen == sorted('0123456789' * 3) else f'threads ran {seen}'
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ('cc', 'include', 'library'):
        parser.add_argument('--' + option, required=True)
    parser.add_argument('--sanitize', default='')
    parser.add_argument('checkout')
    options = parser.parse_args()
    examples = os.path.join(options.checkout, 'example')
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in EXPECTED:
            program = os.path.join(folder, name)
            command = [options.cc, '-std=gnu11', '-g', '-I', options.include, os.path.join(examples, name + '.c'), '-o',
                       program, options.library, '-Wl,-rpath,' + os.path.dirname(options.library), '-pthread']
            if options.sanitize:
                command.append('-fsanitize=' + options.sanitize)
            subprocess.run(command, check=True)
            with open(os.path.join(examples, name + '.wasm'), 'rb') as source, \
                    open(os.path.join(folder, name + '.wasm'), 'wb') as file:
                file.write(modern(name, source.read()))
            run = subprocess.run([program], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            fault = faults_of(name, run.returncode, run.stdout)
            print(f'{name}: {fault or "as it should be"}')
            if fault:
                failed.append(name)
                print(run.stdout[-3000:])
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
