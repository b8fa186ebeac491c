#!/usr/bin/env python3
"""test_explore.py ROTOR: the page of `rotor explore`: it loads nothing, no name becomes markup, and each function's wasm and
machine code are in it, tied by offsets. With CHROMIUM naming a browser the page is run in it, too."""
import base64
import html.parser
import json
import os
import re
import subprocess
import sys
import tempfile
import zlib

from test_files import Tool, expect, failures

HOSTILE = '</script><script>document.title="taken"</script><img src=x onerror=alert(1)>'
TEXT = r'''(module
  (import "env" "log" (func $log (param i32)))
  (memory 1)
  (func $"%s" (export "twice") (param i32) (result i32)
    (i32.shl (i32.load offset=8 (local.get 0)) (i32.const 1)))
  (func $nothing)
  (func (export "calls \"all\"\e2\80\ae") (param i32) (local i32 i64)
    (loop $next
      (call $log (call 1 (local.get 0)))
      (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))'''


class Page(html.parser.HTMLParser):
    """The packed parts of a page, and all that it would load."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.parts, self.loaded, self.scripts, self.into, self.title = {}, [], 0, None, ''
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loaded += [value for name, value in attrs.items() if name in ('src', 'href', 'srcset', 'data', 'action')]
        self.loaded += [tag] if tag in ('link', 'img', 'iframe', 'object', 'embed', 'base') else []
        self.loaded += [name for name in attrs if name.startswith('on')]
        self.scripts += tag == 'script' and 'type' not in attrs
        self.into = attrs.get('id') if tag == 'script' and 'id' in attrs else tag if tag == 'title' else None

    def handle_data(self, data):
        if self.into == 'title':
            self.title += data
        elif self.into:
            self.parts[self.into] = data

    def handle_endtag(self, tag):
        self.into = None

    def part(self, name):
        return json.loads(zlib.decompress(base64.b64decode(self.parts[name])))


def page_of(tool, *args):
    code, _, stderr = tool.run('explore', *args, '-o', 'page.html')
    expect(code == 0, f'explore {args}: {code}, {stderr}')
    text = tool.read('page.html').decode()
    page = Page(text)
    expect(not page.loaded and page.scripts == 1, f'{args} loads {page.loaded}, {page.scripts} scripts')
    expect('url(' not in text and '@import' not in text and 'fetch(' not in text, 'a resource from elsewhere')
    expect("default-src 'none'" in text, 'no policy')
    return page


def check_page(tool):
    hostile_file = 'a<b>&"c.wasm'
    os.link(tool.path('in.wasm'), tool.path(hostile_file))
    page = page_of(tool, hostile_file, '--cpu', 'baseline')
    expect(page.title == hostile_file, f'title: {page.title}')
    index, functions = page.part('index'), page.part('c0')
    expect([entry['i'] for entry in index] == [1, 2, 3], f'{index}')
    expect([entry['n'] for entry in index] == [HOSTILE, 'nothing', 'calls "all"\\u{202e}'], f'{index}')
    expect([entry['s'] for entry in index] == [len(function['m']) for function in functions], f'{index}')
    twice = functions[0]
    words = [text.split()[0] for _, text in twice['w'][1:-1]]
    expect(words == ['local.get', 'i32.load', 'i32.const', 'i32.shl'], f'{twice["w"]}')
    expect('(func' in twice['w'][0][1] and twice['w'][-1][1].strip() == ')', f'{twice["w"]}')
    # The load and the shift are each of their own code, by their offsets.
    offsets = {text.split()[0]: offset for offset, text in twice['w'][1:-1]}
    with open(tool.path('in.wasm'), 'rb') as file:
        binary = file.read()
    expect(binary[offsets['i32.load']] == 0x28 and binary[offsets['i32.shl']] == 0x74, f'{offsets}')
    of = lambda word: [text for offset, text in twice['m'] if offset == offsets[word]]
    expect(any('mov' in text and '(' in text for text in of('i32.load')), f'the load: {twice["m"]}')
    expect(any('add' in text or 'shl' in text for text in of('i32.shl')), f'the shift: {twice["m"]}')
    expect(functions[1]['w'] and any('ret' in text for _, text in functions[1]['m']), f'{functions[1]}')
    calls = [text for offset, text in functions[2]['m'] if text.split()[0].startswith('call')]
    expect(len(calls) >= 1 and '(local i32 i64)' in functions[2]['w'][1][1], f'{functions[2]}')


def check_many(tool):
    """Ten thousand functions."""
    tool.write('many.wat', ('(module %s)' % ' '.join(
        f'(func $f{n} (param i32) (result i32) (i32.add (local.get 0) (i32.const {n})))' for n in range(10000))).encode())
    page = page_of(tool, 'many.wat', '--opt', '0')
    index = page.part('index')
    expect(len(index) == 10000 and index[9999] == {'i': 9999, 'n': 'f9999', 's': index[9999]['s']}, f'{index[-1]}')
    expect(len(page.parts) == 1 + (10000 + 31) // 32, f'{len(page.parts)} parts')
    function = page.part('c312')[15]
    expect(any('i32.const 9999' in text for _, text in function['w']) and any('9999' in text for _, text in function['m']),
           f'{function}')
    size = os.path.getsize(tool.path('page.html'))
    expect(size < 5 << 20, f'the page has {size} bytes')


def check_errors(tool):
    for name, contents, said in (('empty.wasm', b'', 'empty file'), ('text.wasm', b'hello', 'a text'),
                                 ('bad.wasm', b'\0asm\1\0\0\0\x0a\1\1', 'malformed')):
        tool.write(name, contents)
        code, _, stderr = tool.run('explore', name, '-o', 'no.html')
        expect(code == 1 and said in stderr and not os.path.exists(tool.path('no.html')), f'{name}: {code}, {stderr}')
    tool.run('compile', 'in.wasm', '-o', 'in.rotor')
    code, _, stderr = tool.run('explore', 'in.rotor', '-o', 'no.html')
    expect(code == 1 and 'code file' in stderr, f'a code file: {code}, {stderr}')


def dom(browser, path, fragment=''):
    """The page as the browser has it when its script is done."""
    done = subprocess.run([browser, '--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=5000', '--dump-dom',
                           f'file://{path}{fragment}'], capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


def check_browser(tool, browser):
    page_of(tool, 'in.wasm')
    seen = dom(browser, tool.path('page.html'), '#f3')
    expect('data-ready="yes"' in seen, f'the script did not end: {seen[-2000:]}')
    expect('<title>in.wasm</title>' in seen and '<img' not in seen, 'a name became markup')
    expect('&lt;img src=x' in seen, 'the list lacks the function')
    expect(re.search(r'<h2 id="title">3: calls', seen), 'the fragment was not followed')
    expect(len(re.findall(r'class="linked"', seen)) >= 6, 'lines are not tied')
    check_many(tool)
    seen = dom(browser, tool.path('page.html'), '#f9998')
    expect('data-ready="yes"' in seen and 'i32.const 9998' in seen, 'ten thousand functions')
    rows = len(re.findall(r'class="row', seen))
    expect(0 < rows < 200, f'{rows} rows are made')


def main(rotor):
    with tempfile.TemporaryDirectory() as folder:
        tool = Tool(os.path.abspath(rotor), folder)
        tool.write('in.wat', (TEXT % HOSTILE.replace('"', r'\"')).encode())
        code, _, stderr = tool.run('wat2wasm', '--names', 'in.wat', '-o', 'in.wasm')
        expect(code == 0, stderr)
        check_page(tool)
        check_errors(tool)
        if os.environ.get('CHROMIUM'):
            check_browser(tool, os.environ['CHROMIUM'])
        else:
            check_many(tool)
    print('\n'.join(failures))
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
