#include "runtime/enter/call.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "code/abi.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/func.h"
#include "runtime/enter/trap.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

namespace {

/// Bytes of stack that an entry itself takes before compiled code's first check: the frames of invoke and rotor_enter.
constexpr uint64_t kEntryFrameBytes = 4096;

/// Bytes of stack that the way to a host function takes: rotor_host_entry, rotor_host_dispatch and what converts
/// values.
constexpr uint64_t kHostEntryBytes = 2048;

/// Returns the bytes that the guest leaves free at the low end of a stack.
uint64_t reserve_of(const memory::os::StackRange& stack, const Limits& limits) {
  uint64_t wanted = std::min<uint64_t>(limits.host_stack_reserve_bytes, (stack.high - stack.low) / 4);
  return std::max(wanted, Limits::kLeastHostStackReserveBytes) + kHostEntryBytes + code::kUncheckedFrameBytes;
}

/// Returns the stack that `sp` lies in; nullopt if that is neither the thread's own nor a declared one.
std::optional<memory::os::StackRange> stack_of(ThreadState& thread, uintptr_t sp) {
  if (sp >= thread.stack_low && sp < thread.stack_high) [[likely]]
    return memory::os::StackRange{thread.stack_low, thread.stack_high};
  if (const memory::os::StackRange* fiber = find_fiber_stack(thread.fiber, sp)) return *fiber;
  return std::nullopt;
}

[[gnu::noinline, gnu::cold]] Error unknown_stack_error() {
  return Error(ErrorKind::invalid_argument,
               "the call is made on a stack that is not the thread's own: declare it with rotor::FiberStack");
}

/// Returns the address where the guest's stack ends: the reserve above the stack's low end, or stack_bytes below `sp`.
uint64_t stack_limit_of(const memory::os::StackRange& stack, const Limits& limits, uintptr_t sp) {
  uint64_t by_entry = sp > limits.stack_bytes ? sp - limits.stack_bytes : 0;
  return std::max<uint64_t>(by_entry, stack.low + reserve_of(stack, limits));
}

/// The argument words of a call, in the order of CallRegs and then of the guest's stack; kept on the host's stack
/// unless there are very many.
class CallWords {
 public:
  explicit CallWords(uint32_t stack_words) {
    if (stack_words > kFew) many_ = std::make_unique<uint64_t[]>(stack_words);
  }
  uint64_t* stack() { return many_ ? many_.get() : few_; }
  uint64_t& operator[](uint32_t word) {
    return word < CallRegs::kWords ? regs.words[word] : stack()[word - CallRegs::kWords];
  }
  CallRegs regs;

 private:
  static constexpr uint32_t kFew = 16;
  uint64_t few_[kFew];
  std::unique_ptr<uint64_t[]> many_;
};

uint64_t slot_of_word(const ValuePlace& place, uint64_t word) {
  return place.is32 ? static_cast<uint32_t>(word) : word;
}

void load_results(const CanonicalType& type, const code::Context& context, const CallRegs& regs, Slot* slots) {
  const uint64_t* words = type.result_words ? context.results : regs.words;
  for (size_t i = 0; i < type.results.size(); ++i)
    slots[i] = slot_of_word(type.results[i], words[type.results[i].word]);
}

[[gnu::noinline, gnu::cold]] Error error_of(EntryRecord& record) {
  if (!record.host_error && record.kind == TrapKind::interrupted) record.group->stop_was_delivered();
  std::span<const uintptr_t> pcs(record.pcs, record.pc_count);
  if (record.host_error) return host_error(std::move(*record.host_error), pcs);
  Error error = trap_error(record.kind, pcs);
  if (record.kind == TrapKind::out_of_fuel) {
    record.group->forgive_fuel();
    if (!record.group->was_fuelled())
      error.message += ": none was given (Instance::set_fuel, InstanceOptions::fuel)";
  }
  return error;
}

/// Returns the error of a call that was stopped before it began: its backtrace is the function alone.
[[gnu::noinline, gnu::cold]] Error stopped_error(const code::FuncRef& ref) {
  auto pc = reinterpret_cast<uintptr_t>(ref.code);
  return trap_error(TrapKind::interrupted, {&pc, 1});
}

}  // namespace

