#!/usr/bin/env python3
"""run_cli_test.py ROTOR TEST: runs one test of the command line tool.

    ;;; ARGS: run in.wasm --invoke add 1 2      a command (several: one after another, the last may fail)
    ;;; EXIT: 1                                 its exit code; 0 if not said
    ;;; INPUT: wat | hex | text                 what follows; `wat` becomes in.wasm by $WASM_TOOLS
    ;;; FILE: NAME                              name of the input, if not in.wasm; a .wast needs $WASM_TOOLS too
    (module …)
    (;; STDOUT ;;;                              expected output; `{*}` stands for anything within a line
    3
    ;;; STDOUT ;;)
    (;; STDERR ;;;
    ;;; STDERR ;;)

Commands run in a fresh folder, with a code cache in it. A stream that the test does not state must be empty. Exit code 77: skipped.
"""
import difflib
import os
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
TIMEOUT_S = 60


def parse(path):
    test = {'args': [], 'exit': 0, 'input': 'wat', 'file': 'in.wasm', 'body': [], 'stdout': [], 'stderr': []}
    into = 'body'
    for line in open(path, encoding='utf-8').read().splitlines():
        setting = re.fullmatch(r';;; (ARGS|EXIT|INPUT|FILE): (.*)', line)
        begin = re.fullmatch(r'\(;; (STDOUT|STDERR) ;;;', line)
        if setting and into == 'body':
            key, value = setting.group(1).lower(), setting.group(2).strip()
            if key == 'args':
                test['args'].append(value.split())
            else:
                test[key] = int(value) if key == 'exit' else value
        elif begin:
            into = begin.group(1).lower()
        elif re.fullmatch(r';;; (STDOUT|STDERR) ;;\)', line):
            into = 'body'
        else:
            test[into].append(line)
    return test


def wasm_tools():
    tool = os.environ.get('WASM_TOOLS')
    if not tool:
        print('skipped: not set: WASM_TOOLS')
        sys.exit(SKIPPED)
    return tool


def write_input(test, folder):
    body = '\n'.join(test['body'])
    path = os.path.join(folder, test['file'])
    if path.endswith('.wast'):
        wasm_tools()
    if test['input'] == 'hex':
        digits = ''.join(line.split('#')[0] for line in test['body'])
        data = bytes.fromhex(digits)
    elif test['input'] == 'text':
        data = (body.strip() + '\n').encode()
    else:
        if not body.strip():
            return
        subprocess.run([wasm_tools(), 'parse', '-', '-o', path], input=body.encode(), check=True)
        return
    with open(path, 'wb') as file:
        file.write(data)


def differs(name, expected, actual):
    actual = actual.decode(errors='replace').splitlines()
    pattern = [re.escape(line).replace(r'\{\*\}', '.*') for line in expected]
    if len(pattern) == len(actual) and all(re.fullmatch(p, a) for p, a in zip(pattern, actual)):
        return False
    print('\n'.join(difflib.unified_diff(expected, actual, f'expected {name}', f'actual {name}', lineterm='')))
    return True


def main(rotor, path):
    test = parse(path)
    with tempfile.TemporaryDirectory() as folder:
        write_input(test, folder)
        stdout = stderr = b''
        # Not the user's code cache.
        environment = dict(os.environ, XDG_CACHE_HOME=os.path.join(folder, 'cache'))
        for number, args in enumerate(test['args'], 1):
            done = subprocess.run([rotor] + args, cwd=folder, env=environment, capture_output=True,
                                  timeout=TIMEOUT_S)
            stdout, stderr = stdout + done.stdout, stderr + done.stderr
            wanted = test['exit'] if number == len(test['args']) else 0
            if done.returncode != wanted:
                print(f'{" ".join(args)}: exit code {done.returncode}, expected {wanted}')
                print(stdout.decode(errors='replace') + stderr.decode(errors='replace'))
                return 1
    bad = [differs('stdout', test['stdout'], stdout), differs('stderr', test['stderr'], stderr)]
    return 1 if any(bad) else 0


if __name__ == '__main__':
    sys.exit(main(os.path.abspath(sys.argv[1]), sys.argv[2]))
