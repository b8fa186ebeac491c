#!/usr/bin/env python3
"""Holds every source file to the include rule of docs/architecture.md: never upwards, never sideways, never in circles.

    check_includes.py [ROOT]       a line a breach, exit 1 if there is one
    check_includes.py --self-test  feeds itself breaches and expects each to be found
"""
import fnmatch
import os
import re
import sys
import tempfile

# What a folder may include beside itself (a folder within another one counts apart), as patterns of paths from the root (public headers: rotor/NAME.h).
ALLOWED = {
    'include': ['rotor/*', 'wasm.h'],
    'wasm': ['rotor/detail/made_once.h', 'rotor/result.h', 'rotor/value.h', 'rotor/config.h', 'rotor/printable.h'],
    'wasm/text': ['wasm/*', 'rotor/detail/made_once.h', 'rotor/result.h', 'rotor/value.h', 'rotor/printable.h', 'rotor/wat.h'],
    'memory': ['rotor/detail/made_once.h', 'rotor/memory_slots.h', 'rotor/result.h'],
    'code': ['wasm/*', 'memory/*', 'rotor/*'],
    'jit': ['code/*', 'wasm/*', 'rotor/*', 'memory/heap_layout.h'],
    'runtime': ['code/*', 'wasm/*', 'memory/*', 'rotor/*'],
    'proxy': ['rotor/*', 'memory/barrier.h', 'memory/fork.h', 'memory/perturb.h'],
    'tools': ['rotor/*', 'code/file.h', 'wasm/text/script.h', 'hosts/wasm_bindgen/*'],
    'bench': ['rotor/*', 'hosts/wasm_bindgen/*'],
    'hosts': ['rotor/*'],
    'capi': ['rotor/*', 'rotor.h', 'wasm.h'],
    'packages': ['rotor/*', 'hosts/wasm_bindgen/*'],
    'spec-tests': ['rotor/*'],
    'examples': ['rotor/*', 'rotor.h', 'wasm.h', 'hosts/wasm_bindgen/*'],
    'fuzz': ['rotor/*', 'rotor.h', 'wasm.h'],
}
# Tests may use the public API of the whole library, and write their modules as text.
ALLOWED_IN_TESTS = ['rotor/*', 'hosts/wasm_bindgen/*', 'wasm/testing/assemble.h']

# Tests, and what only tests include.
TEST_FILES = ['*_test.cc', '*_test.c', '*/testing/*']

# White-box tests and fuzz targets: the internal folders that each needs.
WHITE_BOX = {
    'bench/heap_bench.cc': ['memory/heap.h'],
    'bench/compile_cost.cc': ['jit/testing/costly_modules.h'],
    'bench/modules.h': ['wasm/testing/assemble.h'],
    'bench/rotation_guest.h': ['wasm/testing/assemble.h'],
    'fuzz/compile.cc': ['jit/testing/costly_modules.h'],
    'fuzz/decode.cc': ['wasm/*'],
    'fuzz/code_file.cc': ['code/code_file.h', 'code/code_image.h', 'wasm/decode_module.h'],  # a code file carries the module
    'jit/cost_test.cc': ['memory/testing/child.h'],
    'proxy/answer_model_test.cc': ['memory/fault_injection.h'],
    'proxy/checkpoint_fault_test.cc': ['memory/fault_injection.h', 'memory/slot_pool.h'],
    'proxy/checkpoint_ahead_test.cc': ['memory/testing/child.h'],
    'proxy/checkpoint_test.cc': ['memory/testing/child.h'],
    'proxy/checkpoint_model_test.cc': ['memory/fault_injection.h'],
    'proxy/fault_test.cc': ['memory/fault_injection.h', 'memory/slot_pool.h'],
    'proxy/embedder_test.cc': ['memory/testing/child.h'],
    'proxy/gate_test.cc': ['memory/testing/child.h', 'memory/testing/perturb.h'],
    'proxy/model_test.cc': ['memory/fault_injection.h'],
    'fuzz/exceptions.cc': ['runtime/testing/throwing_program.h'],
    'fuzz/heap.cc': ['memory/testing/heap_model.h'],
    'fuzz/text.cc': ['wasm/text/*', 'wasm/decode_module.h'],
    'fuzz/wide_products.cc': ['jit/testing/wide_products.h'],
    'fuzz/wasi.cc': ['hosts/wasi/testing/model.h'],
    'fuzz/trace.cc': ['hosts/wasm_bindgen/trace.h'],
}

