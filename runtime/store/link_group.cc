#include "runtime/store/link_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "code/abi.h"
#include "runtime/enter/entry.h"

namespace rotor::runtime {

namespace {

uintptr_t this_thread() { return reinterpret_cast<uintptr_t>(&t_thread); }

[[gnu::cold]] std::unexpected<Error> another_inside() {
  return fail(ErrorKind::invalid_argument, "another thread is inside the instance or one that it is linked to");
}

}  // namespace

Result<void> LinkGroup::enter() {
  uintptr_t me = this_thread();
  for (;;) {
    LinkGroup& group = root();
    uintptr_t holder = group.holder_.load(std::memory_order_relaxed);
    ROTOR_PERTURB_POINT();
    if ((holder & ~kUnowned) == me || group.is_inside_by_bias()) {
      ++group.depth_;
      return {};
    }
    if (holder & ThreadState::kBiased) {
      ROTOR_TRY(bool inside, group.revoke());
      if (inside) return {};
      continue;
    }
    if (holder == kFreed) [[unlikely]]
      return fail(ErrorKind::stale_handle, "the instance is gone");
    if (holder != 0 || !group.holder_.compare_exchange_strong(holder, me)) [[unlikely]] {
      if (holder == kFreed || holder == 0) continue;
      if (group.parent_.load(std::memory_order_acquire)) continue;
      if (holder & ThreadState::kBiased) continue;
      return another_inside();
    }
    // The group may have been absorbed between the look-up and the exchange. The bit of the last owner's drop is not
    // set then.
    if (!group.parent_.load(std::memory_order_acquire)) [[likely]] {
      assert(group.depth_ == 0 && group.stays_ == 0);
      group.depth_ = 1;
      if (group.last_thread_ != me) {
        group.last_thread_ = me;
        group.streak_ = 0;
      }
      return {};
    }
    group.holder_.store(0);
  }
}

void LinkGroup::leave() {
  LinkGroup& group = root();
  assert(((group.holder_.load(std::memory_order_relaxed) & ~kUnowned) == this_thread() || group.is_inside_by_bias()) &&
         group.depth_ > 0);
  if (group.is_inside_by_bias()) {
    if (group.depth_ == 1) return group.leave_biased(*t_thread.seat);
    --group.depth_;
    return;
  }
  if (--group.depth_ > 0) return;
  if (group.unsettled_.load(std::memory_order_relaxed)) [[unlikely]]
    group.settle();
  if (group.stays_ > 0) return;
  uintptr_t me = this_thread();
  if (!group.holder_.compare_exchange_strong(me, group.left_behind())) [[unlikely]]
    group.let_go_of_unowned();
  ROTOR_PERTURB_POINT();
}

uintptr_t LinkGroup::left_behind() {
  // A thread that calls for the first time has no seat before it is inside.
  if (++streak_ < bias_after_ || !t_thread.seat) return 0;
  bias_word_ = t_thread.bias_word;
  return bias_word_;
}

Result<bool> LinkGroup::revoke() {
  std::lock_guard lock(mutex_);
  uintptr_t holder = holder_.load();
  // In the child of a fork, a thread that is gone may have been about to take the bias away.
  if (holder == kRevoking) holder_.store(holder = bias_word_);
  if (!is_biased(holder)) return false;
  if (owners_.load() == 0) return fail(ErrorKind::stale_handle, "the instance is gone");
  if (!holder_.compare_exchange_strong(holder, kRevoking)) return false;
  if (holder != t_thread.bias_word) {
    barrier_of_revoker();
    if (seat_of(holder).inside.load() == this) {
      holder_.store(holder);
      return another_inside();
    }
    bias_after_ = std::min(bias_after_ * 2, kBiasAfterMost);
    last_thread_ = this_thread();
    streak_ = 0;
  }
  assert(depth_ == 0 && stays_ == 0);
  holder_.store(this_thread());
  depth_ = 1;
  return true;
}

std::optional<bool> LinkGroup::revoke_unowned(uintptr_t holder) {
  if (holder == kRevoking) holder_.store(holder = bias_word_);  // as in revoke
  if (!holder_.compare_exchange_strong(holder, kRevoking)) return std::nullopt;
  BiasSeat& seat = seat_of(holder);
  const bool is_mine = holder == t_thread.bias_word;
  if (!is_mine) barrier_of_revoker();
  bool frees = seat.inside.load() != this;
  if (!frees) {
    seat.unowned.store(this);
    if (!is_mine) barrier_of_revoker();
    // The thread may have left meanwhile, without having seen that.
    frees = seat.inside.load() != this && seat.unowned.exchange(nullptr) == this;
  }
  holder_.store(frees ? kFreed : holder);
  return frees;
}

/// Called by a thread that left a group that may have no owner any more. Until this, nobody else can enter or free it.
void LinkGroup::free_unowned(BiasSeat& seat) {
  LinkGroup* group = seat.unowned.exchange(nullptr);
  if (!group) return;  // whoever dropped the last owner frees it
  {
    std::lock_guard lock(group->mutex_);
    if (group->owners_.load() > 0) return;
    group->holder_.store(kFreed);
  }
  group->free_members();
}

void LinkGroup::become_plain() {
  std::lock_guard lock(mutex_);
  BiasSeat& seat = *t_thread.seat;
  holder_.store(this_thread() | (seat.unowned.exchange(nullptr) ? kUnowned : 0));
  seat.inside.store(nullptr, std::memory_order_release);
}

void LinkGroup::let_go_of_unowned() {
  uintptr_t me = this_thread();
  do {
    // The bit is cleared before the count is read: a drop in between sets the bit again.
    holder_.fetch_and(~kUnowned);
    if (owners_.load() == 0) {
      holder_.store(kFreed);
      return free_members();
    }
    uintptr_t expected = me;
    if (holder_.compare_exchange_strong(expected, 0)) return;
  } while (true);
}

Result<void> LinkGroup::begin_stay() {
  ROTOR_CHECK(enter());
  LinkGroup& group = root();
  if (group.is_inside_by_bias()) group.become_plain();
  ++group.stays_;
  --group.depth_;  // a stay is no call: a stop that ended a call is over when the last call has left
  return {};
}

void LinkGroup::end_stay() {
  LinkGroup& group = root();
  assert(group.stays_ > 0);
  ++group.depth_;
  --group.stays_;
  leave();
}

template <class Action>
auto LinkGroup::locked(Action&& action) {
  for (;;) {
    LinkGroup& group = root();
    std::lock_guard lock(group.mutex_);
    if (group.parent_.load(std::memory_order_acquire)) continue;  // absorbed meanwhile
    return action(group);
  }
}

void LinkGroup::drop_owner() {
  LinkGroup* unowned = locked([](LinkGroup& group) { return group.remove_owner() ? &group : nullptr; });
  ROTOR_PERTURB_POINT();
  if (unowned) unowned->free_members();
}

bool LinkGroup::remove_owner() {
  assert(owners_.load() > 0);
  if (--owners_ > 0) return false;
  // No merge can happen meanwhile: that takes the mutex.
  uintptr_t holder = holder_.load();
  for (;;) {
    if (holder == kFreed) return false;
    if (holder & ThreadState::kBiased) {
      if (std::optional<bool> frees = revoke_unowned(holder)) return *frees;
      holder = holder_.load();
      continue;
    }
    if (holder_.compare_exchange_weak(holder, holder ? holder | kUnowned : kFreed)) return holder == 0;
  }
}

void LinkGroup::free_members() {
  // Freeing drops the last references of members to the group.
  std::shared_ptr<LinkGroup> keep = shared_from_this();
  {
    // The mutex orders this after a set_deadline that still found the group alive.
    std::lock_guard lock(mutex_);
    if (watchdog_) watchdog_->forget(*this);
  }
  // Destructors of host functions may run the embedder's code, which sees a dead group.
  std::vector<GroupMember*> members = std::exchange(members_, {});
  for (GroupMember* member : members) member->retire();
  // The host may hold some, and with them the group.
  if (exceptions_) exceptions_->collect([](ExceptionHeap::Marker&) {});
  // What the host holds of it is stale from now on.
  std::lock_guard lock(mutex_);
  gc_heap_.reset();
}

namespace {

/// Returns whether the pointer is the only one to its object. Then what others did to the object while they had one
/// happened before.
bool is_only_one(const std::shared_ptr<LinkGroup>& group) {
#ifdef __SANITIZE_THREAD__
  // It knows no fences; a copy's end acquires what other copies' ends released.
  std::shared_ptr<LinkGroup>(group).reset();
  return group.use_count() == 1;
#else
  if (group.use_count() != 1) return false;
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
#endif
}

}  // namespace

bool LinkGroup::drop_only_owner(const std::shared_ptr<LinkGroup>& group) {
  // A watchdog knows the group by a weak pointer. Whoever is inside by a Stay has no pointer that counts.
  if (!is_only_one(group) || group->watchdog_ || group->parent_.load(std::memory_order_relaxed) ||
      group->members_.size() != 1)
    return false;
  uintptr_t holder = group->holder_.load(std::memory_order_relaxed);
  if (holder != 0 && (holder != t_thread.bias_word || group->is_inside_by_bias())) return false;
  assert(group->owners_.load() == 1);
  group->holder_.store(kFreed, std::memory_order_relaxed);
  group->members_.clear();
  group->exceptions_.reset();  // the host holds none: it would hold the group
  group->gc_heap_.reset();
  return true;
}

bool LinkGroup::renew(const std::shared_ptr<LinkGroup>& group) {
  if (!is_only_one(group) || group->watchdog_ || group->parent_.load(std::memory_order_relaxed)) return false;
  assert(group->is_freed() && group->members_.empty() && group->depth_ == 0 && group->stays_ == 0);
  LinkGroup& g = *group;
  g.delivered_ = false;
  g.unsettled_.store(false, std::memory_order_relaxed);
  g.activation_.stack_limit.store(0, std::memory_order_relaxed);
  g.activation_.thrown = {};
  g.exceptions_.reset();
  g.gc_heap_.reset();
  g.activation_.functions = nullptr;
  g.owners_.store(1, std::memory_order_relaxed);
  g.stop_.store(0, std::memory_order_relaxed);
  g.running_limit_ = 0;
  g.uninterruptible_ = 0;
  g.uses_floats_ = false;
  g.streak_ = 0;
  g.bias_after_ = kBiasAfter;
  g.last_thread_ = 0;
  g.holder_.store(0, std::memory_order_relaxed);
  return true;
}

void LinkGroup::add_member(GroupMember* member) {
  LinkGroup& group = root();
  group.members_.push_back(member);
  if (!member->interruptible()) ++group.uninterruptible_;
  group.uses_floats_ |= member->uses_floats();
  member->use(group.activation_);
}

void LinkGroup::add_owner() {
  locked([](LinkGroup& group) { ++group.owners_; });
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
  for (LinkGroup* group : {&x, &y})
    if (group->is_inside_by_bias()) group->become_plain();
  const bool swaps = y.gc_heap_ && x.gc_heap_ ? x.gc_heap_->is_untouched() : x.members_.size() < y.members_.size();
  return swaps ? absorb(y, x) : absorb(x, y);
}

/// Makes `from` part of `into`, or fails and changes nothing. Pre: the calling thread is inside both, and both are
/// roots. Errors: io (the group can't have the earlier deadline of the two watched).
Result<void> LinkGroup::absorb(LinkGroup& into, LinkGroup& from) {
  std::scoped_lock lock(into.mutex_, from.mutex_);
  ROTOR_CHECK(check_heaps(into, from));
  std::shared_ptr<Watchdog> watchdog = into.watchdog_ ? into.watchdog_ : from.watchdog_;
  if (from.deadline_ < into.deadline_) {
    ROTOR_CHECK(watchdog->watch(into.shared_from_this(), from.deadline_));
    into.deadline_ = from.deadline_;
  }
  ROTOR_CHECK(join_heaps(into, from));
  if (from.watchdog_) from.watchdog_->forget(from);
  into.watchdog_ = watchdog;
  for (GroupMember* member : from.members_) {
    member->use(into.activation_);
    into.members_.push_back(member);
  }
  from.members_.clear();
  into.owners_ += from.owners_.load();
  if (from.exceptions_) into.exceptions().absorb(*from.exceptions_);
  into.depth_ += std::exchange(from.depth_, 0);
  into.stays_ += std::exchange(from.stays_, 0);
  from.parent_kept_ = into.shared_from_this();
  // The limit in force is that of the innermost entry into either.
  for (const EntryRecord* record = t_thread.top; record; record = record->previous) {
    LinkGroup& running = record->group->root();
    if (&running != &into && &running != &from) continue;
    into.running_limit_ = record->stack_limit;
    break;
  }
  if (into.uses_floats_ != from.uses_floats_) into.begin_floats(from);
  into.uninterruptible_ += from.uninterruptible_;
  into.delivered_ |= from.delivered_;
  if (from.unsettled_.load()) into.unsettled_.store(true);
  into.set_stop(into.stop_.load() | from.stop_.load());
  from.parent_.store(&into, std::memory_order_release);
  from.holder_.store(0);
  return {};
}

void LinkGroup::begin_floats(LinkGroup& from) {
  uses_floats_ = true;
  // This thread is in host code: what leaves that for the guest looks at the entry's record.
  for (EntryRecord* record = t_thread.top; record; record = record->previous) {
    LinkGroup& entered = record->group->root();
    if (&entered == this || &entered == &from) record->uses_floats = true;
  }
}

bool LinkGroup::change_limit(uint64_t stack_limit) {
  std::lock_guard lock(mutex_);
  if (stop_.load() & kStop) {
    delivered_ = true;
    unsettled_.store(true);
    return false;
  }
  running_limit_ = stack_limit;
  if (watchdog_ && deadline_ != Clock::time_point::max() && !watchdog_->see_to_thread()) {
    // In the child of a fork there may be no thread to be had, and nobody would stop the call.
    set_stop(stop_.load() | kDeadline);
    return false;
  }
  apply_limit();
  return true;
}

void LinkGroup::restore_limit(uint64_t stack_limit) {
  std::lock_guard lock(mutex_);
  running_limit_ = stack_limit;
  apply_limit();
}

void LinkGroup::apply_limit() {
  activation_.stack_limit.store(stop_.load() & kStop ? code::kInterruptLimit : running_limit_);
}

void LinkGroup::set_stop(uint32_t stop) {
  stop_.store(stop);
  apply_limit();
  // The sleeper is there until end_wait gets the mutex.
  if (stop & kStop && sleeper_) sleeper_->interrupt();
}

void LinkGroup::withdraw_stop(uint32_t bits) {
  uint32_t stop = stop_.load();
  if (!(stop & bits)) return;
  // The inside thread may have met the limit already; its trap handler then asks stopped_at for the reason.
  unsettled_.store(true);
  set_stop((stop & ~bits) | kWithdrawn);
}

ExceptionHeap& LinkGroup::exceptions() {
  std::unique_ptr<ExceptionHeap>& heap = root().exceptions_;
  if (!heap) heap = std::make_unique<ExceptionHeap>();
  return *heap;
}

Result<uint64_t> LinkGroup::take_exception(const code::Thrown& thrown, uint64_t limit_bytes) {
  LinkGroup& group = root();
  ExceptionHeap& heap = group.exceptions();
  if (heap.is_due() || heap.bytes() >= limit_bytes) group.collect_within_call();
  if (heap.bytes() >= limit_bytes)
    return fail(ErrorKind::limit, fmt::format("the guest refers to exceptions of {} bytes, over exception_bytes = {}",
                                              heap.bytes(), limit_bytes));
  auto* tag = static_cast<const TagImpl*>(thrown.tag);
  ExceptionObject* made = heap.add(tag->shared_from_this(), this, thrown.payload);
  if (!made) return fail(ErrorKind::io, "no memory for an exception");
  group.unsettled_.store(true, std::memory_order_relaxed);
  return made->bits();
}

bool LinkGroup::collect_between_calls() {
  activation_.thrown = {};  // nothing is on its way, and what it names may be freed
  // What a collection looks at is paid for by the calls since the last one and what they made: tables may have many
  // elements, and exceptions that are kept may be many.
  constexpr uint64_t kPlacesACall = 4096, kPlacesEach = 64;
  uint64_t places = exceptions_->count() + (gc_heap_ ? gc_heap_->counters().live_bytes / 16 : 0);
  for (const GroupMember* member : members_) places += member->exception_places();
  exceptions_->calls_put_off++;
  if (places > kPlacesACall * exceptions_->calls_put_off + kPlacesEach * exceptions_->made()) return false;
  if (gc_heap_) {
    gc_heap_->collect();
    return true;
  }
  exceptions_->collect([&](ExceptionHeap::Marker& marker) {
    for (const GroupMember* member : members_) member->mark_exceptions(marker);
  });
  return true;
}

std::optional<uintptr_t> LinkGroup::outermost_frame(uintptr_t here) {
  const ThreadState& thread = t_thread;
  const bool own_stack = here >= thread.stack_low && here < thread.stack_high;
  LinkGroup* me = &root();
  uintptr_t high = 0;
  for (const EntryRecord* record = thread.top; record; record = record->previous) {
    if (&record->group->root() != me) continue;
    if (!own_stack || record->frame() < here || record->frame() >= thread.stack_high) return std::nullopt;
    high = record->frame();
  }
  return high;
}

bool LinkGroup::knows_stack() {
  return outermost_frame(reinterpret_cast<uintptr_t>(__builtin_frame_address(0))).has_value();
}

[[gnu::noinline]] void LinkGroup::scan_stack(const std::function<void(uintptr_t low, uintptr_t high)>& scan) {
  // The registers that callers may have references in lie on the stack, too, while this frame is there.
  __builtin_unwind_init();
  const uintptr_t high = outermost_frame(reinterpret_cast<uintptr_t>(__builtin_frame_address(0))).value_or(0);
  uintptr_t low;
  __asm__("mov %%rsp, %0" : "=r"(low));
  if (high != 0) scan(low, high);
}

void LinkGroup::add_roots(memory::ExactRoots& roots) {
  for (const GroupMember* member : members_) member->add_roots(*gc_heap_, roots);
}

void LinkGroup::mark_exceptions() {
  exceptions_->mark([this](ExceptionHeap::Marker& marker) { mark_roots(marker); });
}

void LinkGroup::mark_roots(ExceptionHeap::Marker& marker) {
  for (const GroupMember* member : members_) member->mark_exceptions(marker);
  scan_stack([&](uintptr_t low, uintptr_t high) { marker.stack(low, high); });
  marker.word(activation_.thrown.ref);
  visit_thrown([&](uint64_t word) { marker.word(word); });
}

void LinkGroup::visit_thrown(const std::function<void(uint64_t word)>& visit) {
  // It may be on its way, or long over: then its tag and payload are there all the same, for an exception that was
  // thrown as a value counts as referred to, and what host and instances throw stays until the next one or the call's
  // end.
  const code::Thrown& thrown = activation_.thrown;
  if (!thrown.tag) return;
  for (uint32_t i = 0; i < payload_words(static_cast<const TagImpl*>(thrown.tag)->type); ++i) visit(thrown.payload[i]);
}

void LinkGroup::collect() {
  LinkGroup& group = root();
  if (group.gc_heap_ || group.exceptions_) group.collect_within_call();
}

void LinkGroup::collect_within_call() {
  if (!knows_stack()) return;
  if (gc_heap_) return gc_heap_->collect();
  exceptions_->collect([this](ExceptionHeap::Marker& marker) { mark_roots(marker); });
}

Result<void> LinkGroup::use_heap(GroupMember& member, const memory::HeapOptions& options,
                                 std::shared_ptr<const memory::Image> image) {
  LinkGroup& group = root();
  if (group.gc_heap_ && image)
    return fail(ErrorKind::unsupported, "the snapshot's heap can't be joined with that of what the instance imports");
  if (!group.gc_heap_) {
    ROTOR_TRY(group.gc_heap_, GcHeap::create(group, options, std::move(image)));
    group.gc_heap_->belong_to(group);
  }
  return member.use_heap(*group.gc_heap_);
}

void LinkGroup::remove_hold(HeldObject& hold) {
  locked([&](LinkGroup& group) {
    if (group.gc_heap_) group.gc_heap_->remove_hold(hold);
  });
}

Result<void> LinkGroup::check_heaps(LinkGroup& into, LinkGroup& from) {
  if (!from.gc_heap_ || !into.gc_heap_) return {};
  bool runs = false;
  for (const EntryRecord* record = t_thread.top; record; record = record->previous)
    runs |= &record->group->root() == &from;
  // Code that runs knows where its heap is.
  if (from.gc_heap_->is_untouched() && !runs) return {};
  return fail(ErrorKind::invalid_argument,
              "two instances can't be linked that have objects in garbage-collected heaps of their own");
}

Result<void> LinkGroup::join_heaps(LinkGroup& into, LinkGroup& from) {
  if (!from.gc_heap_) return {};
  if (!into.gc_heap_) {
    into.gc_heap_ = std::move(from.gc_heap_);
    into.gc_heap_->belong_to(into);
    return {};
  }
  for (GroupMember* member : from.members_) ROTOR_CHECK(member->use_heap(*into.gc_heap_));
  into.gc_heap_->adopt(*from.gc_heap_);
  from.gc_heap_.reset();
  return {};
}

/// Called when the inside thread leaves: the interrupt that ended its calls is over.
void LinkGroup::settle() {
  const bool is_put_off = exceptions_ && exceptions_->made() && !collect_between_calls();
  std::lock_guard lock(mutex_);
  unsettled_.store(is_put_off);
  set_stop(stop_.load() & ~(std::exchange(delivered_, false) ? kWithdrawn | kInterrupt : kWithdrawn));
}

bool LinkGroup::stopped_at(bool fits_stack) {
  uint32_t stop = root().stop_.load(std::memory_order_acquire);
  return stop & kStop || (stop & kWithdrawn && fits_stack);
}

bool LinkGroup::begin_wait(Sleeper& sleeper) {
  LinkGroup& group = root();
  std::lock_guard lock(group.mutex_);
  if (group.stop_.load() & kStop) return false;
  group.sleeper_ = &sleeper;
  return true;
}

void LinkGroup::end_wait() {
  // This is the same root as in begin_wait: only a thread that is inside can merge, and this one slept.
  LinkGroup& group = root();
  std::lock_guard lock(group.mutex_);
  group.sleeper_ = nullptr;
}

Result<void> LinkGroup::check_stoppable(Promptness promptness) const {
  if (is_freed()) return fail(ErrorKind::stale_handle, "the instance is gone");
  if (promptness == Promptness::sure && uninterruptible_)
    return fail(ErrorKind::invalid_argument,
                "code of the instance, or of one that it is linked to, was compiled without Config::interruptible");
  return {};
}

Result<void> LinkGroup::interrupt(Promptness promptness) {
  return locked([&](LinkGroup& group) -> Result<void> {
    ROTOR_CHECK(group.check_stoppable(promptness));
    group.set_stop(group.stop_.load() | kInterrupt);
    return {};
  });
}

void LinkGroup::cancel_interrupt() {
  locked([](LinkGroup& group) { group.withdraw_stop(kInterrupt); });
}

Result<void> LinkGroup::set_deadline(Clock::time_point deadline, const std::shared_ptr<Watchdog>& watchdog) {
  return locked([&](LinkGroup& group) -> Result<void> {
    bool clears = deadline == Clock::time_point::max();
    ROTOR_CHECK(group.check_stoppable(clears ? Promptness::best_effort : Promptness::sure));
    if (!group.watchdog_) group.watchdog_ = watchdog;
    // If there is no thread to watch the deadline, nothing changes.
    ROTOR_CHECK(group.watchdog_->watch(group.shared_from_this(), deadline));
    group.deadline_ = deadline;
    if (deadline <= Clock::now())
      group.set_stop(group.stop_.load() | kDeadline);
    else
      group.withdraw_stop(kDeadline);
    return {};
  });
}

void LinkGroup::check_deadline() {
  locked([](LinkGroup& group) {
    if (group.deadline_ <= Clock::now()) group.set_stop(group.stop_.load() | kDeadline);
  });
}

void LinkGroup::lose_watchdog_thread() {
  locked([](LinkGroup& group) {
    for (const EntryRecord* record = t_thread.top; record; record = record->previous) {
      if (&record->group->root() != &group) continue;
      // Nobody would stop the call at its deadline.
      group.set_stop(group.stop_.load() | kDeadline);
      return;
    }
    // No entry has this limit, so the next one calls change_limit, which sees to a thread.
    group.activation_.stack_limit.store(code::kInterruptLimit);
  });
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
