#!/usr/bin/env python3
"""Runs programs of others, as they are in the registries, and compares what comes of them.

    test_programs.py --rotor ROTOR --reactors REACTORS PROGRAM MODULE [--wasmtime]

CPython works with files (files.py), QuickJS does (script.mjs), flite speaks into one, Graphviz draws a graph, esbuild
bundles script.mjs with a module of its own, Yosys reads Verilog and commands, wrong ones among them, which it throws and catches. With --wasmtime the same is done by Wasmtime's wheel (WASMTIME_PY), and
output and folders are compared with that; else with what is known to come out.
"""
import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 240

CPYTHON_PRINTS = """\
[1, 2.5, None, 'é']
256000 b57b64b198d5d59c
['sub'] ['y']
sub/y 256000 True
b'\\xfc\\xfd\\xfe\\xff'
b'zz\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\t'
['1', '2']
../x PermissionError
/../etc/passwd PermissionError
/dir/../../x PermissionError
/no FileNotFoundError
/dir ['sub'] ['l']
/dir/sub [] ['y']
True 16 ['one', '--two']
"""
QUICKJS_PRINTS = """\
1000 0 96 47840
numbers.json
2844 true
true null
one|two a 1180591620717411303424
"""
GRAPH = 'digraph { rankdir=LR; a -> b -> c; a -> c [label="é < ü"]; subgraph cluster_0 { c; d [shape=box] } }'
BUNDLED = 'export function twice<T>(x: T): [T, T] { return [x, x]; }\nexport const unused = 1;\n'
COUNTER = """\
module counter(input clk, input reset, input [7:0] step, output reg [15:0] total, output odd);
  assign odd = ^total;
  always @(posedge clk)
    if (reset) total <= 0;
    else case (total[1:0])
      2'b00: total <= total + step;
      2'b01: total <= total - (step >> 1);
      default: total <= {total[7:0], total[15:8]} ^ step * step;
    endcase
endmodule
"""
YOSYS_COMMANDS = """\
read_verilog /counter.v
no_such_command
hierarchy -top nothing
hierarchy -top counter
proc
opt -full
wreduce
connect -set
alumacc
stat
write_rtlil /counter.il
exit
"""
USES_BUNDLED = 'import {twice} from "./bundled";\nconsole.log(twice("x" as string));\n'

WASMTIME = """
import os, struct, sys, time, wasmtime
begin = time.perf_counter()
benchmark = os.environ.get('ROTOR_BENCH')  # of bench/wasi/programs.py: 'cold' or 'cached'
program, module, folder, args = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
config = wasmtime.WasiConfig()
config.argv = [module, *args]
if program != 'graphviz':
    config.preopen_dir(folder, '/')
if program == 'yosys':
    config.inherit_stdin()
config.inherit_stdout()
config.inherit_stderr()
settings = wasmtime.Config()
settings.wasm_exceptions = True
if benchmark == 'cached':
    settings.cache = True
engine = wasmtime.Engine(settings)
store = wasmtime.Store(engine)
store.set_wasi(config)
linker = wasmtime.Linker(engine)
linker.define_wasi()
exports = linker.instantiate(store, wasmtime.Module.from_file(engine, module)).exports(store)
memory = exports['memory']

def put(data):
    address = exports['malloc'](store, len(data))
    memory.write(store, data, address)
    return address

def finish(status):
    if benchmark:
        sys.stderr.write('ms %f' % ((time.perf_counter() - begin) * 1e3))
    sys.stdout.flush()
    sys.exit(status)

def text(string):
    return put(string.encode() + b'\\0')

if program == 'quickjs':
    exports['_initialize'](store)
    argv = put(struct.pack('<' + 'I' * (len(args) + 2), *[text(arg) for arg in ['qjs', *args]], 0))
    status = exports['qjs_init_argv'](store, len(args) + 1, argv)
    exports['qjs_destroy'](store)
    finish(0 if status == 0 else 1)
if program == 'graphviz':
    size = put(bytes(4))
    drawn = exports['graphviz_render'](store, text(sys.stdin.read()), text(args[0]), text('dot'), size)
    bytes_drawn = struct.unpack('<I', memory.read(store, size, size + 4))[0]
    sys.stdout.write(memory.read(store, drawn, drawn + bytes_drawn).decode())
    finish(0)
try:
    exports['_start'](store)
except wasmtime.ExitTrap as end:
    finish(end.code)
finish(0)
"""