# The components that include each other in a circle: a call enters an instance, whose functions, globals and tables are
# values that can be called. (A component is a header and the source of its name.) The list may only get shorter.
CIRCLE = ['runtime/enter/call', 'runtime/enter/func', 'runtime/enter/host_function', 'runtime/store/global',
          'runtime/store/instance', 'runtime/store/table']

# Libraries of others, by the start of the header's name: the folders that may know them.
LIBRARIES = {
    'llvm/': ['jit'],
    'llvm-c/': ['jit'],
    'mimalloc': ['memory', 'tools'],
    'toml++/': ['proxy'],
    'xxhash.h': ['code', 'runtime'],
    'zlib.h': ['tools', 'hosts', 'bench', 'spec-tests', 'examples', 'fuzz'],
    'nlohmann/': ['tools', 'hosts', 'bench', 'spec-tests', 'examples', 'fuzz'],
    'CLI/': ['tools'],
    'benchmark/': ['bench'],
    'gtest/': TEST_FILES,
    'gmock/': TEST_FILES,
}

# Address space and signals: only the files made for them.
SYSTEM_HEADERS = ['sys/mman.h', 'signal.h', 'csignal', 'ucontext.h', 'sys/ucontext.h', 'linux/userfaultfd.h']
SYSTEM_FILES = ['memory/os_*.cc', 'runtime/enter/trap_*.cc', 'runtime/enter/profile_linux.cc', 'runtime/enter/sample_linux.cc', 'tools/rotor/main.cc', 'tools/rotor/stop_request_linux.cc', 'hosts/wasi/signal_linux.cc',
                *TEST_FILES]

SOURCES = ('.h', '.hh', '.cc', '.c', '.def', '.inc')
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def folder_of(path):
    """The folder that a path or pattern belongs to: of nested ones in ALLOWED the inner one."""
    parts = path.split('/')
    inner = '/'.join(parts[:2])
    return inner if len(parts) > 2 and inner in ALLOWED else parts[0]


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def resolve(root, path, name):
    """The path from the root that a quoted include means: as the compiler looks, beside the file first."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    if not beside.startswith('..') and os.path.exists(os.path.join(root, beside)):
        return beside
    return os.path.normpath(name)


def library_breach(path, name):
    """None: not a library's header; "": one that this file may include."""
    for library, folders in LIBRARIES.items():
        if name.startswith(library):
            allowed = path.split('/')[0] in folders or matches(path, folders)
            return '' if allowed else f'only {", ".join(folders)} may include {name}'
    return None


def quoted_breach(root, path, name):
    folder = folder_of(path)
    target = resolve(root, path, name)
    if target.startswith('include/'):
        target = target[len('include/'):]
    if '/testing/' in target and not matches(path, TEST_FILES) and target not in WHITE_BOX.get(path, []):
        return f'"{name}" is for tests'
    if folder_of(target) == folder or (folder == 'include' and target.startswith('rotor')):
        return None
    allowed = list(ALLOWED[folder])
    if matches(path, TEST_FILES):
        allowed += ALLOWED_IN_TESTS
    allowed += WHITE_BOX.get(path, [])
    if matches(target, [pattern for pattern in allowed if folder_of(pattern) == folder_of(target)]):
        return None
    return f'{folder}/ may not include "{name}"'


