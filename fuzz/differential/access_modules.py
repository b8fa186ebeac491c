"""Modules whose accesses lie at a memory's end, beside each operator that a compiler may fold an access into.

Whether one traps must not depend on what becomes of its value: not selected, masked off, multiplied by zero, of which a
byte is used, or nothing. The operators are those of wasm/opcodes.def.
"""
import pathlib
import re

TABLE = pathlib.Path(__file__).resolve().parents[2] / 'wasm' / 'opcodes.def'
PAGE = 65536
TYPES = {'i': 'i32', 'l': 'i64', 'f': 'f32', 'd': 'f64', 'v': 'v128'}
SHAPES = ('i8x16', 'i16x8', 'i32x4', 'i64x2')
# What may trap by itself, and float arithmetic, for engines may differ in the bits of a NaN that it makes.
WITHOUT = re.compile(r'\.(div_|rem_|trunc_f)|relaxed|'
                     r'^f\w+\.(add|sub|mul|div|sqrt|min|max|ceil|floor|trunc|nearest|promote|demote)(_|$)')


def rows():
    pattern = re.compile(r'^ROTOR_OP_(NUMERIC|SIMD_NUMERIC|SIMD_LANE|LOAD|SIMD_LOAD|STORE|SIMD_STORE)'
                         r'\(\w+, \w+, "([^"]+)", (\w+), (\w*)_(\w*), (\w+)\)', re.M)
    for group, text, immediate, params, results, feature in pattern.findall(TABLE.read_text()):
        if feature != 'wide_arithmetic' and not WITHOUT.search(text) and (not results or results in TYPES):
            yield group, text, immediate, params, results


ROWS = list(rows())
LOADS = [(text, 'v' if text[0] == 'v' else {'i32': 'i', 'i64': 'l', 'f32': 'f', 'f64': 'd'}[text[:3]])
         for group, text, *_ in ROWS if group in ('LOAD', 'SIMD_LOAD')]
STORES = [(text, params[1]) for group, text, _, params, _ in ROWS if group in ('STORE', 'SIMD_STORE')]
OPERATORS = [row for row in ROWS if row[0] in ('NUMERIC', 'SIMD_NUMERIC', 'SIMD_LANE')]


class Body:
    def __init__(self, random):
        self.random = random
        self.loads = 0

    def address(self):
        """A third lie in bounds whatever is accessed, a third may, a third don't."""
        near = self.random.choice((PAGE - 64, PAGE - 20, PAGE - 8, PAGE - 2, PAGE))
        mask = self.random.choice((0, 1, 7, 15))
        return f'(i32.add (i32.and (local.get $i{self.random.randrange(2)}) (i32.const {mask})) (i32.const {near}))'

    def leaf(self, kind):
        if self.random.random() < .15:
            value = 'i32x4 0 -1 0 1' if kind == 'v' else self.random.choice(('0', '1', '255'))
            return f'({TYPES[kind]}.const {value})'
        return f'(local.get ${kind}{self.random.randrange(2)})'

    def load(self, kind):
        self.loads += 1
        text = self.random.choice([text for text, result in LOADS if result == kind])
        return f'({text} {self.address()})'

    def condition(self):
        kind = self.random.choice('iid')
        compare = {'i': ('i32.lt_s', 'i32.eq', 'i32.and'), 'd': ('f64.lt', 'f64.ne')}[kind]
        return f'({self.random.choice(compare)} {self.leaf(kind)} {self.leaf(kind)})'

    def mask(self):
        shape = self.random.choice(SHAPES)
        return f'({shape}.{self.random.choice(("lt_s", "eq"))} {self.leaf("v")} {self.leaf("v")})'

    def value(self, kind, depth):
        if depth == 0 or self.random.random() < .1:
            return self.load(kind) if self.random.random() < .6 else self.leaf(kind)
        choice = self.random.random()
        if choice < .25:
            return f'(select {self.value(kind, depth - 1)} {self.value(kind, depth - 1)} {self.condition()})'
        if kind == 'v' and choice < .45:
            name = self.random.choice(('and', 'andnot', 'or', 'xor'))
            if self.random.random() < .5:
                return f'(v128.bitselect {self.value("v", depth - 1)} {self.value("v", depth - 1)} {self.mask()})'
            return f'(v128.{name} {self.value("v", depth - 1)} {self.mask()})'
        if kind == 'v' and choice < .5:
            lanes = ' '.join(str(self.random.randrange(32)) for _ in range(16))
            return f'(i8x16.shuffle {lanes} {self.value("v", depth - 1)} {self.value("v", depth - 1)})'
        _, text, immediate, params, _ = self.random.choice([row for row in OPERATORS if row[4] == kind])
        lane = f' {self.random.randrange(int(immediate[4:]))}' if immediate.startswith('lane') else ''
        return f'({text}{lane} ' + ' '.join(self.value(param, depth - 1) for param in params) + ')'

    def statement(self):
        choice = self.random.random()
        if choice < .3:
            return f'(drop {self.value(self.random.choice("ilfdv"), 2)})'
        if choice < .5:
            text, kind = self.random.choice(STORES)
            return f'({text} {self.address()} {self.value(kind, 2)})'
        if choice < .6:
            return f'(if {self.condition()} (then {self.statement()}))'
        kind = self.random.choice('ilfdv')
        return f'(local.set ${kind}{self.random.randrange(2)} {self.value(kind, 2)})'

    def text(self, name):
        params = ' '.join(f'(param ${kind}{n} {TYPES[kind]})' for kind in 'ilfdv' for n in range(2))
        kind = self.random.choice('ilv')
        statements = '\n    '.join(self.statement() for _ in range(self.random.randint(0, 3)))
        return (f'(func (export "{name}") {params} (result {TYPES[kind]})\n    {statements}\n    '
                f'{self.value(kind, 2)})')


def module(random):
    """Its text."""
    functions = '\n  '.join(Body(random).text(f'f{i}') for i in range(24))
    return f'(module (memory (export "memory") 1)\n  {functions})\n'
