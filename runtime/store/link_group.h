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
// Letting go. The group is kept alive by its members, which hold it, and by handles that others hold: so a thread that
// leaves must not touch it after the exchange that lets go of `holder_`. What the thread has to know by then, that the
// last owner went, is a bit of that very word (kUnowned): whoever drops the last owner frees the group if nobody is
// inside, and else sets the bit, with which the exchange of the thread inside fails.
//
// Bias. A thread that entered a group by itself many times in a row leaves it biased: `holder_` names its BiasSeat, and
// from then on it enters and leaves by plain stores to that, as long as it is in no other group. Who else wants in, or
// drops the last owner, puts kRevoking in the place of the bias, has all threads pass a barrier (membarrier), and then
// looks at the seat: either it sees that the thread is inside, or the thread sees kRevoking before it touches anything.
// So the thread looks at the holder after it wrote to its seat, and does not touch the group after it left the seat. A
// last owner that goes while the thread is inside is noted in the seat, in place of kUnowned.
//
// Forks. In the child, a thread that was inside stays inside for ever: others get the error. `mutex_` is free there.
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
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "code/abi.h"
#include "memory/fork.h"
#include "memory/perturb.h"
#include "rotor/result.h"
#include "runtime/enter/thread.h"
#include "runtime/stop/watchdog.h"
#include "runtime/store/bias.h"
#include "runtime/store/exceptions.h"
#include "runtime/store/gc_heap.h"

namespace rotor::runtime {

/// The interface by which a group knows an instance; the group owns it.
class GroupMember {
 public:
  virtual ~GroupMember() = default;
  /// Frees it, or keeps it for the next one that is needed. Whatever it held for others it lets go.
  virtual void retire() = 0;
  /// Returns the Config::interruptible that its code was compiled with.
  virtual bool interruptible() const = 0;
  /// Returns whether its code depends on the processor's floating-point control.
  virtual bool uses_floats() const = 0;
  /// Makes its context point to `activation` from now on, so that its code runs under the group's limits.
  virtual void use(code::Activation& activation) = 0;
  /// Returns whether the address lies in the reservation of one of its memories. Async-signal-safe.
  virtual bool has_memory_at(uintptr_t address) const = 0;
  /// Marks the exceptions that its tables and globals, defined or imported, refer to.
  virtual void mark_exceptions(ExceptionHeap::Marker& marker) const = 0;
  /// Returns how many places that looks at.
  virtual uint64_t exception_places() const = 0;
  /// Makes a heap know its types, and its context point to it. Errors: limit.
  virtual Result<void> use_heap(GcHeap& heap) = 0;
  /// Adds what its tables and globals, defined or imported, and its element segments refer to.
  virtual void add_roots(GcHeap& heap, memory::ExactRoots& roots) const = 0;
};

/// A thread's wait for something, inside a group. It lies on that thread's stack.
class Sleeper {
 public:
  /// Ends a wait that is under way or about to begin. Called with the group's mutex held, which the waiting thread must
  /// not ask for while it holds a lock that this takes.
  virtual void interrupt() = 0;

 protected:
  ~Sleeper() = default;
};

class LinkGroup final : public Watched, public GcHeapOwner, public std::enable_shared_from_this<LinkGroup> {
 public:
  using Clock = std::chrono::steady_clock;
  /// Whether to refuse (`sure`) a stop that code without Config::interruptible may outrun.
  enum class Promptness : bool { best_effort, sure };

  /// Makes a group for one member to be added, with one owner.
  static std::shared_ptr<LinkGroup> create() { return std::make_shared<LinkGroup>(); }
  LinkGroup() = default;
  LinkGroup(const LinkGroup&) = delete;
  /// Makes a group whose members were freed as new as `create` does, if nobody else knows it. Returns false if it stays
  /// as it is.
  static bool renew(const std::shared_ptr<LinkGroup>& group);

  /// Returns the group that this one has become part of, or itself.
  LinkGroup& root() {
    LinkGroup* group = this;
    while (LinkGroup* parent = group->parent_.load(std::memory_order_acquire)) group = parent;
    return *group;
  }
  /// Returns whether the members are not yet freed.
  bool alive() { return !root().is_freed(); }

