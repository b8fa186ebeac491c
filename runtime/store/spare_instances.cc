#include "runtime/store/spare_instances.h"

#include "runtime/enter/entry.h"

namespace rotor::runtime {

SpareInstances::~SpareInstances() {
  for (Shard& shard : shards_)
    for (uint32_t i = 0; i < shard.count; ++i) delete shard.spares[i];
}

SpareInstances::Shard& SpareInstances::shard() {
  // Threads' states lie a power of two apart, often: the product's upper bits depend on all bits of the address.
  static_assert(kShards == 8);
  return shards_[(reinterpret_cast<uintptr_t>(&t_thread) >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 61];
}

GroupMember* SpareInstances::take_from(Shard& shard) {
  if (shard.count.load(std::memory_order_relaxed) == 0) return nullptr;
  if (shard.busy.exchange(true, std::memory_order_acquire)) return nullptr;
  GroupMember* instance = shard.count > 0 ? shard.spares[--shard.count] : nullptr;
  shard.busy.store(false, std::memory_order_release);
  return instance;
}

GroupMember* SpareInstances::take() {
  if (GroupMember* instance = take_from(shard())) [[likely]]
    return instance;
  // Another thread may be the one that drops them, as a proxy's does.
  for (Shard& other : shards_)
    if (GroupMember* instance = take_from(other)) return instance;
  return nullptr;
}

bool SpareInstances::put(GroupMember* instance) {
  Shard& mine = shard();
  if (!reusable_ || mine.busy.exchange(true, std::memory_order_acquire)) return false;
  const bool room = mine.count < kPerShard;
  if (room) mine.spares[mine.count++] = instance;
  mine.busy.store(false, std::memory_order_release);
  return room;
}

}  // namespace rotor::runtime
