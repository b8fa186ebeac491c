#!/usr/bin/env python3
"""test_manners.py ROTOR SOURCE: how each command behaves on a terminal, when signals end it, when nobody reads what it
prints, and where standard input is one of its files."""
import os
import pty
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from test_files import BINARY, TEXT, Tool, expect, failures, full_device

ESCAPE = b'\x1b'
ERASE = b'\r\x1b[K'
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def slow_text():
    """A module that takes a second or so to compile."""
    body = ' '.join('(local.set 0 (i64.mul (i64.add (local.get 0) (i64.const %d)) (local.get 0)))' % n for n in range(150))
    functions = ' '.join(f'(func (export "f{n}") (param i64) (result i64) {body} (local.get 0))' for n in range(20))
    return f'(module {functions})'


def commands(leaky):
    """Arguments that have each command print something, and nothing but standard output get it."""
    traces = ['--setup', f'{leaky}/setup.jsonl', '--load', f'{leaky}/load.jsonl']
    guest = ['--module', f'{leaky}/leaky.wasm']
    policy = ['--policy', f'{leaky}/policy.toml']
    return {
        'run': [['run', 'in.wasm', '--invoke', 'f']],
        'validate': [['validate', 'in.wasm']],
        'wat2wasm': [['wat2wasm', 'in.wat']],
        'wasm2wat': [['wasm2wat', 'in.wasm']],
        'inspect': [['inspect', 'in.wasm'], ['inspect', 'in.wasm', '--json']],
        'compile': [['compile', 'in.wasm', '--emit', 'asm'], ['compile', 'in.wasm', '-o', '-']],
        'replay': [['replay', *guest, '--trace', f'{leaky}/setup.jsonl']],
        'wast': [['wast', 'in.wast']],
        'rotate': [['rotate', *guest, *policy, *traces, '--calls', '3', '--json'],
                   ['rotate', *guest, *policy, *traces, '--calls', '3']],
        'policy': [['policy', 'check', f'{leaky}/leaky.wasm', f'{leaky}/policy.toml'],
                   ['policy', 'suggest', f'{leaky}/leaky.wasm', f'{leaky}/policy.toml', *traces, '--calls', '2']],
        'bench': [['bench', '--runs', '1', 'in.wasm', '--invoke', 'f'],
                  ['bench', 'call', 'in.wasm', '--invoke', 'f', '--seconds', '0.01'],
                  ['bench', 'instantiate', 'in.wasm', '--count', '5', '--seconds', '0.01'],
                  ['bench', 'replay', *guest, *policy, *traces, '--runs', '1']],
        'completions': [['completions', 'bash']],
        'help': [['help'], ['help', 'run'], ['--help']],
        'explore': [['explore', 'in.wasm']],
        'version': [['version'], ['--version']],
    }


def check_all_are_there(tool, table):
    _, stdout, _ = tool.run('--help')
    named = re.findall(r'^  ([a-z0-9]+) ', stdout.decode().split('Subcommands:')[1], re.MULTILINE)
    expect(sorted(named) == sorted(table), f'commands without a test, or gone: {set(named) ^ set(table)}')


def check_lost_output(tool, table, device):
    for args in (args for group in table.values() for args in group):
        with open(device, 'wb', buffering=0) as full:
            code, _, stderr = tool.run(*args, stdout=full)
        expect(code == 2 and stderr.endswith("rotor: io: can't write standard output: No space left on device\n"),
               f'{args} on a full device: {code}, {stderr}')


def check_closed_pipes(tool, table):
    for args in (args for group in table.values() for args in group):
        for ignored in (False, True) if args[0] == 'validate' else (True,):
            reader, writer = os.pipe()
            os.close(reader)
            with subprocess.Popen([tool.rotor, *args], cwd=tool.folder, env=tool.environment, stdout=writer,
                                  stderr=subprocess.PIPE, restore_signals=not ignored) as child:
                os.close(writer)
                _, stderr = child.communicate(timeout=60)
            said = stderr.decode()
            # Of `compile` what it made is told before it is written.
            quiet = said == '' or (args[0] == 'compile' and said.startswith('-: '))
            expect(child.returncode == -signal.SIGPIPE and quiet,
                   f'{args}, pipe closed, SIGPIPE ignored: {ignored}: {child.returncode}, {said}')


def on_terminal(tool, args, stop_after_s=None, end_by=signal.SIGINT, **variables):
    """Exit code, and what came out on a terminal that is standard error."""
    master, slave = pty.openpty()
    environment = {key: value for key, value in tool.environment.items() if key not in ('TERM', 'NO_COLOR')}
    with subprocess.Popen([tool.rotor, *args], cwd=tool.folder, env=dict(environment, **variables),
                          stdout=subprocess.PIPE, stderr=slave) as child:
        os.close(slave)
        seen = b''
        while True:
            try:
                more = os.read(master, 65536)
            except OSError:  # nobody has the other end any more
                break
            seen += more
            if stop_after_s is not None and ERASE in seen:
                time.sleep(stop_after_s)
                child.send_signal(end_by)
                stop_after_s = None
            if not more:
                break
        child.communicate(timeout=60)
    os.close(master)
    return child.returncode, seen


