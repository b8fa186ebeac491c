#!/usr/bin/env python3
"""Runs scripts of the spec suite with metered code (Config::fuel), once for each way to come to code, and compares what
every command used up: what a call costs must not depend on how its functions were compiled.

    compare_fuel.py ROTOR FILES…
"""
import subprocess
import sys

WAYS = (
    '--mode aot --opt 0',
    '--mode aot --opt 1',
    '--mode lazy --hot-count 1',
    '--mode aot --opt 1 --compile-steps-per-byte 0 --slab-memories',
)


def main():
    rotor, files = sys.argv[1], sys.argv[2:]
    runs = [(way, subprocess.Popen([rotor, 'wast', '--fuel', '--one-process', *way.split(), *files],
                                   stdout=subprocess.PIPE, text=True)) for way in WAYS]
    first = None
    bad = 0
    for way, run in runs:
        lines = run.communicate()[0].splitlines()
        if run.returncode != 0:
            print(f'{way}: exit code {run.returncode}', *lines[-3:], sep='\n  ')
            return 1
        units = {line.rsplit(': ', 1)[0]: line for line in lines if line.endswith(' units')}
        first = first or units
        for place in sorted(set(first) | set(units)):
            if first.get(place) != units.get(place):
                bad += 1
                print(f'{WAYS[0]}: {first.get(place)}\n{way}: {units.get(place)}')
    print(f'{len(first)} commands, in {len(WAYS)} ways: {bad} differences')
    # A run in which nothing paid shows nothing.
    return 1 if bad or len(first) < 100 else 0


sys.exit(main())
