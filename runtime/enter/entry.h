// The passage between C++ and compiled code (entry_x86_64.S), and what is kept of each entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "code/abi.h"
#include "rotor/result.h"
#include "rotor/trap.h"
#include "runtime/enter/thread.h"

namespace rotor::runtime {

class LinkGroup;

/// Register arguments on the way in, register results on the way out. entry_x86_64.S knows this layout.
/// Arguments: words 0-5 are rdi rsi rdx rcx r8 r9, 6-21 are xmm0-7, two words each. Results: words 0-3 are rax rdx rcx
/// r8, 6-13 xmm0-3.
struct alignas(16) CallRegs {
  static constexpr uint32_t kGprs = 6;
  static constexpr uint32_t kFirstXmm = 6;
  static constexpr uint32_t kXmms = 8;
  static constexpr uint32_t xmm(uint32_t index) { return kFirstXmm + 2 * index; }
  static constexpr uint32_t kWords = kGprs + 2 * kXmms;
  uint64_t words[kWords];
};
static_assert(sizeof(CallRegs) == 176);

/// Returns what rotor_enter has to know of a signature: twice the number of argument words on the stack, plus 1 if
/// whole vectors are among the arguments in registers. Floats are loaded by halves: a load of the whole would wait for
/// the store of a half to leave the processor's store buffer.
constexpr uint64_t entry_shape(uint32_t stack_words, bool vectors) { return uint64_t{stack_words} * 2 + vectors; }

extern "C" {
/// Calls `code` with `context` as swiftself; `shape`: entry_shape. Returns 0, with results in `regs`; 1 if a trap or a
/// failing host function left through rotor_enter_landing.
uint64_t rotor_enter(const void* code, code::Context* context, CallRegs* regs, const uint64_t* stack_args,
                     uint64_t shape, void** saved_sp);
/// The address where the trap handler continues, with rsp = saved_sp. Not a function.
void rotor_enter_landing();
/// Leaves the guest for rotor_enter_landing. Pre: no frame up to the guest's has anything to clean up.
[[noreturn]] void rotor_leave(void* saved_sp);
/// The entries of host functions: of every one, and of those that have neither floats nor vectors nor arguments on the
/// stack. Not callable from C++.
void rotor_host_entry();
void rotor_host_entry_ints();
/// The target of the stubs of functions without code (code/stubs.h). Not callable from C++.
void rotor_lazy_entry();
/// The target of tail calls that a jump alone can't do (code/abi.h). Not callable from C++.
void rotor_tail_call();
}

/// rotor_enter's frame pointer lies this far above saved_sp: six pushes.
inline constexpr uintptr_t kSavedSpToFrame = 48;

/// The control bits of MXCSR: which exceptions are masked, how results are rounded, whether denormals count as zero.
/// The guest has its own, on which its results depend, and the host has its own outside of the guest and in host
/// functions. The flags beside them are common to both. Reading the register takes 7 ns (AMD Zen 3), loading it longer:
/// it is loaded only to change them, and not even read for a guest that computes no floats.
struct FloatControl {
  static constexpr uint32_t kMask = 0xffc0;
  static constexpr uint32_t kGuest = 0x1f80;  ///< exceptions masked, to nearest, denormals kept: as a process begins

  static uint32_t get() { return __builtin_ia32_stmxcsr() & kMask; }
  static void set(uint32_t control) { __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~kMask) | control); }
};

/// One entry from the host into compiled code, on the entering thread's stack.
struct EntryRecord {
  EntryRecord() {}  // NOLINT: what begins an entry writes the rest, as far as it has to
  void* saved_sp;
  EntryRecord* previous;
  LinkGroup* group;  ///< the group that was entered; by now it may be part of its root
  uint64_t stack_limit;
  uintptr_t stack_low;  ///< of the stack that the entry is on
  bool uses_floats;     ///< LinkGroup::uses_floats; else the host's control is left in force
  uint32_t host_float_control;
  std::optional<Error> host_error;

  // Written by what leaves the guest early:
  TrapKind kind;
  uint32_t pc_count;
  uintptr_t pcs[Trap::kMaxFrames];  ///< the first is the trap's, the others are return addresses

  uintptr_t frame() const { return reinterpret_cast<uintptr_t>(saved_sp) + kSavedSpToFrame; }
};

/// A scope of host code within a guest's call: it runs with the host's floating-point control, which it may change.
class HostScope {
 public:
  explicit HostScope(EntryRecord& record) : record_(record) {
    if (record.host_float_control != FloatControl::kGuest) [[unlikely]]
      FloatControl::set(record.host_float_control);
  }
  ~HostScope() {
    if (!record_.uses_floats) return;
    record_.host_float_control = FloatControl::get();
    if (record_.host_float_control != FloatControl::kGuest) [[unlikely]]
      FloatControl::set(FloatControl::kGuest);
  }
  HostScope(const HostScope&) = delete;

 private:
  EntryRecord& record_;
};

/// Makes the calling thread able to enter compiled code: its stack is known, it has an alternate signal stack, and the
/// signals of traps are not blocked. Errors: io.
Result<void> prepare_thread(ThreadState& thread);

/// Collects return addresses of compiled code by frame pointers, from the frame at `frame` outwards, up to the entry's.
/// Async-signal-safe: touches the stack between `frame` and the entry's frame only. Returns their number.
/// Pre: `frame` is not below the stack pointer.
uint32_t walk_frames(const EntryRecord& record, uintptr_t frame, uintptr_t* pcs, uint32_t capacity);
/// Ends the entry's call with the record's host_error, which is set. `frame` is the frame of what the guest called.
/// Returns the stack pointer to leave the guest to.
[[gnu::cold]] void* leave_with_error(EntryRecord& record, uintptr_t frame);

}  // namespace rotor::runtime
