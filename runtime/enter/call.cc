#include "runtime/enter/call.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "code/abi.h"
#include "runtime/enter/canonical_type.h"
#include "runtime/enter/entry.h"
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
  return trap_error(record.kind, pcs);
}

/// Returns the error of a call that was stopped before it began: its backtrace is the function alone.
[[gnu::noinline, gnu::cold]] Error stopped_error(const code::FuncRef& ref) {
  auto pc = reinterpret_cast<uintptr_t>(ref.code);
  return trap_error(TrapKind::interrupted, {&pc, 1});
}

}  // namespace

Result<void> invoke(LinkGroup& group, const code::FuncRef& ref, Slot* slots) {
  ThreadState& thread = t_thread;
  if (!thread.ready) [[unlikely]]
    ROTOR_CHECK(prepare_thread(thread));
  const CanonicalType& type = CanonicalType::of(ref.type);
  const auto* instance = static_cast<const InstanceImpl*>(ref.context->instance);
  auto sp = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const std::optional<memory::os::StackRange> stack = stack_of(thread, sp);
  if (!stack) [[unlikely]]
    return std::unexpected(unknown_stack_error());

  EntryRecord record;
  record.previous = thread.top;
  record.group = &group;
  record.stack_low = stack->low;
  record.stack_limit = stack_limit_of(*stack, instance->options.limits, sp);
  // Where guest and host call each other in turn, the stack overflows here, not in a host function.
  if (sp < record.stack_limit + kEntryFrameBytes + type.stack_words * 8) [[unlikely]]
    return std::unexpected(trap_error(TrapKind::stack_overflow));

  if (!group.begin_call(record.stack_limit)) [[unlikely]]
    return std::unexpected(stopped_error(ref));

  CallWords words(type.stack_words);
  for (size_t i = 0; i < type.params.size(); ++i) words[type.params[i].word] = slots[i];
  thread.top = &record;
  record.host_float_control = FloatControl::get();
  if (record.host_float_control != FloatControl::kGuest) [[unlikely]]
    FloatControl::set(FloatControl::kGuest);
  uint64_t left = rotor_enter(ref.code, ref.context, &words.regs, words.stack(), type.shape, &record.saved_sp);
  if (record.host_float_control != FloatControl::kGuest) [[unlikely]]
    FloatControl::set(record.host_float_control);
  thread.top = record.previous;
  if (record.previous) {
    // The entry around this one goes on with its own stack limit. Groups may have merged meanwhile.
    LinkGroup& root = group.root();
    for (EntryRecord* outer = record.previous; outer; outer = outer->previous) {
      if (&outer->group->root() != &root) continue;
      root.resume_call(outer->stack_limit);
      break;
    }
  }
  if (left) [[unlikely]]
    return std::unexpected(error_of(record));
  load_results(type, *ref.context, words.regs, slots);
  return {};
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
