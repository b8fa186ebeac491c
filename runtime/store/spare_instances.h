// Instances that were dropped and are used again: blocks of memory with their function references and host functions in
// place, which no instance of the same module and imports has to make anew.
#pragma once

#include <array>
#include <atomic>

#include "rotor/module.h"
#include "runtime/store/link_group.h"

namespace rotor::runtime {

/// The spare instances of an InstancePre. Thread-safe, and nobody waits: what a thread finds busy it does without. So a
/// fork may find it in any state.
class SpareInstances {
 public:
  /// `reusable`: all imports are host functions or memories, so that an instance finds the functions that it had.
  SpareInstances(const Module& of, bool reusable) : module(of), reusable_(reusable) {}
  ~SpareInstances();
  SpareInstances(const SpareInstances&) = delete;

  /// Takes a spare one, which is the caller's from then on, of those that the same thread put if it can be; nullptr if
  /// there is none.
  GroupMember* take();
  /// Takes over an instance that holds nothing any more but what a spare one has. Returns false if it was not taken,
  /// and is still the caller's.
  bool put(GroupMember* instance);

  const Module module;  ///< what they are instances of

 private:
  /// A few of them, for the threads that come to the same shard, most often one.
  static constexpr size_t kShards = 8, kPerShard = 4;
  struct alignas(64) Shard {
    std::atomic<bool> busy{false};
    std::atomic<uint32_t> count{0};  ///< changed by whoever has it busy
    std::array<GroupMember*, kPerShard> spares{};
  };
  Shard& shard();
  static GroupMember* take_from(Shard& shard);

  const bool reusable_;
  std::array<Shard, kShards> shards_;
};

}  // namespace rotor::runtime
