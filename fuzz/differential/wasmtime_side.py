#!/usr/bin/env python3
"""wasmtime_side.py: what Wasmtime makes of modules, as fuzz/differential/rotor_diff.cc prints it of Rotor.

Wants the folder of the wheel `wasmtime` in PYTHONPATH. Works on the C API underneath the wheel's classes: these turn
floats into Python's, which loses NaN payloads, and know no v128.
"""
import collections
import ctypes
import struct
import sys
import zlib

import wasmtime
from wasmtime import _ffi as ffi

CALLS_OF_EACH = 3
STORE_BYTES = 64 << 20  # of each memory of a store, and of its garbage-collected heap
MASK64 = (1 << 64) - 1

# Kinds of values, as wasmtime_val_t has them; of a reference, the hierarchy that its type is of.
I32, I64, F32, F64, V128, FUNCREF, EXTERNREF, ANYREF, EXNREF = range(9)
NAMES = ('i32', 'i64', 'f32', 'f64', 'v128', 'funcref', 'externref', 'anyref', 'exnref')
BYTES = {I32: 4, I64: 8, F32: 4, F64: 8, V128: 16}
# Heap types in the order of wasmtime_heaptype_kind_t, which the wheel gives no names: extern, noextern, func, a defined
# one, nofunc, any, none, eq, i31, array, a defined one, struct, a defined one, exn, noexn, a defined one.
HIERARCHIES = (EXTERNREF,) * 2 + (FUNCREF,) * 3 + (ANYREF,) * 8 + (EXNREF,) * 3
WITH_VALUES = (0, 2, 5, 7, 8)  # those that the host makes values of

# What a transcript shows of an object: so many fields or elements, and of the objects there, so deep.
SHOWN_DEPTH, SHOWN_FIELDS = 3, 6

Code = wasmtime.TrapCode
TRAPS = {
    Code.UNREACHABLE: 'unreachable',
    Code.INTEGER_DIVISION_BY_ZERO: 'integer divide by zero',
    Code.INTEGER_OVERFLOW: 'integer overflow',
    Code.BAD_CONVERSION_TO_INTEGER: 'invalid conversion to integer',
    Code.MEMORY_OUT_OF_BOUNDS: 'out of bounds memory access',
    Code.TABLE_OUT_OF_BOUNDS: 'out of bounds table access',
    Code.INDIRECT_CALL_TO_NULL: 'null reference',
    Code.NULL_REFERENCE: 'null reference',
    Code.BAD_SIGNATURE: 'indirect call type mismatch',
    Code.ARRAY_OUT_OF_BOUNDS: 'out of bounds array access',
    Code.CAST_FAILURE: 'cast failure',
    Code.HEAP_MISALIGNED: 'out of bounds memory access',
    Code.ATOMIC_WAIT_NON_SHARED_MEMORY: 'expected shared memory',
    Code.STACK_OVERFLOW: 'stack overflow',
}


class ChosenValues:
    """fuzz/differential/chosen_values.h, which says why."""

    EDGES = {
        I32: (0, 1, 0xffffffff, 0x7fffffff, 0x80000000, 31, 32, 0xff, 0x8000, 0xffff, 0x10000, 0xfffffffe),
        I64: (0, 1, 0xffffffffffffffff, 0x7fffffffffffffff, 0x8000000000000000, 63, 64, 32, 0x80000000, 0xffffffff,
              0x100000000, 0x7fffffff),
        F32: (0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
              0x7fa00000, 0x00000001, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x4f800000, 0x5f000000, 0xdf000000),
        F64: (0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
              0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000001, 0x7ff4000000000000, 0x0000000000000001,
              0x7fefffffffffffff, 0x41dfffffffc00000, 0xc1e0000000200000, 0x41f0000000000000, 0x43e0000000000000,
              0xc3e0000000000000),
    }

    def __init__(self, seed):
        self.state = seed & MASK64

    def next(self):
        self.state = (self.state + 0x9e3779b97f4a7c15) & MASK64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & MASK64
        z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & MASK64
        return z ^ (z >> 31)

    def bits(self, kind):
        r = self.next()
        bits = r >> 2 & 0xff
        if r & 3 == 0:
            edges = self.EDGES.get(kind, self.EDGES[I64])
            bits = edges[(r >> 2) % len(edges)]
        elif r & 3 != 1:
            bits = self.next()
        return bits & 0xffffffff if kind in (I32, F32) else bits

    def number(self, kind):
        if kind == V128:
            low = self.bits(I64)
            return low | self.bits(I64) << 64
        return self.bits(kind)


