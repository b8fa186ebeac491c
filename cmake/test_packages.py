#!/usr/bin/env python3
"""Makes the Debian packages of a build, puts them into a root of their own, and uses them there: README's example in C is
built and run, the tool runs, and no file is in two packages.

    test_packages.py --cpack CPACK --cc CC --source ROOT --build BUILD
"""
import argparse
import glob
import os
import subprocess
import sys
import tempfile


def run(*command, **options):
    print('+', ' '.join(command), flush=True)
    return subprocess.run(command, check=True, text=True, **options)


def output(*command, **options):
    return run(*command, stdout=subprocess.PIPE, **options).stdout


def check_contents(packages):
    seen = {}
    for name, package in packages.items():
        for line in output('dpkg-deb', '--contents', package).splitlines():
            path = line.split()[5]
            if line.startswith('d'):
                continue
            assert path not in seen, f'{path} is in {seen[path]} and {name}'
            seen[path] = name
    for path, name in (('./usr/lib/librotor.so.0', 'librotor0'), ('./usr/lib/rotor/librotor-compiler.so', 'librotor0'),
                       ('./usr/lib/librotor.so', 'librotor-dev'), ('./usr/include/wasm.h', 'librotor-dev'),
                       ('./usr/bin/rotor', 'rotor'), ('./usr/share/man/man1/rotor.1', 'rotor')):
        assert seen.get(path) == name, f'{path} is in {seen.get(path)}, not in {name}'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ('cpack', 'cc', 'source', 'build'):
        parser.add_argument('--' + name, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options.cpack, '-G', 'DEB', '--config', os.path.join(options.build, 'CPackConfig.cmake'), '-B', folder,
            stdout=subprocess.DEVNULL)
        packages = {os.path.basename(path).split('_')[0]: path for path in glob.glob(os.path.join(folder, '*.deb'))}
        assert sorted(packages) == ['librotor-dev', 'librotor0', 'rotor'], packages
        check_contents(packages)
        for name, needed in (('librotor0', 'libc6'), ('librotor-dev', 'librotor0 (= '), ('rotor', 'librotor0 (= ')):
            depends = output('dpkg-deb', '--field', packages[name], 'Depends')
            assert needed in depends, f'{name} depends on {depends}'
        root = os.path.join(folder, 'root')
        for package in packages.values():
            run('dpkg-deb', '--extract', package, root)
        library = os.path.join(root, 'usr', 'lib')
        program = os.path.join(folder, 'hello')
        run(options.cc, os.path.join(options.source, 'examples', 'c', 'hello.c'), '-I', os.path.join(root, 'usr', 'include'),
            '-L', library, '-lrotor', '-o', program)
        said = output(program, env=dict(os.environ, LD_LIBRARY_PATH=library))
        assert said == 'the guest says 21\n42\n', said
        module = os.path.join(folder, 'm.wat')
        with open(module, 'w', encoding='utf-8') as file:
            file.write('(func (export "f") (result i32) (i32.const 7))')
        said = output(os.path.join(root, 'usr', 'bin', 'rotor'), 'run', '--no-cache', module, '--invoke', 'f')
        assert said == '7\n', said


if __name__ == '__main__':
    sys.exit(main())
