"""Modules full of 128-bit products as wasm has to compute them, from halves: `wasm-tools smith` makes none by itself.

Products by the ways of known libraries and compilers, with the terms of the high words shuffled among the carries of
what is accumulated; and such that are wrong somewhere, which must not be taken for right.
"""

HALF = 0xffffffff
CORNERS = (0, 1, 2, HALF, 1 << 32, HALF + 2, 1 << 63, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 2, HALF << 32,
           0x992d30ed00000001, 0x224698fc094cf91b, 0x4000000000000000)
ROUNDS = 200  # evaluations in one call
SLOTS_ADDRESS, CORNERS_ADDRESS = 0, 1024
SLOTS = 16  # words of memory that functions read and write


class Body:
    """A function's statements. Values are names of i64 locals, or constants."""

    def __init__(self, random, params):
        self.random = random
        self.params = [f'$p{i}' for i in range(params)]
        self.pool = list(self.params)
        self.lines, self.locals = [], []
        # Of some functions all is right, others are wrong in one place or in several.
        self.wrong_one_in = random.choice((0, 0, 0, 0, 40))
        self.decisions_until_wrong = random.choice((0, random.randint(1, 30), random.randint(1, 200)))

    # Pieces

    def wrong(self):
        self.decisions_until_wrong -= 1
        return self.decisions_until_wrong == 0 or \
            (self.wrong_one_in and self.random.randrange(self.wrong_one_in) == 0)

    @staticmethod
    def get(value):
        return f'(i64.const {value})' if isinstance(value, int) else f'(local.get {value})'

    def let(self, expression):
        name = f'$v{len(self.locals)}'
        self.locals.append(name)
        self.lines.append(f'(local.set {name} {expression})')
        return name

    def op(self, name, left, right):
        return self.let(f'(i64.{name} {self.get(left)} {self.get(right)})')

    def shift(self, name, value, count):
        if self.wrong():
            count += self.random.choice((-1, 1, 32))
        return self.op(name, value, count)

    def low(self, value):
        if self.wrong():
            return self.op('and', value, self.random.choice((0x7fffffff, 0x1ffffffff, 0xfffffffe)))
        if self.random.random() < .5:
            return self.op('and', value, HALF)
        return self.let(f'(i64.extend_i32_u (i32.wrap_i64 {self.get(value)}))')

    def high(self, value):
        return self.shift('shr_u', value, 32)

    def carry(self, total, addend):
        """Of total = addend + something."""
        left, right, name = total, addend, 'lt_u'
        if self.wrong():
            name = self.random.choice(('le_u', 'lt_s', 'gt_u'))
        if self.random.random() < .5:
            left, right = addend, total
            name = {'lt': 'gt', 'gt': 'lt', 'le': 'ge'}[name[:2]] + name[2:]
        compare = f'(i64.{name} {self.get(left)} {self.get(right)})'
        if self.random.random() < .2:
            return self.let(f'(select (i64.const 1) (i64.const 0) {compare})')
        return self.let(f'(i64.extend_i32_u {compare})')

    def sum(self, terms):
        """In any order and association."""
        terms = list(terms)
        if self.wrong():
            terms.pop(self.random.randrange(len(terms)))
        while len(terms) > 1:
            left = terms.pop(self.random.randrange(len(terms)))
            right = terms.pop(self.random.randrange(len(terms)))
            terms.append(self.op('xor' if self.wrong() else 'add', left, right))
        return terms[0] if terms else 0

    def value(self):
        choice = self.random.random()
        if choice < .15:
            return self.random.choice(CORNERS) if self.random.random() < .7 else self.random.getrandbits(64)
        if choice < .2:
            return self.random.getrandbits(33)
        return self.random.choice(self.pool if choice < .6 else self.pool[-6:])

    # Products: (the low word, terms whose sum is the high word)

    def product(self, a, b):
        way = self.random.choice((self.by_columns, self.by_carries, self.by_middle, self.by_cross))
        if self.random.random() < .15:
            b, way = a, self.square
        low, terms = way(a, b)
        if self.random.random() < .25:
            low = self.op('mul', a, b)
        self.pool += [low] if self.random.random() < .8 else []
        return low, terms

    def halves(self, a, b):
        al, ah, bl, bh = self.low(a), self.high(a), self.low(b), self.high(b)
        parts = [self.op('mul', x, y) if self.random.random() < .5 else self.op('mul', y, x)
                 for x, y in ((al, bl), (al, bh), (ah, bl), (ah, bh))]
        if self.random.random() < .5:
            parts[1], parts[2] = parts[2], parts[1]
        if self.random.random() < .1:
            self.pool.append(self.random.choice(parts))
        return parts

    def joined(self, high, low):
        return self.op(self.random.choice(('or', 'add')), self.shift('shl', high, 32), self.low(low))

    def by_columns(self, a, b):  # Knuth's, the run-time library's
        ll, lh, hl, hh = self.halves(a, b)
        t = self.sum([hl, self.high(ll)])
        w = self.sum([self.low(t), lh])
        return self.joined(w, ll), [hh, self.high(t), self.high(w)]

    def by_carries(self, a, b):  # wyhash
        ll, lh, hl, hh = self.halves(a, b)
        first = self.shift('shl', hl, 32)
        t = self.sum([ll, first])
        second = self.shift('shl', lh, 32)
        low = self.sum([t, second])
        return low, [hh, self.high(hl), self.high(lh), self.carry(t, self.random.choice((ll, first))),
                     self.carry(low, self.random.choice((t, second)))]

    def by_middle(self, a, b):  # mbedTLS, and how compilers lower a product of 128 bits
        ll, lh, hl, hh = self.halves(a, b)
        middle = self.sum([lh, hl])
        shifted = self.shift('shl', middle, 32)
        low = self.sum([ll, shifted])
        return low, [hh, self.high(middle), self.shift('shl', self.carry(middle, self.random.choice((lh, hl))), 32),
                     self.carry(low, self.random.choice((ll, shifted)))]

    def by_cross(self, a, b):  # xxhash
        ll, lh, hl, hh = self.halves(a, b)
        cross = self.sum([self.high(ll), self.low(hl), lh])
        return self.joined(cross, ll), [hh, self.high(hl), self.high(cross)]

    def square(self, a, _):
        al, ah = self.low(a), self.high(a)
        ll, lh, hh = self.op('mul', al, al), self.op('mul', al, ah), self.op('mul', ah, ah)
        shifted = self.shift('shl', lh, 33)
        low = self.sum([ll, shifted])
        return low, [hh, self.shift('shr_u', lh, 31), self.carry(low, self.random.choice((ll, shifted)))]

    # Steps

    def row(self):
        """acc[i] + a[i] * b + carry, as in multiplications of long numbers."""
        b, carried = self.value(), self.value() if self.random.random() < .5 else 0
        for _ in range(self.random.randint(1, 4)):
            low, terms = self.product(self.value(), b)
            for addend in [self.value()] * (self.random.random() < .6) + [carried] * (carried != 0):
                total = self.sum([low, addend])
                terms.append(self.carry(total, self.random.choice((low, addend))))
                low = total
            # Terms stay apart till the next column in some code.
            if self.random.random() < .2:
                terms.append(self.value())
            carried = self.sum(terms)
            self.pool += [low, carried]

    def arithmetic(self):
        name = self.random.choice(('add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_u', 'shr_s', 'rotl'))
        right = self.random.choice((1, 2, 31, 32, 33, 62, 63)) if name[:2] in ('sh', 'ro') else self.value()
        self.pool.append(self.op(name, self.value(), right))

    def carried_sum(self):
        x, y = self.value(), self.value()
        total = self.sum([x, y])
        self.pool += [total, self.carry(total, self.random.choice((x, y)))]

    def store(self):
        self.lines.append(f'(i64.store offset={SLOTS_ADDRESS + 8 * self.random.randrange(SLOTS)} (i32.const 0) '
                          f'{self.get(self.value())})')

    def load(self):
        offset = SLOTS_ADDRESS + 8 * self.random.randrange(SLOTS)
        self.pool.append(self.let(f'(i64.load offset={offset} (i32.const 0))'))

    def nested(self, depth):
        """A loop of a few turns with values carried around, or an arm of an `if`."""
        carried = [self.let(self.get(self.value())) for _ in range(self.random.randint(1, 3))]
        label, known = f'$l{len(self.locals)}', len(self.pool)
        is_loop = self.random.random() < .6
        if is_loop:
            turns = self.let(self.get(self.random.randint(1, 4)))
            self.lines.append(f'(loop {label}')
        else:
            self.lines.append(f'(if (i64.lt_u {self.get(self.value())} {self.get(self.value())}) (then')
        self.pool += carried
        self.steps(self.random.randint(1, 4), depth + 1)
        for name in carried:
            self.lines.append(f'(local.set {name} {self.get(self.value())})')
        if is_loop:
            self.lines.append(f'(local.set {turns} (i64.sub {self.get(turns)} (i64.const 1)))')
            self.lines.append(f'(br_if {label} (i64.ne {self.get(turns)} (i64.const 0))))')
        else:
            self.lines.append('))')
        del self.pool[known:]
        self.pool += carried

    def steps(self, count, depth=0):
        for _ in range(count):
            choice = self.random.random()
            if choice < .45:
                self.row()
            elif choice < .6:
                self.arithmetic()
            elif choice < .7:
                self.carried_sum()
            elif choice < .78:
                self.store()
            elif choice < .86:
                self.load()
            elif depth < 2:
                self.nested(depth)

    def text(self, name):
        self.steps(self.random.randint(1, 8))
        result = 0
        for value in self.pool[-6:] + self.random.choices(self.pool, k=2):
            result = self.op('xor', self.op('rotl', result, 7), value)
        params = ' '.join(f'(param {p} i64)' for p in self.params)
        names = ' '.join(f'(local {v} i64)' for v in self.locals)
        return f'(func {name} {params} (result i64) {names}\n    ' + '\n    '.join(self.lines) + \
            f'\n    {self.get(result)})'


