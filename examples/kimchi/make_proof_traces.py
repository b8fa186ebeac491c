#!/usr/bin/env python3
"""Writes the workloads of proofs.toml and prover.toml, cut from the traces in traces/.

    make_proof_traces.py [OUT_FOLDER]
    make_proof_traces.py --check         fails if the files here are not what it writes

proofs_setup, proofs_load: of kimchi_k8. Setup makes the SRS of 2^8, its Lagrange basis, the circuit, its prover and its
verifier index. Load proves, serializes, verifies, and reads the basis as o1js does, whose 256 boxes of 192 bytes it
never frees.

prover_setup, prover_leak, prover_prove: of o1js_compile_prove. Setup is all that o1js's compile builds, with a verifier
index for each prover index and the Lagrange bases of 2^14 in both fields. Leak is what a recursive proof leaks: both
bases, read as boxes, 6 MiB. Prove is the trace's step proof, serialized and verified.

A load frees, or has consumed, all that it makes but the boxes. Proofs take random bytes that go on from call to call,
so of a serialized proof only the size is stated: [SIZE]. Everything else that is stated comes from the traces, that is
from V8, and so do the points of prover_leak.
"""
import gzip
import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
from make_leak_traces import handle, write

FOLDER = os.path.dirname(os.path.abspath(__file__))

# The curve whose points commit to polynomials over a field.
CURVES = {'fp': 'vesta', 'fq': 'pallas'}

PROVER_LOG2_DOMAIN = 14
# Of the Lagrange commitments of the real trace's SRS (2^16 in fp, 2^15 in fq) over that domain: (x, y).
PROVER_POINTS = {
    'fp': {
        0: (
            'a97e6158ac4636a57c924a5f7a03800f2d399c84ab6f90ce7bbe24417f933e2c',
            '0b67966d2830f8191bbe14e6db1f18bd03ba4b1ff120c3998c5a722fa798d400',
        ),
        1: (
            '119efb3760a0a0e9e0e3b88ae6bd552ff76714732e754271b6eee5946204d02b',
            '0262d2e237225a6611eabd11cae9dfcf29df517198428815d45e137dade6cc1d',
        ),
        16383: (
            'd95e3403861bfa0be7da007fe7a940d4dc4928f4924cf43bec56932b39072023',
            '9c7ddfa814cc40d3faceba9ff329e4f53a34845d53681e3964cb93e6d03b661f',
        ),
    },
    'fq': {
        0: (
            '8cbe44ea2a1daad74719a90cfa264699660e4e1f797414fc97e97938ca5b2c1e',
            'e0bd6f9be746f8404d172b06a3834b024778133a57ff213ada027ce1376ac233',
        ),
        1: (
            'a663f4df9b8eedcbed68472c4f8cda70c53aa572d6807e31093248daea37c809',
            '1d77afd268b225bfac73f9a2accb46ac72e8f030f355e4d352b79256a449151e',
        ),
        16383: (
            'c22815cf516e087e81756f6eb20944863a0ac0e90c2cac892207eae8f3092a2b',
            '200322dc59ee67238686ba1b27883ef809e2a3a30ddd85fd88917977e610bf07',
        ),
    },
}


class Cut:
    """A new trace that takes over calls of an old one, and numbers their handles anew."""

    def __init__(self, file):
        with gzip.open(os.path.join(FOLDER, 'traces', file)) as lines:
            self.old = [json.loads(line) for line in lines]
        self.lines = []
        self.numbers = {}

    def add(self, *line):
        self.lines.append(list(line))
        return len(self.lines) - 1

    def find(self, name, nth=0):
        return [i for i, line in enumerate(self.old) if line[0] == name][nth]

    def take(self, number):
        """Takes over one call."""
        line = self.old[number]
        self.numbers[number] = self.add(line[0], self.renumbered(line[1]), *line[2:])
        return self.numbers[number]

    def take_range(self, first, last):
        for number in range(first, last + 1):
            self.take(number)

    def renumbered(self, value):
        if isinstance(value, list):
            return [self.renumbered(item) for item in value]
        if not isinstance(value, dict):
            return value
        if 'h' in value:
            return handle(self.numbers[value['h'][0]], value['h'][1])
        return {key: self.renumbered(item) for key, item in value.items()}

    # ---- what o1js does in several calls ----

    def verifier_index(self, field, index, serialized=None):
        """A verifier index to keep. What verifies or serializes one consumes it, so it is given a copy."""
        name = f'caml_pasta_{field}_plonk_verifier_index_'
        kept = self.add(name + 'create', [handle(index)], 'h')
        if serialized:
            copy = self.add(name + 'deep_copy', [handle(kept)], 'h')
            self.add(name + 'serialize', [handle(copy)], 'd', serialized)
        return kept

    def prove(self, field, first, verifier_index):
        """A proof whose calls begin with call `first` of the old trace: witness, proof, its size, its verification."""
        name = f'caml_pasta_{field}_plonk_'
        create = next(i for i in range(first, len(self.old)) if self.old[i][0] == name + 'proof_create')
        self.take_range(first, create - 1)
        proof = self.take(create)
        # The recorder saw o1js's last, empty vector as what malloc(0, 4) returns: a pointer of 4, and no elements.
        args = self.lines[proof][1]
        if args[-2:] == [4, 0]:
            args[-2:] = [{'u': []}]
        serialize = f'wasm{field}proverproof_serialize'
        size = next(line[3][0] for line in self.old if line[0] == serialize and line[1] == [handle(create)])
        self.add(serialize, [handle(proof)], 'd', [size])
        copy = self.add(name + 'verifier_index_deep_copy', [handle(verifier_index)], 'h')
        self.add(name + 'proof_verify', [handle(copy), handle(proof)], 'i', 1)

    def leak(self, field, srs, log2_domain, read, points):
        """o1js's lagrangeCommitmentsWholeDomain, which never frees the boxes.

        `read`: those whose points are read; `points`: what is known of them."""
        prefix = f'caml_{field}_srs_lagrange_commitments_whole_domain_'
        point_class = f'wasmg{CURVES[field]}'
        list_of_boxes = self.add(prefix + 'ptr', [handle(srs), 1 << log2_domain], 'h')
        boxes = self.add(prefix + 'read_from_ptr', [handle(list_of_boxes)], 'u', 1 << log2_domain)
        for i in read:
            point = handle(self.add(f'wasm{field}polycomm_unshifted', [handle(boxes, i)], 'u', 1), 0)
            x, y = points.get(i, (None, None))
            self.add(f'__wbg_get_{point_class}_x', [point], 'd', *([[32, x]] if x else []))
            self.add(f'__wbg_get_{point_class}_y', [point], 'd', *([[32, y]] if y else []))
            # The one that o1js calls for both curves: their functions have the same body.
            self.add('__wbg_get_wasmgpallas_infinity', [point], 'i', 0)
            self.add(f'__wbg_{point_class}_free', [point, 0], 'v')

    def write(self, out_folder, files):
        """`files`: names and where each begins."""
        ends = [first for _, first in files[1:]] + [len(self.lines)]
        for (name, first), end in zip(files, ends):
            write(os.path.join(out_folder, name + '.jsonl.gz'), self.lines[first:end])


