#!/usr/bin/env python3
"""demo.py ROTOR: runs the main job with a built command line tool and prints tables. Exit 1 if a part failed.

1. Real traces of o1js's prover, replayed with every result compared, at one and at two workers.
2. The prover's leak: without rotation the guest panics, with rotation 1,000 calls all give the right result.
3. The same with the bundled guest of examples/leaky, which needs nothing from npm.

KIMCHI_WASM names the prover; if it is empty, 1 and 2 are left out and said to be.
"""
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
KIMCHI = os.path.join('examples', 'kimchi')  # from ROOT, where the tool runs
LEAKY = os.path.join('examples', 'leaky')
REPLAYS = [('kimchi_nopool_k6', 0, 977), ('kimchi_k8', 1, 22), ('kimchi_k8', 2, 22), ('o1js_compile_prove', 1, 41),
           ('o1js_compile_prove', 2, 41)]
MEMORY_LIMIT = '8MiB'
CALLS = 1000
MIN_SWAPS = 25
PANIC_CALL = 34  # where the prover's leak ends without rotation
MIB = 1 << 20

failures = []


def expect(condition, text):
    """A check of the demo: what it says is kept for the end if it does not hold."""
    if not condition:
        failures.append(text)
    return condition


def run(*command):
    """Runs the tool; progress and errors go to the terminal. (exit code, its lines, its stderr)"""
    with tempfile.TemporaryFile('w+') as errors:
        show = sys.stderr.isatty()
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=None if show else errors, text=True, check=False)
        errors.seek(0)
        return result.returncode, result.stdout.strip().split('\n'), errors.read()


def last_json(lines):
    try:
        return json.loads(lines[-1])
    except json.JSONDecodeError:
        return {}


def compiled(rotor, module, name):
    """The module's code file, made once for this tool and module. (path, how it came about)"""
    digest = hashlib.sha256()
    for path in (rotor, module):
        with open(path, 'rb') as file:
            digest.update(file.read())
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(rotor))), f'{name}-{digest.hexdigest()[:12]}.rotor')
    if os.path.exists(path):
        return path, 'its code file is there already'
    start, cpu = time.time(), os.times().children_user
    code, _, errors = run(rotor, 'compile', module, '-o', path)
    if code != 0:
        sys.exit(f'{errors}rotor compile failed')
    return path, f'compiled in {time.time() - start:.1f} s ({os.times().children_user - cpu:.1f} s CPU)'


