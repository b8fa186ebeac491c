#!/usr/bin/env python3
"""Compares what can be done about a guest that leaks: kimchi_wasm, through o1js's own leak, in 8 MiB.

    bench/approaches/run.py [--calls N] [--program build/release/bench/approaches] [--svg docs/approaches.svg]
                            [--json FILE] [--module FILE] [--setup FILE] [--load FILE] [--policy FILE]
                            [--limit-mib N] [--workers N]

Each approach runs in a process of its own, one after the other; `approaches.h` says what they are. Prints the table
and writes the plot: memory over calls. A call is one repetition of the load. Not a test: run it on a quiet machine.

Memory counts pages that several processes map in part, and an image as a whole. The time of a process's job ends when
its results are here; its end is in the CPU time. A pause is how long no call can run because of the approach.

Reads KIMCHI_WASM   the prover; else where scripts/setup.sh puts it
"""
import argparse
import json
import math
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
CACHE = pathlib.Path(os.environ.get('ROTOR_CACHE') or
                     pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'rotor')
KIMCHI = 'o1js/node_modules/o1js/dist/node/bindings/compiled/node_bindings/kimchi_wasm_bg.wasm'
TIMEOUT_S = 3600

# Name in the program, in the table, in the plot; a colour that can be read on white and on black.
APPROACHES = [
    ('threads', 'recycle threads, keep the instance', 'threads', '#d1495b'),
    ('reload', 'reload in the foreground', 'reload', '#c98a1b'),
    ('fork', 'a process per job', 'process', '#8e6bbf'),
    ('replay', 'rotation by replay', 'replay', '#2e8bc0'),
    ('image', 'rotation by image', 'image', '#2f9e5b'),
]
MIB = 1 << 20


def run(program, approach, options):
    """What the program says of one approach, or why it says nothing."""
    command = [program, approach]
    for name, value in options.items():
        command += ['--' + name, str(value)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return {'error': f'took longer than {TIMEOUT_S} s'}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {'error': (done.stderr.strip().splitlines() or [f'exit code {done.returncode}'])[-1]}
    return json.loads(lines[-1])


def table(results):
    head = ['approach', 'calls until failure', 'call, median', 'p99', 'max', 'longest pause', 'CPU a call',
            'memory, peak', 'mean']
    times = ['median_ms', 'p99_ms', 'max_ms', 'longest_pause_ms', 'cpu_ms_per_call']
    rows = [head, ['---'] + ['---:'] * (len(head) - 1)]
    notes = []
    for approach, title, _, _ in APPROACHES:
        result = results[approach]
        if 'error' in result:
            rows.append([title] + ['-'] * (len(head) - 1))
            notes.append(f'{title}: {result["error"]}')
            continue
        failed = result['failed_at']
        rows.append([
            title,
            f'none in {result["calls"]}' if failed is None else str(failed),
            *(f'{result[key]:.2f} ms' for key in times),
            *(f'{result[key] / MIB:.1f} MiB' for key in ('memory_peak_bytes', 'memory_mean_bytes')),
        ])
        if result['right'] != result['calls']:
            notes.append(f'{title}: {result["calls"] - result["right"]} calls gave a wrong result')
    return '\n'.join(['| ' + ' | '.join(row) + ' |' for row in rows] + ['', *notes]).rstrip()


def nice_step(largest, count):
    step = 1
    while largest / step > count:
        step = step * 2 if str(step)[0] in '15' else step // 2 * 5
    return step


def latency_panel(results, width, left, right, top):
    """Median, p99 and longest call of each approach on a logarithmic axis: SVG elements, and where they end."""
    rows = [(title, colour, results[name]) for name, title, _, colour in APPROACHES if 'error' not in results[name]]
    values = [row[2][key] for row in rows for key in ('median_ms', 'p99_ms', 'max_ms')]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    names = left + 200  # the titles stand left of it

    def x(ms):
        return names + (width - right - names) * math.log(ms / low) / math.log(high / low)

    bottom = top + 26 * len(rows)
    out = []
    tick = low
    while tick <= high * 1.001:
        out.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{bottom}"/>'
                   f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">'
                   f'{f"{tick / 1000:g} s" if tick >= 1000 else f"{tick:g} ms"}</text>')
        tick *= 10
    for i, (title, colour, result) in enumerate(rows):
        y = top + 26 * i + 13
        at = [x(result[key]) for key in ('median_ms', 'p99_ms', 'max_ms')]
        out.append(f'<text x="{names - 12}" y="{y + 4}" text-anchor="end">{title}</text>'
                   f'<line x1="{at[0]:.1f}" x2="{at[2]:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="1.5"/>')
        for radius, point in zip((5, 4, 3), at):
            out.append(f'<circle cx="{point:.1f}" cy="{y}" r="{radius}" fill="{colour}"/>')
        if result['failed_at'] is not None:
            out.append(f'<text x="{at[2] + 10:.1f}" y="{y + 4}" style="fill:{colour}">'
                       f'fails at call {result["failed_at"]}</text>')
    return out, bottom + 30


