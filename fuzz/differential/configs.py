"""What modules `wasm-tools smith` makes for the differential runs: the one place where features are switched.

A feature is on in the configs below if Rotor has it, which FEATURES says.
"""
import dataclasses

# WebAssembly 2.0 without vectors, as smith calls its parts.
BASELINE = ('bulk-memory', 'reference-types', 'multi-value', 'sign-extension-ops', 'saturating-float-to-int',
            'extended-const')
# What both engines have; `gc` is typed function references as well. What is in no config stays off: relaxed vectors
# (may differ by design).
FEATURES = {*BASELINE, 'threads', 'tail-call', 'exceptions', 'simd', 'multi-memory', 'memory64', 'wide-arithmetic',
            'custom-page-sizes', 'gc'}
ALL = ('bulk-memory', 'compact-imports', 'custom-descriptors', 'custom-page-sizes', 'exceptions', 'extended-const',
       'gc', 'memory64', 'multi-value', 'reference-types', 'relaxed-simd', 'saturating-float-to-int',
       'shared-everything-threads', 'sign-extension-ops', 'simd', 'tail-call', 'threads', 'wide-arithmetic')

# Small enough for thousands of modules in minutes, large enough for the register allocator to spill.
BASE = {
    'canonicalize-nans': True, 'export-everything': True, 'generate-custom-sections': False, 'allow-start-export': True,
    'min-types': 5, 'max-types': 20, 'min-funcs': 3, 'max-funcs': 16, 'max-instructions': 200,
    'max-imports': 6, 'max-globals': 12, 'max-data-segments': 8, 'max-element-segments': 8, 'max-elements': 20,
    # Growth ends where the module says, not where an engine's limits are.
    'memory-max-size-required': True, 'table-max-size-required': True,
    'max-memories': 1, 'max-memory32-bytes': 8 << 16, 'max-memory64-bytes': 8 << 16,
    'max-tables': 1, 'max-table-elements': 200,
}
FUEL = 1000  # calls and turns of loops of one instance
SEED_BYTES = 12000


@dataclasses.dataclass
class Config:
    name: str
    features: tuple = ()  # beyond BASELINE
    without: tuple = ()
    options: dict = dataclasses.field(default_factory=dict)
    avoid: str = ''  # modules in whose text this is found, a regular expression, are not run


TABLES = {'max-tables': 4}
TYPES = {'min-types': 12, 'max-types': 40}  # more of which some are above others
SAFE = {'disallow-traps': True}  # runs deeper: what might trap is made not to

# Bits of smith's `allowed-instructions`, by what they were seen to let in. Among all instructions those that take
# several operands are rare; among fewer they are not.
(INTEGERS, FLOATS, INTEGER_VECTORS, FLOAT_VECTORS, TABLE_AND_REFERENCE, VARIABLES, INTEGER_MEMORY, CONTROL, OBJECTS) = \
    (1 << bit for bit in (0, 1, 2, 3, 4, 6, 8, 10, 11))


def only(*kinds):
    return {'allowed-instructions': sum(kinds)}