class Failure(Exception):
    """What stands in the transcript in place of results."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text


def text_of(kind, value):
    """Of a number its bits; of a reference None, or what tells it from others: nothing, of a function."""
    if kind in BYTES:
        return f'{NAMES[kind]}:{value:0{2 * BYTES[kind]}x}'
    if value is None:
        return f'{NAMES[kind]}:null'
    return NAMES[kind] if kind in (FUNCREF, EXNREF) else f'{NAMES[kind]}:{value}'


# A value's type. `has_values`: a host can make one that is not null.
Type = collections.namedtuple('Type', 'kind nullable has_values')


def type_of(valtype):
    full = ffi.wasmtime_valtype_t()
    ffi.wasmtime_valtype_new(valtype.ptr(), ctypes.byref(full))
    if full.kind <= V128:
        result = Type(full.kind, False, True)
    else:
        heap = full.reftype.heaptype.kind
        result = Type(HIERARCHIES[heap], full.reftype.nullable, heap in WITH_VALUES)
    ffi.wasmtime_valtype_delete(ctypes.byref(full))
    return result


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def keep(_):
    """The finalizer of what needs none."""


class Run:
    """What a module that was compiled does: instances of it, and what their imports see."""

    def __init__(self, engine, module, seed, out):
        self.engine, self.module, self.out = engine, module, out
        self.values = ChosenValues(seed)
        self.shared = []  # memories that are counted, where a store owns others
        self.imports = [(i.module, i.name, i.type) for i in module.imports]
        self.exports = [e.type for e in module.exports]
        self.signatures = [self.signature(t) for t in self.exports]

    @staticmethod
    def signature(extern_type):
        if not isinstance(extern_type, wasmtime.FuncType):
            return None
        return [type_of(t) for t in extern_type.params], [type_of(t).kind for t in extern_type.results]

    def run(self):
        try:
            self.instantiate()
            for e, signature in enumerate(self.signatures):
                if signature is None or not all(t.nullable or t.has_values for t in signature[0]):
                    continue
                for _ in range(CALLS_OF_EACH):
                    self.call(e)
            self.print_state()
        except Failure as failure:
            self.out.append(failure.text)
        self.release()

    def release(self):
        for memory in self.shared:
            ffi.wasmtime_sharedmemory_delete(memory)
        self.shared = []

    def finish(self, error, trap):
        """Raises what a call ended with, if it did not return."""
        if trap:
            code = wasmtime.Trap._from_ptr(trap).trap_code
            if code == Code.STACK_OVERFLOW:
                raise Failure('stop stack overflow')
            if code is None:
                raise Failure('exception')  # that nothing caught
            if code == Code.ALLOCATION_TOO_LARGE:
                raise Failure('stop heap')
            raise Failure(f'trap {TRAPS.get(code, code)}')
        if error:
            message = str(wasmtime.WasmtimeError._from_ptr(error)).replace('\n', ' ')
            if 'thrown Wasm exception' in message:  # by a start function
                raise Failure('exception')
            raise Failure('stop heap' if 'GC heap out of memory' in message else f'error: {message}')

    # Instances and their imports

    def instantiate(self):
        self.release()
        self.store = wasmtime.Store(self.engine)
        self.store.set_limits(memory_size=STORE_BYTES)  # its heap's too
        self.context = self.store._context()
        self.host_calls, self.host_crc = 0, 0
        self.callbacks = []
        made = {}
        externs = (ffi.wasmtime_extern_t * len(self.imports))()
        for i, (module, name, extern_type) in enumerate(self.imports):
            if (module, name) not in made:
                made[module, name] = self.make(i, extern_type)
            externs[i] = made[module, name]
        self.instance = ffi.wasmtime_instance_t()
        trap = ctypes.POINTER(ffi.wasm_trap_t)()
        error = ffi.wasmtime_instance_new(self.context, self.module.ptr(), externs, len(self.imports),
                                          ctypes.byref(self.instance), ctypes.byref(trap))
        try:
            self.finish(error, trap)
        except Failure as failure:
            raise failure if failure.text.startswith('stop') else Failure('instance ' + failure.text)
        self.out.append('instance ok')
        self.items = [self.export(e) for e in range(len(self.exports))]

    def export(self, e):
        item, name, length = ffi.wasmtime_extern_t(), ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        ffi.wasmtime_instance_export_nth(self.context, ctypes.byref(self.instance), e, ctypes.byref(name),
                                         ctypes.byref(length), ctypes.byref(item))
        if item.kind == ffi.WASMTIME_EXTERN_SHAREDMEMORY.value:
            self.shared.append(item.of.sharedmemory)
        return item

    def make(self, i, extern_type):
        """Import number i: constants that its number decides. References are null."""
        extern = ffi.wasmtime_extern_t()
        if isinstance(extern_type, wasmtime.FuncType):
            extern.kind = ffi.WASMTIME_EXTERN_FUNC
            callback = ffi.wasmtime_func_unchecked_callback_t(self.answer(i, *self.signature(extern_type)))
            self.callbacks.append(callback)
            ffi.wasmtime_func_new_unchecked(self.context, extern_type.ptr(), callback, None, keep,
                                            ctypes.byref(extern.of.func))
        elif isinstance(extern_type, wasmtime.MemoryType) and extern_type.is_shared:
            extern.kind = ffi.WASMTIME_EXTERN_SHAREDMEMORY
            self.finish(ffi.wasmtime_sharedmemory_new(self.engine.ptr(), extern_type.ptr(),
                                                      ctypes.byref(extern.of.sharedmemory)), None)
            self.shared.append(extern.of.sharedmemory)
        elif isinstance(extern_type, wasmtime.MemoryType):
            extern.kind = ffi.WASMTIME_EXTERN_MEMORY
            self.finish(ffi.wasmtime_memory_new(self.context, extern_type.ptr(), ctypes.byref(extern.of.memory)), None)
        elif isinstance(extern_type, wasmtime.TableType):
            extern.kind = ffi.WASMTIME_EXTERN_TABLE
            null = self.val(type_of(extern_type.element).kind, None)
            self.finish(ffi.wasmtime_table_new(self.context, extern_type.ptr(), ctypes.byref(null),
                                               ctypes.byref(extern.of.table)), None)
        else:
            extern.kind = ffi.WASMTIME_EXTERN_GLOBAL
            kind = type_of(extern_type.content).kind
            value = self.val(kind, ChosenValues(i).number(kind) if kind in BYTES else None)
            self.finish(ffi.wasmtime_global_new(self.context, extern_type.ptr(), ctypes.byref(value),
                                                ctypes.byref(extern.of.global_)), None)
        return extern

    def answer(self, i, params, results):
        values = ChosenValues(i)
        answers = [values.number(kind) if kind in BYTES else 0 for kind in results]

        def callback(_env, _caller, slots, _count):
            self.host_calls += 1
            seen = struct.pack('<Q', i)
            raw = ctypes.string_at(slots, 16 * len(params)) if params else b''
            for k, param in enumerate(params):
                seen += self.host_argument(param.kind, raw[16 * k:16 * k + 16])
            self.host_crc = zlib.crc32(seen, self.host_crc)
            if answers:
                ctypes.memmove(slots, b''.join(bits.to_bytes(16, 'little') for bits in answers), 16 * len(answers))
            return 0
        return callback

    @staticmethod
    def host_argument(kind, raw):
        if kind in BYTES:
            return raw[:BYTES[kind]].ljust(8, b'\0')
        return struct.pack('<Q', any(raw[:8] if kind == FUNCREF else raw[:4]))

    # Calls and values

    def call(self, e):
        params, results = self.signatures[e]
        func = self.items[e].of.func
        slots = (ffi.wasmtime_val_raw_t * max(len(params), len(results), 1))()
        args = []
        for k, param in enumerate(params):
            args.append(self.set_argument(slots[k], param, func))
        line = f'call {e} ({" ".join(args)})'
        trap = ctypes.POINTER(ffi.wasm_trap_t)()
        error = ffi.wasmtime_func_call_unchecked(self.context, ctypes.byref(func), slots, len(slots),
                                                 ctypes.byref(trap))
        try:
            self.finish(error, trap)
        except Failure as failure:
            if failure.text.startswith('stop'):
                raise
            self.out.append(f'{line} {failure.text}')
            if failure.text == 'trap unreachable':
                self.print_state()
                self.instantiate()
            return
        texts = ' '.join(self.result_text(slots[k], kind) for k, kind in enumerate(results))
        self.out.append(f'{line} = ({texts})')

    def set_argument(self, slot, param, func):
        """A number; a reference is null or, if it may be, the function that is called or a small number."""
        kind = param.kind
        if kind in BYTES:
            bits = self.values.number(kind)
            ctypes.memmove(ctypes.byref(slot), bits.to_bytes(16, 'little'), 16)
            return text_of(kind, bits)
        r = self.values.next()
        if param.nullable and (r & 1 == 0 or not param.has_values):
            return text_of(kind, None)
        if kind == FUNCREF:
            slot.funcref = ffi.wasmtime_func_to_raw(self.context, ctypes.byref(func))
            return text_of(kind, True)
        number = 1 + (r >> 1) % 255
        if kind == ANYREF:
            reference = ffi.wasmtime_anyref_t()
            ffi.wasmtime_anyref_from_i31(self.context, number, ctypes.byref(reference))
            slot.anyref = ffi.wasmtime_anyref_to_raw(self.context, ctypes.byref(reference))
            ffi.wasmtime_anyref_unroot(ctypes.byref(reference))
            return text_of(kind, f'i31:{number}')
        reference = ffi.wasmtime_externref_t()
        ffi.wasmtime_externref_new(self.context, number, keep, ctypes.byref(reference))
        slot.externref = ffi.wasmtime_externref_to_raw(self.context, ctypes.byref(reference))
        ffi.wasmtime_externref_unroot(ctypes.byref(reference))
        return text_of(kind, number)

    def result_text(self, slot, kind):
        if kind in BYTES:
            return text_of(kind, int.from_bytes(bytes(slot)[:BYTES[kind]], 'little'))
        if kind == FUNCREF:
            return text_of(kind, True if slot.funcref else None)
        if kind == EXNREF:
            return text_of(kind, True if slot.exnref else None)
        value = ffi.wasmtime_val_t()
        value.kind = kind
        if kind == ANYREF:
            ffi.wasmtime_anyref_from_raw(self.context, slot.anyref, ctypes.byref(value.of.anyref))
        else:
            ffi.wasmtime_externref_from_raw(self.context, slot.externref, ctypes.byref(value.of.externref))
        return self.val_text(value)

    @staticmethod
    def val(kind, bits):
        """A number from its bits, or a null reference (which is all zeros)."""
        value = ffi.wasmtime_val_t()
        value.kind = kind
        if bits is not None:
            ctypes.memmove(ctypes.byref(value.of), bits.to_bytes(16, 'little'), BYTES[kind])
        return value

    def val_text(self, value, depth=SHOWN_DEPTH):
        """Of a value, which is given back."""
        kind = value.kind
        if kind in BYTES:
            text = text_of(kind, int.from_bytes(bytes(value.of)[:BYTES[kind]], 'little'))
        elif self.is_null(value):
            text = text_of(kind, None)
        elif kind == EXTERNREF:
            # What is the guest's own has no data of the host's.
            text = text_of(kind, ffi.wasmtime_externref_data(self.context, ctypes.byref(value.of.externref)) or 'inner')
        elif kind == ANYREF:
            text = text_of(kind, self.object_text(value.of.anyref, depth))
        else:
            text = text_of(kind, True)
        ffi.wasmtime_val_unroot(ctypes.byref(value))
        return text

    @staticmethod
    def is_null(value):
        return getattr(value.of, NAMES[value.kind]).store_id == 0

    def object_text(self, reference, depth):
        """Of a reference below any, which is not null: an i31, one of the host's, or an object with what is in it."""
        number, whole = ctypes.c_int32(), ctypes.byref(reference)
        if ffi.wasmtime_anyref_i31_get_s(self.context, whole, ctypes.byref(number)):
            return f'i31:{number.value}'
        if ffi.wasmtime_anyref_is_struct(self.context, whole):
            item = ffi.wasmtime_structref_t()
            ffi.wasmtime_anyref_as_struct(self.context, whole, ctypes.byref(item))
            struct_type = ffi.wasmtime_structref_type(self.context, ctypes.byref(item))
            size = ffi.wasmtime_struct_type_num_fields(struct_type)
            ffi.wasmtime_struct_type_delete(struct_type)
            name, get, unroot = 'structure', ffi.wasmtime_structref_field, ffi.wasmtime_structref_unroot
        elif ffi.wasmtime_anyref_is_array(self.context, whole):
            item, length = ffi.wasmtime_arrayref_t(), ctypes.c_uint32()
            ffi.wasmtime_anyref_as_array(self.context, whole, ctypes.byref(item))
            self.finish(ffi.wasmtime_arrayref_len(self.context, ctypes.byref(item), ctypes.byref(length)), None)
            size, name = length.value, f'array:{length.value}'
            get, unroot = ffi.wasmtime_arrayref_get, ffi.wasmtime_arrayref_unroot
        else:
            return 'host'
        texts = []
        for index in range(min(size, SHOWN_FIELDS) if depth else 0):
            value = ffi.wasmtime_val_t()
            self.finish(get(self.context, ctypes.byref(item), index, ctypes.byref(value)), None)
            texts.append(self.val_text(value, depth - 1))
        unroot(ctypes.byref(item))
        return f'{name}[{" ".join(texts)}]'

    # The state

    def print_state(self):
        for e, item in enumerate(self.items):
            if isinstance(self.exports[e], wasmtime.GlobalType):
                self.out.append(f'global {e} {self.global_text(item.of.global_)}')
            elif isinstance(self.exports[e], wasmtime.MemoryType):
                self.out.append(f'memory {e} {self.memory_text(item)}')
            elif isinstance(self.exports[e], wasmtime.TableType):
                self.out.append(f'table {e} {self.table_text(item.of.table)}')
        self.out.append(f'host {self.host_calls} {self.host_crc:08x}')

    def memory_text(self, item):
        if item.kind == ffi.WASMTIME_EXTERN_SHAREDMEMORY.value:
            size = ffi.wasmtime_sharedmemory_data_size(item.of.sharedmemory)
            data = ffi.wasmtime_sharedmemory_data(item.of.sharedmemory)
        else:
            size = ffi.wasmtime_memory_data_size(self.context, ctypes.byref(item.of.memory))
            data = ffi.wasmtime_memory_data(self.context, ctypes.byref(item.of.memory))
        if not size:
            return f'0 {0:08x}'
        contents = (ctypes.c_uint8 * size).from_address(ctypes.cast(data, ctypes.c_void_p).value)
        return f'{size} {zlib.crc32(contents):08x}'

    def global_text(self, global_):
        value = ffi.wasmtime_val_t()
        ffi.wasmtime_global_get(self.context, ctypes.byref(global_), ctypes.byref(value))
        return self.val_text(value)

    def table_text(self, table):
        size = ffi.wasmtime_table_size(self.context, ctypes.byref(table))
        value, is_null = ffi.wasmtime_val_t(), bytearray(size)
        for i in range(size):
            ffi.wasmtime_table_get(self.context, ctypes.byref(table), i, ctypes.byref(value))
            is_null[i] = self.is_null(value)
            ffi.wasmtime_val_unroot(ctypes.byref(value))
        return f'{size} {zlib.crc32(is_null):08x}'


def transcript(engine, seed, path):
    with open(path, 'rb') as file:
        data = file.read()
    try:
        module = wasmtime.Module(engine, data)
    except wasmtime.WasmtimeError as error:
        return ['compile ' + str(error).replace('\n', ' ')]
    out = ['compile ok']
    Run(engine, module, seed, out).run()
    return out


def make_engine():
    config = wasmtime.Config()
    config.parallel_compilation = False
    config.max_wasm_stack = 1 << 20
    config.shared_memory = True
    for feature in ('tail_call', 'exceptions', 'multi_memory', 'memory64', 'wide_arithmetic', 'custom_page_sizes',
                    'relaxed_simd', 'relaxed_simd_deterministic', 'function_references', 'gc'):
        setattr(config, 'wasm_' + feature, True)
    return wasmtime.Engine(config)


def main():
    engine = make_engine()
    for line in sys.stdin:
        seed, path = line.rstrip('\n').split(' ', 1)
        print('\n'.join(transcript(engine, int(seed), path)), 'end', sep='\n', flush=True)


if __name__ == '__main__':
    main()
