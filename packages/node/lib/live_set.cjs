// What JavaScript holds of a guest: the pointers behind the objects that wasm-bindgen's glue registers to be freed.
'use strict';

const RealRegistry = globalThis.FinalizationRegistry;

/**
 * The handles of one guest. `Registry` takes the place of FinalizationRegistry while the glue is loaded: it sees each
 * object that is made of a pointer, and each that is freed or passed on. After a rewind the guest has again what it had
 * at the checkpoint: what JavaScript let go since is let go again (`releaseAgain`).
 */
class LiveSet {
  constructor({ isTrapped, onMade = () => {}, onReleased = () => {} }) {
    this.live = new Set();
    this.released = new Set();  // of the checkpoint, let go since
    this.dropped = 0;           // finalizers of handles that died with a generation
    this.heaps = [];            // tables of values that glue keeps for the guest: { save, restore }
    this.savedHeaps = [];
    this.onReleased = onReleased;
    const set = this;
    const byToken = new WeakMap();
    const unregistered = new RealRegistry((handle) => set.release(handle));
    const handleOf = (object, pointer, cleanup) => ({
      pointer: pointer >>> 0, cleanup, kind: object.constructor?.name ?? 'object', checkpointed: false, dead: false, object: new WeakRef(object),
      born: performance.now(),
    });
    const add = (handle) => { set.live.add(handle); onMade(); };

    this.Registry = class FinalizationRegistry extends RealRegistry {
      constructor(cleanup) {
        super((handle) => set.finalize(handle, isTrapped()));
        this.cleanup = cleanup;
      }
      register(object, pointer, token) {
        const handle = handleOf(object, pointer, this.cleanup);
        add(handle);
        if (token !== undefined) byToken.set(token, handle);
        return super.register(object, handle, token);
      }
      unregister(token) {
        const handle = byToken.get(token);
        if (handle) set.release(handle);
        return super.unregister(token);
      }
    };
    /** Takes note of an object that no registry was told of: its glue never frees it by itself. */
    this.made = (object) => {
      if (byToken.has(object)) return;
      const handle = handleOf(object, object.__wbg_ptr, undefined);
      add(handle);
      byToken.set(object, handle);
      unregistered.register(object, handle);
    };
    /** Takes note of an object that was freed, or passed on. */
    this.left = (object) => {
      const handle = byToken.get(object);
      if (handle) set.release(handle);
    };
  }

  release(handle) {
    if (!this.live.delete(handle) || !handle.checkpointed) return;
    this.released.add(handle);
    this.onReleased(handle.pointer);
  }

  finalize(handle, trapped) {
    if (!handle.dead) this.release(handle);
    if (handle.dead) {
      ++this.dropped;
      return;
    }
    if (trapped) return;  // its memory is gone soon, or it is released again after the rewind
    try {
      handle.cleanup(handle.pointer);
    } catch {
      // The guest trapped in it: whoever calls it next is told.
    }
  }

  /** Those that a rewind would end: that JavaScript has, or had when garbage was last collected. */
  newer() { return [...this.live].filter((handle) => !handle.checkpointed && handle.object.deref() !== undefined); }

  /** Forgets those that a rewind ended and JavaScript has no more, though their finalizers have not run yet. */
  forgetCollected() {
    for (const handle of this.live) {
      if (handle.checkpointed || handle.object.deref() !== undefined) continue;
      this.live.delete(handle);
      handle.dead = true;
    }
  }

  /** Begins anew: what is held now is the checkpoint's. Returns the pointers. */
  checkpoint() {
    for (const handle of this.live) handle.checkpointed = true;
    this.released.clear();
    this.savedHeaps = this.heaps.map((heap) => heap.save());
    return Uint32Array.from(this.live, (handle) => handle.pointer);
  }

  /** After a rewind: frees in the guest what JavaScript does not have any more, where the glue says how. */
  releaseAgain() {
    this.heaps.forEach((heap, index) => { if (this.savedHeaps[index]) heap.restore(this.savedHeaps[index]); });
    for (const handle of this.released) handle.cleanup?.(handle.pointer);
  }

  /** After a rewind that was not asked for: what JavaScript made since the checkpoint is refused by name from now on. */
  endNewer(why) {
    const ended = this.newer();
    for (const handle of ended) {
      this.live.delete(handle);
      handle.dead = true;
      const object = handle.object.deref();
      if (!object) continue;
      const refuse = () => { throw new Error(`rotor: this ${handle.kind} ended with the state that it was in (${why}); make it again`); };
      Object.defineProperty(object, '__wbg_ptr', { get: refuse, set() {}, configurable: true });
    }
    return ended.length;
  }
}

module.exports = { LiveSet };
