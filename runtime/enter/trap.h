// Makes a Trap from what one left behind.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "code/region.h"
#include "rotor/result.h"
#include "rotor/trap.h"

namespace rotor::runtime {

/// Where a guest was: addresses of its code, which become frames when they are asked for.
class Backtrace {
 public:
  Backtrace() = default;
  /// Copies one that has not been asked for, or has: its frames are these.
  Backtrace(const Backtrace& other);
  /// Appends `pcs`, up to Trap::kMaxFrames frames in all. Return addresses point behind their call; `first_is_pc`: the
  /// first one is the address of an instruction instead. Pre: the code's instances are alive.
  void append(std::span<const uintptr_t> pcs, bool first_is_pc);
  /// Thread-safe.
  const std::vector<Frame>& frames() const;

 private:
  struct Place {
    uintptr_t pc;
    const code::CodeOwner* owner;
  };
  mutable std::mutex mutex_;  ///< for what follows
  mutable std::vector<Frame> frames_;
  mutable std::vector<Place> places_;  ///< what comes behind `frames_`, and is yet to be looked up
  mutable std::vector<std::shared_ptr<const code::CodeOwner>> owners_;
};

/// Returns a line for each frame, each after a line feed, with names made printable.
std::string lines_of(const std::vector<Frame>& frames);

/// Makes an error of a trap.
Error trap_error(TrapKind kind, std::span<const uintptr_t> pcs = {});

/// Completes the error that a host function ended the guest's call with. `pcs` are the guest's frames up to the entry:
/// they are appended to those of a nested call; the host's own error gets a backtrace of them.
Error host_error(Error error, std::span<const uintptr_t> pcs);

}  // namespace rotor::runtime
