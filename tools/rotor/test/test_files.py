#!/usr/bin/env python3
"""test_files.py ROTOR: where the tool reads and writes: devices, pipes, links, standard streams, disks that are full.

No test here may damage the machine that it runs on: as root, devices are copies in a folder of its own.
"""
import os
import stat
import subprocess
import sys
import tempfile
import threading

TEXT = '(module (func (export "f") (result i32) (i32.const 7)))'
BINARY = bytes.fromhex('0061736d0100000001050160 00017f03020100 07050101660000 0a0601040041070b'.replace(' ', ''))
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)


class Tool:
    def __init__(self, rotor, folder):
        self.rotor = rotor
        self.folder = folder
        self.environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, 'cache'))

    def run(self, *args, **more):
        """Exit code, stdout and stderr."""
        options = dict(cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        options.update(more)
        done = subprocess.run([self.rotor, *args], check=False, **options)
        return done.returncode, done.stdout, done.stderr.decode(errors='replace') if done.stderr is not None else ''

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), 'wb') as file:
            file.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), 'rb') as file:
            return file.read()


def full_device(tool):
    """A device that is full; None: none can be had without a risk."""
    if os.geteuid() != 0:
        return '/dev/full'  # which who is not root can't replace
    path = tool.path('full')
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return None
    return path


def check_device(tool, device):
    before = os.stat(device)
    os.symlink(device, tool.path('to_device'))
    for target in (device, tool.path('to_device')):
        for args in (['compile', 'in.wasm'], ['compile', 'in.wasm', '--emit', 'asm'], ['wat2wasm', 'in.wat'],
                     ['wasm2wat', 'in.wasm']):
            code, _, stderr = tool.run(*args, '-o', target)
            expect(code == 2 and stderr == f"rotor: io: can't write {target}: No space left on device\n",
                   f'{args} to {target}: {code}, {stderr}')
        code, _, stderr = tool.run('wast', 'in.wast', '--write-expected', target)
        expect(code in (0, 2) and 'crash' not in stderr, f'wast to {target}: {code}, {stderr}')
    after = os.stat(device)
    expect(stat.S_ISCHR(after.st_mode) and after.st_rdev == before.st_rdev and after.st_ino == before.st_ino,
           'the device was replaced')
    expect(os.path.islink(tool.path('to_device')), 'the link to the device was replaced')
    for args in (['run', 'in.wasm', '--invoke', 'f'], ['inspect', 'in.wasm'], ['inspect', 'in.wasm', '--json'],
                 ['validate', 'in.wasm'], ['--help'], ['--version'], ['wat2wasm', 'in.wat', '-o', '-'],
                 ['compile', 'in.wasm', '-o', '-'], ['compile', 'in.wasm', '--emit', 'asm'], ['wast', 'in.wast']):
        with open(device, 'wb', buffering=0) as full:
            code, _, stderr = tool.run(*args, stdout=full)
            expect(code == 2 and stderr.endswith("rotor: io: can't write standard output: No space left on device\n"),
                   f'{args} with a full standard output: {code}, {stderr}')
            # With nobody to tell it to, it still does not crash.
            code, _, _ = tool.run(*args, stdout=full, stderr=full)
            expect(code == 2, f'{args} with both streams full: {code}')
            code, _, _ = tool.run('run', 'no.wasm', stderr=full)
            expect(code == 2, f'an error that can not be told: {code}')


def check_closed_streams(tool):
    closed = subprocess.run(['sh', '-c', '"$0" run in.wasm --invoke f >&-', tool.rotor], cwd=tool.folder, check=False,
                            env=tool.environment, stderr=subprocess.PIPE, timeout=60)
    expect(closed.returncode == 2 and b'standard output: Bad file descriptor' in closed.stderr,
           f'stdout closed: {closed}')
    # What it opens must not become its standard output.
    before = tool.read('in.wasm')
    closed = subprocess.run(['sh', '-c', '"$0" compile in.wasm -o closed.rotor >&- 2>&- <&-', tool.rotor],
                            cwd=tool.folder, check=False, env=tool.environment, timeout=60)
    code, stdout, _ = tool.run('run', 'closed.rotor', '--invoke', 'f')
    expect(closed.returncode == 0 and code == 0 and stdout == b'7\n', f'all closed: {closed}, {code}, {stdout}')
    expect(tool.read('in.wasm') == before, 'the module was written to')


