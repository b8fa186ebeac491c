#!/usr/bin/env python3
"""test_summary.py [--allowed FILE] PRESET=RESULTS.xml…: adds up ctest's JUnit files.

Names each test that failed or was skipped; the last line is `N passed, N failed, N skipped`. Exit 1 if one failed,
or, with CI=true in the environment, if one was skipped that no line of FILE (`preset: regular expression`) allows.
"""
import os
import re
import sys
import xml.etree.ElementTree as ElementTree


def read_allowed(path):
    rules = []
    with open(path, encoding='utf-8') as file:
        for line in file:
            line = line.split('#')[0].strip()
            if line:
                preset, pattern = line.split(':', 1)
                rules.append((preset.strip(), re.compile(pattern.strip())))
    return rules


def reason(case):
    """Why a test was skipped, in its own words."""
    lines = (case.findtext('system-out') or '').strip().split('\n')
    for index, line in enumerate(lines):
        if line.startswith('skipped:'):  # cmake/run_test.py
            return ' (' + line[len('skipped:'):].strip() + ')'
        if line.endswith(': Skipped') and index + 1 < len(lines):  # GoogleTest
            return ' (' + lines[index + 1].strip() + ')'
    return ''


def is_skip(case):
    """Skipped by its own word; a test that could not be run (no executable, say) is a failure."""
    message = case.find('skipped')
    return message is not None and message.get('message', '').startswith(('SKIP_', 'Disabled'))


def main(arguments):
    allowed = []
    if arguments[:1] == ['--allowed']:
        allowed = read_allowed(arguments[1])
        arguments = arguments[2:]
    strict = os.environ.get('CI') == 'true'
    passed, failed, skipped = 0, 0, 0
    for argument in arguments:
        preset, path = argument.split('=', 1)
        if not os.path.exists(path):
            print(f'FAILED {preset}: the run left no results')
            failed += 1
            continue
        for case in ElementTree.parse(path).getroot().iter('testcase'):
            name, status = case.get('name'), case.get('status')
            if status == 'run':
                passed += 1
            elif status == 'fail' or not is_skip(case):
                failed += 1
                print(f'FAILED {preset}: {name}')
            elif strict and not any(rule in (preset, '*') and pattern.fullmatch(name) for rule, pattern in allowed):
                failed += 1
                print(f'FAILED {preset}: {name}: skipped, which CI does not allow{reason(case)}')
            else:
                skipped += 1
                print(f'skipped {preset}: {name}{reason(case)}')
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
