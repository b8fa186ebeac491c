"""Modules of structures, arrays and casts: hierarchies of types some of which are deeper than a display has entries and
some of which are written twice, and functions that make, change, cast and pass what is of them.

What `wasm-tools smith` makes has the same instructions, but hardly ever a cast that may go either way. Most casts here
are asked for first, so that a call goes on; what is found then stays in globals, in tables and in objects.
"""
import pathlib
import re

TABLE = pathlib.Path(__file__).resolve().parents[2] / 'wasm' / 'opcodes.def'
NUMBERS = ('i32', 'i64', 'f32', 'f64', 'v128')
PACKED = ('i8', 'i16')
CONSTANTS = {'i32': ('0', '1', '-1', '127', '128', '255', '32767', '32768', '65535', '-2147483648', '1073741824'),
             'i64': ('0', '-1', '255', '4294967296'),
             'f32': ('0', '-0', '1.5', 'inf'), 'f64': ('0', '-0', '2.5', '-inf'),
             'v128': ('i32x4 0 1 2 3', 'i64x2 -1 255')}
ABOVE = {'eq': 'any', 'i31': 'eq', 'struct': 'eq', 'array': 'eq'}
FUNCTIONS, LEAVES = 12, 14
TYPE_NAME = re.compile(r'\$t\d+\b')


class Type:
    """A defined type. `fields` of a structure and of an array: (storage, mutable), where a storage is a number's name
    or a heap type, of which the field is a nullable reference; of a function: (param's heap type, result's heap type).
    """

    def __init__(self, name, kind, above, final, fields):
        self.name, self.kind, self.above, self.final, self.fields = name, kind, above, final, fields

    def __str__(self):
        return f'${self.name}'


def is_below(heap, other):
    while heap is not None:
        if heap is other or heap == other:
            return True
        heap = (heap.above or heap.kind) if isinstance(heap, Type) else ABOVE.get(heap)
    return False


def instructions():
    """The names of those of the proposal."""
    names = re.findall(r'^ROTOR_OP_GC\(\w+, \w+, "([^"]+)"', TABLE.read_text(), re.M)
    return [name for name in names if not name.endswith(' null')]  # which the text says with the type


def depth_of(heap):
    return 1 + depth_of(heap.above) if heap.above else 0


def is_number(storage):
    return isinstance(storage, str) and storage in NUMBERS + PACKED


def reference(heap, nullable=True):
    return f'(ref {"null " if nullable else ""}{heap})'


def top_of(heap):
    kind = heap.kind if isinstance(heap, Type) else heap
    return 'func' if kind == 'func' else 'extern' if kind == 'extern' else 'any'


