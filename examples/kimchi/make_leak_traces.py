#!/usr/bin/env python3
"""Writes leak_setup.jsonl.gz and leak_load.jsonl.gz: o1js's own leak, as calls of the raw module.

    make_leak_traces.py [OUT_FOLDER]

Setup makes an SRS of 2^10 and its Lagrange basis, and frees the commitments that it reads back. Load is one call of
o1js's lagrangeCommitmentsWholeDomain: it reads the basis as 1,024 boxes of 192 bytes and never frees them.

Results are compared with the first repetition's. With RESULTS=FILE, a trace of setup and load, one after the other, with
results from another engine, load states them.
"""
import gzip
import json
import os
import sys

LOG2_DOMAIN = 10
DOMAIN = 1 << LOG2_DOMAIN

PREFIX = 'caml_fp_srs_lagrange_commitments_whole_domain_'


def handle(call, element=-1):
    return {'h': [call, element]}


def basis(lines, srs):
    """Reads the basis of an SRS: the number of the call whose result is the vector of commitments."""
    lines.append([PREFIX + 'ptr', [handle(srs), DOMAIN], 'h'])
    lines.append([PREFIX + 'read_from_ptr', [handle(len(lines) - 1)], 'u', DOMAIN])
    return len(lines) - 1


def setup():
    lines = [['caml_fp_srs_create', [DOMAIN], 'h']]
    commitments = basis(lines, 0)
    lines += [['__wbg_wasmfppolycomm_free', [handle(commitments, i), 0], 'v'] for i in range(DOMAIN)]
    return lines


def load(lines):
    """Appends the load to the setup, so that its calls are numbered on."""
    commitments = basis(lines, 0)
    for i in range(DOMAIN):
        lines.append(['wasmfppolycomm_unshifted', [handle(commitments, i)], 'u', 1])
        point = handle(len(lines) - 1, 0)
        lines.append(['__wbg_get_wasmgvesta_x', [point], 'd', None])
        lines.append(['__wbg_get_wasmgvesta_y', [point], 'd', None])
        lines.append(['__wbg_get_wasmgvesta_infinity', [point], 'i', 0])
        lines.append(['__wbg_wasmgvesta_free', [point, 0], 'v'])


def write(path, lines):
    text = ''.join(json.dumps(line, separators=(',', ':')) + '\n' for line in lines)
    with open(path, 'wb') as out, gzip.GzipFile('', 'wb', 9, out, 0) as zipped:  # neither name nor time
        zipped.write(text.encode())


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    lines = setup()
    setup_count = len(lines)
    load(lines)
    if results := os.environ.get('RESULTS'):
        with open(results) as file:
            got = [json.loads(line) for line in file]
        assert [line[:3] for line in got] == [line[:3] for line in lines], 'results of another trace'
        lines = got
    else:
        lines = [line[:3] if line[3:] == [None] else line for line in lines]
    write(os.path.join(folder, 'leak_setup.jsonl.gz'), lines[:setup_count])
    write(os.path.join(folder, 'leak_load.jsonl.gz'), lines[setup_count:])


if __name__ == '__main__':
    main()
