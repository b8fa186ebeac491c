// Link groups: instances joined by functions, tables or globals. They live and die together, one thread at a time
// enters them, and they share one activation block.
//
// Ownership. `owners` counts the host's handles to members: Instance handles, and host-created tables and globals that
// joined. When it is 0 and no thread is inside, the members are freed; the LinkGroup itself is kept as long as a weak
// handle refers to it, and then says that it is dead.
//
// Merging makes one group the parent of the other. Handles keep pointing to the group they were made with and find the
// root from there, which is why an absorbed group is never freed before its handles.
//
// Locking. `holder_` is a lock that is never waited for: a thread that finds another one inside gets an error.
// Everything but `owners_` is touched only while holding it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "jit/abi.h"
#include "rotor/result.h"

namespace rotor::runtime {

class InstanceImpl;

class LinkGroup : public std::enable_shared_from_this<LinkGroup> {
 public:
  /// A group of one member to be, with one owner.
  static std::shared_ptr<LinkGroup> create() { return std::make_shared<LinkGroup>(); }
  LinkGroup() = default;
  LinkGroup(const LinkGroup&) = delete;

  /// The group that this one has become part of.
  LinkGroup& root();
  /// True until the members are freed.
  bool alive() { return root().holder_.load(std::memory_order_acquire) != kFreed; }

  /// Lets the calling thread in; it may enter again while inside. Errors: stale_handle; invalid_argument: another
  /// thread is inside.
  Result<void> enter();
  /// Undoes one enter. The outermost one frees the group if its last owner went meanwhile.
  void leave();

  /// Pre for these: the calling thread is inside.
  jit::Activation& activation() { return root().activation_; }
  std::span<InstanceImpl* const> members() { return root().members_; }
  void add_member(InstanceImpl* instance);
  void add_owner();

  /// May be called by any thread. Frees the group, or leaves that to the thread inside.
  void drop_owner();

  /// Makes one group of two. Errors: as of enter, for either of them.
  static Result<void> merge(LinkGroup& a, LinkGroup& b);

  /// For tests.
  uint32_t owners() { return root().owners_.load(); }

 private:
  static constexpr uintptr_t kFreed = 1;

  static void absorb(LinkGroup& into, LinkGroup& from);
  void free_if_unowned();

  std::atomic<uintptr_t> holder_{0};  ///< 0, kFreed, or the address of the inside thread's ThreadState
  uint32_t depth_ = 0;
  std::atomic<LinkGroup*> parent_{nullptr};
  std::shared_ptr<LinkGroup> parent_kept_;
  std::mutex owners_mutex_;  ///< drops against merges
  std::atomic<uint32_t> owners_{1};
  jit::Activation activation_;
  std::vector<InstanceImpl*> members_;
};

/// Being inside a group for a scope; of no group: nothing.
class GroupEntry {
 public:
  static Result<GroupEntry> enter(LinkGroup* group) {
    if (group) ROTOR_CHECK(group->enter());
    return GroupEntry(group);
  }
  GroupEntry(GroupEntry&& other) noexcept : group_(std::exchange(other.group_, nullptr)) {}
  GroupEntry& operator=(GroupEntry&&) = delete;
  ~GroupEntry() {
    if (group_) group_->leave();
  }

 private:
  explicit GroupEntry(LinkGroup* group) : group_(group) {}
  LinkGroup* group_;
};

/// What ties a table or global to a group: it is a member's, or functions of the group may be in it. A host-created one
/// belongs to no group until then; from then on the host's handle to it is an owner of the group, so that what it holds
/// stays callable. The owning count belongs to the handle and not to the object, which instances of the group keep too:
/// that would be a cycle.
class GroupTie {
 public:
  /// For one that an instance defines.
  void belong_to(std::shared_ptr<LinkGroup> group) { group_ = std::move(group); }
  /// Merges with the group of functions that are put in, or of an importing instance.
  Result<void> join(LinkGroup& group);
  /// nullptr: none.
  std::shared_ptr<LinkGroup> group();

  void host_holds();
  void host_lets_go();

 private:
  std::mutex mutex_;
  bool held_by_host_ = false;
  std::shared_ptr<LinkGroup> group_;
};

/// The host's owning handle to a table or global.
template <class T>
class HostHold {
 public:
  /// A pointer to `object` that lets it go with its last copy.
  static std::shared_ptr<T> take(std::shared_ptr<T> object) {
    auto hold = std::make_shared<HostHold>(std::move(object));
    T* raw = hold->object_.get();
    return std::shared_ptr<T>(std::move(hold), raw);
  }
  explicit HostHold(std::shared_ptr<T> object) : object_(std::move(object)) { object_->tie.host_holds(); }
  HostHold(const HostHold&) = delete;
  ~HostHold() { object_->tie.host_lets_go(); }

 private:
  std::shared_ptr<T> object_;
};

}  // namespace rotor::runtime
