// Profiles: samples of where a thread's guests were.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rotor/result.h"

namespace rotor {

/// How a profile is taken.
struct ProfileOptions {
  /// The CPU time of the thread from one sample to the next, in µs, at least 100. The kernel takes no more than one a
  /// tick of its clock, which is 1 to 10 ms.
  uint32_t interval_us = 1000;
  /// The most bytes that samples take while they are taken; what comes later is counted and dropped. A sample takes 8
  /// bytes a frame and 16 more.
  uint64_t limit_bytes = UINT64_C(64) << 20;
};

/// Samples of a thread.
struct Profile {
  /// What a function is.
  enum class Kind : uint8_t {
    guest,   ///< of a module, compiled
    host,    ///< of the host's, which a module imports
    runtime  ///< the library's own work that a guest asked for: growing a memory, compiling a function
  };
  /// A function that was seen. A guest's function of which code of two tiers was seen is there twice.
  struct Function {
    Kind kind = Kind::guest;  ///< of which what follows depends
    std::string module_name;  ///< guest: from the name section, else empty; host: the import's first name
    std::string name;        ///< guest: from the name section or the export, else empty; host: the import's second name
    uint32_t index = 0;      ///< guest: in the module, imported functions counted; host: among the module's imports
    uint64_t module_id = 0;  ///< Module::id; 0: runtime
    uint8_t tier = 0;        ///< guest: of the code, 0 or 1
  };
  /// One sample.
  struct Sample {
    uint64_t cpu_ns = 0;  ///< the CPU time of the thread since the sample before, in ns
    /// Indices into `functions`, the outermost first; empty: no guest was running. Of more than kMaxFrames the
    /// innermost are kept.
    std::vector<uint32_t> stack;
  };
  /// The most frames that a sample keeps.
  static constexpr uint32_t kMaxFrames = 512;

  std::vector<Function> functions;  ///< in the order in which they were seen
  std::vector<Sample> samples;      ///< in the order of time
  uint64_t dropped = 0;             ///< samples for which there was no room
};

/// Calls `run`, and takes samples of the calling thread meanwhile. Costs nothing else: no code is compiled otherwise,
/// and other threads are not slowed. Frames are those of the innermost entry into guests: what called a host function
/// that called a guest again is not seen. Modules and functions that are gone when `run` returns have no names.
///
/// Uses the signal SIGPROF, whose handler stays; a thread that has it blocked gets it unblocked meanwhile. System calls
/// of `run` may be interrupted by it, with SA_RESTART. Several threads may take profiles at the same time, each its
/// own. Errors: invalid_argument (an interval that is too short; the thread is in a profile already), unsupported (the
/// program has a handler of its own for SIGPROF), host (`run` threw), io (the system has no timer left).
Result<Profile> profile(const ProfileOptions& options, const std::function<void()>& run);

}  // namespace rotor