class Types:
    def __init__(self, random):
        self.random = random
        self.all, self.twice = [], set()
        deep = random.random() < .5
        for _ in range(random.randint(14, 22) if deep else random.randint(6, 14)):
            self.add(random.choice(('struct', 'struct', 'array')), deep)
        for _ in range(random.randint(10, 12) if deep and random.random() < .5 else random.randint(3, 6)):
            self.add('func', deep)

    def of_kind(self, *kinds):
        return [t for t in self.all if t.kind in kinds]

    def add(self, kind, deep):
        chosen = self.random
        mayextend = [t for t in self.of_kind(kind) if not t.final]
        above = None
        if mayextend and chosen.random() < (.9 if deep else .75):
            above = mayextend[-1] if deep and chosen.random() < .8 else chosen.choice(mayextend)
        made = Type(f't{len(self.all)}', kind, above, chosen.random() < (.05 if deep else .25), [])
        self.all.append(made)  # which may have fields of its own type
        made.fields = {'struct': self.structure, 'array': self.array, 'func': self.function}[kind](above)

    def storage(self):
        if self.random.random() < .55:
            return self.random.choice(NUMBERS + PACKED + PACKED)
        abstract = ['any', 'eq', 'i31', 'struct', 'array', 'func', 'extern']
        return self.random.choice(abstract + self.of_kind('struct', 'array'))

    def below(self, heap):
        """One below it, or itself."""
        return self.random.choice([heap] + [t for t in self.all if t.fields and is_below(t, heap)])

    def above(self, heap):
        chain = [heap]
        while isinstance(chain[-1], Type) or chain[-1] in ABOVE:
            chain.append((chain[-1].above or chain[-1].kind) if isinstance(chain[-1], Type) else ABOVE[chain[-1]])
        return self.random.choice(chain)

    def narrowed(self, field):
        storage, mutable = field
        return (storage if mutable or is_number(storage) else self.below(storage)), mutable

    def structure(self, above):
        inherited = [self.narrowed(field) for field in above.fields] if above else []
        more = self.random.randint(0, 1 if above else 4)
        return inherited + [(self.storage(), self.random.random() < .7) for _ in range(more)]

    def array(self, above):
        return [self.narrowed(above.fields[0]) if above else (self.storage(), self.random.random() < .8)]

    def function(self, above):
        if above:
            return [self.above(above.fields[0]), self.below(above.fields[1])]
        heaps = ['any', 'eq', 'struct', 'array'] + self.of_kind('struct', 'array')
        return [self.random.choice(heaps), self.random.choice(heaps)]

    @staticmethod
    def field(field):
        storage, mutable = field
        text = storage if is_number(storage) else reference(storage)
        return f'(mut {text})' if mutable else text

    def text(self, t):
        if t.kind == 'struct':
            body = '(struct ' + ' '.join(f'(field {self.field(f)})' for f in t.fields) + ')'
        elif t.kind == 'array':
            body = f'(array {self.field(t.fields[0])})'
        else:
            body = f'(func (param i32 {reference(t.fields[0])}) (result {reference(t.fields[1])}))'
        above = f' {t.above}' if t.above else ''
        return f'(type {t} (sub{" final" if t.final else ""}{above} {body}))'

    def texts(self):
        """Groups of them. A group that is written again names the same types, but for an "x" at the end."""
        lines, left = [], self.all
        while left:
            size = self.random.randint(1, 6)
            group, left = left[:size], left[size:]
            lines.append('(rec ' + '\n    '.join(self.text(t) for t in group) + ')')
            if self.random.random() < .4:
                names = {str(t) for t in group}
                lines.append(TYPE_NAME.sub(lambda m: m[0] + 'x' if m[0] in names else m[0], lines[-1]))
                self.twice |= names
        return lines

    def mixed(self, text):
        """The same with some types by their other name, but for a function's first line, which says one type twice."""
        if text.startswith('(func'):
            first, rest = text.split('\n', 1)
            return first + '\n' + self.mixed(rest)
        return TYPE_NAME.sub(lambda m: m[0] + 'x' if m[0] in self.twice and self.random.random() < .4 else m[0], text)