# A word: a third of them corners, a third such by halves.
PICK = f'''(func $pick (result i64) (local $z i64) (local $corner i64)
    (global.set $state (i64.add (global.get $state) (i64.const 0x9e3779b97f4a7c15)))
    (local.set $z (i64.mul (i64.xor (global.get $state) (i64.shr_u (global.get $state) (i64.const 30)))
                           (i64.const 0xbf58476d1ce4e5b9)))
    (local.set $z (i64.mul (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 27)))
                           (i64.const 0x94d049bb133111eb)))
    (local.set $corner (i64.load offset={CORNERS_ADDRESS} (i32.shl (i32.and (i32.wrap_i64 (local.get $z))
                                                                            (i32.const 15)) (i32.const 3))))
    (if (i64.lt_u (local.get $z) (i64.const 0x5555555555555555)) (then (return (local.get $corner))))
    (if (i64.lt_u (local.get $z) (i64.const 0xaaaaaaaaaaaaaaaa)) (then (return
      (i64.rotl (i64.and (local.get $corner) (i64.shr_s (local.get $z) (i64.const 40))) (local.get $z)))))
    (i64.xor (local.get $z) (i64.shr_u (local.get $z) (i64.const 31))))'''


def caller(name, inner, params):
    """Calls `inner` with many inputs, for there are few calls from outside."""
    arguments = ' '.join(['(call $pick)'] * params)
    return f'''(func {name} (export "{name[1:]}") (param $seed i64) (result i64) (local $turns i32) (local $hash i64)
    (global.set $state (local.get $seed))
    (local.set $turns (i32.const {ROUNDS}))
    (loop $again
      (local.set $hash (i64.add (i64.rotl (local.get $hash) (i64.const 11)) (call {inner} {arguments})))
      (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
    (local.get $hash))'''


def module(random):
    """Its text."""
    corners = ''.join(f'\\{byte:02x}' for word in (CORNERS + CORNERS)[:16] for byte in word.to_bytes(8, 'little'))
    parts = ['(memory (export "memory") 1)', '(global $state (mut i64) (i64.const 0))',
             f'(data (i32.const {CORNERS_ADDRESS}) "{corners}")', PICK]
    for i in range(random.randint(2, 6)):
        params = random.randint(2, 8)
        parts += [Body(random, params).text(f'$inner{i}'), caller(f'$call{i}', f'$inner{i}', params)]
    return '(module\n  ' + '\n  '.join(parts) + ')\n'
