#!/usr/bin/env python3
"""test_profile.py ROTOR: profiles of `rotor run`: what the samples show, and that the file is what speedscope documents.
Samples are counted, never timed."""
import collections
import json
import os
import sys
import tempfile

from test_files import Tool, expect, failures

# A WASI command: most of its time goes to $hot; $host asks the host for the time; its argument count says how it ends.
TEXT = r'''(module $"busy \"</script>\"\n"
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 32)
  (func $"hot \e2\80\ae" (param i64) (result i64) (local i64)
    (loop $next
      (local.set 1 (i64.mul (i64.add (local.get 1) (local.get 0)) (i64.const 6364136223846793005)))
      (br_if $next (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
    (local.get 1))
  (func $warm (param i64) (result i64) (call 3 (local.get 0)))
  (func (export "spin") (param i64) (result i64) (call $warm (local.get 0)))
  (func $ask (drop (call $random (i32.const 1024) (i32.const 1000000))))
  (func (export "asks") (param i32)
    (loop $next (call $ask) (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "traps") (param i64) (drop (call $warm (local.get 0))) unreachable)
  (func (export "_start")
    (drop (call $args_sizes (i32.const 0) (i32.const 4)))
    (drop (call $warm (i64.const 100000000)))
    (call $exit (i32.load (i32.const 0)))))'''
MODULE = r'busy "</script>"\n'
TURNS = '800000000'


def check_shape(data):
    """The fields of the format's specification, of those that are written: their names, types and relations."""
    expect(data['$schema'] == 'https://www.speedscope.app/file-format-schema.json', 'schema')
    expect(set(data) == {'$schema', 'shared', 'profiles', 'name', 'activeProfileIndex', 'exporter'}, f'{set(data)}')
    expect(isinstance(data['name'], str) and isinstance(data['exporter'], str), 'names')
    expect(data['activeProfileIndex'] == 0 and len(data['profiles']) == 1, 'profiles')
    frames = data['shared']['frames']
    expect(all(set(frame) == {'name'} and isinstance(frame['name'], str) for frame in frames), f'{frames}')
    expect(len({frame['name'] for frame in frames}) == len(frames), f'a frame is there twice: {frames}')
    profile = data['profiles'][0]
    expect(set(profile) == {'type', 'name', 'unit', 'startValue', 'endValue', 'samples', 'weights'}, f'{set(profile)}')
    expect(profile['type'] == 'sampled' and profile['unit'] == 'nanoseconds' and profile['startValue'] == 0, 'profile')
    expect(len(profile['samples']) == len(profile['weights']), 'a weight for each sample')
    expect(all(isinstance(weight, int) and weight >= 0 for weight in profile['weights']), 'weights')
    expect(profile['endValue'] == sum(profile['weights']), 'the end is the sum of the weights')
    expect(all(sample and all(0 <= frame < len(frames) for frame in sample) for sample in profile['samples']), 'samples')


def stacks(tool, name):
    """Samples by their frames' names, without tiers, the outermost first."""
    data = json.loads(tool.read(name))
    check_shape(data)
    names = [frame['name'].replace(' [tier0]', '').replace(' [tier1]', '') for frame in data['shared']['frames']]
    return collections.Counter(tuple(names[frame] for frame in sample) for sample in data['profiles'][0]['samples'])


def share(counts, holds):
    total = sum(counts.values())
    return sum(count for stack, count in counts.items() if holds(stack)) / max(total, 1)


def check_hot(tool):
    hot = f'{MODULE}!hot \\u{{202e}}'
    want = (f'{MODULE}!spin', f'{MODULE}!warm', hot)
    for mode in (['--mode', 'lazy', '--hot-count', '1000'], ['--mode', 'eager'], ['--mode', 'aot'],
                 ['--mode', 'aot', '--opt', '0']):
        code, stdout, stderr = tool.run('run', '--no-cache', *mode, '--profile=out.json', 'in.wasm', '--invoke', 'spin', TURNS)
        expect(code == 0 and stdout.strip().lstrip(b'-').isdigit() and stderr.startswith('out.json: '), f'{mode}: {code}, {stderr}')
        counts = stacks(tool, 'out.json')
        expect(sum(counts.values()) >= 20, f'{mode}: too few samples: {counts}')
        expect(share(counts, lambda stack: stack == want) > 0.8, f'{mode}: not {want}: {counts}')
    # The tiers are told: of a loop that runs long, code of tier 0 is left for that of tier 1 only at a call.
    tiers = {frame['name'].rsplit(' ', 1)[1] for frame in json.loads(tool.read('out.json'))['shared']['frames']
             if 'hot' in frame['name']}
    expect(tiers == {'[tier0]'}, f'aot --opt 0: {tiers}')


def check_host(tool):
    code, _, stderr = tool.run('run', '--no-cache', '--profile=out.json', 'in.wasm', '--invoke', 'asks', '500')
    expect(code == 0, f'{code}, {stderr}')
    want = (f'{MODULE}!asks', f'{MODULE}!ask', 'wasi_snapshot_preview1.random_get [host]')
    counts = stacks(tool, 'out.json')
    expect(share(counts, lambda stack: stack == want) > 0.8, f'not {want}: {counts}')


def check_endings(tool):
    code, _, stderr = tool.run('run', '--profile=out.json', 'in.wasm', '--invoke', 'traps', '100000000')
    expect(code == 1 and 'unreachable' in stderr and stacks(tool, 'out.json'), f'a trap: {code}, {stderr}')
    # All behind the file is the guest's.
    code, _, stderr = tool.run('run', '--profile', 'in.wasm', '--profile=x', 'y')
    expect(code == 3 and stacks(tool, 'profile.speedscope.json'), f'an exit code: {code}, {stderr}')
    expect(not os.path.exists(tool.path('x')), 'the guest\'s argument was taken')
    code, stdout, stderr = tool.run('run', '--profile=no/such/out', 'in.wasm', '--invoke', 'spin', '5')
    expect(code == 2 and stdout == b'' and stderr.startswith("rotor: io: can't write no/such/out"), f'{code}, {stderr}')
    code, stdout, stderr = tool.run('run', 'in.wasm', '--invoke', 'spin', '5')
    expect(code == 0 and stderr == '', f'without a profile: {code}, {stderr}')


def main(rotor):
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(os.path.abspath(rotor), folder)
        tool.write('in.wat', TEXT.encode())
        code, _, stderr = tool.run('wat2wasm', '--names', 'in.wat', '-o', 'in.wasm')
        expect(code == 0, stderr)
        check_hot(tool)
        check_host(tool)
        check_endings(tool)
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
