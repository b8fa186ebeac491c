#!/usr/bin/env python3
"""test_rotate.py ROTOR LEAKY_FOLDER: rotates the guest that leaks, and reads what the tool writes about it."""
import html.parser
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import tempfile

VOID = {'meta', 'line', 'br', 'i', 'hr', 'circle', 'path', 'polyline'}
MEMORY_LIMIT = '2MiB'
failures = []


def expect(holds, what):
    if not holds:
        failures.append(what)


class Page(html.parser.HTMLParser):
    """Whether tags are balanced, and what is loaded from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.loaded = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.loaded += [value for name, value in attrs if name in ('src', 'href', 'xlink:href', 'srcset', 'data')]
        if tag not in VOID or tag == 'i':
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID or tag == 'i':
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID and tag != 'i':
            return
        expect(self.open and self.open[-1] == tag, f'</{tag}> closes {self.open[-1:]}')
        if self.open:
            self.open.pop()


class Tool:
    def __init__(self, rotor, folder):
        self.rotor, self.folder = rotor, folder

    def run(self, *args, calls=100):
        done = subprocess.run(self.command(*args, calls=calls), capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def command(self, *args, calls=100):
        at = lambda name: os.path.join(self.folder, name)
        command = [self.rotor, *args, '--module', at('leaky.wasm'), '--setup', at('setup.jsonl'), '--memory-limit', MEMORY_LIMIT]
        for option, file in ('--policy', 'policy.toml'), ('--load', 'load.jsonl'):
            if option not in args:
                command += [option, at(file)]
        if args[0] == 'bench':
            command[1:2] = ['bench', 'replay']
        else:
            command += ['--calls', str(calls)]
        return command


def last_json(stdout):
    return json.loads(stdout.strip().split('\n')[-1])


def check_page(text, parts):
    """A page that is whole, loads nothing, and has these parts."""
    page = Page(text)
    expect(not page.open, f'unclosed: {page.open}')
    expect(page.names.count('title') > 0 and page.names.count('html') == 1, 'no page')
    expect(not page.loaded, f'loads {page.loaded}')
    expect(not re.search(r'https?://|@import|url\(', text), 'refers to the network')
    expect(not re.search(r'[ ",>-](nan|inf)[ ",<%]', text), 'a number that is none')
    for part in (*parts, 'prefers-color-scheme', '<h2>Rotations</h2>', 'rotor_rotations_total'):
        expect(part in text, f'the report lacks {part}')


def check_outputs(tool, folder):
    report, metrics = os.path.join(folder, 'out.html'), os.path.join(folder, 'out.prom')
    code, stdout, stderr = tool.run('rotate', '--json', '--prepare', '--report', report, '--metrics', metrics)
    expect(code == 0, f'rotate: {code}, {stderr}')
    summary = last_json(stdout)
    expect(summary['ok'] == 100 and summary['lost'] == 0 and summary['swaps'] >= 3, f'{summary}')
    expect(summary['swaps_image'] >= summary['swaps'] - 1 and summary['image_bytes'] > 0, f'no image: {summary}')
    for when in ('all', 'before_swap', 'during_swap', 'after_swap'):
        latency = summary['latency'][when]
        expect(latency['count'] and latency['p50_ms'] <= latency['p99_ms'] <= latency['max_ms'], f'{when}: {latency}')
    expect(sorted(os.listdir(folder)) == ['out.html', 'out.prom'], f'left over: {os.listdir(folder)}')
    check_page(open(report, encoding='utf-8').read(), ('without rotation call', 'warm 70 %', 'warm-up of a standby'))
    text = open(metrics, encoding='utf-8').read()
    expect(f'\nrotor_rotations_total {summary["swaps"]}\n' in text, text)


def check_settings(tool):
    _, stdout, _ = tool.run('rotate', '--json', '--image', 'off')
    summary = last_json(stdout)
    expect(summary['images'] == 0 and summary['swaps_image'] == 0 and summary['ok'] == 100, f'--image off: {summary}')
    code, stdout, _ = tool.run('rotate', '--json', '--rotation', 'off')
    summary = last_json(stdout)
    expect(code == 1 and summary['lost'] == 1 and summary['swaps'] == 0, f'--rotation off: {summary}')
    _, stdout, _ = tool.run('rotate', '--json', '--also', os.path.join(tool.folder, 'load.jsonl'), '--also-every', '30')
    summary = last_json(stdout)
    expect(summary['also_calls'] == 3 and summary['also_ok'] == 3, f'--also: {summary}')
    _, stdout, _ = tool.run('bench', '--runs', '1', '--json')
    bench = last_json(stdout)
    expect(bench['calls_replayed'] == 2 and bench['latency']['during_swap']['count'] == 1, f'{bench}')
    expect(0 < bench['standby_by_image_ms'] < bench['standby_by_replay_ms'], f'{bench}')


def check_checkpoint_report(tool, folder):
    """The report of checkpoints: what was taken, what stood in the way, and why."""
    report = os.path.join(folder, 'checkpoints.html')
    policy = os.path.join(tool.folder, 'checkpoint.toml')
    code, stdout, stderr = tool.run('rotate', '--json', '--policy', policy, '--report', report)
    summary = last_json(stdout)
    text = open(report, encoding='utf-8').read()
    check_page(text, ('<h2>Checkpoints</h2>', 'The last one is not stale.', f'by {summary["checkpoints"]} checkpoint',
                      f'Calls that made one stale: {summary["stale_by"]}', 'from a checkpoint of the active',
                      '<td class="text">checkpoint</td>', 'checkpoint at call '))
    for part in ('warm-up of a standby', 'Failed warm', 'calls in the log'):
        expect(part not in text, f'the report of checkpoints has {part}')
    table = text[text.index('<h2>Checkpoints</h2>'):text.index('<h2>Counters</h2>')]
    expect(table.count('<tr><td>') == summary['checkpoints'], f'rows of checkpoints: {table}')
    # Without a line that allows anything each call changes state, and no rewind can be.
    nothing = os.path.join(folder, 'nothing.toml')
    with open(policy, encoding='utf-8') as lines, open(nothing, 'w', encoding='utf-8') as out:
        out.write(re.sub(r'(?m)^(work|query) = .*$', '', lines.read()))
    tool.run('rotate', '--json', '--policy', nothing, '--report', report)
    check_page(open(report, encoding='utf-8').read(), ('No rewind (1): there is no checkpoint; what left something behind: query ', 'The last one is still to be taken.'))


def check_rewinds(tool, folder):
    """Checkpoints: a load that leaks, a list that is right, one that is wrong, and one that is suggested."""
    policy = os.path.join(tool.folder, 'checkpoint.toml')
    code, stdout, stderr = tool.run('rotate', '--json', '--policy', policy)
    summary = last_json(stdout)
    expect(code == 0 and summary['ok'] == 100 and summary['swaps'] >= 1 and summary['checkpoints'] >= 1,
           f'checkpoints: {code}, {summary}, {stderr}')
    code, stdout, stderr = tool.run('rotate', '--rewind-every', '1', '--policy', policy, calls=5)
    summary = last_json(stdout)
    expect(code == 0 and summary['right'] and summary['rewinds'] == 14, f'a right list: {code}, {stdout}, {stderr}')
    expect(summary['rewinds_after'] == {'query': 10, 'work': 4} and 'untried' not in summary, f'{summary}')
    untried = os.path.join(folder, 'untried.toml')
    with open(policy, encoding='utf-8') as text, open(untried, 'w', encoding='utf-8') as out:
        out.write(text.read().replace('[allow]', '[allow]\nbuild_state = "value"\n#', 1))
    code, stdout, stderr = tool.run('rotate', '--rewind-every', '1', '--policy', untried, calls=5)
    expect(code == 0 and last_json(stdout)['untried'] == ['build_state'] and 'not tried: build_state is' in stdout,
           f'a line that is not tried: {code}, {stdout}, {stderr}')

    load = os.path.join(folder, 'load.jsonl')
    with open(load, 'w', encoding='utf-8') as out:
        out.write('["work",[{"h":[0,-1]},42],"i"]\n["absorb",[{"h":[0,-1]},{"b":"0102"}],"i"]\n'
                  '["query",[{"h":[0,-1]},1],"i"]\n')
    wrong = os.path.join(folder, 'wrong.toml')
    with open(policy, encoding='utf-8') as text, open(wrong, 'w', encoding='utf-8') as out:
        out.write(text.read().replace('[allow]', '[allow]\nabsorb = "value"\n#', 1))
    code, stdout, stderr = tool.run('rotate', '--rewind-every', '1', '--policy', wrong, '--load', load, calls=3)
    summary = last_json(stdout)
    expect(code == 1 and not summary['right'] and summary['export'] == 'query', f'a wrong list: {code}, {stdout}')
    expect(re.fullmatch(re.escape(wrong) + r':5 absorb: absorb leaves something behind: with a rewind after it, '
                        + re.escape(load) + r':3: query returned -?\d+, not -?\d+\n', stderr), f'{stderr}')
    code, stdout, stderr = tool.run('rotate', '--rewind-every', '1')
    expect(code == 2 and 'add --checkpoint' in stderr, f'replay: {code}, {stderr}')

    command = [tool.rotor, 'policy', 'suggest', os.path.join(tool.folder, 'leaky.wasm'), policy, '--setup',
               os.path.join(tool.folder, 'setup.jsonl'), '--load', load, '--memory-limit', '8MiB']
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    expect(done.returncode == 0, f'suggest: {done.returncode}, {done.stderr}')
    lines = done.stdout.splitlines()
    expect(lines[1:3] == ['[allow]', 'work = "value"'] and lines[-1] == 'query = "value"', f'suggested: {lines}')
    expect(len(lines) == 5 and lines[3].startswith(f'# not absorb: {load}:3: query returned '), f'suggested: {lines}')


def check_wrong_loads(tool, folder):
    """What a load names wrongly is found before anything runs, and what returns something else is told of once."""
    load = os.path.join(folder, 'wrong.jsonl')
    with open(load, 'w', encoding='utf-8') as out:
        out.write('["query",[{"h":[0,-1]},0],"i",1]\n["wrok",[{"h":[0,-1]},42],"i"]\n')
    code, stdout, stderr = tool.run('rotate', '--load', load)
    expect(code == 2 and stdout == '' and f'{load}: no exported function "wrok"; did you mean "work"?' in stderr,
           f'an unknown export: {code}, {stdout}, {stderr}')
    with open(load, 'w', encoding='utf-8') as out:
        out.write('["work",[{"h":[0,-1]},42],"i"]\n["query",[{"h":[0,-1]},0],"i",1]\n')
    report = os.path.join(folder, 'wrong.html')
    code, stdout, stderr = tool.run('rotate', '--load', load, '--report', report, '--report-baseline-calls', '10', calls=50)
    summary = last_json(stdout)
    expect(code == 1 and summary['wrong'] == 50 and summary['ok'] == 0, f'wrong: {code}, {summary}')
    expect(stderr == f'{load}:2: query: expected 1, got -2050856826, in call 0 and in 49 more\n', stderr)
    expect('without rotation 10 of 10 calls return something wrong' in stdout, stdout)
    expect('>10 wrong<' in open(report, encoding='utf-8').read(), 'the report has no wrong calls without rotation')


def check_interrupt(tool):
    """Ctrl-C ends a run with what there is; a line of progress is erased by what is written after it."""
    here, terminal = pty.openpty()
    run = subprocess.Popen(tool.command('rotate', calls=10**9), stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    shown = b''
    while run.poll() is None and shown.count(b' of 1000000000') < 2:
        shown += os.read(here, 4096)
    run.send_signal(signal.SIGINT)
    stdout, _ = run.communicate(timeout=60)
    try:
        while more := os.read(here, 4096):
            shown += more
    except OSError:  # the other end is closed
        pass
    os.close(here)
    summary = last_json(stdout)
    expect(run.returncode == 1 and 0 < summary['calls'] < 10**9 and summary['lost'] == 0, f'{run.returncode}, {summary}')
    lines = shown.decode().replace('\r\n', '\n').split('\r\033[K')
    expect(lines[-1] == f'rotor: interrupted after {summary["calls"]} of 1000000000 calls\n', f'{lines[-3:]}')
    expect(all('\n' not in line for line in lines[:-1]), 'progress is followed by text in its line')


def full_device(folder):
    """A device that is full, and as root none that a machine needs; None: none can be had."""
    if os.geteuid() != 0:
        return '/dev/full'
    path = os.path.join(folder, 'full')
    try:
        if not os.path.exists(path):
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return None
    return path


def check_unwritable(tool, folder):
    missing = os.path.join(folder, 'no', 'out.html')
    for option in ('--report', '--metrics'):
        code, stdout, stderr = tool.run('rotate', option, missing)
        expect(code == 2 and stdout == '' and missing in stderr, f'{option}, no folder: {code}, {stdout}, {stderr}')
        full = full_device(folder)
        if full is None:
            continue
        code, stdout, stderr = tool.run('rotate', option, full)
        expect(code == 2 and stderr == f'rotor: io: can\'t write {full}: No space left on device\n',
               f'{option}, no space: {code}, {stderr}')
        expect(last_json(stdout)['ok'] == 100, 'the summary is lost')


def main(rotor, folder):
    tool = Tool(os.path.abspath(rotor), folder)
    with tempfile.TemporaryDirectory() as out:
        check_outputs(tool, out)
        check_unwritable(tool, out)
        check_checkpoint_report(tool, out)
        check_rewinds(tool, out)
        check_wrong_loads(tool, out)
    check_settings(tool)
    check_interrupt(tool)
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
