#!/usr/bin/env python3
"""run_cli_test.py [--update] ROTOR TEST...: runs tests of the command line tool.

    ;;; ARGS: run in.wasm --invoke add 1 2      a command, quoted as for a shell (several: one after
                                            another, the last may fail)
    ;;; EXIT: 1                                 its exit code; 0 if not said
    ;;; INPUT: wat | hex | text                 what follows; `wat` becomes in.wasm by `rotor wat2wasm`
    ;;; FILE: NAME                              name of the input, if not in.wasm
    (module …)
    (;; FILE policy.toml ;;;                    one more file, of text
    ;;; FILE ;;)
    (;; STDOUT ;;;                              expected output; `{*}` stands for anything within a line
    3
    ;;; STDOUT ;;)
    (;; STDERR ;;;
    ;;; STDERR ;;)
    (;; OUTPUT out.ll ;;;                       expected contents of a file; `{pid}` is that of the last command
    ;;; OUTPUT ;;)

Commands run in a fresh folder, with a code cache in it. A stream that the test does not state must be empty. Exit code
77: skipped. --update writes what came out into the tests, in place of what is expected and differs: look at the
difference.
"""
import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile

TIMEOUT_S = 60
BEGIN = re.compile(r'\(;; (STDOUT|STDERR|OUTPUT \S+|FILE \S+) ;;;')
END = re.compile(r';;; (STDOUT|STDERR|OUTPUT|FILE) ;;\)')


def parse(path):
    test = {'args': [], 'exit': 0, 'input': 'wat', 'file': 'in.wasm', 'body': [], 'expected': {}}
    into = test['body']
    for line in open(path, encoding='utf-8').read().splitlines():
        setting = re.fullmatch(r';;; (ARGS|EXIT|INPUT|FILE): (.*)', line)
        begin = BEGIN.fullmatch(line)
        if setting and into is test['body']:
            key, value = setting.group(1).lower(), setting.group(2).strip()
            if key == 'args':
                test['args'].append(shlex.split(value))
            else:
                test[key] = int(value) if key == 'exit' else value
        elif begin:
            into = test['expected'].setdefault(begin.group(1), [])
        elif END.fullmatch(line):
            into = test['body']
        else:
            into.append(line)
    test['more'] = {name.removeprefix('FILE '): test['expected'].pop(name)
                    for name in [name for name in test['expected'] if name.startswith('FILE ')]}
    return test


def write_input(rotor, test, folder):
    body = '\n'.join(test['body'])
    path = os.path.join(folder, test['file'])
    for name, lines in test['more'].items():
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines) + '\n')
    if test['input'] == 'hex':
        digits = ''.join(line.split('#')[0] for line in test['body'])
        data = bytes.fromhex(digits)
    elif test['input'] == 'text':
        data = (body.strip() + '\n').encode()
    else:
        if not body.strip():
            return
        text = path + '.wat'
        with open(text, 'w', encoding='utf-8') as file:
            file.write(body)
        subprocess.run([rotor, 'wat2wasm', '--names', text, '-o', path], check=True)
        os.remove(text)
        return
    with open(path, 'wb') as file:
        file.write(data)


def differs(name, expected, actual):
    pattern = [re.escape(line).replace(r'\{\*\}', '.*') for line in expected]
    if len(pattern) == len(actual) and all(re.fullmatch(p, a) for p, a in zip(pattern, actual)):
        return False
    print('\n'.join(difflib.unified_diff(expected, actual, f'expected {name}', f'actual {name}', lineterm='')))
    return True


def read_output(path):
    """The lines of a file that a command wrote. Outside of the test's folder nobody else removes it."""
    if not os.path.exists(path):
        return ['(no such file)']
    with open(path, encoding='utf-8', errors='replace') as file:
        lines = file.read().splitlines()
    os.remove(path)
    return lines


def run(rotor, test):
    """What came out, by section; None if a command ended otherwise than expected."""
    with tempfile.TemporaryDirectory() as folder:
        write_input(rotor, test, folder)
        streams = {'STDOUT': b'', 'STDERR': b''}
        pid, failed = 0, False
        # Not the user's code cache.
        environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, 'cache'))
        for number, args in enumerate(test['args'], 1):
            with subprocess.Popen([rotor] + args, cwd=folder, env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as child:
                pid = child.pid
                try:
                    stdout, stderr = child.communicate(timeout=TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    child.kill()
                    raise
            streams['STDOUT'] += stdout
            streams['STDERR'] += stderr
            wanted = test['exit'] if number == len(test['args']) else 0
            failed = child.returncode != wanted
            if failed:
                print(f'{" ".join(args)}: exit code {child.returncode}, expected {wanted}')
                print(b''.join(streams.values()).decode(errors='replace'))
                break
        actual = {name: stream.decode(errors='replace').splitlines() for name, stream in streams.items()}
        for section in test['expected']:
            if section.startswith('OUTPUT '):
                path = section.removeprefix('OUTPUT ').replace('{pid}', str(pid))
                actual[section] = read_output(os.path.join(folder, path))
        return None if failed else actual


def update(path, sections):
    """Writes sections into a test; those that it lacks go to its end."""
    lines, into = [], None
    for line in open(path, encoding='utf-8').read().splitlines():
        begin = BEGIN.fullmatch(line)
        if into is None or END.fullmatch(line):
            into = None
            lines.append(line)
        if begin and begin.group(1) in sections:
            into = begin.group(1)
            lines += sections.pop(into)
    for name, text in sections.items():
        lines += [f'(;; {name} ;;;', *text, f';;; {name.split()[0]} ;;)']
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')


def main(rotor, path, updating):
    test = parse(path)
    actual = run(rotor, test)
    if actual is None:
        return 1
    bad = {name: lines for name, lines in actual.items() if differs(name, test['expected'].get(name, []), lines)}
    if bad and updating:
        update(path, bad)
        return 0
    return 1 if bad else 0


if __name__ == '__main__':
    arguments = sys.argv[1:]
    updates = arguments[:1] == ['--update']
    program, *tests = arguments[updates:]
    sys.exit(max(main(os.path.abspath(program), path, updates) for path in tests))