def plot(results, title):
    """Latency by approach, and memory of all processes over calls, as SVG that follows the reader's colour scheme."""
    lines = [(short, colour, results[name]) for name, _, short, colour in APPROACHES if results[name].get('memory')]
    width, left, right, bottom = 760, 56, 92, 46
    latency, top = latency_panel(results, width, left, right, 36)
    memory_title = top + 16
    top += 42
    height = top + 200 + bottom
    most_calls = max((line[2]['wanted'] for line in lines), default=1)
    most_mib = max((bytes_ / MIB for line in lines for _, bytes_ in line[2]['memory']), default=1) * 1.08

    def x(call):
        return left + (width - left - right) * call / most_calls

    def y(mib):
        return height - bottom - (height - top - bottom) * mib / most_mib

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
           '<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}'
           '.grid{stroke:#8884;stroke-width:1}.line{fill:none;stroke-width:1.8;stroke-linejoin:round}'
           '@media (prefers-color-scheme:dark){text{fill:#ddd}}</style>',
           f'<text class="title" x="{left}" y="22">A call: median, 99 of 100, longest</text>', *latency,
           f'<text class="title" x="{left}" y="{memory_title}">{title}</text>']
    step = nice_step(most_mib, 6)
    for mib in range(0, int(most_mib) + 1, step):
        out.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(mib):.1f}" y2="{y(mib):.1f}"/>'
                   f'<text x="{left - 8}" y="{y(mib) + 4:.1f}" text-anchor="end">{mib}</text>')
    step = nice_step(most_calls, 6)
    for call in range(0, most_calls + 1, step):
        out.append(f'<text x="{x(call):.1f}" y="{height - bottom + 18}" text-anchor="middle">{call}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">calls</text>')
    out.append(f'<text x="{left - 8}" y="{top - 4}" text-anchor="end">MiB</text>')

    labels = []
    for short, colour, result in lines:
        points = [(x(call), y(bytes_ / MIB)) for call, bytes_ in result['memory']]
        path = ' '.join(f'{a:.1f},{b:.1f}' for a, b in points)
        out.append(f'<polyline class="line" stroke="{colour}" points="{path}"/>')
        if result['failed_at'] is None:
            labels.append([points[-1][1], short, colour])
        else:
            a, b = points[-1]
            out.append(f'<path d="M{a - 5:.1f} {b - 5:.1f}l10 10m0 -10l-10 10" stroke="{colour}" stroke-width="2"/>'
                       f'<text x="{a + 10:.1f}" y="{b - 6:.1f}" style="fill:{colour}">{short}: '
                       f'fails at call {result["failed_at"]}</text>')
    # Labels that would overlap move apart.
    labels.sort()
    for before, label in zip(labels, labels[1:]):
        label[0] = max(label[0], before[0] + 15)
    for at, short, colour in labels:
        out.append(f'<text x="{width - right + 8}" y="{at + 4:.1f}" style="fill:{colour}">{short}</text>')
    return '\n'.join(out + ['</svg>', ''])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kimchi = ROOT / 'examples/kimchi'
    parser.add_argument('--program', default=str(ROOT / 'build/release/bench/approaches'))
    parser.add_argument('--module', help='a .wasm, or a code file that the program made')
    parser.add_argument('--setup', default=str(kimchi / 'leak_setup.jsonl.gz'))
    parser.add_argument('--load', default=str(kimchi / 'leak_load.jsonl.gz'))
    parser.add_argument('--policy', default=str(kimchi / 'policy.toml'))
    parser.add_argument('--limit-mib', type=int, default=8)
    parser.add_argument('--workers', type=int, default=0)
    parser.add_argument('--calls', type=int, default=1000)
    parser.add_argument('--svg', default=str(ROOT / 'docs/approaches.svg'))
    parser.add_argument('--json', help='a file for all that was measured')
    args = parser.parse_args()
    module = args.module or os.environ.get('KIMCHI_WASM') or str(CACHE / KIMCHI)

    with tempfile.TemporaryDirectory() as folder:
        if module.endswith('.wasm'):
            code = os.path.join(folder, 'guest.rotor')
            subprocess.run([args.program, 'compile', module, code], check=True)
            module = code
        options = {'module': module, 'setup': args.setup, 'load': args.load, 'policy': args.policy,
                   'limit-mib': args.limit_mib, 'workers': args.workers, 'calls': args.calls}
        results = {}
        for approach, title, _, _ in APPROACHES:
            print(f'{title} …', file=sys.stderr, flush=True)
            results[approach] = run(args.program, approach, options)

    print(f'{args.calls} calls, {args.limit_mib} MiB, {args.workers} workers; {platform.machine()}, '
          f'{os.cpu_count()} cores\n')
    print(table(results))
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=1) + '\n')
    if args.svg:
        pathlib.Path(args.svg).write_text(plot(results, 'Resident memory of all processes while the guest leaks'))


if __name__ == '__main__':
    main()