def check_links(tool):
    os.mkdir(tool.path('far'))
    os.symlink(os.path.join('far', 'out.wasm'), tool.path('link'))
    for state in ('missing', 'there'):
        code, _, stderr = tool.run('wat2wasm', 'in.wat', '-o', 'link')
        expect(code == 0 and os.path.islink(tool.path('link')) and tool.read('far/out.wasm') == BINARY,
               f'through a link to what is {state}: {code}, {stderr}')
        os.chmod(tool.path('far/out.wasm'), 0o640)
    expect(stat.S_IMODE(os.stat(tool.path('far/out.wasm')).st_mode) == 0o640, 'the mode was not kept')
    code, _, stderr = tool.run('compile', 'in.wasm', '-o', 'link')
    expect(code == 0 and os.path.islink(tool.path('link')), f'code through a link: {code}, {stderr}')
    expect(stat.S_IMODE(os.stat(tool.path('far/out.wasm')).st_mode) == 0o640, 'the mode of code was not kept')
    expect(tool.run('run', 'far/out.wasm', '--invoke', 'f')[1] == b'7\n', 'code through a link does not run')
    expect(os.listdir(tool.path('far')) == ['out.wasm'], f'left behind: {os.listdir(tool.path("far"))}')


def check_folders(tool):
    for args in (['compile', 'in.wasm'], ['wat2wasm', 'in.wat'], ['wasm2wat', 'in.wasm']):
        code, _, stderr = tool.run(*args, '-o', 'no/such/out')
        expect(code == 2 and stderr == "rotor: io: can't write no/such/out: folder no/such: No such file or directory\n",
               f'{args}, no folder: {code}, {stderr}')
        code, _, stderr = tool.run(*args, '-o', 'in.wat/out')
        expect(code == 2 and stderr == "rotor: io: can't write in.wat/out: Not a directory\n",
               f'{args}, a file for a folder: {code}, {stderr}')
        code, _, stderr = tool.run(*args, '-o', '.')
        expect(code == 2 and stderr == "rotor: io: can't write .: Is a directory\n", f'{args}, a folder: {code}, {stderr}')


def check_full_disk(tool):
    old = tool.write('small.out', b'old')
    listing = sorted(os.listdir(tool.folder))
    for args in ('compile in.wasm', 'wat2wasm in.wat', 'wasm2wat in.wasm', 'compile in.wasm --emit asm'):
        # Not ignored by the shell: the tool has to see to that itself.
        done = subprocess.run(['bash', '-c', f'ulimit -f 0; exec "$0" {args} -o small.out', tool.rotor],
                              cwd=tool.folder, check=False, env=tool.environment, stderr=subprocess.PIPE, timeout=60)
        expect(done.returncode == 2 and done.stderr == b"rotor: io: can't write small.out: File too large\n",
               f'{args} on a full disk: {done}')
        expect(tool.read(old) == b'old', f'{args} on a full disk lost the old file')
        expect(sorted(os.listdir(tool.folder)) == listing, f'{args} left {sorted(os.listdir(tool.folder))}')


def check_pipes(tool):
    pipe = tool.path('pipe')
    os.mkfifo(pipe)
    got = []

    def drain():
        with open(pipe, 'rb') as reader:
            got.append(reader.read())

    for args, is_right in ((['wat2wasm', 'in.wat'], lambda data: data == BINARY),
                           (['compile', 'in.wasm'], lambda data: data.startswith(b'ROTORC'))):
        reader = threading.Thread(target=drain)
        reader.start()
        code, _, stderr = tool.run(*args, '-o', pipe)
        reader.join(60)
        expect(code == 0 and got and is_right(got.pop()) and stat.S_ISFIFO(os.stat(pipe).st_mode),
               f'{args} to a pipe: {code}, {stderr}')


