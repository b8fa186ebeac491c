// When a guest is imaged, and when it is rewound: the rules, over any engine.
'use strict';

const { EventEmitter } = require('node:events');
const { collect } = require('./collect.cjs');
const { LiveSet } = require('./live_set.cjs');

const MiB = 2 ** 20;
const inMiB = (bytes) => (bytes / MiB).toFixed(1);

/**
 * The rotation of one guest by checkpoints. `guest`: what an engine made (checkpoint, rewind, notifyAt, state). Whoever
 * knows the guest's glue calls `quiescent` where none of it is on the stack and no worker runs; `ask` is called when
 * such a point is wanted.
 *
 * A checkpoint is an image of the guest. A rewind goes to it only if nothing of value came since: no export ran that
 * may leave something lasting behind (the policy's list), JavaScript holds no handle that is newer, and no memory that
 * it allocated waits to be passed on. Else a new checkpoint is taken, which is always right: it keeps what leaked until
 * then.
 */
class Rotation extends EventEmitter {
  constructor({ name, limitBytes, warmAt = 0.7, swapAt = 0.9, patience = 3, ask = () => {}, log = () => {} }) {
    super();
    Object.assign(this, { name, limitBytes, warmAt, swapAt, patience, ask, log });
    this.guest = undefined;
    this.live = new LiveSet({
      isTrapped: () => Boolean(this.guest?.state().trapped),
      onMade: () => this.noticeHandle(),
      onReleased: (pointer) => this.guest.release(pointer),
    });
    this.lastingAfterMs = 1000;
    this.handlesWait = false;
    this.counters = {
      checkpoints: 0, rewinds: 0, restores: 0, postponed: 0, futile: 0, endedHandles: 0,
      checkpointMs: 0, rewindMs: 0, lastCheckpointMs: 0, lastRewindMs: 0, pauseMs: 0, maxPauseMs: 0,
    };
    this.blocked = 0;
    this.checkpointedAt = -Infinity;
    this.lastCost = 0;
    this.lookedAt = -Infinity;
    this.lastBytes = 0;  // at the last quiescent point
    this.step = 0;       // by which it grew until this one
    this.began = performance.now();
  }

  /** Takes over the guest, once it is made. */
  attach(guest, { reseed } = {}) {
    this.guest = guest;
    this.reseed = reseed;
    guest.notifyAt(this.limitBytes * this.warmAt);
  }

  /** The engine's word from the end of an outermost call: 'stale', 'memory' or 'trap'. Nothing of the guest is called. */
  tell(what) {
    if (what === 'trap') this.log(`${this.name}: the guest trapped`);
    if (what === 'trap' && this.guest.state().hasCheckpoint) setImmediate(() => this.restore());
    this.ask(this, what);
  }

