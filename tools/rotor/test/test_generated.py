#!/usr/bin/env python3
"""test_generated.py ROTOR SOURCE: what is made of the commands' definitions is what is committed, and bash takes it.
With --update behind them it is written anew."""
import os
import subprocess
import sys

BEGIN, END = '.\\" From here on made by tools/rotor/test/test_generated.py --update.\n', '.\\" To here.\n'


def output(rotor, *args):
    return subprocess.run([rotor, *args], check=True, stdout=subprocess.PIPE, text=True).stdout


def wanted(rotor, source):
    """The contents of each file."""
    files = {f'tools/rotor/completions/{name}': output(rotor, 'completions', shell)
             for shell, name in (('bash', 'rotor'), ('zsh', '_rotor'), ('fish', 'rotor.fish'))}
    with open(os.path.join(source, 'docs/rotor.1'), encoding='utf-8') as page:
        text = page.read()
    before, rest = text.split(BEGIN)
    files['docs/rotor.1'] = before + BEGIN + output(rotor, 'man-options') + END + rest.split(END)[1]
    return files


def complete(source, *words):
    script = (f"source {source}/tools/rotor/completions/rotor; COMP_WORDS=({' '.join(words)}); "
              f"COMP_CWORD={len(words) - 1}; _rotor; echo ${{COMPREPLY[@]}}")
    return subprocess.run(['bash', '-c', script], check=True, stdout=subprocess.PIPE, text=True).stdout.split()


def main():
    rotor, source = sys.argv[1:3]
    faults = []
    for name, text in wanted(rotor, source).items():
        path = os.path.join(source, name)
        if sys.argv[3:] == ['--update']:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
        elif not os.path.exists(path) or open(path, encoding='utf-8').read() != text:
            faults.append(f'{name} is stale: run this with --update')
    for words, among in ((('rotor', 'ru'), 'run'), (('rotor', 'run', '--inv'), '--invoke'), (('rotor', 'policy', 'ch'), 'check')):
        if among not in complete(source, *words):
            faults.append(f'{words} is not completed by {among}: {complete(source, *words)}')
    print('\n'.join(faults))
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
