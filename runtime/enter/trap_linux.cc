// Signals: turns a guest's fault into a trap.
#include <signal.h>
#include <ucontext.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "code/abi.h"
#include "code/region_table.h"
#include "memory/fork.h"
#include "memory/os.h"
#include "runtime/engine.h"
#include "runtime/enter/entry.h"
#include "runtime/store/bias.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

thread_local constinit ThreadState t_thread __attribute__((tls_model("initial-exec")));

namespace {

// SIGFPE is not among them: compiled code compares before it divides.
constexpr int kSignals[] = {SIGSEGV, SIGBUS};
/// The actions that were installed before Rotor's. Written before its handler can run.
struct sigaction g_previous[std::size(kSignals)];

/// A fault that is at most this far below the thread's stack can still be a probe of its guard.
constexpr uintptr_t kStackGuardReachBytes = 1 << 20;

/// Reads the kind of a trap site. What follows text is mapped, too (the run page), so reading 2 bytes is safe.
bool decode_trap_site(const uint8_t* code, TrapKind& kind) {
  if (code[0] != code::kTrapOpcode || code[1] - code::kTrapVector >= kTrapKindCount || code[1] < code::kTrapVector)
    return false;
  kind = static_cast<TrapKind>(code[1] - code::kTrapVector);
  return true;
}

/// Returns whether a fault is that of a guest's access; `kind` gets the kind of trap.
bool classify_access(const EntryRecord& record, uintptr_t address, TrapKind& kind) {
  // Safe to read: this thread is inside the group and in compiled code, so nobody changes the lists.
  for (const GroupMember* member : record.group->members()) {
    if (!member->has_memory_at(address)) continue;
    kind = TrapKind::out_of_bounds_memory;
    return true;
  }
  // Compiled code compares before it writes, so this is for a stack that does not go down as far as the system said.
  // Frames above a page are probed, so they fault in what lies below and do not jump over it.
  uintptr_t low = record.stack_low;
  if (address < record.stack_limit && address >= low - std::min(low, kStackGuardReachBytes)) {
    kind = TrapKind::stack_overflow;
    return true;
  }
  return false;
}

/// Returns whether the frame of a function that stopped at its entry would have fitted: its check leaves in r10 how far
/// down the frame reaches (jit/passes/stack_check.h). If that wrapped, it did not fit.
bool fits_stack(const gregset_t& registers, uint64_t limit) {
  auto low = static_cast<uint64_t>(registers[REG_R10]);
  return low >= limit && low <= static_cast<uint64_t>(registers[REG_RSP]);
}

/// Has the handler's return continue where the entry's call ends.
void leave(const EntryRecord& record, gregset_t& registers) {
  registers[REG_RSP] = reinterpret_cast<greg_t>(record.saved_sp);
  registers[REG_RIP] = reinterpret_cast<greg_t>(&rotor_enter_landing);
}

/// Turns a guest's fault into a trap. Returns whether the fault was a guest's.
bool take_trap(int signal, const siginfo_t& info, ucontext_t& context) {
  EntryRecord* record = t_thread.top;
  if (!record || info.si_code <= 0) return false;  // not inside a guest, or sent by somebody
  auto& registers = context.uc_mcontext.gregs;
  if (signal == SIGBUS && t_thread.copying_frame != 0) {
    const uintptr_t frame = std::exchange(t_thread.copying_frame, 0);
    record->kind = TrapKind::out_of_bounds_memory;
    record->pc_count = walk_frames(*record, frame, record->pcs, Trap::kMaxFrames);
    leave(*record, registers);
    return true;
  }
  auto pc = static_cast<uintptr_t>(registers[REG_RIP]);
  if (!code::find_code_region(pc)) return false;
  TrapKind kind;
  bool at_entry = false;
  if (signal == SIGSEGV && decode_trap_site(reinterpret_cast<const uint8_t*>(pc), kind)) {
    at_entry = kind == TrapKind::stack_overflow;
    // Function entries compare with one limit, whether it is the stack's or a stop's.
    if (at_entry && record->group->stopped_at(fits_stack(registers, record->stack_limit))) kind = TrapKind::interrupted;
  } else if (!classify_access(*record, reinterpret_cast<uintptr_t>(info.si_addr), kind)) {
    return false;
  }
  record->kind = kind;
  record->pcs[0] = pc;
  record->pc_count = 1;
  // A function that stopped at its entry has no frame yet: rbp is its caller's, and its return address is on top of the
  // stack. If the caller is rotor_enter, it is no frame of the guest's.
  if (at_entry && static_cast<uintptr_t>(registers[REG_RBP]) != record->frame())
    record->pcs[record->pc_count++] = *reinterpret_cast<const uintptr_t*>(registers[REG_RSP]);
  auto frame = static_cast<uintptr_t>(registers[REG_RBP]);
  if (frame >= static_cast<uintptr_t>(registers[REG_RSP]))
    record->pc_count +=
        walk_frames(*record, frame, record->pcs + record->pc_count, Trap::kMaxFrames - record->pc_count);
  leave(*record, registers);
  return true;
}

/// Does what would have happened without Rotor's handler.
void forward(int signal, siginfo_t* info, void* context) {
  struct sigaction* previous = nullptr;
  for (size_t i = 0; i < std::size(kSignals); ++i)
    if (kSignals[i] == signal) previous = &g_previous[i];
  bool with_info = previous->sa_flags & SA_SIGINFO;
  if (!with_info && (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN)) {
    // The kernel does not let a fault be ignored. The instruction runs again, and the default action ends the process
    // with its core; a signal that was sent is sent again.
    if (previous->sa_handler == SIG_IGN && info->si_code <= 0) return;
    struct sigaction fallback{};
    fallback.sa_handler = SIG_DFL;
    sigaction(signal, &fallback, nullptr);
    if (info->si_code <= 0) raise(signal);  // pending until this handler returns
    return;
  }
  struct sigaction handler = *previous;
  if (handler.sa_flags & SA_RESETHAND) {
    previous->sa_flags &= ~SA_SIGINFO;
    previous->sa_handler = SIG_DFL;
  }
  // The mask that the handler asked for, as the kernel would set it.
  sigset_t mask = handler.sa_mask, before;
  sigaddset(&mask, signal);
  pthread_sigmask(SIG_BLOCK, &mask, &before);
  if (handler.sa_flags & SA_NODEFER) {
    sigset_t self;
    sigemptyset(&self);
    sigaddset(&self, signal);
    pthread_sigmask(SIG_UNBLOCK, &self, nullptr);
  }
  if (with_info)
    handler.sa_sigaction(signal, info, context);
  else
    handler.sa_handler(signal);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void handle_signal(int signal, siginfo_t* info, void* context) {
  int saved_errno = errno;
  if (!take_trap(signal, *info, *static_cast<ucontext_t*>(context))) forward(signal, info, context);
  errno = saved_errno;
}

std::unexpected<Error> system_error(const char* what) {
  return fail(ErrorKind::io, std::string(what) + ": " + std::strerror(errno));
}

/// An alternate signal stack for a thread that has none that is large enough; given back when the thread ends.
class SignalStack {
 public:
  Result<void> ensure() {
    stack_t current{};
    if (sigaltstack(nullptr, &current) != 0) return system_error("sigaltstack");
    if (!(current.ss_flags & SS_DISABLE) && current.ss_size >= kEnoughBytes) return {};
    if (!base_) {
      ROTOR_TRY(base_, memory::os::reserve(kGuardBytes + kBytes));
      ROTOR_CHECK(memory::os::commit(base_ + kGuardBytes, kBytes));
    }
    stack_t own{};
    own.ss_sp = base_ + kGuardBytes;
    own.ss_size = kBytes;
    if (sigaltstack(&own, nullptr) != 0) return system_error("sigaltstack");
    return {};
  }
  ~SignalStack() {
    t_thread.ready = false;
    t_thread.last_sp = 0;  // an entry like the last one would not look whether the thread is ready
    if (BiasSeat* seat = std::exchange(t_thread.seat, nullptr)) {
      t_thread.bias_word = UINTPTR_MAX;
      give_bias_seat_back(*seat);
    }
    if (!base_) return;
    stack_t current{};
    if (sigaltstack(nullptr, &current) == 0 && current.ss_sp == base_ + kGuardBytes) {
      stack_t none{};
      none.ss_flags = SS_DISABLE;
      sigaltstack(&none, nullptr);
    }
    memory::os::release(base_, kGuardBytes + kBytes);
  }

 private:
  static constexpr size_t kBytes = 64 << 10;
  static constexpr size_t kGuardBytes = 4 << 10;
  /// A signal frame with AVX-512 state takes under 4 KiB, and Rotor's handler little more.
  static constexpr size_t kEnoughBytes = 16 << 10;
  uint8_t* base_ = nullptr;
};

}  // namespace

Result<void> prepare_thread(ThreadState& thread) {
  static thread_local SignalStack signal_stack;
  ROTOR_TRY(memory::os::StackRange stack, memory::os::thread_stack());
  ROTOR_CHECK(signal_stack.ensure());
  // A fault whose signal is blocked ends the process, and servers' threads block all signals.
  sigset_t ours;
  sigemptyset(&ours);
  for (int signal : kSignals) sigaddset(&ours, signal);
  if (int failed = pthread_sigmask(SIG_UNBLOCK, &ours, nullptr))
    return fail(ErrorKind::io, std::string("pthread_sigmask: ") + std::strerror(failed));
  if (!thread.seat && (thread.seat = take_bias_seat()))
    thread.bias_word = reinterpret_cast<uintptr_t>(thread.seat) | ThreadState::kBiased;
  thread.stack_low = stack.low;
  thread.stack_high = stack.high;
  thread.ready = true;
  return {};
}

Result<void> install_trap_handlers() {
  static std::mutex mutex;
  static bool installed = false;
  memory::ForkPass pass;
  std::lock_guard lock(mutex);
  if (installed) return {};
  struct sigaction action{};
  action.sa_sigaction = handle_signal;
  // The handler needs a stack of its own: the guest may have none left.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    // The old action is asked for before the installation, not with it, so that a fault of another thread in between
    // finds it.
    if (sigaction(kSignals[i], nullptr, &g_previous[i]) != 0 || sigaction(kSignals[i], &action, nullptr) != 0)
      return system_error("sigaction");
  }
  installed = true;
  return {};
}

}  // namespace rotor::runtime
