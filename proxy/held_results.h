// The results that the host holds and that are newer than the checkpoint, and those that a rewind took from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proxy/plan.h"

namespace rotor::proxy {

/// Numbers that allowed exports returned (Returned::held). Used by the holder of the lease.
class HeldResults {
 public:
  /// A number that a rewind took.
  struct Dead {
    uint32_t export_index = 0;  ///< that returned it
    uint64_t rotation = 0;      ///< the rewind
  };
  /// The most numbers that are told apart. Beyond it something counts as held until the next checkpoint.
  static constexpr size_t kMaxHeld = size_t{1} << 20;
  /// The most numbers of earlier rewinds that are known.
  static constexpr size_t kMaxDead = size_t{1} << 16;

  /// Notes that an allowed export's call, the `call_number`-th, returned a number, which the host holds from now on.
  void note_returned(uint64_t number, uint32_t export_index, uint64_t call_number);
  /// Notes that a release took a number.
  void note_released(uint64_t number);
  /// Notes that the host gave a number up, which the guest does not know. Returns false if it is not held.
  bool drop(uint64_t number);
  /// Returns whether a number is newer than the checkpoint, held or dropped.
  bool is_newer(uint64_t number) const { return newer_.contains(number); }
  /// Returns how many are held.
  size_t held() const { return held_ + overflow_; }
  /// Returns the number of the call since which there always was something that is held. Pre: something is.
  uint64_t held_since() const { return held_since_; }

  /// Notes a checkpoint: all that is held is in it.
  void note_checkpoint();
  /// Notes a rewind: all that was newer is gone.
  void note_rewind(uint64_t rotation);
  bool any_dead() const { return !dead_.empty(); }
  /// Returns what is known of a number that a rewind took; null: nothing.
  const Dead* find_dead(uint64_t number) const;
  /// Notes that the guest returned a number, so that it lives, whatever it was.
  void revive(uint64_t number) { dead_.erase(number); }
  /// Returns the exports that returned what is held, with how many: `parse 3, open 1`.
  std::string holders(const Plan& plan) const;

 private:
  struct Newer {
    uint32_t export_index = 0;
    bool dropped = false;
  };
  std::map<uint64_t, Newer> newer_;
  std::map<uint64_t, Dead> dead_;
  size_t held_ = 0;  ///< of `newer_`, those that are not dropped
  uint64_t held_since_ = 0;
  size_t overflow_ = 0;  ///< returned, and not told apart
};

/// Returns the exports with the largest counts, and these: `parse 3, open 1`, followed by how many others there are.
std::string counts_text(const Plan& plan, const std::vector<uint64_t>& count_by_export);

}  // namespace rotor::proxy
