// Which pages memories write: found in one of them, by what the system says, and remembered for those to come.
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "memory/os.h"

namespace rotor::memory {

/// Calls `see` with each range within `where`, offsets from `base`, that may have been written (os::find_written), in
/// order, until it returns false. Returns false if the system doesn't say it; some ranges may have been seen then.
template <class See>
bool visit_written(const uint8_t* base, os::Range where, os::Search search, See see) {
  constexpr size_t kRanges = 128;  // at a time
  os::Range ranges[kRanges];
  for (uint64_t at = where.begin; at < where.end;) {
    const auto found = os::find_written(base + at, where.end - at, ranges, search);
    if (!found) return false;
    for (const os::Range& range : std::span(ranges).first(found->ranges))
      if (!see(os::Range{at + range.begin, at + range.end})) return true;
    at += found->end;
  }
  return true;
}

/// Returns a page of what a memory began with: `contents`, and zeroes behind them.
inline const uint8_t* first_page(std::span<const uint8_t> contents, uint64_t at) {
  alignas(64) static constexpr uint8_t kZeroes[4096] = {};
  assert(os::page_bytes() <= sizeof kZeroes);
  return at < contents.size() ? contents.data() + at : kZeroes;
}

/// Adds a range behind those that are there, joined with the last one if it follows on it.
inline void append(std::vector<os::Range>& ranges, os::Range next) {
  if (!ranges.empty() && ranges.back().end == next.begin)
    ranges.back().end = next.end;
  else
    ranges.push_back(next);
}

/// The pages that the memories of an image, and of those that were taken of such memories, wrote until they were
/// dropped: so the next one will write them, too. Thread-safe, and nobody waits: what a thread finds busy it does
/// without. So a fork may find it in any state.
class WrittenPages {
 public:
  /// Says that somebody will have the pages ready in advance.
  void want() { wanted_.store(true, std::memory_order_relaxed); }
  /// Returns whether somebody said so. Nothing need be noted before.
  bool wanted() const { return wanted_.load(std::memory_order_relaxed); }
  /// Notes how far behind its first size a memory wrote.
  void note_grown(uint64_t bytes) { grown_bytes_.store(bytes, std::memory_order_relaxed); }
  /// Returns what was noted last.
  uint64_t grown_bytes() const { return grown_bytes_.load(std::memory_order_relaxed); }
  /// Notes what one memory wrote, in order, in place of what the one before did: the pages that `differ` from what it
  /// began with, and all pages that it `owned`. Whether it wrote zeroes to one that was ready for it can't be told, so
  /// these are believed, but for one time in kDoubt: what is written is owned again then, since it is not ready.
  void note(std::vector<os::Range> differ, std::vector<os::Range> owned) {
    if (busy_.exchange(true, std::memory_order_acquire)) return;
    ranges_.swap(++notes_ % kDoubt ? owned : differ);
    busy_.store(false, std::memory_order_release);
  }
  static constexpr uint32_t kDoubt = 16;
  /// Returns what was noted last.
  std::vector<os::Range> ranges() const {
    if (busy_.exchange(true, std::memory_order_acquire)) return {};
    std::vector<os::Range> copy = ranges_;
    busy_.store(false, std::memory_order_release);
    return copy;
  }

 private:
  std::atomic<bool> wanted_{false};
  std::atomic<uint64_t> grown_bytes_{0};
  mutable std::atomic<bool> busy_{false};
  std::vector<os::Range> ranges_;
  uint32_t notes_ = 0;
};

}  // namespace rotor::memory