  /**
   * A handle that is newer than the checkpoint was made. One that JavaScript keeps is state, as a program's keys are: so
   * there is a look, after a while, whether it is still there, before it stands in the way of a rewind.
   */
  noticeHandle(delay = this.lastingAfterMs) {
    if (this.timer || this.checkpointedAt === -Infinity) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      const wait = this.lookedAt + 20 * this.lastCost - performance.now();
      if (wait > 0) return void this.noticeHandle(wait);
      this.handlesWait = true;
      return void this.ask(this, 'handles');
    }, delay);
    this.timer.unref();
  }

  /** Whether a quiescent point would be used. */
  get wanted() {
    const state = this.guest.state();
    return this.handlesWait || (state.stale && this.due(state)) || state.bytes >= this.fullAt(state) || (state.trapped && state.hasCheckpoint);
  }

  /**
   * The size at which a rewind is due: a part of the limit, or less where the guest would run into it if it grew once
   * more by what it grew last; of a checkpoint that stands high, half way from there to the limit.
   */
  fullAt(state) {
    const part = Math.min(this.limitBytes * this.swapAt, Math.max(this.limitBytes * this.warmAt, this.limitBytes - this.step));
    return Math.max(part, (state.checkpointBytes + this.limitBytes) / 2);
  }

  /**
   * Whether a stale checkpoint is made anew at the next quiescent point. What leaks until then stays for ever: so at once
   * if there is none, if the guest has grown by more than a tenth since, or if memory is short. Else for a twentieth of
   * the time.
   */
  due(state) {
    if (!state.hasCheckpoint || state.bytes >= this.limitBytes * this.warmAt) return true;
    if (state.bytes > state.checkpointBytes * 1.1) return true;
    return performance.now() - this.checkpointedAt >= 20 * this.lastCost;
  }

  /**
   * Does what is due. Pre: no call of the guest is under way, none of its workers runs, and a turn of the event loop has
   * passed since one did.
   */
  quiescent() {
    if (this.guest.state().trapped) {
      if (!this.guest.state().hasCheckpoint) return;  // it stays as the trap left it: that is nothing to go back to
      this.restore();
    }
    this.step = Math.max(0, this.guest.state().bytes - this.lastBytes);
    if (!this.wanted) return this.setThreshold();
    const begin = performance.now();
    collect();
    const state = this.guest.state();
    const newer = this.live.newer();
    const lasting = newer.filter(({ born }) => begin - born >= this.lastingAfterMs);
    this.handlesWait = false;
    const full = state.bytes >= this.fullAt(state);
    if (state.unpassed) {
      this.postpone(`${state.unpassed} pointers that were allocated wait to be passed on`);
    } else if (!state.hasCheckpoint || state.stale) {
      if (this.due(state)) this.checkpoint(state.hasCheckpoint ? state.staleBy : 'the first');
    } else if (!full && lasting.length) {
      this.checkpoint(`handles that stay: ${kindsOf(lasting)}`);
    } else if (full && newer.length === 0) {
      this.rewind();
    } else if (full && ++this.blocked >= this.patience) {
      this.checkpoint(`newer handles that stay: ${kindsOf(newer)}`);
    } else if (full) {
      this.postpone(`${newer.length} newer handles: ${kindsOf(newer)}`);
    }
    this.lookedAt = performance.now();
    this.lastCost = this.lookedAt - begin;
    this.counters.pauseMs = this.lastCost;
    this.counters.maxPauseMs = Math.max(this.counters.maxPauseMs, this.lastCost);
    this.setThreshold();
  }

  checkpoint(why) {
    const before = this.guest.state();
    const figures = this.guest.checkpoint(this.live.checkpoint());
    const c = this.counters;
    ++c.checkpoints;
    c.checkpointMs += figures.ms;
    c.lastCheckpointMs = figures.ms;
    this.blocked = 0;
    this.checkpointedAt = performance.now();
    this.log(`${this.name}: checkpoint of ${inMiB(figures.bytes)} MiB (${inMiB(figures.resident)} resident) in ${figures.ms.toFixed(1)} ms, ` +
             `${this.live.live.size} handles, because of ${why}`);
    this.emit('checkpoint', { why, ...figures, handles: this.live.live.size });
    if (before.bytes >= this.limitBytes * this.warmAt) {
      ++c.futile;
      this.log(`${this.name}: this checkpoint frees nothing: it stands at ${inMiB(before.bytes)} of ${inMiB(this.limitBytes)} MiB`);
      this.emit('futile', { bytes: before.bytes, limitBytes: this.limitBytes, why });
    }
  }

  rewind(restore = false) {
    const before = this.guest.state();
    const ms = this.guest.rewind();
    const ended = restore ? this.live.endNewer('the guest trapped') : 0;
    this.live.forgetCollected();
    this.live.releaseAgain();
    this.reseed?.();
    const after = this.guest.state();
    const c = this.counters;
    ++c[restore ? 'restores' : 'rewinds'];
    c.rewindMs += ms;
    c.lastRewindMs = ms;
    c.endedHandles += ended;
    this.blocked = 0;
    this.log(`${this.name}: ${restore ? 'restored' : 'rewound'} to generation ${after.generation}, ` +
             `${inMiB(before.bytes)} to ${inMiB(after.bytes)} MiB in ${ms.toFixed(2)} ms${ended ? `, ${ended} handles ended` : ''}`);
    this.emit(restore ? 'restore' : 'rewind', { ms, bytesBefore: before.bytes, bytesAfter: after.bytes, generation: after.generation, ended });
  }

  /** After a trap: goes back to the checkpoint. The operation that trapped is lost, and what was made since. */
  restore() {
    if (!this.guest.state().trapped) return;
    this.guest.stopWorkers?.(true);
    this.rewind(true);
    this.setThreshold();
  }

  postpone(why) {
    ++this.counters.postponed;
    this.log(`${this.name}: not now: ${why}`);
    this.emit('postponed', { why });
  }

  setThreshold() {
    const state = this.guest.state();
    const full = this.fullAt(state);
    this.lastBytes = state.bytes;
    const warm = this.limitBytes * this.warmAt;
    // From the one on the end of each call that grew it is one to ask at, from the other on the end of each call.
    if (state.bytes >= full) this.guest.notifyAt(0);
    else this.guest.notifyAt(state.bytes >= warm ? state.bytes + 1 : warm);
  }

  metrics() {
    const state = this.guest?.state() ?? {};
    const hours = (performance.now() - this.began) / 3_600_000;
    return {
      name: this.name, limitBytes: this.limitBytes, ...state, liveHandles: this.live.live.size, newerHandles: this.live.newer().length,
      droppedFinalizers: this.live.dropped, ...this.counters, swapsPerHour: hours ? this.counters.rewinds / hours : 0,
    };
  }
}

function kindsOf(handles) {
  const counts = new Map();
  for (const { kind } of handles) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].slice(0, 4).map(([kind, count]) => (count > 1 ? `${kind} x${count}` : kind)).join(', ');
}

module.exports = { Rotation };