def system_breach(path, name):
    if name in SYSTEM_HEADERS and not matches(path, SYSTEM_FILES):
        return f'<{name}> belongs in {" or ".join(SYSTEM_FILES[:2])}'
    if path.startswith('include/') and ('/' in name or '.' in name) and not re.fullmatch(r'(std|assert|string|wasm)\w*\.hh?', name):
        return f'public headers include the standard library only, not <{name}>'
    if name.startswith('rotor/'):
        return f'our own headers are quoted: "{name}"'
    return None


def component(path):
    return os.path.splitext(path)[0]


def circles(graph):
    """The sets of nodes that reach each other, of more than one node (Tarjan's algorithm)."""
    order, low, stack, found = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            members = stack[stack.index(node):]
            del stack[-len(members):]
            if len(members) > 1:
                found.append(sorted(members))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found


def circle_breaches(includes):
    """Of the includes of files that are no tests, as pairs of paths."""
    graph = {}
    for path, target in includes:
        for end in (path, target):
            graph.setdefault(component(end), set())
        if component(path) != component(target):
            graph[component(path)].add(component(target))
    found = circles(graph)
    breaches = [f'{", ".join(members)} include each other in a circle' for members in found if not set(members) <= set(CIRCLE)]
    left = [name for name in CIRCLE if name in graph and not any(name in members for members in found)]
    return breaches + [f'{name} is in no circle: take it off the list CIRCLE' for name in left]


def check(root):
    breaches = []
    includes = []
    for folder in ALLOWED:
        for directory, _, files in os.walk(os.path.join(root, folder)):
            if folder_of(os.path.relpath(directory, root) + '/file') != folder:
                continue
            for file in sorted(files):
                if not file.endswith(SOURCES):
                    continue
                path = os.path.relpath(os.path.join(directory, file), root)
                with open(os.path.join(root, path), encoding='utf-8') as lines:
                    for number, line in enumerate(lines, 1):
                        found = INCLUDE.match(line)
                        if not found:
                            continue
                        kind, name = found.groups()
                        target = resolve(root, path, name)
                        if target.startswith('rotor/'):
                            target = 'include/' + target
                        if kind == '"' and not matches(path, TEST_FILES) and os.path.exists(os.path.join(root, target)):
                            includes.append((path, target))
                        breach = library_breach(path, name)
                        if breach is None:
                            breach = quoted_breach(root, path, name) if kind == '"' else system_breach(path, name)
                        if breach:
                            breaches.append(f'{path}:{number}: {breach}')
    return breaches + circle_breaches(includes)


