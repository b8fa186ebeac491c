#!/usr/bin/env python3
"""run_test.py [VARIABLE...] -- COMMAND...: runs COMMAND if each VARIABLE of the environment is set, else exits with 77.

`$VARIABLE` in an argument stands for its value, which CMake can't know when it writes the test.
"""
import os
import sys

SKIPPED = 77

if __name__ == '__main__':
    split = sys.argv.index('--')
    needs, command = sys.argv[1:split], sys.argv[split + 1:]
    missing = [name for name in needs if not os.environ.get(name)]
    if missing:
        print('skipped: not set: ' + ', '.join(missing))
        sys.exit(SKIPPED)
    for name in needs:
        command = [argument.replace('$' + name, os.environ[name]) for argument in command]
    os.execvp(command[0], command)