class Body:
    """A function's, of a parameter $p. `leaf`: it calls nothing."""

    def __init__(self, module, param, callable_functions, leaf):
        self.module, self.random, self.types = module, module.random, module.types
        self.callable, self.leaf, self.labels = callable_functions, leaf, 0
        heaps = ['any', 'any', 'eq', 'struct', 'func'] + \
            [self.random.choice(self.types.all) for _ in range(6)]
        self.param = ('$p', param)
        self.locals = [(f'$l{n}', heap) for n, heap in enumerate(heaps)]

    def declarations(self):
        return ' '.join(f'(local {name} {reference(heap)})' for name, heap in self.locals) + \
            ' (local $turns i32) (local $any anyref) (local $func funcref)'

    def label(self):
        self.labels += 1
        return f'$b{self.labels}'

    def pick(self, *weighted):
        """Of (weight, what makes it) pairs."""
        made = self.random.choices([make for _, make in weighted], [weight for weight, _ in weighted])[0]
        return made()

    def constant(self, number):
        return f'({number}.const {self.random.choice(CONSTANTS[number])})'

    def index(self):
        return f'(i32.and {self.value("i32", 1)} (i32.const {self.random.choice((0, 0, 1, 1, 1, 3))}))'

    def value(self, storage, depth):
        if not is_number(storage):
            return self.ref(storage, True, depth)
        number = 'i32' if storage in PACKED else storage
        if depth <= 0:
            return self.constant(number) if number != 'i32' or self.random.random() < .4 else \
                f'(local.get $i{self.random.randrange(2)})'
        choices = [(1, lambda: self.value(storage, 0)), (3, lambda: self.from_object(number, depth))]
        if number == 'i32':
            choices += [(2, lambda: self.test(depth)), (1, lambda: self.arithmetic(depth)),
                        (1, lambda: f'(i31.get_{self.random.choice("su")} {self.ref("i31", False, depth - 1)})'),
                        (1, lambda: f'(ref.is_null {self.ref("any", True, depth - 1)})'),
                        (1, lambda: f'(array.len {self.ref("array", False, depth - 1)})'),
                        (1, lambda: f'(ref.eq {self.ref("eq", True, depth - 1)} {self.ref("eq", True, depth - 1)})')]
        return self.pick(*choices)

    def arithmetic(self, depth):
        name = self.random.choice(('add', 'sub', 'xor', 'mul', 'shl'))
        return f'(i32.{name} {self.value("i32", depth - 1)} {self.value("i32", depth - 1)})'

    def test(self, depth):
        heap = self.random.choice(self.types.all + ['i31', 'struct', 'array', 'eq'])
        value = self.ref(self.types.above(heap), True, depth - 1)
        return f'(ref.test {reference(heap, self.random.random() < .3)} {value})'

    def from_object(self, wanted, depth):
        """A field or element that fits, or something else if there is none."""
        fitting = [(t, n, f[0]) for t in self.types.of_kind('struct', 'array') for n, f in enumerate(t.fields)
                   if (f[0] == wanted or wanted == 'i32' and f[0] in PACKED
                       if is_number(wanted) or is_number(f[0]) else is_below(f[0], wanted))]
        if not fitting:
            return self.value(wanted, 0)
        t, n, storage = self.random.choice(fitting)
        extension = '_' + self.random.choice('su') if storage in PACKED else ''
        held = self.ref(t, self.random.random() < .01, depth - 1)
        if t.kind == 'struct':
            return f'(struct.get{extension} {t} {n} {held})'
        return f'(array.get{extension} {t} {held} {self.index()})'

    def leaf_ref(self, heap, nullable):
        fitting = [name for name, of in [self.param] + self.locals if is_below(of, heap)]
        if nullable and fitting and self.random.random() < .8:
            return f'(local.get {self.random.choice(fitting)})'
        if nullable and self.random.random() < .1:
            return f'(ref.null {dict(func="nofunc", extern="noextern", any="none")[top_of(heap)]})'
        return self.new(heap, 0)

    def new(self, heap, depth):
        """What is below a heap type, and new."""
        if top_of(heap) == 'func':
            return f'(ref.func {self.random.choice(self.module.functions_below(heap))})'
        if heap == 'extern':
            return f'(extern.convert_any {self.ref("any", False, depth - 1)})'
        below = [t for t in self.types.of_kind('struct', 'array') if is_below(t, heap)]
        if is_below('i31', heap) and (not below or self.random.random() < .2):
            return f'(ref.i31 {self.value("i32", depth - 1)})'
        if not below:  # a kind of which the module has no type
            return f'(ref.cast {reference(heap, False)} (ref.i31 (i32.const 0)))'
        t = self.random.choice(below)
        if t.kind == 'struct':
            if depth <= 0:
                return f'(struct.new_default {t})'
            return f'(struct.new {t} ' + ' '.join(self.value(f[0], depth - 2) for f in t.fields) + ')'
        storage = t.fields[0][0]
        if depth <= 0:
            return f'(array.new_default {t} (i32.const {self.random.choice((0, 2, 4, 4, 8, 8))}))'
        choices = [(2, lambda: f'(array.new {t} {self.value(storage, depth - 1)} (i32.const 4))'),
                   (.3, lambda: f'(array.new {t} {self.value(storage, depth - 1)} {self.index()})'),
                   (2, lambda: f'(array.new_fixed {t} 3 ' +
                    ' '.join(self.value(storage, depth - 1) for _ in range(3)) + ')')]
        if is_number(storage):
            choices.append((2, lambda: f'(array.new_data {t} $data {self.index()} {self.index()})'))
        elif is_below('eq', storage):
            choices.append((2, lambda: f'(array.new_elem {t} $elements {self.index()} {self.index()})'))
        elif storage == 'func':
            choices.append((2, lambda: f'(array.new_elem {t} $functions {self.index()} {self.index()})'))
        return self.pick(*choices)

    def ref(self, heap, nullable, depth):
        if depth <= 0:
            return self.leaf_ref(heap, nullable)
        choices = [(3, lambda: self.new(heap, depth)), (1, lambda: self.leaf_ref(heap, nullable)),
                   (5, lambda: self.cast(heap, nullable, depth))]
        if nullable:
            whole = reference(heap)
            choices += [(2, lambda: self.from_object(heap, depth)),
                        (1, lambda: f'(if (result {whole}) {self.value("i32", 1)} '
                                    f'(then {self.ref(heap, True, depth - 1)}) '
                                    f'(else {self.ref(heap, True, depth - 1)}))'),
                        (1, lambda: f'(select (result {whole}) {self.ref(heap, True, depth - 1)} '
                                    f'{self.ref(heap, True, depth - 1)} {self.value("i32", 1)})')]
            if heap == 'any':
                choices += [(4, lambda: self.any(depth))]
            fitting = [t for t in self.types.of_kind('func') if is_below(t.fields[1], heap)]
            if fitting and not self.leaf:
                choices += [(3, lambda: self.call(self.random.choice(fitting), depth))]
        else:
            choices += [(1, lambda: self.without_null(heap, depth))]
        return self.pick(*choices)

    def without_null(self, heap, depth):
        label, out, result = self.label(), self.label(), f'(result {reference(heap, False)})'
        value, default = self.ref(heap, True, depth - 1), self.new(heap, 0)
        if self.random.random() < .5:
            return f'(block {label} {result} (br_on_non_null {label} {value}) {default})'
        return f'(block {out} {result} (block {label} (br {out} (br_on_null {label} {value}))) {default})'

    def any(self, depth):
        choices = [(2, lambda: f'(table.get $anys {self.index()})'),
                   (2, lambda: f'(global.get $g{self.random.randrange(4)})'),
                   (1, lambda: f'(any.convert_extern {self.ref("extern", True, depth - 1)})'),
                   (1, lambda: self.thrown(depth))]
        if self.callable:
            choices.append((2, lambda: f'(call {self.random.choice(self.callable)} {self.value("i32", depth - 1)} '
                                       f'{self.value("i32", 0)} {self.ref("any", True, depth - 1)})'))
        return self.pick(*choices)

    def thrown(self, depth):
        label = self.label()
        return (f'(block {label} (result anyref) (try_table (catch $tag {label}) '
                f'(throw $tag {self.ref("any", True, depth - 1)})) unreachable)')

    def call(self, t, depth):
        """Through a type, which what is called may be below of, above of, or neither."""
        arguments = f'{self.value("i32", 0)} {self.ref(t.fields[0], True, depth - 1)}'
        if self.random.random() < .6:
            own = [n for n, (_, of) in enumerate(self.module.leaves) if is_below(of, t)]
            index = f'(i32.const {self.random.choice(own)})' if own and self.random.random() < .97 else self.index()
            return f'(call_indirect $functions (type {t}) {arguments} {index})'
        return f'(call_ref {t} {arguments} {self.ref(t, False, depth - 1)})'

    def cast(self, heap, nullable, depth):
        source = self.types.above(heap)
        if self.random.random() < .7:
            source = top_of(heap)
        target, whole = reference(heap, nullable), reference(source)
        value, label, out = self.ref(source, True, depth - 1), self.label(), self.label()
        default = self.leaf_ref(heap, nullable)
        choices = [
            (.2, lambda: f'(ref.cast {target} {value})'),
            (4, lambda: f'(block {label} (result {target}) (drop (br_on_cast {label} {whole} {target} {value})) '
                        f'{default})'),
            (4, lambda: f'(block {out} (result {target}) '
                        f'(drop (block {label} (result {reference(source, not nullable)}) '
                        f'(br {out} (br_on_cast_fail {label} {whole} {target} {value})))) {default})')]
        if top_of(heap) != 'extern':
            kept = f'${top_of(heap)}'
            choices.append((3, lambda: f'(if (result {target}) (ref.test {target} (local.tee {kept} {value})) '
                                       f'(then (ref.cast {target} (local.get {kept}))) (else {default}))'))
        return self.pick(*choices)

    def statement(self, depth=4):
        name, heap = self.random.choice(self.locals)
        return self.pick(
            (4, lambda: f'(local.set {name} {self.ref(heap, True, depth)})'),
            (2, lambda: f'(global.set $g{self.random.randrange(4)} {self.ref("any", True, depth)})'),
            (2, lambda: f'(table.set $anys {self.index()} {self.ref("any", True, depth)})'),
            (1, lambda: f'(global.set $sum (i32.add (global.get $sum) {self.value("i32", depth)}))'),
            (3, lambda: self.change(depth)))

    def change(self, depth):
        changeable = [(t, n, storage) for t in self.types.of_kind('struct', 'array')
                      for n, (storage, mutable) in enumerate(t.fields) if mutable]
        if not changeable:
            return self.statement(depth)
        t, n, storage = self.random.choice(changeable)
        held = self.ref(t, False, depth - 1)
        if t.kind == 'struct':
            return f'(struct.set {t} {n} {held} {self.value(storage, depth - 1)})'
        sources = [other for other in self.types.of_kind('array') if
                   other.fields[0][0] == storage or not is_number(storage) and not is_number(other.fields[0][0]) and
                   is_below(other.fields[0][0], storage)]
        source = self.random.choice(sources)
        value, ranges = self.value(storage, depth - 1), f'{self.index()} {self.index()}'
        choices = [(3, lambda: f'(array.set {t} {held} {self.index()} {value})'),
                   (1, lambda: f'(array.fill {t} {held} {self.index()} {value} {self.index()})'),
                   (2, lambda: f'(array.copy {t} {source} {held} {self.index()} {self.ref(source, False, depth - 1)} '
                               f'{ranges})')]
        if is_number(storage):
            choices.append((1, lambda: f'(array.init_data {t} $data {held} {self.index()} {ranges})'))
        elif is_below('eq', storage):
            choices.append((1, lambda: f'(array.init_elem {t} $elements {held} {self.index()} {ranges})'))
        return self.pick(*choices)

    def statements(self):
        lines = [self.statement() for _ in range(self.random.randint(1, 5))]
        if not self.leaf and self.random.random() < .4:
            lines.append(f'(loop $again {self.statement(3)} {self.statement(3)} '
                         '(local.set $turns (i32.add (local.get $turns) (i32.const 1))) '
                         '(br_if $again (i32.lt_u (local.get $turns) (i32.const 9))))')
        return '\n    '.join(lines)


