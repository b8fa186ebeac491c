#!/usr/bin/env python3
"""Check that a row of wasm/opcodes.def without an emitter does not compile.

The emitters' switches over a group of the table stand between `#pragma GCC diagnostic error "-Wswitch"` and a pop. This
takes all case labels out of them, compiles what is left, and expects an error for each label that was taken out.
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

GUARD = '#pragma GCC diagnostic error "-Wswitch"'
LABEL = re.compile(r'^(\s*)case (\w+):', re.M)
LACKING = re.compile(r"error: enumeration value .(\w+).")


def without_labels(text):
    """Return the text without the guarded labels, and their names."""
    names = set()

    def strip(match):
        names.add(match[2])
        return match[1]

    parts = re.split('(#pragma GCC diagnostic (?:error "-Wswitch"|pop))', text)
    guarded = False
    for i, part in enumerate(parts):
        if part.startswith('#pragma GCC diagnostic'):
            guarded = part == GUARD
        elif guarded:
            parts[i] = LABEL.sub(strip, part)
    return ''.join(parts), names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='root of the sources')
    parser.add_argument('build', help='folder with a compile_commands.json')
    options = parser.parse_args()
    with open(os.path.join(options.build, 'compile_commands.json'), encoding='utf-8') as file:
        commands = {entry['file']: entry for entry in json.load(file)}
    checked = failed = 0
    emitters = os.path.join(os.path.abspath(options.source), 'jit', 'emit')
    for name in sorted(os.listdir(emitters)):
        path = os.path.join(emitters, name)
        with open(path, encoding='utf-8') as file:
            text = file.read()
        if GUARD not in text:
            continue
        stripped, labels = without_labels(text)
        with tempfile.NamedTemporaryFile('w', suffix='.cc', encoding='utf-8') as copy:
            copy.write(stripped)
            copy.flush()
            # Without the build's own warnings: the source itself must ask for the error.
            command = [word for word in shlex.split(commands[path]['command']) if not word.startswith(('-W', '-o'))]
            command = [copy.name if word == path else word for word in command if not word.endswith(('.o', 'ccache'))]
            result = subprocess.run([*command, '-fsyntax-only'], cwd=commands[path]['directory'], text=True,
                                    stderr=subprocess.PIPE, check=False, env=dict(os.environ, LANG='C', LC_ALL='C'))
        missed = labels - set(LACKING.findall(result.stderr))
        checked += len(labels)
        failed += len(missed)
        for label in sorted(missed):
            print(f'jit/emit/{name}: a source without `case {label}` compiles')
    if checked < 412:  # rows are only added
        sys.exit(f'only {checked} cases were found')
    print(f'{checked} cases, {failed} of which may be forgotten')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