namespace {

/// Puts the guest's floating-point control in force, whose code depends on it. Returns true.
[[gnu::noinline]] bool begin_floats(EntryRecord& record) {
  record.host_float_control = FloatControl::get();
  if (record.host_float_control != FloatControl::kGuest) [[unlikely]]
    FloatControl::set(FloatControl::kGuest);
  return true;
}

/// Writes an entry's record, whose limits are set, and makes it the thread's innermost one. Returns true, for callers
/// to return.
bool put_on_top(EntryRecord& record, ThreadState& thread, LinkGroup& group, bool uses_floats) {
  record.previous = thread.top;
  record.group = &group;
  record.uses_floats = uses_floats;
  record.host_float_control = FloatControl::kGuest;
  thread.top = &record;
  return !uses_floats || begin_floats(record);
}

/// Does what `begin` does if the thread calls again from the same place, and finds everything as it was. (Limits are of
/// the instance: one that came in place of another has a group that has none in force yet.) `root` is the group's.
/// Returns false if nothing was done.
bool begin_again(EntryRecord& record, ThreadState& thread, LinkGroup& group, const LinkGroup& root,
                 const code::FuncRef& ref, uintptr_t sp) {
  if (thread.last_sp != sp || thread.last_context != ref.context || !root.has_limit(thread.last_limit)) return false;
  record.stack_low = thread.stack_low;
  record.stack_limit = thread.last_limit;
  return put_on_top(record, thread, group, root.uses_floats());
}

/// Prepares an entry on the stack at `sp`, for a function with so many words of arguments there. Returns false if it
/// can't be made; the record then has the error. Pre: the thread is inside the group.
bool begin(EntryRecord& record, ThreadState& thread, LinkGroup& group, const code::FuncRef& ref, uintptr_t sp,
           uint32_t stack_words) {
  LinkGroup& root = group.root();
  if (stack_words == 0 && begin_again(record, thread, group, root, ref, sp)) return true;
  if (!thread.ready) [[unlikely]] {
    if (auto ready = prepare_thread(thread); !ready) {
      record.host_error = std::move(ready).error();
      return false;
    }
  }
  const std::optional<memory::os::StackRange> stack = stack_of(thread, sp);
  if (!stack) [[unlikely]] {
    record.host_error = unknown_stack_error();
    return false;
  }
  const auto* instance = static_cast<const InstanceImpl*>(ref.context->instance);
  record.stack_low = stack->low;
  record.stack_limit = stack_limit_of(*stack, instance->options.limits, sp);
  // Where guest and host call each other in turn, the stack overflows here, not in a host function.
  if (sp < record.stack_limit + kEntryFrameBytes + stack_words * 8) [[unlikely]] {
    record.host_error = trap_error(TrapKind::stack_overflow);
    return false;
  }
  if (!root.begin_call(record.stack_limit)) [[unlikely]] {
    record.host_error = stopped_error(ref);
    return false;
  }
  if (record.stack_low == thread.stack_low) {
    thread.last_sp = sp;
    thread.last_context = ref.context;
    thread.last_limit = record.stack_limit;
  }
  return put_on_top(record, thread, group, root.uses_floats());
}

/// Ends an entry whose guest returned, or was left.
void end(EntryRecord& record, ThreadState& thread, LinkGroup& group) {
  if (record.host_float_control != FloatControl::kGuest) [[unlikely]]
    FloatControl::set(record.host_float_control);
  thread.top = record.previous;
  if (!record.previous) [[likely]]
    return;
  // The entry around this one goes on with its own stack limit. Groups may have merged meanwhile.
  LinkGroup& root = group.root();
  for (EntryRecord* outer = record.previous; outer; outer = outer->previous) {
    if (&outer->group->root() != &root) continue;
    root.resume_call(outer->stack_limit);
    break;
  }
}

}  // namespace

Result<void> invoke(LinkGroup& group, const code::FuncRef& ref, Slot* slots) {
  ThreadState& thread = t_thread;
  const CanonicalType& type = CanonicalType::of(ref.type);
  EntryRecord record;
  auto sp = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (!begin(record, thread, group, ref, sp, type.stack_words)) [[unlikely]]
    return std::unexpected(std::move(*record.host_error));
  CallWords words(type.stack_words);
  for (size_t i = 0; i < type.params.size(); ++i) words[type.params[i].word] = slots[i];
  uint64_t left = rotor_enter(ref.code, ref.context, &words.regs, words.stack(), type.shape, &record.saved_sp);
  end(record, thread, group);
  if (left) [[unlikely]]
    return std::unexpected(error_of(record));
  load_results(type, *ref.context, words.regs, slots);
  return {};
}