class Program:
    """What a program is given, and what is known to come of it."""

    def __init__(self, args, good, files=(), reactor=False, stdin=''):
        self.args = args
        self.good = good  # of (exit code, output, errors, folder): whether it is right
        self.files = dict(files)
        self.reactor = reactor
        self.stdin = stdin

    def put_files(self, folder):
        for name, text in self.files.items():
            (pathlib.Path(folder) / name).write_text(text)


def source(name):
    return (FOLDER / name).read_text()


PROGRAMS = {
    'yosys': Program(['-T'], lambda code, out, errors, left: (code, errors.count('ERROR: ')) == (0, 3) and
                     '$alu' in out and 'counter.il' in left, {'counter.v': COUNTER}, stdin=YOSYS_COMMANDS),
    'cpython': Program(['/files.py', 'one', '--two'], lambda code, out, errors, left: (code, out, errors) ==
                       (9, CPYTHON_PRINTS, ''), {'files.py': source('files.py')}),
    'flite': Program(['-t', 'Hello there', '-o', '/speech.wav'], lambda code, out, errors, left: code == 0 and
                     left.get('speech.wav', '').startswith('8fe51b878538d385')),
    'quickjs': Program(['--std', '-m', '/script.mjs', 'one', 'two'], lambda code, out, errors, left:
                       (code, out, errors, 'made/moved.json' in left) == (0, QUICKJS_PRINTS, '', True),
                       {'script.mjs': source('script.mjs')}, reactor=True),
    'graphviz': Program(['svg'], lambda code, out, errors, left: code == 0 and out.count('<g id="edge') == 3 and
                        '<title>cluster_0</title>' in out and 'é &lt; ü' in out, reactor=True, stdin=GRAPH),
    'esbuild': Program(['--bundle', '--minify', '--log-level=error', '--outfile=/out.js', '/main.ts'], lambda code, out, errors, left:
                       code == 0 and left.get('out.js', '').startswith('ecdd75c4599e5da1'),
                       {'main.ts': USES_BUNDLED, 'bundled.ts': BUNDLED}),
}


def contents(folder):
    """All files and links below a folder, by their paths."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            if os.path.islink(path):
                found[os.path.relpath(path, folder)] = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, 'rb') as file:
                    found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def run(program, command, environment=None):
    """Runs a command in a fresh folder with the program's files: exit code, output, errors and what it left."""
    with tempfile.TemporaryDirectory() as folder:
        program.put_files(folder)
        done = subprocess.run(command(folder), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                              env=environment, input=program.stdin)
        return done.returncode, done.stdout, done.stderr, contents(folder)


def command(options, name, module, folder, cached=False):
    """The command that has Rotor run a program in a folder, with its cache or without."""
    program = PROGRAMS[name]
    cache = [] if cached else ['--no-cache']
    if name == 'graphviz':
        return [options.reactors, *cache, 'graphviz', module, *program.args]
    if program.reactor:
        return [options.reactors, *cache, name, module, folder, *program.args]
    return [options.rotor, 'run', *cache, '--dir', folder + '::/', module, '--', *program.args]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--rotor', required=True)
    arguments.add_argument('--reactors', required=True, help='the example that calls reactors')
    arguments.add_argument('program', choices=PROGRAMS)
    arguments.add_argument('module')
    arguments.add_argument('--wasmtime', action='store_true')
    options = arguments.parse_args()
    program = PROGRAMS[options.program]
    got = run(program, lambda folder: command(options, options.program, options.module, folder))
    if not program.good(*got):
        print(f'what came of it is wrong: {got}')
        return 1
    if options.wasmtime:
        environment = dict(os.environ, PYTHONPATH=os.environ['WASMTIME_PY'])
        wanted = run(program, lambda folder: [sys.executable, '-c', WASMTIME, options.program, options.module, folder,
                                              *program.args], environment)
        if got != wanted:
            print(f'by Wasmtime {wanted}\nby Rotor    {got}')
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