def index_create(cut, number):
    """Takes over the making of a prover index, whose runtime tables are an empty vector (see Cut.prove)."""
    taken = cut.take(number)
    args = cut.lines[taken][1]
    assert args[3:5] == [4, 0]
    args[3:5] = [{'u': []}]
    return taken


def proofs(out_folder):
    cut = Cut('kimchi_k8.jsonl.gz')
    srs = cut.take(cut.find('caml_fp_srs_create'))
    cut.take(cut.find('caml_fp_srs_add_lagrange_basis'))
    old_index = cut.find('caml_pasta_fp_plonk_index_create')
    cut.take_range(cut.find('caml_pasta_fp_plonk_gate_vector_create'), old_index - 1)
    index = index_create(cut, old_index)
    serialized = cut.old[cut.find('caml_pasta_fp_plonk_verifier_index_serialize')][3]
    verifier_index = cut.verifier_index('fp', index, serialized)
    setup_end = len(cut.lines)

    cut.prove('fp', cut.find('wasmvecvecfp_create'), verifier_index)
    # The trace has one commitment of the basis.
    commitment = cut.find('caml_fp_srs_lagrange_commitment')
    x, y = (cut.old[commitment + i] for i in (2, 3))
    assert x[0].endswith('_x') and y[0].endswith('_y')
    cut.leak('fp', srs, 8, range(256), {cut.old[commitment][1][2]: (x[3][1], y[3][1])})
    cut.write(out_folder, [('proofs_setup', 0), ('proofs_load', setup_end)])


def prover(out_folder):
    cut = Cut('o1js_compile_prove.jsonl.gz')
    witness = cut.find('wasmvecvecfp_create')
    indexes = []
    for number in range(witness):
        field = cut.old[number][0][len('caml_pasta_'):][:2]
        if cut.old[number][0].endswith('_plonk_index_create'):
            indexes.append((field, number, index_create(cut, number)))
        else:
            cut.take(number)
    kept = []
    for field, old_index, index in indexes:
        made = next(i for i, line in enumerate(cut.old)
                    if line[0] == f'caml_pasta_{field}_plonk_verifier_index_create' and line[1] == [handle(old_index)])
        kept.append(cut.verifier_index(field, index, cut.old[made + 1][3]))
    srs = {field: cut.numbers[cut.find(f'caml_{field}_srs_create_parallel')] for field in CURVES}
    for field in CURVES:
        cut.add(f'caml_{field}_srs_add_lagrange_basis', [handle(srs[field]), PROVER_LOG2_DOMAIN], 'v')

    # Each load follows the setup, not the other load.
    setup_end = len(cut.lines)
    for field in CURVES:
        # The boxes are the leak; reading each of them would be most of the file.
        cut.leak(field, srs[field], PROVER_LOG2_DOMAIN, PROVER_POINTS[field], PROVER_POINTS[field])
    cut.write(out_folder, [('prover_setup', 0), ('prover_leak', setup_end)])
    del cut.lines[setup_end:]
    cut.prove('fp', witness, kept[0])
    write(os.path.join(out_folder, 'prover_prove.jsonl.gz'), cut.lines[setup_end:])


def check():
    """Compares what is zipped: how well zlib does is a matter of its version."""
    with tempfile.TemporaryDirectory() as made:
        proofs(made)
        prover(made)
        for name in sorted(os.listdir(made)):
            with gzip.open(os.path.join(made, name)) as new, gzip.open(os.path.join(FOLDER, name)) as kept:
                if new.read() != kept.read():
                    sys.exit(f'{name} is not what {os.path.basename(__file__)} writes')


def main():
    if sys.argv[1:] == ['--check']:
        return check()
    out_folder = sys.argv[1] if len(sys.argv) > 1 else FOLDER
    proofs(out_folder)
    prover(out_folder)


if __name__ == '__main__':
    main()