namespace {

/// What the library keeps of a typed call: detail::CallFrame. entry_x86_64.S knows where the first three are.
struct DirectCall {
  const void* code;
  code::Context* context;
  EntryRecord record;
  LinkGroup* group;  ///< null: the thread is not inside
};
static_assert(sizeof(DirectCall) <= detail::CallFrame::kBytes && alignof(DirectCall) <= 16);
static_assert(offsetof(DirectCall, code) == 0 && offsetof(DirectCall, context) == 8 &&
              offsetof(DirectCall, record) == 16 && offsetof(EntryRecord, saved_sp) == 0);

DirectCall& call_of(detail::CallFrame& frame) { return *reinterpret_cast<DirectCall*>(frame.bytes); }

/// Returns a place on the stack that the call is made on, less than kEntryFrameBytes above where it will be.
uintptr_t sp_of(const DirectCall& call) { return reinterpret_cast<uintptr_t>(&call); }

/// Begins a call into a group that is not biased to this thread.
[[gnu::noinline]] bool begin_slowly(DirectCall& call, ThreadState& thread, LinkGroup* group, const code::FuncRef* ref) {
  call.group = nullptr;
  Result<void> entered = group ? group->enter() : gone();
  if (!entered) {
    call.record.host_error = std::move(entered).error();
    return false;
  }
  call.group = group;
  call.code = ref->code;
  call.context = ref->context;
  return begin(call.record, thread, *group, *ref, sp_of(call), 0);
}

/// Ends a call that is not the thread's outermost, left the guest early, or changed the floating-point control.
[[gnu::noinline]] bool end_slowly(DirectCall& call, ThreadState& thread, uint64_t left) {
  end(call.record, thread, *call.group);
  if (left) {
    call.record.host_error = error_of(call.record);
    return false;
  }
  call.group->leave_call(thread);
  return true;
}

}  // namespace

}  // namespace rotor::runtime

namespace rotor::detail {

using namespace runtime;  // NOLINT: this is the library's own part of a public header

bool begin_call(CallFrame& frame, const Handle& func) {
  auto& call = *new (frame.bytes) DirectCall;
  ThreadState& thread = t_thread;
  LinkGroup* group = group_of(func);
  const code::FuncRef* ref = func_ref_of(func);
  if (!group || !group->enter_quickly(thread)) [[unlikely]]
    return begin_slowly(call, thread, group, ref);
  call.group = group;
  call.code = ref->code;
  call.context = ref->context;
  // A group that is entered quickly is a root.
  return begin_again(call.record, thread, *group, *group, *ref, sp_of(call)) ||
         begin(call.record, thread, *group, *ref, sp_of(call), 0);
}

bool end_call(CallFrame& frame, uint64_t left) {
  DirectCall& call = call_of(frame);
  ThreadState& thread = t_thread;
  if (left || call.record.previous || call.record.host_float_control != FloatControl::kGuest) [[unlikely]]
    return end_slowly(call, thread, left);
  thread.top = nullptr;
  call.group->leave_call(thread);
  return true;
}

Error take_error(CallFrame& frame) {
  DirectCall& call = call_of(frame);
  Error error = std::move(*call.record.host_error);
  if (call.group) call.group->leave_call(t_thread);
  call.~DirectCall();
  return error;
}

}  // namespace rotor::detail

namespace rotor::runtime {

void* leave_with_error(EntryRecord& record, uintptr_t frame) {
  record.pc_count = walk_frames(record, frame, record.pcs, Trap::kMaxFrames);
  return record.saved_sp;
}

uint32_t walk_frames(const EntryRecord& record, uintptr_t frame, uintptr_t* pcs, uint32_t capacity) {
  uint32_t count = 0;
  uintptr_t end = record.frame();
  // Each frame lies above the one before and below the entry's; anything else is no chain of guest frames. The frame
  // that compiled code was entered by returns into rotor_enter and is not counted.
  for (uintptr_t inner = frame - 1; count < capacity && frame > inner && frame < end && frame % 8 == 0;) {
    const auto* words = reinterpret_cast<const uintptr_t*>(frame);
    if (words[0] == end) break;
    pcs[count++] = words[1];
    inner = frame;
    frame = words[0];
  }
  return count;
}

}  // namespace rotor::runtime