def self_test():
    # (file, its line, whether it is a breach)
    cases = [
        ('wasm/a.cc', '#include "wasm/module.h"', False),
        ('wasm/b.cc', '#include "rotor/value.h"', False),
        ('wasm/c.cc', '#include "rotor/engine.h"', True),
        ('wasm/d.cc', '#include "memory/os.h"', True),
        ('wasm/e_test.cc', '#include "rotor/rotor.h"', False),
        ('wasm/f.cc', '#include "code/abi.h"', True),
        ('proxy/d_test.cc', '#include "wasm/testing/assemble.h"', False),
        ('proxy/d.cc', '#include "wasm/testing/assemble.h"', True),
        ('wasm/g.cc', '#include "wasm/text/lexer.h"', True),
        ('wasm/text/a.cc', '#include "wasm/text/lexer.h"', False),
        ('wasm/text/b.cc', '#include "wasm/reader.h"', False),
        ('wasm/text/c.cc', '#include "rotor/engine.h"', True),
        ('jit/d.cc', '#include "wasm/text/lexer.h"', True),
        ('jit/e.cc', '#include "wasm/module.h"', False),
        ('tools/rotor/c.cc', '#include "wasm/text/script.h"', False),
        ('tools/rotor/d.cc', '#include "wasm/text/lexer.h"', True),
        ('code/a.cc', '#include "jit/link.h"', True),
        ('code/b.cc', '#include "memory/os.h"', False),
        ('jit/f.cc', '#include "memory/os.h"', True),
        ('jit/g.cc', '#include "jit/testing/words.h"', True),
        ('jit/g_test.cc', '#include "jit/testing/words.h"', False),
        ('bench/compile_cost.cc', '#include "jit/testing/costly_modules.h"', False),
        ('memory/a.cc', '#include "wasm/module.h"', True),
        ('memory/os_linux.cc', '#include <sys/mman.h>', False),
        ('memory/b.cc', '#include <sys/mman.h>', True),
        ('memory/c_test.cc', '  #  include <sys/mman.h>', False),
        ('jit/a.cc', '#include <llvm/IR/Module.h>', False),
        ('jit/c.cc', '#include "llvm/IR/Module.h"', False),
        ('runtime/e.cc', '#include "llvm/IR/Module.h"', True),
        ('jit/b.cc', '#include "runtime/engine.h"', True),
        ('runtime/a.cc', '#include <llvm/IR/Module.h>', True),
        ('runtime/b.cc', '#include "jit/pipeline.h"', True),
        ('runtime/c.cc', '#include "code/abi.h"', False),
        ('runtime/enter/trap_linux.cc', '#include <signal.h>', False),
        ('runtime/d.cc', '#include <csignal>', True),
        ('proxy/a.cc', '#include "runtime/store/instance.h"', True),
        ('proxy/b.cc', '#include "../runtime/instance.h"', True),
        ('proxy/c.cc', '#include <toml++/toml.h>', False),
        ('tools/rotor/a.cc', '#include "wasm/module.h"', True),
        ('tools/rotor/b.cc', '#include "hosts/wasm_bindgen/host.h"', False),
        ('bench/a.cc', '#include "code/abi.h"', True),
        ('include/rotor/a.h', '#include "rotor/result.h"', False),
        ('include/rotor/b.h', '#include "wasm/types.h"', True),
        ('include/rotor/c.h', '#include <fmt/format.h>', True),
        ('include/rotor/d.h', '#include <expected>', False),
        ('examples/a.cc', '#include <rotor/rotor.h>', True),
        ('capi/a.cc', '#include "rotor/proxy.h"', False),
        ('capi/b.cc', '#include "wasm.h"', False),
        ('capi/c.cc', '#include "runtime/engine.h"', True),
        ('capi/d.cc', '#include "hosts/wasi/table.h"', True),
        ('runtime/f.cc', '#include "rotor.h"', True),
    ]
    wrong = []
    with tempfile.TemporaryDirectory() as root:
        for path, line, _ in cases:
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                file.write('// a comment\n' + line + '\n')
        found = check(root)
        for path, line, is_breach in cases:
            if is_breach != any(breach.startswith(path + ':2: ') for breach in found):
                wrong.append(f'{path}: {line}: {"missed" if is_breach else "wrongly reported"}')
    circle = [('memory/a.cc', 'memory/b.h'), ('memory/b.cc', 'memory/c.h'), ('memory/c.h', 'memory/a.h'), ('memory/d.cc', 'memory/a.h')]
    if circle_breaches(circle) != ['memory/a, memory/b, memory/c include each other in a circle']:
        wrong.append('a circle: missed')
    if circle_breaches(circle[:2]) or circle_breaches([('memory/a.cc', 'memory/a.h')]):
        wrong.append('a circle where there is none')
    listed = [(name + '.h', after + '.h') for name, after in zip(CIRCLE, CIRCLE[1:] + CIRCLE[:1])]
    if circle_breaches(listed) or not circle_breaches(listed[:-1]):
        wrong.append('the circle that is listed: wrongly reported, or not missed when it is gone')
    return wrong


def main(arguments):
    if arguments == ['--self-test']:
        lines = self_test()
    else:
        root = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
        lines = check(root)
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
