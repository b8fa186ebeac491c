#!/usr/bin/env python3
"""test_wasi.py ROTOR EXAMPLE: runs the example with a program that copies /data/greeting to its output and ends with 5."""
import os
import subprocess
import sys
import tempfile

PROGRAM = r"""(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "greeting")
  (data (i32.const 0) "\00\01\00\00\00\01\00\00")
  (func (export "_start")
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 8) (i32.const 0) (i64.const 2) (i64.const 0)
                    (i32.const 0) (i32.const 16))
      (then unreachable))
    (drop (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
    (call $exit (i32.const 5))))
"""


def main(rotor, example):
    with tempfile.TemporaryDirectory() as folder:
        text, program = os.path.join(folder, 'p.wat'), os.path.join(folder, 'p.wasm')
        with open(text, 'w', encoding='utf-8') as file:
            file.write(PROGRAM)
        with open(os.path.join(folder, 'greeting'), 'w', encoding='utf-8') as file:
            file.write('hello\n')
        subprocess.run([rotor, 'wat2wasm', text, '-o', program], check=True)
        done = subprocess.run([example, program, folder], capture_output=True, text=True, check=False)
    print(done)
    return 0 if done.returncode == 5 and done.stdout == 'hello\n' and not done.stderr else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