class Module:
    def __init__(self, random):
        self.random, self.types = random, Types(random)
        # One of each type of functions at least.
        kinds = self.types.of_kind('func')
        self.leaves = [(f'$leaf{n}', kinds[n] if n < len(kinds) else random.choice(kinds)) for n in range(LEAVES)]

    def functions_below(self, heap):
        return [name for name, t in self.leaves if is_below(t, heap)] or [self.leaves[0][0]]

    def constant(self, depth=2):
        """A constant expression below `eq`."""
        t = self.random.choice(self.types.of_kind('struct', 'array'))
        if depth == 0 or self.random.random() < .2:
            return f'(ref.i31 (i32.const {self.random.choice((-1, 0, 7, 1073741823))}))'
        def value(storage):
            if is_number(storage):
                number = 'i32' if storage in PACKED else storage
                return f'({number}.const {self.random.choice(CONSTANTS[number])})'
            if is_below('eq', storage):
                return self.constant(depth - 1)
            if storage == 'func':
                return f'(ref.func {self.leaves[0][0]})'
            if storage == 'extern':
                return f'(extern.convert_any {self.constant(depth - 1)})'
            return f'(ref.null {dict(func="nofunc", any="none")[top_of(storage)]})'
        if t.kind == 'struct':
            return f'(struct.new {t} ' + ' '.join(value(f[0]) for f in t.fields) + ')'
        if self.random.random() < .5:
            return f'(array.new {t} {value(t.fields[0][0])} (i32.const 5))'
        return f'(array.new_fixed {t} 2 {value(t.fields[0][0])} {value(t.fields[0][0])})'

    def probes(self, t):
        """Functions that ask of all that is in globals and tables whether it is of a type, and that make a call through
        a type to anything: so that what traps ends nothing else."""
        held = [f'(table.get $anys (i32.const {n}))' for n in range(8)] + [f'(global.get $g{n})' for n in range(4)]
        if t.kind == 'func':
            held = [f'(table.get $functions (i32.const {n}))' for n in range(LEAVES)]
            yield (f'(func (export "call{t.name}") (param $i0 i32) (param $i1 i32) (result anyref)\n'
                   f'    (call_indirect $functions (type {t}) (local.get $i0) (ref.null none) '
                   '(i32.and (local.get $i1) (i32.const 15))))')
        target, bits = reference(t, self.random.random() < .3), '(i32.const 0)'
        for n, item in enumerate(held):
            bits = f'(i32.or (i32.shl (ref.test {target} {item}) (i32.const {n}))\n    {bits})'
        yield f'(func (export "is{t.name}") (result i32)\n    {bits})'

    def text(self):
        leaves = ' '.join(name for name, _ in self.leaves)
        types = self.types.texts()
        lines = [
            '(tag $tag (param anyref))', f'(table $anys (export "anys") 8 anyref {self.constant()})',
            f'(table $functions (export "functions") funcref (elem {leaves} {leaves.split()[0]}))',
            '(global $sum (export "sum") (mut i32) (i32.const 0))',
            *(f'(global $g{n} (export "g{n}") (mut anyref) {self.constant()})' for n in range(4)),
            '(data $data "' + ''.join(f'\\{self.random.randrange(256):02x}' for _ in range(80)) + '")',
            '(elem $elements eqref ' + ' '.join(f'(item {self.constant()})' for _ in range(9)) + ')',
            f'(elem $functions funcref (ref.func {") (ref.func ".join(leaves.split())}))']
        for name, t in self.leaves:
            body = Body(self, t.fields[0], [], leaf=True)
            signature = f'(param $i0 i32) (param $p {reference(t.fields[0])}) (result {reference(t.fields[1])})'
            lines.append(f'(func {name} (type {t}) {signature}\n    (local $i1 i32) {body.declarations()}\n'
                         f'    {body.statement(2)}\n    {body.cast(t.fields[1], True, 2)})')
        callable_functions = []
        for n in range(FUNCTIONS):
            body = Body(self, 'any', callable_functions, leaf=False)
            lines.append(f'(func $f{n} (export "f{n}") (param $i0 i32) (param $i1 i32) (param $p anyref) '
                         f'(result anyref)\n    {body.declarations()}\n    {body.statements()}\n'
                         f'    {body.ref("any", True, 4)})')
            callable_functions = callable_functions[-1:] + [f'$f{n}']
        lines += [line for t in self.types.all for line in self.probes(t)]
        return '(module\n  ' + '\n  '.join(types + [self.types.mixed(line) for line in lines]) + ')\n'


def module(random):
    """Its text."""
    return Module(random).text()
