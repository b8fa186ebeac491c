#!/usr/bin/env python3
"""Checks that the docs speak of what is there: check_docs.py [ROOT], a line a fault, exit 1 if there is one.

- Each name in backticks that looks like a path of this repository exists. Braces and `*` are expanded.
- A code block that follows the comment `<!-- FILE -->` is that file, word for word.
"""
import glob
import os
import re
import sys

FOLDERS = ('.ci', 'bench', 'cmake', 'docs', 'examples', 'fuzz', 'include', 'jit', 'memory', 'proxy', 'runtime',
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


def check(root):
    faults, names = [], 0
    documents = [name for name in ('README.md', 'CONTRIBUTING.md') if os.path.exists(os.path.join(root, name))]
    documents += sorted(os.path.relpath(path, root) for path in glob.glob(os.path.join(root, 'docs', '**', '*.md'),
                                                                          recursive=True))
    for document in documents:
        with open(os.path.join(root, document), encoding='utf-8') as file:
            text = file.read()
        for number, line in enumerate(outside_code_blocks(text).split('\n'), 1):
            for quoted in BACKTICKS.findall(line):
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


if __name__ == '__main__':
    found = check(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
    for fault in found:
        print(fault, file=sys.stderr)
    sys.exit(1 if found else 0)
