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
// Locking. `holder_` is a lock that is never waited for: a thread that finds another one inside gets an error. What is
// not said to belong to `mutex_` is touched only while holding it.
//
// Letting go. The group lives by its members, which hold it, and by handles that others hold: so a thread that leaves
// must not touch it after the exchange that lets go of `holder_`. What it has to know by then, that the last owner
// went, is a bit of that very word (kUnowned): whoever drops the last owner frees the group if nobody is inside, and
// else sets the bit, with which the exchange of the thread inside fails.
//
// Forks. In the child a thread that was inside is so for ever: others get the error. `mutex_` is free there.
//
// Stopping. Any thread may stop what the group runs: it sets bits of `stop_` and raises the activation's limit to
// code::kInterruptLimit, so that the next function entry or loop head of interruptible code traps; a thread that waits
// on a memory, or for a function to be compiled, is woken. Both are written under `mutex_`, the bits first: whoever
// sees the limit sees why. The limit in force without a stop is `running_limit_`; the activation's is always that or,
// if a bit is set, kInterruptLimit. An entry that finds its own limit there writes nothing, so entering takes no lock
// as long as the stack stays where it is.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "code/abi.h"
#include "memory/fork.h"
#include "rotor/result.h"
#include "runtime/stop/watchdog.h"

namespace rotor::runtime {

/// An instance, as its group knows it: owned by the group.
class GroupMember {
 public:
  virtual ~GroupMember() = default;
  /// Config::interruptible, of its code.
  virtual bool interruptible() const = 0;
  /// What its context points to from now on: its code runs under the group's limits.
  virtual void use(code::Activation& activation) = 0;
  /// Whether the address lies in the reservation of one of its memories. Async-signal-safe.
  virtual bool has_memory_at(uintptr_t address) const = 0;
};

/// A thread that waits for something, inside a group. On that thread's stack.
class Sleeper {
 public:
  /// Ends a wait that is under way or about to begin. Called with the group's mutex, which the waiting thread must not
  /// ask for with a lock that this takes.
  virtual void interrupt() = 0;

 protected:
  ~Sleeper() = default;
};

class LinkGroup final : public Watched, public std::enable_shared_from_this<LinkGroup> {
 public:
  using Clock = std::chrono::steady_clock;
  /// Whether a stop is refused that code without Config::interruptible may outrun.
  enum class Promptness : bool { best_effort, sure };

  /// A group of one member to be, with one owner.
  static std::shared_ptr<LinkGroup> create() { return std::make_shared<LinkGroup>(); }
  LinkGroup() = default;
  LinkGroup(const LinkGroup&) = delete;

  /// The group that this one has become part of.
  LinkGroup& root();
  /// True until the members are freed.
  bool alive() { return !root().is_freed(); }

  /// Lets the calling thread in; it may enter again while inside. Errors: stale_handle; invalid_argument: another
  /// thread is inside.
  Result<void> enter();
  /// Undoes one enter. The outermost one frees the group if its last owner went meanwhile.
  void leave();
  /// Keeps the calling thread inside between its calls, which then cost it no exchange on the bus. Errors: as of enter.
  Result<void> begin_stay();
  /// By the same thread.
  void end_stay();

  /// Pre for these: the calling thread is inside.

  /// The stack limit of an entry into compiled code. False: the group has to stop, and nothing is to be entered.
  bool begin_call(uint64_t stack_limit) {
    LinkGroup& group = root();
    if (group.activation_.stack_limit.load(std::memory_order_relaxed) == stack_limit) [[likely]]
      return true;
    return group.change_limit(stack_limit);
  }
  /// The limit of the entry around the one that was left.
  void resume_call(uint64_t stack_limit) {
    LinkGroup& group = root();
    if (group.activation_.stack_limit.load(std::memory_order_relaxed) != stack_limit) group.restore_limit(stack_limit);
  }
  /// A call ended with TrapKind::interrupted: when the thread leaves the group, the interrupt is over.
  void stop_was_delivered() {
    LinkGroup& group = root();
    group.delivered_ = true;
    group.unsettled_.store(true, std::memory_order_relaxed);
  }
  /// True: `sleeper` is woken if the group has to stop, until end_wait. False: it has to stop.
  bool begin_wait(Sleeper& sleeper);
  void end_wait();
  /// Whether this thread entered it once, so that no call of its own runs in it.
  bool entered_once() { return root().depth_ == 1; }
  std::span<GroupMember* const> members() { return root().members_; }
  /// Pre: no other thread knows the group yet.
  void add_member(GroupMember* member);
  void add_owner();

