#include "runtime/link_group.h"

#include <cassert>

#include "runtime/entry.h"
#include "runtime/instance.h"

namespace rotor::runtime {

namespace {
uintptr_t this_thread() { return reinterpret_cast<uintptr_t>(&t_thread); }
}  // namespace

LinkGroup& LinkGroup::root() {
  LinkGroup* group = this;
  while (LinkGroup* parent = group->parent_.load(std::memory_order_acquire)) group = parent;
  return *group;
}

Result<void> LinkGroup::enter() {
  uintptr_t me = this_thread();
  for (;;) {
    LinkGroup& group = root();
    uintptr_t holder = group.holder_.load(std::memory_order_relaxed);
    if (holder == me) {
      ++group.depth_;
      return {};
    }
    if (holder == kFreed) [[unlikely]]
      return fail(ErrorKind::stale_handle, "the instance is gone");
    // Seq-cst, here and in leave: against drop_owner, see there.
    if (holder != 0 || !group.holder_.compare_exchange_strong(holder, me)) [[unlikely]] {
      if (holder == kFreed || holder == 0) continue;
      if (group.parent_.load(std::memory_order_acquire)) continue;
      return fail(ErrorKind::invalid_argument, "another thread is inside the instance or one that it is linked to");
    }
    // It may have been absorbed between the look-up and the exchange.
    if (!group.parent_.load(std::memory_order_acquire)) [[likely]] {
      assert(group.depth_ == 0);
      group.depth_ = 1;
      return {};
    }
    group.holder_.store(0);
  }
}

void LinkGroup::leave() {
  LinkGroup& group = root();
  assert(group.holder_.load(std::memory_order_relaxed) == this_thread() && group.depth_ > 0);
  if (--group.depth_ > 0) return;
  group.holder_.store(0);
  if (group.owners_.load() == 0) [[unlikely]]
    group.free_if_unowned();
}

void LinkGroup::drop_owner() {
  for (;;) {
    LinkGroup& group = root();
    std::unique_lock lock(group.owners_mutex_);
    if (group.parent_.load(std::memory_order_acquire)) continue;  // absorbed meanwhile
    assert(group.owners_.load() > 0);
    uint32_t left = --group.owners_;
    lock.unlock();
    // Either the thread inside sees the 0 when it leaves, or this one sees that it left: both stores and both loads are
    // sequentially consistent.
    if (left == 0) group.free_if_unowned();
    return;
  }
}

void LinkGroup::free_if_unowned() {
  // Freeing drops the last references of members to the group.
  std::shared_ptr<LinkGroup> keep = shared_from_this();
  uintptr_t nobody = 0;
  if (!holder_.compare_exchange_strong(nobody, kFreed)) return;  // the thread inside does it, or it is done
  // Destructors of host functions may run the embedder's code, which sees a dead group.
  std::vector<InstanceImpl*> members = std::exchange(members_, {});
  for (InstanceImpl* instance : members) delete instance;
}

void LinkGroup::add_member(InstanceImpl* instance) {
  LinkGroup& group = root();
  group.members_.push_back(instance);
  instance->context->activation = &group.activation_;
}

void LinkGroup::add_owner() {
  LinkGroup& group = root();
  std::lock_guard lock(group.owners_mutex_);
  ++group.owners_;
}

Result<void> LinkGroup::merge(LinkGroup& a, LinkGroup& b) {
  if (&a.root() == &b.root()) {
    if (a.alive()) return {};
    return fail(ErrorKind::stale_handle, "the instance is gone");
  }
  ROTOR_TRY(GroupEntry in_a, GroupEntry::enter(&a));
  ROTOR_TRY(GroupEntry in_b, GroupEntry::enter(&b));
  LinkGroup& x = a.root();
  LinkGroup& y = b.root();
  if (x.members_.size() < y.members_.size())
    absorb(y, x);
  else
    absorb(x, y);
  return {};
}

/// Pre: the calling thread is inside both, and both are roots.
void LinkGroup::absorb(LinkGroup& into, LinkGroup& from) {
  std::scoped_lock lock(into.owners_mutex_, from.owners_mutex_);
  for (InstanceImpl* instance : from.members_) {
    instance->context->activation = &into.activation_;
    into.members_.push_back(instance);
  }
  from.members_.clear();
  into.owners_ += from.owners_.load();
  into.depth_ += std::exchange(from.depth_, 0);
  from.parent_kept_ = into.shared_from_this();
  // The limit in force is that of the innermost entry into either.
  for (const EntryRecord* record = t_thread.top; record; record = record->previous) {
    LinkGroup& running = record->group->root();
    if (&running != &into && &running != &from) continue;
    into.activation_.stack_limit = record->stack_limit;
    break;
  }
  from.parent_.store(&into, std::memory_order_release);
  from.holder_.store(0);
}

Result<void> GroupTie::join(LinkGroup& group) {
  std::shared_ptr<LinkGroup> mine = this->group();
  if (mine) return LinkGroup::merge(*mine, group);
  ROTOR_TRY(GroupEntry inside, GroupEntry::enter(&group));
  std::unique_lock lock(mutex_);
  if (group_) {  // two joins at once
    lock.unlock();
    return join(group);
  }
  group_ = group.shared_from_this();
  if (held_by_host_) group.add_owner();
  return {};
}

std::shared_ptr<LinkGroup> GroupTie::group() {
  std::lock_guard lock(mutex_);
  return group_;
}

void GroupTie::host_holds() {
  std::lock_guard lock(mutex_);
  held_by_host_ = true;
}

void GroupTie::host_lets_go() {
  std::shared_ptr<LinkGroup> group;
  {
    std::lock_guard lock(mutex_);
    held_by_host_ = false;
    group = group_;
  }
  if (group) group->drop_owner();
}

}  // namespace rotor::runtime
