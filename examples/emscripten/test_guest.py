#!/usr/bin/env python3
"""test_guest.py PROGRAM FILE.wasm FOLDER REQUESTS LINE: runs an example that leaks, with the policies of its folder.

With rotation, by checkpoints and by replay, all its requests are answered right; by checkpoints also if each of them
begins with a rewind. Without, it runs out of memory. LINE is one for the allow-list that loses state: rewinds find it.
"""
import os
import re
import subprocess
import sys
import tempfile

program, module, folder, requests, wrong_line = sys.argv[1:]
checkpoints, replay = f'{folder}/policy.toml', f'{folder}/replay.toml'
count = int(requests)
few = 600  # one change of state among them


def run(name, policy, count, *args, rotation='on'):
    """How many requests of a run are right, and how many rotations it took; says what the run said."""
    environment = {**os.environ, 'ROTOR_ROTATION': rotation}
    ended = subprocess.run([program, module, policy, str(count), *args], env=environment, capture_output=True, text=True)
    print(f'{name}:\n{ended.stdout}{ended.stderr}', flush=True)
    found = re.match(r'(\d+) of (\d+) requests right, (\d+) rotations', ended.stdout)
    assert found and int(found[2]) == count, 'it did not make its requests'
    assert (ended.returncode == 0) == (found[1] == found[2]), f'exit code {ended.returncode}'
    return int(found[1]), int(found[3])


def expect(what, holds):
    if not holds:
        sys.exit(f'not so: {what}')


right, rotations = run('checkpoints', checkpoints, count)
expect('all are right, over rewinds', right == count and rotations > 0)
right, rotations = run('a rewind a request', checkpoints, few, 'rewind')
expect('all are right, over a rewind for each but where the checkpoint is stale', right == few and rotations > 0.9 * few)
right, rotations = run('replay', replay, count)
expect('all are right, over rotations', right == count and rotations > 0)
right, _ = run('without rotation', checkpoints, count, rotation='off')
expect('it runs out of memory', 0 < right < count)
with tempfile.NamedTemporaryFile('w', suffix='.toml') as wrong:
    with open(checkpoints, encoding='utf-8') as text:
        wrong.write(re.sub(r'(?m)^\[allow\].*$', f'[allow]\n{wrong_line}', text.read()))
    wrong.flush()
    right, _ = run(f'with the line {wrong_line}', wrong.name, few, 'rewind')
    expect('the line is found', right < few)
