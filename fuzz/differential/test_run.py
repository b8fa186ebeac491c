#!/usr/bin/env python3
"""Tests of the comparison itself: what it must tell apart, and that no side's death passes for agreement."""
import pathlib
import random
import sys
import tempfile
import unittest

import access_modules
import configs
import gc_modules
import run
import wide_modules


class Transcripts(unittest.TestCase):
    CALL = ['compile ok', 'instance ok', 'call 0 () = (i32:00000001)']

    def test_a_result_that_differs(self):
        self.assertTrue(run.same(self.CALL, list(self.CALL)))
        self.assertFalse(run.same(self.CALL, self.CALL[:-1] + ['call 0 () = (i32:00000002)']))

    def test_a_line_more(self):
        self.assertFalse(run.same(self.CALL, self.CALL + ['call 0 () trap unreachable']))

    def test_what_follows_a_stack_overflow_is_not_compared(self):
        self.assertTrue(run.same(self.CALL, self.CALL[:2] + ['stop stack overflow']))
        self.assertFalse(run.same(self.CALL, ['compile ok', 'instance trap unreachable', 'stop stack overflow']))

    def test_the_kind_of_a_difference_has_no_numbers(self):
        self.assertEqual(run.first_difference(self.CALL, self.CALL[:2] + ['call 0 () trap unreachable']),
                         ['call', 'call trap unreachable'])
        self.assertIsNone(run.first_difference(self.CALL, self.CALL))


class Sides(unittest.TestCase):
    def side(self, program):
        self.file = pathlib.Path(self.folder.name) / 'side.py'
        self.file.write_text('import os, sys, time\n' + program)
        side = run.Side('fake', [sys.executable, str(self.file)])
        self.addCleanup(side.stop)
        return side

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_answers_module_by_module(self):
        side = self.side('for line in sys.stdin: print(line + "end", flush=True)')
        self.assertEqual([side.transcript(1, 'a'), side.transcript(2, 'b')], [['1 a'], ['2 b']])

    def test_a_crash_is_told_and_the_next_module_runs(self):
        side = self.side('for line in sys.stdin:\n'
                         '  if "bad" in line: print("compile ok", flush=True); os.abort()\n'
                         '  print(line + "end", flush=True)')
        crashed = side.transcript(1, 'bad')
        self.assertEqual(crashed[0], 'compile ok')
        self.assertTrue(crashed[-1].startswith('crash: exit status -6'), crashed)
        self.assertEqual(side.transcript(2, 'good'), ['2 good'])

    def test_a_hang_is_told(self):
        timeout, run.TIMEOUT_S = run.TIMEOUT_S, 0.5
        self.addCleanup(setattr, run, 'TIMEOUT_S', timeout)
        self.assertTrue(self.side('time.sleep(60)').transcript(1, 'a')[-1].startswith('hang: '))


class Configs(unittest.TestCase):
    def test_a_feature_that_is_off_is_said_to_be_off(self):
        for config in configs.CONFIGS:
            options = configs.smith_options(config)
            self.assertTrue(all(f'{name}-enabled' in options for name in configs.ALL), config.name)
            asked = {*configs.BASELINE, *config.features}
            self.assertEqual([name for name in configs.ALL if options[f'{name}-enabled'] and name not in asked], [],
                             config.name)
            self.assertTrue(config.avoid or not options['threads-enabled'], config.name)

    def test_nothing_is_on_that_rotor_lacks(self):
        for config in configs.enabled():
            on = {name for name in configs.ALL if configs.smith_options(config)[f'{name}-enabled']}
            self.assertLessEqual(on, configs.FEATURES, config.name)


class AccessModules(unittest.TestCase):
    def test_a_seed_decides_the_module(self):
        first, again, other = (access_modules.module(random.Random(seed)) for seed in (1, 1, 2))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_every_load_and_operator_is_met(self):
        text = ''.join(access_modules.module(random.Random(seed)) for seed in range(400))
        missing = [name for name, *_ in access_modules.LOADS + [row[1:] for row in access_modules.OPERATORS]
                   if f'({name} ' not in text]
        self.assertEqual(missing, [])
        self.assertGreater(len(access_modules.OPERATORS), 250)


class GcModules(unittest.TestCase):
    def test_a_seed_decides_the_module(self):
        first, again, other = (gc_modules.module(random.Random(seed)) for seed in (1, 1, 2))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_every_instruction_is_met(self):
        text = ''.join(gc_modules.module(random.Random(seed)) for seed in range(60))
        missing = [name for name in gc_modules.instructions() if f'({name} ' not in text]
        self.assertEqual(missing, [])
        self.assertGreater(len(gc_modules.instructions()), 25)

    def test_some_types_are_deeper_than_displays_are_and_some_are_written_twice(self):
        made = [gc_modules.Types(random.Random(seed)) for seed in range(60)]
        for kind in ('struct', 'array', 'func'):
            self.assertGreater(max(gc_modules.depth_of(t) for types in made for t in types.of_kind(kind)), 8, kind)
        texts = [''.join(types.texts()) for types in made]
        self.assertTrue(any(types.twice and f'(type {sorted(types.twice)[0]}x ' in text
                            for types, text in zip(made, texts)))


class WideModules(unittest.TestCase):
    def test_a_seed_decides_the_module(self):
        first, again, other = (wide_modules.module(random.Random(seed)) for seed in (1, 1, 2))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_each_way_gives_the_product(self):
        """Of code that is right in all places; what the generator takes for right, engines would not contradict."""
        chosen = random.Random(3)
        for _ in range(300):
            body = wide_modules.Body(chosen, 2)
            body.wrong_one_in = body.decisions_until_wrong = 0
            low, terms = body.product('$p0', '$p1')
            high = body.sum(terms)
            a, b = (chosen.choice((*wide_modules.CORNERS, chosen.getrandbits(64))) for _ in range(2))
            values = Evaluator({'$p0': a, '$p1': b}).run(body.lines)
            if any('$p1' in line for line in body.lines):
                self.assertEqual(values[high] << 64 | values[low], a * b, body.lines)
            else:
                self.assertEqual(values[high] << 64 | values[low], a * a, body.lines)


class Evaluator:
    """Straight code of i64, as wide_modules.Body writes it."""

    BINARY = {'add': lambda x, y: x + y, 'mul': lambda x, y: x * y, 'and': lambda x, y: x & y, 'or': lambda x, y: x | y,
              'shl': lambda x, y: x << y % 64, 'shr_u': lambda x, y: x >> y % 64, 'lt_u': lambda x, y: x < y,
              'gt_u': lambda x, y: x > y}

    def __init__(self, values):
        self.values = values

    def run(self, lines):
        for line in lines:
            _, name, expression = self.read(line.replace('(', ' ( ').replace(')', ' ) ').split())
            self.values[name] = self.value(expression)
        return self.values

    def read(self, tokens):
        token = tokens.pop(0)
        if token != '(':
            return token
        items = []
        while tokens[0] != ')':
            items.append(self.read(tokens))
        tokens.pop(0)
        return items

    def value(self, expression):
        name, *operands = expression
        if name == 'local.get':
            return self.values[operands[0]]
        if name == 'i64.const':
            return int(operands[0])
        if name == 'select':
            return self.value(operands[0] if self.value(operands[2]) else operands[1])
        if name in ('i64.extend_i32_u', 'i32.wrap_i64'):
            return self.value(operands[0]) & 0xffffffff
        return int(self.BINARY[name.removeprefix('i64.')](*map(self.value, operands))) & (1 << 64) - 1


if __name__ == '__main__':
    unittest.main()