  /// Lets the calling thread in; it may enter again while inside. Errors: stale_handle; invalid_argument: another
  /// thread is inside.
  Result<void> enter();
  /// Undoes one enter. The outermost one frees the group if its last owner went meanwhile.
  void leave();
  /// Lets the calling thread in if that takes no exchange: the group is biased to it and it is inside no other by a
  /// bias, or it stays inside. Returns false if nothing was done.
  bool enter_quickly(ThreadState& thread) {
    const uintptr_t holder = holder_.load(std::memory_order_relaxed);
    if ((holder & ~kUnowned) == reinterpret_cast<uintptr_t>(&thread)) {
      ++depth_;
      return true;
    }
    if (holder != thread.bias_word) return false;
    BiasSeat& seat = *thread.seat;
    if (seat.inside.load(std::memory_order_relaxed)) return false;
    seat.inside.store(this, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the barrier is that of who revokes
    ROTOR_PERTURB_POINT();
    if (holder_.load(std::memory_order_acquire) != thread.bias_word) [[unlikely]] {
      leave_seat(seat);
      return false;
    }
    depth_ = 1;
    return true;
  }
  /// Undoes one enter or enter_quickly.
  void leave_call(ThreadState& thread) {
    BiasSeat* seat = thread.seat;
    if (seat && seat->inside.load(std::memory_order_relaxed) == this && depth_ == 1) [[likely]]
      return leave_biased(*seat);
    if (stays_ == 0 || unsettled_.load(std::memory_order_relaxed)) return leave();
    --depth_;
  }
  /// Keeps the calling thread inside between its calls, which then cost it no exchange on the bus. Errors: as of enter.
  Result<void> begin_stay();
  /// Ends a stay; must be called by the thread that began it.
  void end_stay();

  /// Pre for these: the calling thread is inside.

  /// Sets the stack limit of an entry into compiled code. Returns false if the group has to stop, and nothing may be
  /// entered.
  bool begin_call(uint64_t stack_limit) {
    LinkGroup& group = root();
    if (group.activation_.stack_limit.load(std::memory_order_relaxed) == stack_limit) [[likely]]
      return true;
    return group.change_limit(stack_limit);
  }
  /// Returns whether that limit is in force, and nothing has to stop. Pre: this is a root.
  bool has_limit(uint64_t stack_limit) const {
    return activation_.stack_limit.load(std::memory_order_relaxed) == stack_limit;
  }
  /// Restores the stack limit of the entry around the one that was left.
  void resume_call(uint64_t stack_limit) {
    LinkGroup& group = root();
    if (group.activation_.stack_limit.load(std::memory_order_relaxed) != stack_limit) group.restore_limit(stack_limit);
  }
  /// Notes that a call ended with TrapKind::interrupted: when the thread leaves the group, the interrupt is over.
  void stop_was_delivered() {
    LinkGroup& group = root();
    group.delivered_ = true;
    group.unsettled_.store(true, std::memory_order_relaxed);
  }
  /// Has `sleeper` woken if the group has to stop, until end_wait. Returns false if it has to stop already.
  bool begin_wait(Sleeper& sleeper);
  void end_wait();
  /// Returns whether the group has to stop.
  bool must_stop() { return root().stop_.load(std::memory_order_relaxed) & kStop; }
  /// Returns whether this thread, which is inside, entered the group only once, so that no call of its own runs in it.
  bool entered_once() { return root().depth_ == 1; }
  /// Returns whether a member's code depends on the processor's floating-point control. Pre: this is a root.
  bool uses_floats() const { return uses_floats_; }
  std::span<GroupMember* const> members() { return root().members_; }
  code::Activation& activation() override { return root().activation_; }
  /// Returns the group's exceptions, for which there is nothing before somebody asks.
  ExceptionHeap& exceptions();
  ExceptionHeap* made_exceptions() override { return root().exceptions_.get(); }
  // What its heap asks; pre: this is a root.
  bool knows_stack() override;
  void scan_stack(const std::function<void(uintptr_t low, uintptr_t high)>& scan) override;
  void add_roots(memory::ExactRoots& roots) override;
  void mark_exceptions() override;
  void visit_thrown(const std::function<void(uint64_t word)>& visit) override;
  /// Returns the group's heap; null: none of its members uses one.
  GcHeap* gc_heap() { return root().gc_heap_.get(); }
  /// Frees the objects and exceptions that are not referred to, unless a call is under way and it is not known where
  /// all of its stack is. Pre: the thread is inside.
  void collect();
  /// Makes the group have a heap and a member use it. Errors: limit, io.
  /// `image`: what a heap that is made holds; may be null. Errors: also unsupported (there is an image, and the group
  /// has a heap already).
  Result<void> use_heap(GroupMember& member, const memory::HeapOptions& options,
                        std::shared_ptr<const memory::Image> image = nullptr);
  /// Makes a value of what is thrown. Errors: limit (`limit_bytes` of exceptions are referred to), io.
  Result<uint64_t> take_exception(const code::Thrown& thrown, uint64_t limit_bytes);
  /// Pre: no other thread knows the group yet.
  void add_member(GroupMember* member);
  void add_owner();

  // The following may be called by any thread.

  /// Returns whether a function entry that trapped met the limit of a stop. `fits_stack`: its frame fits above the
  /// limit of the entry from the host. Async-signal-safe.
  bool stopped_at(bool fits_stack);
  /// Stops what runs now or, if nothing does, the next call. Errors: stale_handle; invalid_argument: `sure`, and a
  /// member's code is not interruptible.
  Result<void> interrupt(Promptness promptness);
  /// Takes back an interrupt that has ended no call.
  void cancel_interrupt();
  /// Stops what runs at `deadline` or later, until another one is set; Clock::time_point::max(): none. Errors: as of
  /// interrupt(sure); io (no thread).
  Result<void> set_deadline(Clock::time_point deadline, const std::shared_ptr<Watchdog>& watchdog);
  // Called by the watchdog:
  void check_deadline() override;
  void lose_watchdog_thread() override;

  /// May be called by any thread. Frees the group, or leaves that to the thread inside.
  void drop_owner();
  /// Does the same for a group of one member that nobody knows but that member and the caller, who owns it: the short
  /// way, without a lock. Then the caller has to retire the member. Returns false if it is not so, and nothing was
  /// done.
  static bool drop_only_owner(const std::shared_ptr<LinkGroup>& group);

  /// Makes one group of two. Errors: as of enter, for either of them.
  static Result<void> merge(LinkGroup& a, LinkGroup& b);

  /// Lets go of what the host held in the group's heap.
  void remove_hold(HeldObject& hold);
  /// Returns whether a thread that left the group has left it biased, for tests.
  bool is_biased() { return is_biased(root().holder_.load()); }
  /// Returns the number of owners, for tests.
  uint32_t owners() { return root().owners_.load(); }

 private:
  // Values of holder_, beside the address of a ThreadState.
  static constexpr uintptr_t kFreed = 1;    ///< the whole word
  static constexpr uintptr_t kUnowned = 2;  ///< a bit: the thread that leaves has to look at owners_
  static constexpr uintptr_t kRevoking = ThreadState::kBiased;  ///< the whole word; only while mutex_ is held
  static constexpr uint32_t kBiasAfter = 16, kBiasAfterMost = 4096;

  // Bits of stop_.
  static constexpr uint32_t kInterrupt = 1;  ///< until the call that it ended is left
  static constexpr uint32_t kDeadline = 2;   ///< until another deadline is set
  static constexpr uint32_t kStop = kInterrupt | kDeadline;
  static constexpr uint32_t kWithdrawn = 4;  ///< a stop was taken back, whose limit the inside thread may have met

  static bool is_biased(uintptr_t holder) { return holder & ThreadState::kBiased && holder != kRevoking; }
  static BiasSeat& seat_of(uintptr_t holder) { return *reinterpret_cast<BiasSeat*>(holder & ~ThreadState::kBiased); }
  /// Returns whether the calling thread is inside by its bias. Pre: this is a root.
  bool is_inside_by_bias() const {
    return t_thread.seat && t_thread.seat->inside.load(std::memory_order_relaxed) == this;
  }
  void leave_biased(BiasSeat& seat) {
    if (unsettled_.load(std::memory_order_relaxed)) [[unlikely]]
      settle();
    depth_ = 0;
    leave_seat(seat);
  }
  static void leave_seat(BiasSeat& seat) {
    seat.inside.store(nullptr, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    ROTOR_PERTURB_POINT();
    if (seat.unowned.load(std::memory_order_relaxed)) [[unlikely]]
      free_unowned(seat);
  }
  static void free_unowned(BiasSeat& seat);
  /// Makes the calling thread, which is inside by its bias, one that is inside in the ordinary way.
  void become_plain();
  /// Takes the bias away, and lets the calling thread in. Returns false if nothing was done: the group is not biased.
  /// Errors: as of enter.
  Result<bool> revoke();
  /// Removes the bias of a group whose last owner went, or leaves the group to the thread that is inside by it. Returns
  /// whether the caller has to free the group; nullopt if it is not biased as `holder` says. Pre: mutex_ is held.
  std::optional<bool> revoke_unowned(uintptr_t holder);
  /// Returns what the thread that leaves puts in its place: its bias, or nothing. Pre: this thread is inside.
  uintptr_t left_behind();
  bool is_freed() const { return holder_.load(std::memory_order_acquire) == kFreed; }
  /// Returns the frame of the group's outermost entry on this thread, 0 if there is none; nullopt where a call left one
  /// stack for another.
  std::optional<uintptr_t> outermost_frame(uintptr_t here);
  static Result<void> absorb(LinkGroup& into, LinkGroup& from);
  /// Has this thread's entries into this group or `from` keep a floating-point control of the guest's.
  void begin_floats(LinkGroup& from);
  /// Checks that the members of both can use one heap. Errors: invalid_argument.
  static Result<void> check_heaps(LinkGroup& into, LinkGroup& from);
  /// Has them do so. Errors: limit.
  static Result<void> join_heaps(LinkGroup& into, LinkGroup& from);
  /// Removes an owner. Returns true if the caller has to free the members, for nobody else will. Pre: mutex_ is held.
  bool remove_owner();
  /// Lets the inside thread leave, which may have to free the members.
  void let_go_of_unowned();
  /// Frees the members. Pre: this thread set holder_ to kFreed.
  void free_members();
  /// Calls `action(root)` with the root's mutex held.
  template <class Action>
  auto locked(Action&& action);
  void settle();
  /// Frees the exceptions that are not referred to, while no call of the group is under way. Returns false if that was
  /// put off to the end of a later call.
  bool collect_between_calls();
  /// Marks what the group refers to, the stack of its calls and what is thrown among it.
  void mark_roots(ExceptionHeap::Marker& marker);
  /// Does so within a call, if the stack of all of the group's calls is known.
  void collect_within_call();
  bool change_limit(uint64_t stack_limit);
  void restore_limit(uint64_t stack_limit);
  // Pre for these: mutex_ is held, and this is a root.
  Result<void> check_stoppable(Promptness promptness) const;
  void set_stop(uint32_t stop);
  void withdraw_stop(uint32_t bits);
  void apply_limit();

  /// 0, kFreed, kRevoking, the inside thread's ThreadState and kUnowned, or a thread's seat and kBiased.
  std::atomic<uintptr_t> holder_{0};
  uint32_t depth_ = 0;  ///< how often the inside thread entered
  uint32_t stays_ = 0;
  std::atomic<LinkGroup*> parent_{nullptr};
  std::shared_ptr<LinkGroup> parent_kept_;
  bool delivered_ = false;  ///< a call was ended by a stop since the group was entered
  bool uses_floats_ = false;
  uint32_t streak_ = 0;               ///< how often `last_thread_` entered since another one did
  uint32_t bias_after_ = kBiasAfter;  ///< doubled with each bias that was taken away
  uintptr_t last_thread_ = 0;
  uintptr_t bias_word_ = 0;             ///< the last bias
  std::atomic<bool> unsettled_{false};  ///< leaving has to look at stop_
  code::Activation activation_;
  std::vector<GroupMember*> members_;
  std::unique_ptr<ExceptionHeap> exceptions_;
  std::unique_ptr<GcHeap> gc_heap_;

  memory::ForkMutex mutex_;  ///< guards what follows; excludes drops, stops and merges
  std::atomic<uint32_t> owners_{1};
  std::atomic<uint32_t> stop_{0};  ///< written under the mutex
  uint64_t running_limit_ = 0;
  uint32_t uninterruptible_ = 0;  ///< members whose code has no checks at loop heads
  Sleeper* sleeper_ = nullptr;    ///< the inside thread's, while it waits
  Clock::time_point deadline_ = Clock::time_point::max();
  std::shared_ptr<Watchdog> watchdog_;  ///< null until there was a deadline
};

/// A handle of the host's to an object, which it keeps. It may go on any thread.
struct ObjectHold : HeldObject {
  /// Pre: the thread is inside the group, whose heap has the object.
  ObjectHold(std::shared_ptr<LinkGroup> holder, memory::HeapRef object) : HeldObject(object), group(std::move(holder)) {
    group->gc_heap()->add_hold(*this);
  }
  ObjectHold(const ObjectHold&) = delete;
  ~ObjectHold() { group->remove_hold(*this); }
  const std::shared_ptr<LinkGroup> group;  ///< the one that it was made in
};

/// Keeps the thread inside a group for a scope; does nothing for a null group.
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

/// The tie of a table or global to a group: it is a member's, or functions of the group may be in it. A host-created
/// one belongs to no group until then; from then on the host's handle to it is an owner of the group, so that what it
/// holds stays callable. The owning count belongs to the handle and not to the object, which instances of the group
/// keep too: that would be a cycle.
class GroupTie {
 public:
  /// Ties what an instance defines to the instance's group.
  void belong_to(std::shared_ptr<LinkGroup> group) { group_ = std::move(group); }
  /// Merges with the group of functions that are put in, or of an importing instance.
  Result<void> join(LinkGroup& group);
  /// Returns the group, or nullptr.
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
  /// Returns a pointer to `object`; the host lets the object go with the pointer's last copy.
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