CONFIGS = [
    Config('mvp', without=BASELINE),
    Config('mvp-safe', without=BASELINE, options=SAFE),
    Config('wasm2', options=TABLES),
    Config('wasm2-safe', options=TABLES | SAFE),
    Config('large', options=TABLES | {'max-instructions': 1500}),
    Config('large-safe', options=TABLES | SAFE | {'max-instructions': 1500}),
    Config('calls', options=TABLES | {'max-instructions': 30, 'max-funcs': 60, 'min-funcs': 30}),
    Config('threads', features=('threads',), avoid='memory.atomic.wait'),  # which may wait without end
    Config('threads-safe', features=('threads',), avoid='memory.atomic.wait', options=SAFE),
    Config('simd', features=('simd',)),
    Config('simd-safe', features=('simd',), options=SAFE),
    Config('tail-call', features=('tail-call',), options=TABLES),
    Config('tail-call-safe', features=('tail-call',), options=TABLES | SAFE),
    Config('exceptions', features=('exceptions',), options=TABLES),
    Config('exceptions-safe', features=('exceptions', 'tail-call', 'simd'), options=TABLES | SAFE),
    Config('exceptions-calls', features=('exceptions', 'tail-call'),
           options=TABLES | SAFE | only(INTEGERS, VARIABLES, CONTROL) |
           {'max-instructions': 60, 'min-funcs': 20, 'max-funcs': 40}),
    Config('gc', features=('gc',), options=TABLES),
    Config('gc-safe', features=('gc',), options=TABLES | SAFE | TYPES),
    Config('gc-exceptions', features=('gc', 'exceptions', 'tail-call'), options=TABLES | TYPES),
    Config('gc-calls', features=('gc', 'exceptions', 'tail-call'),
           options=TABLES | SAFE | TYPES | {'max-instructions': 60, 'min-funcs': 15, 'max-funcs': 30}),
    Config('only-objects', features=('gc',), options=TABLES | TYPES | only(INTEGERS, VARIABLES, OBJECTS)),
    Config('only-objects-safe', features=('gc', 'simd'),
           options=TABLES | SAFE | TYPES | only(INTEGERS, TABLE_AND_REFERENCE, VARIABLES, CONTROL, OBJECTS)),
    Config('only-casts', features=('gc',),
           options=TABLES | TYPES | only(INTEGERS, TABLE_AND_REFERENCE, VARIABLES, CONTROL, OBJECTS)),
    Config('multi-memory', options={'max-memories': 4}),
    Config('memory64', features=('memory64',), options={'max-memories': 1}),
    Config('memory64-multi-memory-safe', features=('memory64',), options=SAFE | {'max-memories': 4}),
    Config('wide-arithmetic', features=('wide-arithmetic',), options=SAFE),
    Config('custom-page-sizes', features=('custom-page-sizes',)),
    Config('only-wide-integers', features=('wide-arithmetic',), options=only(INTEGERS, VARIABLES)),
    Config('only-numbers', options=only(INTEGERS, FLOATS, VARIABLES)),
    Config('only-tables', options=TABLES | only(INTEGERS, TABLE_AND_REFERENCE, VARIABLES)),
    Config('only-memories', features=('memory64',),
           options={'max-memories': 4} | only(INTEGERS, VARIABLES, INTEGER_MEMORY)),
    Config('only-integer-vectors', features=('simd',), options=only(INTEGERS, INTEGER_VECTORS, VARIABLES)),
    Config('only-vectors', features=('simd',),
           options=only(INTEGERS, FLOATS, INTEGER_VECTORS, FLOAT_VECTORS, VARIABLES)),
    Config('only-calls', features=('tail-call',), options=TABLES | only(INTEGERS, VARIABLES, CONTROL)),
    Config('everything', features=('simd', 'tail-call', 'memory64', 'wide-arithmetic', 'custom-page-sizes'),
           options=TABLES | {'max-memories': 4}),
    Config('everything-safe', features=('simd', 'tail-call', 'memory64', 'wide-arithmetic', 'custom-page-sizes'),
           options=TABLES | SAFE | {'max-memories': 4}),
]


def needed(config):
    """The features that a config has modules use, several memories among them."""
    return set(config.features) | ({'multi-memory'} if config.options.get('max-memories', 1) > 1 else set())


def enabled():
    return [config for config in CONFIGS if needed(config) <= FEATURES]


def smith_options(config):
    """As smith's JSON configuration takes them. Every feature is said: what is left out there is left to chance."""
    on = set(BASELINE) - set(config.without) | set(config.features)
    return BASE | config.options | {f'{name}-enabled': name in on for name in ALL}


def imports(config):
    """A module in the text format, of whose imports smith takes some. Each kind of value goes both ways."""
    has = set(BASELINE) - set(config.without) | set(config.features)
    lines = ['(import "f" "0" (func))',
             '(import "f" "1" (func (param i32) (result i32)))',
             '(import "f" "2" (func (param i64 f32 f64) (result i64)))',
             '(import "f" "3" (func (param f32 f32 f32 f32 f32 f32 f32 f32 f32 i32 i32 i32 i32 i32 i32 i64)'
             ' (result f64)))',
             '(import "g" "0" (global i32))', '(import "g" "2" (global f32))', '(import "g" "3" (global f64))',
             '(import "m" "0" (memory 1 4))', '(import "t" "0" (table 10 100 funcref))']
    if 'multi-value' in has:
        lines.append('(import "f" "4" (func (param f64 i32) (result f32 f64 i32 i64 i32 f64)))')
    if 'reference-types' in has:
        lines += ['(import "f" "5" (func (param funcref externref i32) (result externref)))',
                  '(import "g" "1" (global (mut i64)))', '(import "g" "4" (global externref))',
                  '(import "g" "5" (global (mut funcref)))', '(import "t" "1" (table 0 50 externref))']
    if 'gc' in has:
        lines += ['(import "f" "7" (func (param anyref eqref i31ref structref arrayref i32) (result anyref)))',
                  '(import "f" "8" (func (param anyref) (result i31ref)))',
                  '(import "g" "7" (global anyref))', '(import "g" "8" (global (mut eqref)))',
                  '(import "t" "3" (table 5 60 anyref))']
    if 'simd' in has:
        lines += ['(import "f" "6" (func (param v128 i32) (result v128)))', '(import "g" "6" (global (mut v128)))']
    if 'threads' in has:
        lines.append('(import "m" "2" (memory 1 3 shared))')
    if 'memory64' in has:
        lines += ['(import "m" "1" (memory i64 1 5))', '(import "t" "2" (table i64 3 60 funcref))']
    return '(module\n  ' + '\n  '.join(lines) + ')\n'
