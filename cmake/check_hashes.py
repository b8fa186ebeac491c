#!/usr/bin/env python3
"""Holds every hash table whose keys a guest may choose to a hash with a key (wasm/keyed_hash.h).

    check_hashes.py [ROOT]       a line a breach, exit 1 if there is one
    check_hashes.py --self-test  feeds itself breaches and expects each to be found

A table of the standard library's is keyed by KeyedMap, KeyedSet or a hash named ...Hash that calls KeyedHash; one whose
keys no guest chooses (an address, a number that we count up) is listed below, with what its key is.
"""
import os
import re
import sys
import tempfile

FOLDERS = ('wasm', 'memory', 'jit', 'runtime', 'proxy', 'capi')

# "file: name of the table": what its key is.
NOT_CHOSEN = {
    'runtime/stop/watchdog.h: places_': 'address of a link group',
    'wasm/rec_groups.h: by_hash_': 'a keyed hash',
    'runtime/store/type_registry.h: by_hash_': 'a keyed hash',
    'jit/passes/wide_products.cc: sums_': 'a keyed hash',
    'jit/passes/wide_values.h: index': 'a keyed hash',
    'jit/passes/wide_values.h: multiples_': 'numbers of values, counted up',
    'jit/passes/wide_values.h: made_up_': 'numbers of values, counted up',
    'jit/emit/module.h: function_types_': 'address of a type',
    'jit/link.cc: entries_': 'indices of functions that are there, each once',
    'jit/emit/in_frame.h: packings_': 'address of a type',
    'jit/emit/batch.h: is_product_routine_': 'indices of functions that are there, each once',
    'proxy/log.h: changes_': 'handles, counted up',
    'proxy/log.h: pins_': 'handles, counted up',
    'proxy/log.h: pinned': 'handles, counted up',
    'proxy/log.h: calls': 'address of a call',
    'proxy/log.cc: calls': 'address of a call',
    'proxy/log.cc: pinned': 'handles, counted up',
    'proxy/log.cc: dropped': 'address of a call',
    'proxy/log.cc: unneeded': 'address of a call',
    'proxy/recorder.h: raw_of': 'tokens, counted up',
    'proxy/recorder.cc: raw_of': 'tokens, counted up',
    'proxy/recorder.h: provisional_': 'handles, counted up',
    'proxy/handle_map.h: Table': 'handles, counted up',
    'proxy/slice.cc: pinned': 'handles, counted up',
    'proxy/slice.cc: pinned_': 'handles, counted up',
    'proxy/slice.cc: needed': 'handles, counted up',
    'proxy/slice.cc: maker_': 'handles, counted up',
    'proxy/slice.cc: ender_': 'handles, counted up',
    'proxy/slice.h: pinned': 'handles, counted up',
    'proxy/gate.h: raw': 'tokens, counted up',
    'capi/store.h: host_modules': "types of the host's functions",
    'capi/store.h: by_identity': 'address of an object',
    'capi/store.h: by_extern_id': 'numbers of objects, counted up',
    'capi/store.h: instances': 'numbers of modules, counted up',
    'capi/store.cc: held': 'numbers of objects and modules, counted up',
    'capi/types.cc: seen': 'address of a type',
}

TABLE = re.compile(r'\bstd::unordered_(?:multi)?(?:map|set)\s*<')
NAME = re.compile(r'[&*\s]*(\w+)')
ALIAS = re.compile(r'\busing\s+(\w+)\s*=\s*$')


def code_of(text):
    """The text without comments, lines kept."""
    return re.sub(r'//[^\n]*', '', text)


def tables(text):
    """(line, name, template arguments) of each table that is declared or named."""
    text = code_of(text)
    for found in TABLE.finditer(text):
        depth, at = 1, found.end()
        while depth and at < len(text):
            depth += {'<': 1, '>': -1}.get(text[at], 0)
            at += 1
        arguments = text[found.end():at - 1]
        alias = ALIAS.search(text, 0, found.start())
        name = alias.group(1) if alias else NAME.match(text, at).group(1)
        yield text.count('\n', 0, found.start()) + 1, name, arguments


def check(root, not_chosen):
    breaches, used = [], set()
    for folder in FOLDERS:
        for path, _, names in os.walk(os.path.join(root, folder)):
            for file in sorted(names):
                if not file.endswith(('.h', '.cc')) or file.endswith('_test.cc') or file.startswith('test_'):
                    continue
                where = os.path.relpath(os.path.join(path, file), root)
                with open(os.path.join(path, file), encoding='utf-8') as source:
                    for line, name, arguments in tables(source.read()):
                        key = f'{where}: {name}'
                        if re.search(r'\b\w*Hash\b', arguments):
                            continue
                        used.add(key)
                        if key not in not_chosen:
                            breaches.append(f'{where}:{line}: {name}: may a guest choose its keys? Then it wants a hash '
                                            f'with a key (wasm/keyed_hash.h); if not, say so in cmake/check_hashes.py')
    breaches += [f'cmake/check_hashes.py: there is no {key}' for key in not_chosen if key not in used]
    return breaches


def self_test():
    cases = {
        'std::unordered_map<std::string_view, uint32_t> names_;': 1,
        'std::unordered_set<std::string> taken;': 1,
        'std::unordered_multimap<size_t, std::pair<int, std::vector<int>>> sums_;': 1,
        'using Maps = std::unordered_map<uint32_t, int>;': 1,
        'std::unordered_map<const void*, int> known_;': 0,
        'std::unordered_set<ValType, TypeHash> types_;': 0,
        'KeyedMap<std::string, int> names_;  // not std::unordered_map<': 0,
    }
    for text, wanted in cases.items():
        with tempfile.TemporaryDirectory() as root:
            os.mkdir(os.path.join(root, 'wasm'))
            with open(os.path.join(root, 'wasm', 'a.h'), 'w', encoding='utf-8') as file:
                file.write(text + '\n')
            known = {'wasm/a.h: known_': 'an address'} if 'known_' in text else {}
            if len(check(root, known)) != wanted:
                return [f'self-test: {text}: {check(root, known)}']
    with tempfile.TemporaryDirectory() as root:
        if len(check(root, {'wasm/a.h: gone_': 'nothing'})) != 1:
            return ['self-test: a line for a table that is gone is not found']
    return []


if __name__ == '__main__':
    if '--self-test' in sys.argv[1:]:
        found = self_test()
    else:
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
        found = check(sys.argv[1] if len(sys.argv) > 1 else here, NOT_CHOSEN)
    for breach in found:
        print(breach, file=sys.stderr)
    sys.exit(1 if found else 0)
