// For tests: makes a call on memories' address space fail, so that every way back can be tried. Compiled in always;
// when off, it costs one relaxed load beside a system call.
#pragma once

#include <atomic>
#include <cstdint>

namespace rotor::memory::fault_injection {

enum class Scope : uint8_t { this_thread, all_threads };

/// From now on the n-th call counts down to failure (1: the next one) and fails once, as if the system had no memory.
/// Counted are the system calls behind reserve, commit, discard, decommit, MemoryFile and the mappings of one (os.h).
/// UINT64_MAX: only count.
void fail_after(uint64_t n, Scope scope = Scope::this_thread);
/// Back to normal.
void off();
/// Calls in scope since fail_after.
uint64_t calls();

namespace detail {
extern std::atomic<bool> armed;
bool count_call();
}  // namespace detail

/// Whether the call that is about to be made has to fail instead, with errno = ENOMEM.
inline bool fails_now() { return detail::armed.load(std::memory_order_relaxed) && detail::count_call(); }

}  // namespace rotor::memory::fault_injection