  // By any thread.

  /// Whether a function entry that trapped met a stop's limit. `fits_stack`: it did not meet the one of the entry from
  /// the host. Async-signal-safe.
  bool stopped_at(bool fits_stack);
  /// Stops what runs now or, if nothing does, the next call. Errors: stale_handle; invalid_argument: `sure`, and a
  /// member's code is not interruptible.
  Result<void> interrupt(Promptness promptness);
  /// Takes back an interrupt that has ended no call.
  void cancel_interrupt();
  /// Stops what runs at `deadline` or later, until another one is set; Clock::time_point::max(): none. Errors: as of
  /// interrupt(sure); io (no thread).
  Result<void> set_deadline(Clock::time_point deadline, const std::shared_ptr<Watchdog>& watchdog);
  // For the watchdog.
  void check_deadline() override;
  void lose_watchdog_thread() override;
  void expire_deadline() override;

  /// May be called by any thread. Frees the group, or leaves that to the thread inside.
  void drop_owner();

  /// Makes one group of two. Errors: as of enter, for either of them.
  static Result<void> merge(LinkGroup& a, LinkGroup& b);

  /// For tests.
  uint32_t owners() { return root().owners_.load(); }

 private:
  // Of holder_, beside the address of a ThreadState.
  static constexpr uintptr_t kFreed = 1;    ///< the word is this
  static constexpr uintptr_t kUnowned = 2;  ///< a bit: who leaves has to look at owners_

  // Bits of stop_.
  static constexpr uint32_t kInterrupt = 1;  ///< until the call that it ended is left
  static constexpr uint32_t kDeadline = 2;   ///< until another deadline is set
  static constexpr uint32_t kStop = kInterrupt | kDeadline;
  static constexpr uint32_t kWithdrawn = 4;  ///< a stop was taken back while or before the inside thread was inside

  bool is_freed() const { return holder_.load(std::memory_order_acquire) == kFreed; }
  static void absorb(LinkGroup& into, LinkGroup& from);
  /// With the mutex: an owner goes. True: the caller frees the members, for nobody else will.
  bool remove_owner();
  /// The inside thread leaves, and may have been left with the members.
  void let_go_of_unowned();
  /// Pre: holder_ is kFreed, by this thread.
  void free_members();
  /// Calls `action(root)` with the root's mutex held.
  template <class Action>
  auto locked(Action&& action);
  void settle();
  bool change_limit(uint64_t stack_limit);
  void restore_limit(uint64_t stack_limit);
  // Pre for these: mutex_ is held, and this is a root.
  Result<void> check_stoppable(Promptness promptness) const;
  void set_stop(uint32_t stop);
  void withdraw_stop(uint32_t bits);
  void apply_limit();

  std::atomic<uintptr_t> holder_{0};  ///< 0, kFreed, or the inside thread's ThreadState and kUnowned
  uint32_t depth_ = 0;                ///< of enter
  uint32_t stays_ = 0;
  std::atomic<LinkGroup*> parent_{nullptr};
  std::shared_ptr<LinkGroup> parent_kept_;
  bool delivered_ = false;              ///< a call was ended by a stop since the group was entered
  std::atomic<bool> unsettled_{false};  ///< leaving has to look at stop_
  code::Activation activation_;
  std::vector<GroupMember*> members_;

  memory::ForkMutex mutex_;  ///< for what follows: drops and stops, against merges too
  std::atomic<uint32_t> owners_{1};
  std::atomic<uint32_t> stop_{0};  ///< written under the mutex
  uint64_t running_limit_ = 0;
  uint32_t uninterruptible_ = 0;  ///< members whose code has no checks at loop heads
  Sleeper* sleeper_ = nullptr;    ///< the inside thread's, while it waits
  Clock::time_point deadline_ = Clock::time_point::max();
  std::shared_ptr<Watchdog> watchdog_;  ///< once there was a deadline
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
  memory::ForkMutex mutex_;
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
