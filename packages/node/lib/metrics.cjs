// What rotations have done, as an object and as text for Prometheus.
'use strict';

const { guests } = require('./hook.cjs');

/** Returns the figures of each guest, in the order in which they were made. */
function metrics() {
  return guests.map(({ preset, guest, rotation }) => ({ preset, ...(rotation ? rotation.metrics() : guest.state()) }));
}

/** By the name of a figure: its metric, what that is, a sentence, and what it is multiplied by. */
const kGauges = {
  bytes: ['rotor_guest_memory_bytes', 'gauge', 'Size of the memory of the guest.'],
  limitBytes: ['rotor_guest_memory_limit_bytes', 'gauge', 'Limit of that size.'],
  generation: ['rotor_guest_generation', 'gauge', 'Generation of the guest, from 1.'],
  calls: ['rotor_guest_calls_total', 'counter', 'Calls of its exports.'],
  checkpoints: ['rotor_checkpoints_total', 'counter', 'Checkpoints that were taken.'],
  rewinds: ['rotor_rewinds_total', 'counter', 'Rewinds to a checkpoint.'],
  restores: ['rotor_restores_total', 'counter', 'Rewinds because the guest trapped.'],
  postponed: ['rotor_postponed_total', 'counter', 'Quiescent points at which a rewind had to wait.'],
  futile: ['rotor_futile_total', 'counter', 'Checkpoints that stand above the warming threshold.'],
  liveHandles: ['rotor_live_handles', 'gauge', 'Handles that JavaScript holds.'],
  checkpointResident: ['rotor_checkpoint_resident_bytes', 'gauge', 'Memory of the checkpoint.'],
  maxPauseMs: ['rotor_max_pause_seconds', 'gauge', 'Longest time at a quiescent point.', 1e-3],
};

/** Returns the same as text in the exposition format. */
function prometheus() {
  const all = metrics();
  const lines = [];
  for (const [key, [metric, type, help, scale = 1]] of Object.entries(kGauges)) {
    lines.push(`# HELP ${metric} ${help}`, `# TYPE ${metric} ${type}`);
    all.forEach((figures, index) => {
      if (figures[key] !== undefined) lines.push(`${metric}{guest="${figures.preset}",index="${index}"} ${figures[key] * scale}`);
    });
  }
  return `${lines.join('\n')}\n`;
}

module.exports = { metrics, prometheus };
