#!/usr/bin/env python3
"""Makes the Debian packages of a build, installs them into a root of their own, and uses them there: README's example in C is
built and run, the tool runs, no file is in two packages, and none is left when they are removed. Only root may install: else
they are unpacked.

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


def dpkg(root, *arguments):
    # What they depend on is not in this root, nor is a shell for their script, which runs ldconfig.
    run('dpkg', '--root=' + root, '--force-depends', '--force-script-chrootless', *arguments, stdout=subprocess.DEVNULL)


def install(packages, root):
    """Installs the packages. Returns whether dpkg did, which knows of them now."""
    if os.geteuid() != 0:
        for package in packages.values():
            run('dpkg-deb', '--extract', package, root)
        return False
    database = os.path.join(root, 'var', 'lib', 'dpkg')
    for name in ('info', 'updates', 'triggers'):
        os.makedirs(os.path.join(database, name))
    open(os.path.join(database, 'status'), 'w', encoding='utf-8').close()
    dpkg(root, '--install', *packages.values())
    for name in packages:
        status = output('dpkg-query', '--admindir=' + database, '--show', '--showformat=${Status}', name)
        assert status == 'install ok installed', f'{name}: {status}'
    return True


def check_nothing_left(packages, root):
    dpkg(root, '--purge', *packages)
    left = [os.path.join(folder, file) for folder, _, files in os.walk(os.path.join(root, 'usr')) for file in files]
    assert not left, f'left behind: {left}'


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
        is_installed = install(packages, root)
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
        if is_installed:
            check_nothing_left(packages, root)


if __name__ == '__main__':
    sys.exit(main())