def table(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        print('  ' + '  '.join(cells).rstrip())


def seconds(ms):
    return f'{ms / 1000:.1f} s' if ms >= 1000 else f'{ms:.0f} ms'


def replays(rotor, module):
    rows = []
    for name, workers, checked in REPLAYS:
        code, lines, errors = run(rotor, 'replay', '--module', module, '--trace',
                                  os.path.join(KIMCHI, 'traces', name + '.jsonl.gz'), '--workers', str(workers), '--json')
        result = last_json(lines)
        right = expect(code == 0 and result.get('equal') == result.get('checked') == checked,
                       f'replay of {name} with {workers} workers:\n{errors}')
        rows.append([name, workers, f'{result.get("calls", 0):,}', f'{result.get("equal", 0)} of {checked}',
                     seconds(result.get('wall_ms', 0)), seconds(result.get('cpu_ms', 0)),
                     f'{result.get("memory_bytes", 0) / MIB:.1f} MiB', 'ok' if right else 'FAILED'])
    table(['trace', 'workers', 'calls', 'results equal', 'wall', 'CPU', 'memory', ''], rows)


def rotate(rotor, module, folder, traces, rotation):
    command = [rotor, 'rotate', '--module', module, '--policy', os.path.join(folder, 'policy.toml'),
               '--setup', os.path.join(folder, traces.format('setup')),
               '--load', os.path.join(folder, traces.format('load')),
               '--calls', str(CALLS), '--memory-limit', MEMORY_LIMIT, '--rotation', rotation, '--json']
    code, lines, errors = run(*command)
    rotations = [line for line in map(last_json, ([line] for line in lines[:-1])) if 'rotation' in line]
    return code, last_json(lines), rotations, errors


def middle(values):
    return sorted(values)[len(values) // 2] if values else 0


def leak(rotor, module, folder, traces, min_swaps, panic_call):
    code, off, _, errors = rotate(rotor, module, folder, traces, 'off')
    ended = off.get('ok', 0)
    expect(code == 1 and off.get('lost') == 1 and (panic_call is None or ended == panic_call),
           f'without rotation the guest should trap{f" at call {panic_call}" if panic_call else ""}:\n{errors}')
    trap_text = [line for line in errors.strip().split('\n') if line][:6]
    code, on, rotations, errors = rotate(rotor, module, folder, traces, 'on')
    right = expect(code == 0 and on.get('ok') == CALLS and on.get('lost') == 0 and on.get('swaps', 0) >= min_swaps,
                   f'with rotation {CALLS} calls should be right, with {min_swaps} swaps or more:\n{errors}')
    # Flat: what is resident at the end is no more than the median and one instance's memory.
    flat = expect(on.get('resident_last_bytes', 0) <= on.get('resident_median_bytes', 0) + 8 * MIB,
                  f'resident memory is not flat: {json.dumps(on)}')

    def row(name, result, verdict):
        return [name, f'{result.get("ok", 0):,} of {CALLS:,}', result.get('wrong', '?'), result.get('lost', '?'),
                result.get('swaps', '?'), f'{result.get("call_median_ms", 0):.2f} ms',
                f'{result.get("resident_median_bytes", 0) / MIB:.1f} MiB',
                f'{result.get("resident_max_bytes", 0) / MIB:.1f} MiB', verdict]

    table(['rotation', 'calls right', 'wrong', 'lost', 'swaps', 'call (median)', 'resident (median)', '(most)', ''],
          [row('off', off, f'traps at call {ended}'), row('on', on, 'ok' if right and flat else 'FAILED')])
    print(f'  warm-up {middle([r["warmup_ms"] for r in rotations]):.0f} ms, swap pause '
          f'{middle([r["swap_pause_ns"] for r in rotations]) / 1000:.1f} µs, the caller waited for the standby '
          f'{middle([r["wait_ms"] for r in rotations]):.0f} ms (medians of {len(rotations)}; '
          f'most {on.get("swap_pause_max_ns", 0) / 1000:.1f} µs and {on.get("wait_max_ms", 0):.0f} ms)')
    if trap_text:
        print('  without rotation:')
        for line in trap_text:
            print('    ' + line)


def main():
    rotor = os.path.abspath(sys.argv[1])
    kimchi = os.path.abspath(os.environ['KIMCHI_WASM']) if os.environ.get('KIMCHI_WASM') else ''
    os.chdir(ROOT)
    start = time.time()
    if kimchi:
        module, how = compiled(rotor, kimchi, 'kimchi')
        print(f'\n1. o1js 2.15.0\'s prover, kimchi_wasm ({how}): recorded programs, every result compared')
        replays(rotor, module)
        print(f'\n2. Its leak: K=10, no threads, {MEMORY_LIMIT} of memory, {CALLS:,} calls')
        leak(rotor, module, KIMCHI, 'leak_{}.jsonl.gz', MIN_SWAPS, PANIC_CALL)
    else:
        print('\nKIMCHI_WASM is not set: the prover\'s replays (1) and its leak (2) are SKIPPED')
    module, how = compiled(rotor, os.path.join(LEAKY, 'leaky.wasm'), 'leaky')
    print(f'\n3. The bundled guest that leaks a page a call, {MEMORY_LIMIT} of memory, {CALLS:,} calls')
    leak(rotor, module, LEAKY, '{}.jsonl', 8, None)
    print(f'\n{"All as it should be" if not failures else "FAILED"}; {time.time() - start:.0f} s after the build.')
    for failure in failures:
        print('- ' + failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
