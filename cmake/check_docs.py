#!/usr/bin/env python3
"""Checks that the docs speak of what is there: check_docs.py [ROOT], a line a fault, exit 1 if there is one.

- Each name in backticks that looks like a path of this repository exists. Braces and `*` are expanded.
- Each name in backticks that looks like one of C++ (`Config::mode`, `kMaxAccessBytes`) stands in a source.
- No line is one that git leaves where two versions were not made one.
- A code block that follows the comment `<!-- FILE -->` is that file, word for word.
"""
import glob
import os
import re
import sys

FOLDERS = ('.ci', 'bench', 'capi', 'cmake', 'code', 'docs', 'examples', 'fuzz', 'hosts', 'include', 'jit', 'memory', 'proxy', 'runtime',
           'scripts', 'spec-tests', 'tools', 'wasm')
ENDINGS = ('.cc', '.c', '.h', '.hh', '.def', '.md', '.py', '.sh', '.cmake', '.toml', '.txt', '.wat', '.wast', '.wasm',
           '.jsonl', '.gz', '.json', '.in')
BACKTICKS = re.compile(r'`([^`\n]+)`')
FENCE = re.compile(r'^```', re.MULTILINE)
QUOTED_FILE = re.compile(r'<!-- (\S+) -->\n```\w*\n(.*?)^```', re.DOTALL | re.MULTILINE)


def expand_braces(name):
    found = re.search(r'\{([^{}]*)\}', name)
    if not found:
        return [name]
    return [expanded for part in found.group(1).split(',')
            for expanded in expand_braces(name[:found.start()] + part.strip() + name[found.end():])]


IDENTIFIER = re.compile(r'[A-Za-z_]\w*')
QUALIFIED = re.compile(r'(?:[A-Za-z_]\w*::)+~?([A-Za-z_]\w*)(?:\(\))?|(k[A-Z]\w+)')
OTHERS_NAMESPACES = ('std::', 'llvm::')


def identifiers(root):
    """All words of the sources: what C++ names may be found among."""
    words = set()
    for folder in FOLDERS:
        for directory, _, files in os.walk(os.path.join(root, folder)):
            for file in files:
                if file.endswith(('.cc', '.h', '.def', '.S')):
                    with open(os.path.join(directory, file), encoding='utf-8') as source:
                        words.update(IDENTIFIER.findall(source.read()))
    return words


def missing_identifier(name, words):
    """The name's last part, if it looks like a name of ours and no source has it."""
    found = QUALIFIED.fullmatch(name)
    if not found or name.startswith(OTHERS_NAMESPACES):
        return None
    last = found.group(1) or found.group(2)
    return None if last in words else last


def looks_like_path(name):
    if not re.fullmatch(r'[\w.+*{},/-]+', name.replace(', ', ',')) or name.startswith(('/', '-', '..')):
        return False
    if '/' in name:
        return name.split('/')[0] in FOLDERS or name.startswith('rotor/')
    return name.endswith(ENDINGS) and not name.startswith(('.', '*'))


def exists(root, document, name):
    beside = os.path.dirname(document)
    places = [name, os.path.join('include', name), os.path.join(beside, name)]
    if '/' not in name:
        places += [os.path.join(folder, '**', name) for folder in FOLDERS]
    return any(glob.glob(os.path.join(root, place), recursive=True) for place in places)


def outside_code_blocks(text):
    """The text with fenced blocks emptied, line numbers kept."""
    parts = FENCE.split(text)
    return ''.join(part if index % 2 == 0 else '\n' * part.count('\n') for index, part in enumerate(parts))


def left_by_merge(text):
    """Numbers of the lines that git leaves around versions which it could not merge."""
    return [number for number, line in enumerate(text.split('\n'), 1) if re.match(r'(<{7} |>{7} |={7}$)', line)]


def check(root):
    faults, names = [], 0
    words = identifiers(root)
    documents = [name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md') if os.path.exists(os.path.join(root, name))]
    documents += sorted(os.path.relpath(path, root) for path in glob.glob(os.path.join(root, 'docs', '**', '*.md'),
                                                                          recursive=True))
    for document in documents:
        with open(os.path.join(root, document), encoding='utf-8') as file:
            text = file.read()
        faults += [f'{document}:{number}: two versions that were not made one' for number in left_by_merge(text)]
        for number, line in enumerate(outside_code_blocks(text).split('\n'), 1):
            for quoted in BACKTICKS.findall(line):
                if missing_identifier(quoted, words):
                    faults.append(f'{document}:{number}: nothing is called {quoted}')
                if not looks_like_path(quoted):
                    continue
                for name in expand_braces(quoted):
                    names += 1
                    if not exists(root, document, name):
                        faults.append(f'{document}:{number}: there is no {name}')
        for file_name, block in QUOTED_FILE.findall(text):
            path = os.path.join(root, file_name)
            if not os.path.exists(path):
                faults.append(f'{document}: quotes {file_name}, which is not there')
            elif open(path, encoding='utf-8').read() != block:
                faults.append(f'{document}: the block after <!-- {file_name} --> is not that file')
    if names == 0:
        faults.append('no document names a file: is the pattern broken?')
    return faults


def self_test():
    cases = [('Config::mode', True), ('Config::mood', False), ('kAbiVersion', True), ('kNothing', False), ('std::span', True),
             ('fork', True), ('Lease::raw()', True)]
    words = {'Config', 'mode', 'kAbiVersion', 'raw'}
    wrong = [name for name, is_there in cases if (missing_identifier(name, words) is None) != is_there]
    wrong += [name for name in ('wasm/module.h', 'rotor/{result,value}.h', 'CMakeLists.txt') if not looks_like_path(name)]
    wrong += [name for name in ('--opt 1', 'a.b', '/dev/full') if looks_like_path(name)]
    if left_by_merge('a\n<<<<<<< HEAD\n=======\n>>>>>>> b\n') != [2, 3, 4] or left_by_merge('====\n<< a'):
        wrong.append('what git leaves')
    return [f'{name}: taken for what it is not' for name in wrong]


if __name__ == '__main__':
    if sys.argv[1:] == ['--self-test']:
        wrong = self_test()
        print('\n'.join(wrong), file=sys.stderr)
        sys.exit(1 if wrong else 0)
    found = check(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
    for fault in found:
        print(fault, file=sys.stderr)
    sys.exit(1 if found else 0)
