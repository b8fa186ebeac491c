#!/usr/bin/env python3
"""run_test.py [NEED...] -- COMMAND...: runs COMMAND if all that it needs is there, else exits with 77.

A NEED is a variable of the environment that has to be set, `cpu:NAME`, a set of features that the CPU has to have, or
`program:NAME`, a program that has to be installed.
`$VARIABLE` in an argument stands for its value, which CMake can't know when it writes the test.
"""
import os
import shutil
import sys

SKIPPED = 77

# As Linux spells them (lzcnt is abm there), beyond x86-64-v2.
V3 = ('avx', 'avx2', 'bmi1', 'bmi2', 'abm', 'fma', 'f16c', 'movbe')
CPUS = {'baseline': (), 'x86-64-v3': V3,
        'x86-64-v4': (*V3, 'avx512f', 'avx512cd', 'avx512bw', 'avx512dq', 'avx512vl')}


def missing_features(cpu):
    with open('/proc/cpuinfo', encoding='utf-8') as info:
        flags = next((line.split(':')[1].split() for line in info if line.startswith('flags')), [])
    return [feature for feature in CPUS[cpu] if feature not in flags]


def missing(need):
    """What is missing of a need, for people; empty: nothing."""
    if need.startswith('cpu:'):
        lacks = missing_features(need.removeprefix('cpu:'))
        return f'this CPU lacks {", ".join(lacks)}' if lacks else ''
    if need.startswith('program:'):
        program = need.removeprefix('program:')
        return '' if shutil.which(program) else f'{program} is not installed'
    return '' if os.environ.get(need) else f'not set: {need}'


if __name__ == '__main__':
    split = sys.argv.index('--')
    needs, command = sys.argv[1:split], sys.argv[split + 1:]
    reasons = [reason for reason in map(missing, needs) if reason]
    if reasons:
        print('skipped: ' + '; '.join(reasons))
        sys.exit(SKIPPED)
    for name in needs:
        if not name.startswith(('cpu:', 'program:')):
            command = [argument.replace('$' + name, os.environ[name]) for argument in command]
    os.execvp(command[0], command)
