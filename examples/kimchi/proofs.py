#!/usr/bin/env python3
"""Proofs in a guest that rotates, as many as are asked for, in as many runs as it takes.

proofs.py CODE [--mode checkpoint|replay] [--proofs N] [--state FILE] [--minutes M]: CODE is kimchi_wasm or its code file.
Runs `rotor rotate` of so many proofs at a time, adds up what each said, and writes that to the state file after each: who calls
again with the same file goes on where that was stopped. Prints the sum as JSON; exits with 1 where a result was wrong, a call
was lost, or fewer rotations were made than --rotations asks for.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
POLICIES = {'checkpoint': 'proofs_checkpoint.toml', 'replay': 'proofs.toml'}
SUMS = ('calls', 'ok', 'wrong', 'lost', 'checked', 'equal', 'swaps', 'swaps_image', 'checkpoints', 'warmups_failed')
MOST = ('swap_pause_max_ns', 'checkpoint_pause_max_ms', 'wait_max_ms', 'resident_max_bytes')


def run(options, proofs):
    """Returns what one run says of itself, and how long it took."""
    command = [options.rotor, 'rotate', '--json', '--module', options.code, '--policy', HERE / POLICIES[options.mode],
               '--workers', '1', '--memory-limit', options.memory_limit, '--calls', str(proofs),
               '--setup', HERE / 'proofs_setup.jsonl.gz', '--load', HERE / 'proofs_load.jsonl.gz']
    if options.mode == 'replay':
        command.append('--prepare')
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        sys.exit(done.returncode or 1)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('code')
    parser.add_argument('--mode', choices=POLICIES, default='checkpoint')
    parser.add_argument('--proofs', type=int, default=100)
    parser.add_argument('--at-a-time', type=int, default=500, help='proofs of one process')
    parser.add_argument('--state', type=pathlib.Path, help='a file to go on from, and to write')
    parser.add_argument('--minutes', type=float, default=1e9, help='begin no run after so long')
    parser.add_argument('--memory-limit', default='16MiB')
    parser.add_argument('--rotations', type=int, default=1, help='fewest that are to be made')
    parser.add_argument('--rotor', default=os.environ.get('ROTOR', 'rotor'))
    options = parser.parse_args()

    total = dict.fromkeys(('runs', *SUMS, *MOST), 0)
    if options.state and options.state.exists():
        total = json.loads(options.state.read_text())
        if total.get('mode', options.mode) != options.mode:
            parser.error(f'{options.state} is of the mode {total["mode"]}')
    total['mode'] = options.mode
    start = time.monotonic()
    while total['calls'] < options.proofs and time.monotonic() - start < options.minutes * 60:
        said = run(options, min(options.at_a_time, options.proofs - total['calls']))
        total['runs'] += 1
        for name in SUMS:
            total[name] += said.get(name, 0)  # replay has no checkpoints
        for name in MOST:
            total[name] = max(total[name], said.get(name, 0))
        if options.state:
            written = options.state.with_suffix('.new')
            written.write_text(json.dumps(total))
            written.replace(options.state)
        if said['ok'] != said['calls']:
            break
    print(json.dumps(total))
    right = total['ok'] == total['calls'] and total['equal'] == total['checked']
    return 0 if right and total['swaps'] >= options.rotations else 1


if __name__ == '__main__':
    sys.exit(main())