def check_converters(tool):
    """They write to standard output, and overwrite nothing that nobody named. A binary is not for a terminal."""
    before = {name: tool.read(name) for name in ('in.wasm', 'in.wat')}
    code, stdout, stderr = tool.run('wat2wasm', 'in.wat')
    expect(code == 0 and stdout == BINARY, f'wat2wasm: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('wasm2wat', 'in.wasm')
    expect(code == 0 and b'(export "f" (func 0))' in stdout, f'wasm2wat: {code}, {stdout}, {stderr}')
    expect(before == {name: tool.read(name) for name in before}, 'a converter overwrote a file')
    here, terminal = os.openpty()
    code, _, stderr = tool.run('wat2wasm', 'in.wat', stdout=terminal)
    os.close(terminal)
    os.close(here)
    expect(code == 2 and stderr == 'rotor: a binary is nothing for a terminal: name a file with -o\n',
           f'wat2wasm on a terminal: {code}, {stderr}')


def check_standard_streams(tool):
    wat = TEXT.encode()
    code, stdout, stderr = tool.run('wat2wasm', '-', input=wat)
    expect(code == 0 and stdout == BINARY, f'wat2wasm -: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('wat2wasm', 'in.wat', '-o', '-')
    expect(code == 0 and stdout == BINARY, f'wat2wasm -o -: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('wasm2wat', '-', input=BINARY)
    expect(code == 0 and b'(export "f" (func 0))' in stdout, f'wasm2wat -: {code}, {stdout}, {stderr}')
    for given in (wat, BINARY):
        code, stdout, stderr = tool.run('run', '-', '--invoke', 'f', input=given)
        expect(code == 0 and stdout == b'7\n', f'run -: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('validate', '-', input=wat)
    expect(code == 0 and stdout == b'-: valid\n', f'validate -: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('inspect', '-', input=BINARY)
    expect(code == 0 and f'-: {len(BINARY)} bytes, 1 functions'.encode() in stdout, f'inspect -: {code}, {stdout}')
    code, machine_code, stderr = tool.run('compile', '-', '-o', '-', input=BINARY)
    expect(code == 0 and machine_code.startswith(b'ROTORC'), f'compile - -o -: {code}, {stderr}')
    code, stdout, stderr = tool.run('run', '-', '--invoke', 'f', input=machine_code)
    expect(code == 0 and stdout == b'7\n', f'run -, code: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('wast', '-', input=f'{TEXT} (assert_return (invoke "f") (i32.const 7))'.encode())
    expect(code == 0 and stdout.startswith(b'2 passed'), f'wast -: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('policy', 'check', 'in.wasm', '-', input=b'[exports]\nf = { effect = "build" }\n')
    expect(code == 0 and b'build' in stdout, f'policy check -: {code}, {stdout}, {stderr}')
    code, stdout, stderr = tool.run('policy', 'check', '-', '-', input=b'[exports]\nf = { effect = "build" }\n')
    expect(code == 2 and 'standard input can be read once only' in stderr, f'policy check - -: {code}, {stderr}')
    # By the names that the system has for them, behind what is there.
    with open(tool.path('log'), 'wb') as log:
        log.write(b'before\n')
        log.flush()
        code, _, stderr = tool.run('wat2wasm', 'in.wat', '-o', '/dev/stdout', stdout=log)
        log.write(b'after\n')
    expect(code == 0 and tool.read('log') == b'before\n' + BINARY + b'after\n',
           f'-o /dev/stdout: {code}, {tool.read("log")}, {stderr}')


def main(rotor):
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(os.path.abspath(rotor), folder)
        tool.write('in.wat', TEXT.encode())
        tool.write('in.wasm', BINARY)
        tool.write('in.wast', TEXT.encode())
        check_links(tool)
        check_folders(tool)
        check_full_disk(tool)
        check_pipes(tool)
        check_standard_streams(tool)
        check_converters(tool)
        check_closed_streams(tool)
        device = full_device(tool)
        if device:
            check_device(tool, device)
        elif not failures:
            print('skipped: no device can be made here, and root must not risk /dev/full')
            return 77
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
