#!/usr/bin/env python3
"""Holds the C API to what it was: capi/abi.txt has each function with its type, and each struct and constant.

    check_abi.py --cc CC [--library librotor.so.0] ROOT   exit 1 if something was removed or changed, or is not listed
    check_abi.py --cc CC --update ROOT                    adds what is new to the list
    check_abi.py --cc CC --self-test ROOT                 feeds itself headers that changed and expects each to be found

With --library what that exports has to be the functions of the list, in the version ROTOR_0.
"""
import argparse
import os
import re
import subprocess
import sys

LIST = os.path.join('capi', 'abi.txt')
MARK = 'ROTOR_ABI_MARK'


def preprocessed(cc, root, edit=lambda name, text: text):
    """The headers' text after the preprocessor, functions marked."""
    include = os.path.join(root, 'include')
    parts = []
    for name in ('wasm.h', 'rotor.h'):
        with open(os.path.join(include, name), encoding='utf-8') as file:
            parts.append(edit(name, file.read()))
    source = '\n'.join(parts).replace('#include "wasm.h"', '')
    command = [cc, '-E', '-P', '-x', 'c', '-std=c11', '-DWASM_API_EXTERN=' + MARK, '-']
    text = subprocess.run(command, input=source, check=True, capture_output=True, text=True).stdout
    return text[text.index('typedef char byte_t'):]


def normal(text):
    text = re.sub(r'\s+', ' ', text).strip()
    return re.sub(r'\s*([(){},;*\[\]=])\s*', r'\1', text)


def without_bodies(text):
    """The text without the bodies of inline functions."""
    out, depth, skip = [], 0, False
    for match in re.finditer(r'static inline [^{;]*\{|[{}]|[^{}]', text):
        token = match.group()
        if token.startswith('static inline'):
            skip, depth = True, 1
        elif skip:
            depth += {'{': 1, '}': -1}.get(token, 0)
            skip = depth > 0
        else:
            out.append(token)
    return ''.join(out)


def declarations(text):
    """A line for each thing that a program is compiled against."""
    text = without_bodies(text)
    found = set()
    # Constants of an enum count from the one before.
    for name, body in re.findall(r'enum (\w+)\s*\{([^}]*)\}\s*;', text):
        value = -1
        for constant in filter(None, (part.strip() for part in body.split(','))):
            constant, _, given = (part.strip() for part in constant.partition('='))
            value = int(given, 0) if given else value + 1
            found.add(f'constant {constant} = {value}')
    text = re.sub(r'enum \w+\s*\{[^}]*\}\s*;', '', text)
    depth, begin = 0, 0
    for i, char in enumerate(text):
        depth += {'{': 1, '}': -1}.get(char, 0)
        if char != ';' or depth:
            continue
        line = normal(text[begin:i])
        begin = i + 1
        if line.startswith(MARK):
            line = normal(line[len(MARK):])
            name = re.search(r'(\w+)\(', line).group(1)
            # The names of parameters are nobody's business.
            line = re.sub(r'(?<=[\w*]) ?\b(?!const\b|void\b|bool\b|size_t\b|double\b|int\b|\w+_t\b)[a-z]\w*(?=[,)\[])', '', line)
            found.add(f'function {name}: {line}')
        elif line.startswith('typedef'):
            found.add(line)
    return found


def listed(root):
    with open(os.path.join(root, LIST), encoding='utf-8') as file:
        return [line.rstrip('\n') for line in file if line.strip() and not line.startswith('#')]


def compare(known, found):
    faults = [f'removed or changed: {line}' for line in known if line not in found]
    return faults + [f'not in {LIST} (run with --update if it is meant): {line}' for line in sorted(found - set(known))]


def functions(lines):
    return {line.split()[1].rstrip(':') for line in lines if line.startswith('function ')}


def exported(library):
    text = subprocess.run(['nm', '-D', '--defined-only', '--with-symbol-versions', library], check=True,
                          capture_output=True, text=True).stdout
    return {line.split()[-1] for line in text.splitlines()} - {'ROTOR_0'}


def check_library(known, library):
    wanted = {name + '@@ROTOR_0' for name in functions(known)}
    have = {name for name in exported(library) if not name.startswith('__')}
    have -= {name for name in have if name.split('@')[0] == 'ROTOR_0'}
    return [f'{library} lacks {name}' for name in sorted(wanted - have)] + \
           [f'{library} exports {name}' for name in sorted(have - wanted)]


def self_test(cc, root, known):
    changes = [
        ('a function removed', lambda text: text.replace('WASM_API_EXTERN bool wasm_memory_grow(wasm_memory_t*, wasm_memory_pages_t delta);', '')),
        ('a parameter changed', lambda text: text.replace('wasm_memory_pages_t delta', 'uint64_t delta')),
        ('a result changed', lambda text: text.replace('WASM_API_EXTERN size_t wasm_func_param_arity', 'WASM_API_EXTERN int wasm_func_param_arity')),
        ('a constant moved', lambda text: text.replace('  WASM_I64,\n', '  WASM_NEW,\n  WASM_I64,\n')),
        ('a struct changed', lambda text: text.replace('  uint32_t min;', '  uint64_t min;')),
        ('a function type changed', lambda text: text.replace('(void* env, const rotor_proxy_event_t*)', '(const rotor_proxy_event_t*)')),
    ]
    wrong = compare(known, declarations(preprocessed(cc, root)))
    for what, change in changes:
        edited = declarations(preprocessed(cc, root, lambda name, text: change(text)))
        if not any(fault.startswith('removed or changed') for fault in compare(known, edited)):
            wrong.append(f'{what}: missed')
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root')
    parser.add_argument('--cc', required=True)
    parser.add_argument('--library')
    parser.add_argument('--update', action='store_true')
    parser.add_argument('--self-test', action='store_true')
    options = parser.parse_args()
    if options.update:
        found = declarations(preprocessed(options.cc, options.root))
        with open(os.path.join(options.root, LIST), 'w', encoding='utf-8') as file:
            file.write('# What programs in C are compiled and linked against, made by capi/check_abi.py --update: lines are only added\n'
                       '# as long as the library is librotor.so.0.\n')
            file.writelines(line + '\n' for line in sorted(found))
        return 0
    known = listed(options.root)
    if options.self_test:
        faults = self_test(options.cc, options.root, known)
    else:
        faults = compare(known, declarations(preprocessed(options.cc, options.root)))
        if options.library:
            faults += check_library(known, options.library)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
