// The rotation's rules, with both engines, on a guest that is wasm-bindgen's in small.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, describe, it } = require('node:test');
const rotor = require('../index.cjs');
const { guests, sortExports } = require('../lib/hook.cjs');
const { collect } = require('../lib/collect.cjs');

const kMiB = 2 ** 20;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rotor-node-'));
after(() => fs.rmSync(folder, { recursive: true }));

const tool = process.env.ROTOR;
if (!tool) throw new Error('ROTOR names the rotor tool, which assembles the guests of the tests');
process.env.COUNTERS_WASM = path.join(folder, 'counters.wasm');
execFileSync(tool, ['wat2wasm', path.join(__dirname, 'fixtures/counters.wat'), '-o', process.env.COUNTERS_WASM]);

const preset = rotor.presets.wasmBindgen({
  name: 'counters',
  glue: 'fixtures/counters.cjs',
  policy: { passing: ['counter_new', 'counter_get', 'counters', 'recall', 'sum', 'leak', 'draw', 'boom'], methods: ['counter_add'] },
  reseed: 'none',
});
rotor.use(preset);
rotor.install();

/** Loads the glue anew: a guest of its own. */
function load() {
  const file = require.resolve('./fixtures/counters.cjs');
  delete require.cache[file];
  const glue = require(file);
  return { glue, ...guests.at(-1) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
/** Lets the rotation do what it was asked for, and what that asks for. */
async function settle() {
  for (let i = 0; i < 3; ++i) {
    await turn();
  }
}
const grown = (rotation) => rotation.guest.state().bytes;

const engines = ['v8'];
if (fs.existsSync(process.env.ROTOR_ADDON ?? path.join(__dirname, '../prebuilt/rotor.node'))) engines.push('rotor');
else it.skip("engine 'rotor': there is no addon: build with -DROTOR_NODE=ON, or name it by ROTOR_ADDON", () => {});

for (const engine of engines) {
  describe(`engine ${engine}`, () => {
    const make = (settings = {}) => {
      rotor.configure({ engine, limit: '4MiB', warmAt: 0.7, swapAt: 0.9, rotate: true, reseed: undefined, log: false, ...settings });
      return load();
    };

    it('a leak kills a guest that does not rotate', () => {
      const { glue } = make({ rotate: false });
      assert.throws(() => { for (let i = 0; i < 400; ++i) glue.leak(65536); }, WebAssembly.RuntimeError);
    });

    it('a leak goes on for ever in a guest that rotates, and what was there stays', async () => {
      const { glue, rotation } = make();
      const kept = new glue.Counter(41);
      glue.remember(7);
      await settle();
      kept.add(1);
      for (let i = 0; i < 500; ++i) {
        glue.leak(65536);
        assert.equal(kept.get(), 42);
        assert.equal(glue.recall(), 7);
        await settle();
      }
      const figures = rotation.metrics();
      assert.ok(figures.rewinds >= 8, `${figures.rewinds} rewinds`);
      assert.equal(figures.futile, 0);
      assert.ok(figures.bytes <= 4 * kMiB);
      assert.equal(glue.sum(new Uint8Array([1, 2, 3])), 6);
    });

    it('a guest that grows by more in one go than is left above the threshold is rewound before', async () => {
      const { glue, rotation } = make();
      new glue.Counter(0).free();
      await settle();
      for (let i = 0; i < 30; ++i) {
        glue.leak(700 * 1024);  // four of these fill it to 70 %, five to 87 %, and a sixth does not fit
        await settle();
      }
      assert.ok(rotation.metrics().rewinds >= 5);
      assert.equal(rotation.metrics().restores, 0);
    });

    it('what a call that no line names leaves behind is never lost', async () => {
      const { glue, rotation } = make();
      for (let i = 0; i < 200; ++i) {
        glue.remember(i);
        glue.leak(16384);
        await settle();
        assert.equal(glue.recall(), i);
      }
    });

    it('a method of a handle that the checkpoint has marks it stale; one of a newer handle does not', async () => {
      const { glue, rotation } = make();
      const old = new glue.Counter(1);
      await settle();
      assert.equal(rotation.guest.state().stale, false);
      const young = new glue.Counter(2);
      young.add(1);
      assert.equal(rotation.guest.state().stale, false);
      old.add(1);
      assert.equal(rotation.guest.state().stale, true);
      assert.equal(rotation.guest.state().staleBy, 'counter_add');
      young.free();
      for (let i = 0; i < 200; ++i) {
        glue.leak(65536);
        await settle();
      }
      assert.equal(old.get(), 2);
      assert.ok(rotation.metrics().rewinds > 0);
    });

    it('what lies where a handle of the checkpoint was, and is let go, is none of the checkpoint', async () => {
      const { glue, rotation } = make();
      const old = new glue.Counter(1);
      const pointer = old.__wbg_ptr;
      await settle();
      old.free();
      assert.throws(() => glue.raw().counter_add(pointer, 1), WebAssembly.RuntimeError, 'this guest says so');
      assert.equal(rotation.guest.state().stale, false);
      await settle();
    });

    it('a handle that was let go after the checkpoint is let go again after each rewind', async () => {
      const { glue, rotation } = make();
      const kept = new glue.Counter(1);
      const freed = new glue.Counter(2);
      (() => { for (let i = 0; i < 5; ++i) new glue.Counter(100 + i); })();  // left to the collector
      await settle();
      const atCheckpoint = glue.counters();
      assert.ok(atCheckpoint >= 2);
      freed.free();
      collect();
      for (let i = 0; i < 20; ++i) await turn();
      assert.equal(glue.counters(), 1);
      for (let i = 0; i < 200; ++i) {
        glue.leak(65536);
        await settle();
      }
      assert.ok(rotation.metrics().rewinds >= 2);
      assert.equal(glue.counters(), 1, 'what JavaScript holds, and no more');
      assert.equal(kept.get(), 1);
    });

    it('no rewind while JavaScript holds something newer; with patience at an end, a checkpoint keeps it', async () => {
      const { glue, rotation } = make();
      new glue.Counter(0).free();
      await settle();
      const young = new glue.Counter(5);
      const postponed = [];
      rotor.events.on('postponed', (what) => postponed.push(what));
      const before = rotation.metrics().checkpoints;
      while (grown(rotation) < 0.9 * 4 * kMiB) glue.leak(65536);
      for (let i = 0; i < 2; ++i) {
        await settle();
        glue.leak(8);
        assert.equal(young.get(), 5);
      }
      assert.ok(postponed.length > 0);
      assert.match(postponed[0].why, /newer handles?: Counter/);
      for (let i = 0; i < 6; ++i) {
        glue.leak(8);
        await settle();
      }
      assert.equal(rotation.metrics().rewinds, 0);
      assert.ok(rotation.metrics().checkpoints > before);
      assert.ok(rotation.metrics().futile > 0, 'it frees nothing, and says so');
      assert.equal(young.get(), 5);
      rotor.events.removeAllListeners('postponed');
    });

    it('a handle that JavaScript keeps becomes part of the checkpoint while there is room, and rewinds go on', async () => {
      const { glue, rotation } = make();
      rotation.lastingAfterMs = 10;
      new glue.Counter(0).free();
      await settle();
      const young = new glue.Counter(5);  // the policy says of counter_new that it leaves nothing behind
      const checkpoints = [];
      rotation.on('checkpoint', ({ why }) => checkpoints.push(why));
      for (let i = 0; i < 300 && checkpoints.length === 0; ++i) await new Promise((resolve) => setTimeout(resolve, 10));
      for (let i = 0; i < 200; ++i) {
        glue.leak(32768);
        await settle();
        assert.equal(young.get(), 5);
      }
      assert.match(checkpoints[0], /handles that stay: Counter/);
      assert.ok(rotation.metrics().rewinds >= 1);
      assert.equal(rotation.metrics().futile, 0);
    });

    it('no rewind while memory that was allocated waits to be passed on', async () => {
      const { glue, rotation } = make();
      new glue.Counter(0).free();
      await settle();
      const ptr = glue.raw().__wbindgen_malloc(3, 1);
      new Uint8Array(glue.memory().buffer).set([4, 5, 6], ptr);
      while (grown(rotation) < 0.9 * 4 * kMiB) glue.leak(65536);
      await settle();
      assert.equal(rotation.guest.state().unpassed, 1);
      assert.equal(rotation.metrics().rewinds, 0);
      assert.equal(glue.raw().sum(ptr, 3), 15);
      glue.leak(8);
      await settle();
      assert.equal(rotation.guest.state().unpassed, 0);
      assert.equal(rotation.metrics().rewinds, 1);
    });

    it('after a trap the guest is what it was at the checkpoint, and newer handles are refused by name', async () => {
      const { glue, rotation } = make();
      const old = new glue.Counter(1);
      await settle();
      const young = new glue.Counter(2);
      assert.throws(() => glue.boom(), WebAssembly.RuntimeError);
      assert.throws(() => old.get(), /restored in a later turn/, 'not in the same turn, where glue may be half way');
      await settle();
      assert.equal(old.get(), 1);
      assert.throws(() => young.get(), /this Counter ended with the state that it was in/);
      assert.equal(rotation.metrics().restores, 1);
      assert.equal(new glue.Counter(3).get(), 3);
      await settle();
    });

    it('a trap before the first checkpoint leaves the guest as it is, as V8 does', async () => {
      const { glue, rotation } = make();
      assert.throws(() => glue.boom(), WebAssembly.RuntimeError);
      assert.equal(glue.counters(), 0);
      for (let i = 0; i < 3; ++i) {
        glue.remember(i);
        await settle();
      }
      assert.equal(rotation.metrics().checkpoints, 0, 'what a trap left is nothing to go back to');
    });

    it('memory.buffer is one object until the memory grows or is rewound, and old ones are detached', async () => {
      const { glue, rotation } = make();
      new glue.Counter(0).free();
      await settle();
      const first = glue.memory().buffer;
      assert.equal(glue.memory().buffer, first);
      glue.leak(200_000);
      assert.notEqual(glue.memory().buffer, first);
      if (engine === 'rotor') assert.equal(first.byteLength, 0);
      while (grown(rotation) < 0.9 * 4 * kMiB) glue.leak(65536);
      const last = glue.memory().buffer;
      await settle();
      assert.equal(rotation.metrics().rewinds, 1);
      assert.notEqual(glue.memory().buffer, last);
      assert.ok(glue.memory().buffer.byteLength < last.byteLength || last.byteLength === 0);
    });

    it('a guest that imports randomness, of whose generator nothing is said, is refused', () => {
      const { isGlue, policy } = preset;
      const quiet = { name: 'quiet', isGlue, policy };
      rotor.use(quiet);
      try {
        process.env.COUNTERS_RANDOM = '1';
        const wat = path.join(folder, 'random.wat');
        fs.writeFileSync(wat, fs.readFileSync(path.join(__dirname, 'fixtures/counters.wat'), 'utf8').replace('"random"', '"random_get"'));
        const wasm = path.join(folder, 'random.wasm');
        execFileSync(tool, ['wat2wasm', wat, '-o', wasm]);
        const saved = process.env.COUNTERS_WASM;
        process.env.COUNTERS_WASM = wasm;
        try {
          assert.throws(() => make(), /imports a source of randomness \(random_get\)/);
        } finally {
          process.env.COUNTERS_WASM = saved;
        }
      } finally {
        quiet.isGlue = () => false;
      }
    });

    it('what reseeds a guest is called after each rewind', async () => {
      let calls = 0;
      const { glue, rotation } = make({ reseed: (exports) => { assert.equal(typeof exports.counters, 'function'); ++calls; } });
      new glue.Counter(0).free();
      await settle();
      for (let i = 0; i < 150; ++i) {
        glue.leak(65536);
        await settle();
      }
      assert.ok(calls > 0);
      assert.equal(calls, rotation.metrics().rewinds);
    });

    it('tells what it does: metrics, Prometheus text, events', async () => {
      const seen = [];
      rotor.events.on('rewind', (what) => seen.push(what));
      const { glue, rotation } = make();
      new glue.Counter(0).free();
      for (let i = 0; i < 150; ++i) {
        glue.leak(65536);
        await settle();
      }
      const figures = rotor.metrics().at(-1);
      assert.equal(figures.preset, 'counters');
      assert.equal(figures.rewinds, seen.length);
      assert.ok(seen[0].bytesBefore > seen[0].bytesAfter);
      assert.equal(seen.at(-1).generation, figures.generation);
      assert.match(rotor.prometheus(), new RegExp(`rotor_rewinds_total\\{guest="counters",index="\\d+"\\} ${figures.rewinds}`));
      rotor.events.removeAllListeners('rewind');
    });
  });
}

describe('settings', () => {
  it('what is wrong is named', () => {
    assert.throws(() => rotor.configure({ limt: 1 }), /no setting is named 'limt'/);
    assert.throws(() => rotor.configure({ limit: '20 cows' }), /limit: '20 cows' is no size/);
    assert.throws(() => rotor.configure({ limit: 0 }), /is no size/);
    assert.throws(() => rotor.configure({ warmAt: 0.95 }), /warmAt is above swapAt/);
    assert.throws(() => rotor.configure({ swapAt: 70 }), /swapAt: '70' is not above 0 and at most 1/);
    assert.throws(() => rotor.configure({ engine: 'spidermonkey' }), /neither 'rotor' nor 'v8'/);
    assert.throws(() => rotor.configure({ mode: 'fast' }), /mode: 'fast'/);
    assert.throws(() => rotor.configure({ reseed: 'maybe' }), /reseed/);
  });

  it('a preset without what it needs is refused', () => {
    assert.throws(() => rotor.use({ name: 'x' }), /a preset needs 'policy'/);
    assert.throws(() => rotor.presets.wasmBindgen({ name: 'x' }), /'name' and 'glue'/);
  });
});

describe('policies', () => {
  it('sort exports: lasting before methods before passing, and what no pattern names is lasting', () => {
    const sorted = sortExports({ lasting: ['a_set_*'], methods: ['*_set_*'], passing: ['*_get', 'a_*'] },
                               ['a_set_x', 'b_set_x', 'b_get', 'a_y', 'other', '__wbindgen_malloc', '__wbindgen_free', 'xa_get']);
    assert.deepEqual(sorted, {
      lasting: ['a_set_x', 'other'], methods: ['b_set_x'], passing: ['b_get', 'a_y', 'xa_get'],
      allocate: ['__wbindgen_malloc'], release: ['__wbindgen_free'],
    });
  });
});
