#!/usr/bin/env python3
"""Installs a build into a temporary prefix, then builds and runs examples/embed/embed.cc against the copy: once with
find_package(rotor), once with pkg-config. The prefix is moved in between: nothing may remember where it was installed."""
import argparse
import os
import subprocess
import sys
import tempfile

CONSUMER = '''cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(rotor 0.1 REQUIRED)
add_executable(consumer {source})
target_link_libraries(consumer PRIVATE rotor::rotor)
'''

RUNTIME_CONSUMER = '''cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(rotor 0.1 REQUIRED COMPONENTS runtime)
if(LLVM_FOUND)
  message(FATAL_ERROR "the runtime asked for LLVM")
endif()
add_executable(consumer {source})
target_link_libraries(consumer PRIVATE rotor::rotor-runtime)
'''


C_CONSUMER = '''cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(rotor 0.1 REQUIRED COMPONENTS c)
if(LLVM_FOUND)
  message(FATAL_ERROR "the C library asked for LLVM")
endif()
add_executable(consumer {source})
target_link_libraries(consumer PRIVATE rotor::c)
'''


def run(*command, **options):
    print('+', ' '.join(command), flush=True)
    return subprocess.run(command, check=True, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ('cmake', 'cxx', 'source', 'build'):
        parser.add_argument('--' + name, required=True)
    options = parser.parse_args()
    source = os.path.join(options.source, 'examples', 'embed', 'embed.cc')

    def install(to, *components):
        for component in components:
            run(options.cmake, '--install', options.build, '--prefix', to, '--component', component,
                stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        installed = os.path.join(folder, 'installed')
        prefix = os.path.join(folder, 'moved')
        install(installed, 'library')
        os.rename(installed, prefix)
        for directory, _, files in os.walk(prefix):
            for file in files:
                if not file.endswith(('.cmake', '.pc', '.h')):
                    continue
                with open(os.path.join(directory, file), encoding='utf-8') as text:
                    if options.source in text.read():
                        sys.exit(f'{file} names a path of the source tree')

        def build(name, text, source, at=prefix):
            consumer = os.path.join(folder, name)
            os.mkdir(consumer)
            with open(os.path.join(consumer, 'CMakeLists.txt'), 'w', encoding='utf-8') as file:
                file.write(text.format(source=source))
            run(options.cmake, '-S', consumer, '-B', consumer + '/build', '-DCMAKE_PREFIX_PATH=' + at,
                '-DCMAKE_CXX_COMPILER=' + options.cxx, '-DCMAKE_DISABLE_FIND_PACKAGE_mimalloc=ON',
                stdout=subprocess.DEVNULL)
            run(options.cmake, '--build', consumer + '/build', stdout=subprocess.DEVNULL)
            return consumer + '/build/consumer'

        run(build('consumer', CONSUMER, source))
        precompiled = os.path.join(options.source, 'examples', 'embed', 'precompiled.cc')
        missing = subprocess.run([build('runtime', RUNTIME_CONSUMER, precompiled), folder + '/none.rotor', 'f', '1'],
                                 stdout=subprocess.PIPE, text=True)
        assert missing.returncode == 1 and 'none.rotor' in missing.stdout, missing.stdout

        pc_folder = next(directory for directory, _, files in os.walk(prefix) if 'rotor.pc' in files)
        flags = run('pkg-config', '--cflags', '--libs', 'rotor', env=dict(os.environ, PKG_CONFIG_PATH=pc_folder),
                    stdout=subprocess.PIPE, text=True).stdout.split()
        program = os.path.join(folder, 'with-pkg-config')
        run(options.cxx, '-std=c++23', source, '-o', program, *flags)
        run(program)
        wasi = os.path.join(options.source, 'examples', 'wasi', 'wasi.cc')
        run(options.cxx, '-std=c++23', wasi, '-o', program, *flags)
        flags = run('pkg-config', '--cflags', '--libs', 'rotor-runtime',
                    env=dict(os.environ, PKG_CONFIG_PATH=pc_folder), stdout=subprocess.PIPE, text=True).stdout.split()
        assert not any('LLVM' in flag for flag in flags), flags
        run(options.cxx, '-std=c++23', precompiled, '-o', program, *flags)

        # In C, with nothing but what is for C.
        installed = os.path.join(folder, 'installed-c')
        prefix_c = os.path.join(folder, 'moved-c')
        install(installed, 'c', 'c_dev', 'compiler')
        os.rename(installed, prefix_c)
        hello = os.path.join(options.source, 'examples', 'c', 'hello.c')
        run(build('consumer-c', C_CONSUMER, hello, prefix_c))
        pc_folder = next(directory for directory, _, files in os.walk(prefix_c) if 'librotor.pc' in files)
        flags = run('pkg-config', '--cflags', '--libs', 'librotor', env=dict(os.environ, PKG_CONFIG_PATH=pc_folder),
                    stdout=subprocess.PIPE, text=True).stdout.split()
        assert '-lrotor' in flags, flags
        run(options.cxx, '-x', 'c', hello, '-x', 'none', '-o', program, *flags)
        run(program, env=dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(pc_folder)))

        # The tool finds its compiler where it was installed, and has a man page.
        install(prefix, 'tool', 'compiler')
        tool = os.path.join(prefix, 'bin', 'rotor')
        module = os.path.join(folder, 'm.wat')
        with open(module, 'w', encoding='utf-8') as file:
            file.write('(func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))')
        result = run(tool, 'run', '--no-cache', module, '--invoke', 'f', '41', stdout=subprocess.PIPE, text=True)
        assert result.stdout == '42\n', result.stdout
        for file in ('man/man1/rotor.1', 'bash-completion/completions/rotor', 'zsh/site-functions/_rotor',
                     'fish/vendor_completions.d/rotor.fish'):
            assert os.path.exists(os.path.join(prefix, 'share', file)), file


if __name__ == '__main__':
    main()
