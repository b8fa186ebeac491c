// A sample of where a thread is, taken in a signal handler: words in a buffer that was there before.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "rotor/profile.h"

namespace rotor::runtime {

/// A frame as a sample keeps it: the kind, the tier, the module's place in SampleBuffer::modules, and the index.
struct SampledFrame {
  Profile::Kind kind = Profile::Kind::guest;
  uint8_t tier = 0;
  uint16_t module = 0;
  uint32_t index = 0;  ///< guest: among the defined functions; host: among the imports of all kinds

  uint64_t word() const {
    return uint64_t{static_cast<uint8_t>(kind)} << 56 | uint64_t{tier} << 48 | uint64_t{module} << 32 | index;
  }
  static SampledFrame of(uint64_t word) {
    return {static_cast<Profile::Kind>(word >> 56), static_cast<uint8_t>(word >> 48), static_cast<uint16_t>(word >> 32),
            static_cast<uint32_t>(word)};
  }
};

/// The samples of one thread, which alone writes to them. Samples lie one behind another: the CPU time in ns, the
/// number of frames, the frames' words with the innermost first.
class SampleBuffer {
 public:
  explicit SampleBuffer(uint64_t limit_bytes)
      : capacity_(limit_bytes / sizeof(uint64_t)), words_(std::make_unique_for_overwrite<uint64_t[]>(capacity_)) {}

  /// Takes a sample of the calling thread, which the signal with that ucontext_t interrupted. Async-signal-safe: takes
  /// no lock, allocates nothing.
  void take(const void* context, uint64_t cpu_ns);

  /// Calls `visit(cpu_ns, frames)` for each sample.
  template <class Visit>
  void for_each(Visit visit) const {
    for (uint64_t at = 0; at < used_; at += 2 + words_[at + 1])
      visit(words_[at], std::span<const uint64_t>(&words_[at + 2], words_[at + 1]));
  }
  /// Returns the id of the module that a frame names by its place; 0: it is not known.
  uint64_t module_id(uint16_t place) const { return place < modules_ ? ids_[place] : 0; }
  uint64_t dropped() const { return dropped_; }

 private:
  class Writer;
  static constexpr uint16_t kModules = 1024;

  uint16_t place_of(uint64_t module_id);

  uint64_t capacity_;
  std::unique_ptr<uint64_t[]> words_;
  uint64_t used_ = 0;
  uint64_t dropped_ = 0;
  std::array<uint64_t, kModules> ids_;  ///< of the modules that were seen, the first `modules_`
  uint16_t modules_ = 0;
};

}  // namespace rotor::runtime