def check_terminal(tool, table):
    slow = ['compile', 'slow.wasm', '-o', 'slow.rotor']
    code, seen = on_terminal(tool, slow, TERM='xterm')
    line = seen.split(b'\r\n')[0]
    expect(code == 0 and ERASE + b'compiling ' in line and line.split(ERASE)[-1].startswith(b'slow.rotor: '),
           f'no progress on a terminal, or not cleared: {code}, {seen}')
    for variables in ({'TERM': 'dumb'}, {}):
        code, seen = on_terminal(tool, slow, **variables)
        expect(code == 0 and ESCAPE not in seen and seen.startswith(b'slow.rotor: '), f'{variables}: {code}, {seen}')
    code, _, stderr = tool.run(*slow)
    expect(code == 0 and '\x1b' not in stderr, f'escapes where there is no terminal: {stderr!r}')
    # There is no colour, whatever the terminal; and none of what is printed to a pipe has escapes.
    code, seen = on_terminal(tool, ['run', 'no.wasm'], TERM='xterm-256color', NO_COLOR='1')
    expect(code == 2 and ESCAPE not in seen, f'NO_COLOR: {seen}')
    for args in (args for group in table.values() for args in group):
        if args[-2:] != ['-o', '-'] and args[0] != 'wat2wasm':
            code, stdout, stderr = tool.run(*args)
            expect(code == 0 and ESCAPE not in stdout and '\x1b' not in stderr, f'{args}: {code}, {stdout}{stderr}')
    for end_by in SIGNALS:
        code, seen = on_terminal(tool, slow, stop_after_s=0.05, end_by=end_by, TERM='xterm')
        expect(code == -end_by and seen.endswith(ERASE), f'{end_by!r} while compiling: {code}, {seen[-80:]}')


