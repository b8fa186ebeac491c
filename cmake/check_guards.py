#!/usr/bin/env python3
"""Finds local statics that are made behind a guard: a fork while a thread holds one leaves the child waiting at it.

    check_guards.py ARCHIVE...    a line a guard, exit 1 if there is one
    check_guards.py --self-test   compiles a breach and expects it to be found

The library makes such things by made_once (include/rotor/detail/made_once.h) or as constinit. What runs in LLVM is
under a ForkPass, so the archive of `jit` need not be named.
"""
import os
import re
import subprocess
import sys
import tempfile


def guards(objects):
    """Returns the names of the guarded statics; a thread's own wait for nobody, and the standard library's are its."""
    text = subprocess.run(['readelf', '-sWC', *objects], check=True, capture_output=True, text=True).stdout
    found = re.findall(r'^\s*\d+: \w+\s+\d+ (\w+) .* guard variable for (.+)$', text, re.M)
    return sorted({name for kind, name in found if kind != 'TLS' and not name.startswith('std::')})


def self_test():
    source = '''
        int f();
        struct Thing { Thing(); ~Thing(); };
        int ours() { static const int guarded = f(); return guarded; }
        int free_of_it() { static constinit int known = 0; return known; }
        void thread() { static thread_local Thing own; }
    '''
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'a.o')
        subprocess.run(['c++', '-std=c++20', '-x', 'c++', '-', '-c', '-o', path], input=source, check=True, text=True)
        found = guards([path])
    assert found == ['ours()::guarded'], found


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    found = guards(sys.argv[1:])
    for name in found:
        print(f'{name}: made behind a guard, which a fork may leave taken; see rotor/detail/made_once.h')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