def check_signals(tool, leaky):
    """Whenever a signal comes, a file is whole, or as it was, and nothing lies beside it."""
    traces = ['--setup', f'{leaky}/setup.jsonl', '--load', f'{leaky}/load.jsonl']
    rotation = ['rotate', '--module', f'{leaky}/leaky.wasm', '--policy', f'{leaky}/policy.toml', *traces, '--calls', '3']
    writers = {
        'out.wasm': ['wat2wasm', 'slow.wat', '-o', 'out.wasm'],
        'out.wat': ['wasm2wat', 'slow.wasm', '-o', 'out.wat'],
        'out.rotor': ['compile', 'in.wasm', '-o', 'out.rotor'],
        'out.s': ['compile', 'in.wasm', '--emit', 'asm', '-o', 'out.s'],
        'out.txt': ['wast', 'in.wast', '--write-expected', 'out.txt'],
        'out.json': ['run', '--no-cache', '--profile=out.json', 'in.wasm', '--invoke', 'f'],
        'page.html': ['explore', 'in.wasm', '-o', 'page.html'],
        'out.html': [*rotation, '--report', 'out.html'],
        'out.prom': [*rotation, '--metrics', 'out.prom'],
    }
    random.seed(1)
    for name, args in writers.items():
        begin = time.monotonic()
        code, _, stderr = tool.run(*args)
        expect(code == 0, f'{args}: {code}, {stderr}')
        took = time.monotonic() - begin
        end = tool.read(name)[-8:]
        for attempt in range(6):
            is_new = attempt % 2 == 0
            if is_new:
                os.remove(tool.path(name))
            else:
                tool.write(name, b'old')
            before = sorted(os.listdir(tool.folder))
            with subprocess.Popen([tool.rotor, *args], cwd=tool.folder, env=tool.environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as child:
                time.sleep(took * random.uniform(0.3, 1.0))
                end_by = SIGNALS[attempt % 3]
                child.send_signal(end_by)
                child.communicate(timeout=60)
            # rotate takes SIGINT as a request to end with what it has, which fails.
            ends = (0, 1, -end_by) if args[0] == 'rotate' else (0, -end_by)
            expect(child.returncode in ends, f'{args}, {end_by!r}: {child.returncode}')
            after = sorted(os.listdir(tool.folder))
            expect(after in (before, sorted({*before, name})), f'{args}, {end_by!r}: left {set(after) - set(before)}')
            there = tool.read(name) if name in after else None
            # What a report says of an interrupted run is less, but it ends as others do.
            is_whole = there is not None and there != b'old' and there.endswith(end)
            expect(is_whole or there == (None if is_new else b'old'), f'{args}, {end_by!r}: {(there or b"")[-80:]}')
            if there is None:
                tool.write(name, b'')


def check_ignored_signal(tool):
    """What was started to ignore SIGHUP (nohup) goes on."""
    script = 'trap "" HUP; exec "$0" compile slow.wasm -o kept.rotor'
    with subprocess.Popen(['sh', '-c', script, tool.rotor], cwd=tool.folder, env=tool.environment,
                          stderr=subprocess.PIPE) as child:
        time.sleep(0.1)
        child.send_signal(signal.SIGHUP)
        child.communicate(timeout=60)
    expect(child.returncode == 0 and tool.read('kept.rotor').startswith(b'ROTORC'), f'nohup: {child.returncode}')


def check_standard_input(tool, leaky):
    """Each file that a command reads may be -, code files too."""
    def contents(name):
        with open(f'{leaky}/{name}', 'rb') as file:
            return file.read()

    module, setup, load = contents('leaky.wasm'), contents('setup.jsonl'), contents('load.jsonl')
    code, machine_code, _ = tool.run('compile', f'{leaky}/leaky.wasm', '-o', '-')
    expect(code == 0 and machine_code.startswith(b'ROTORC'), 'compile')
    files = {'--module': f'{leaky}/leaky.wasm', '--policy': f'{leaky}/policy.toml', '--setup': f'{leaky}/setup.jsonl',
             '--load': f'{leaky}/load.jsonl'}
    inputs = {'--module': (module, machine_code), '--policy': (contents('policy.toml'),), '--setup': (setup,),
              '--load': (load,)}
    for command in (['rotate', '--calls', '2'], ['bench', 'replay', '--runs', '1'], ['policy', 'suggest', '--calls', '2']):
        for option, given in inputs.items():
            for data in given:
                args = [part for name, path in files.items() for part in (name, '-' if name == option else path)]
                if command[0] == 'policy':
                    args = [part for part in args if part not in ('--module', '--policy')]
                code, _, stderr = tool.run(*command, *args, input=data)
                expect(code == 0, f'{command} {option} -: {code}, {stderr}')
    for data in (module, machine_code):
        code, _, stderr = tool.run('replay', '--module', '-', '--trace', f'{leaky}/setup.jsonl', input=data)
        expect(code == 0, f'replay --module -: {code}, {stderr}')
        code, _, stderr = tool.run('policy', 'check', '-', f'{leaky}/policy.toml', input=data)
        expect(code == 0, f'policy check -: {code}, {stderr}')
        code, _, stderr = tool.run('inspect', '-', input=data)
        expect(code == 0, f'inspect -: {code}, {stderr}')
    code, _, stderr = tool.run('replay', '--module', f'{leaky}/leaky.wasm', '--trace', '-', input=setup)
    expect(code == 0, f'replay --trace -: {code}, {stderr}')
    code, small_code, _ = tool.run('compile', 'in.wasm', '-o', '-')
    for data in (TEXT.encode(), BINARY, small_code):
        for command in (['run'], ['bench', 'call', '--seconds', '0.01'], ['bench', 'instantiate', '--count', '5',
                                                                           '--seconds', '0.01']):
            code, _, stderr = tool.run(*command, '-', '--invoke', 'f', input=data)
            expect(code == 0, f'{command} -: {code}, {stderr}')
    for data in (TEXT.encode(), BINARY):
        for args in (['bench', '--runs', '1', '-', '--invoke', 'f'], ['explore', '-']):
            code, _, stderr = tool.run(*args, input=data)
            expect(code == 0, f'{args}: {code}, {stderr}')
    code, _, stderr = tool.run('wast', 'in.wast', '--expected', '-', input=b'')
    expect(code == 0, f'wast --expected -: {code}, {stderr}')


def main(rotor, source):
    leaky = os.path.join(os.path.abspath(source), 'examples/leaky')
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(os.path.abspath(rotor), folder)
        tool.write('in.wat', TEXT.encode())
        tool.write('in.wasm', BINARY)
        tool.write('in.wast', TEXT.encode())
        tool.write('slow.wat', slow_text().encode())
        tool.run('wat2wasm', 'slow.wat', '-o', 'slow.wasm')
        table = commands(leaky)
        check_all_are_there(tool, table)
        check_standard_input(tool, leaky)
        check_closed_pipes(tool, table)
        check_terminal(tool, table)
        check_signals(tool, leaky)
        check_ignored_signal(tool)
        device = full_device(tool)
        if device:
            check_lost_output(tool, table, device)
    with open(os.path.join(source, 'docs/rotor.1'), encoding='utf-8') as page:
        status = page.read().split('.SH EXIT STATUS')[1].split('.SH ')[0]
    expect(re.findall(r'^\.B (\d+)$', status, re.MULTILINE) == ['0', '1', '2'] and 'guest' in status,
           'the man page lacks exit codes')
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
