// For tests: makes one of the calls on memories' address space fail, so that every way back from a failure can be
// tried. Compiled in always; when off, it costs one relaxed load beside a system call.
#pragma once

#include <atomic>
#include <cstdint>

namespace rotor::memory::fault_injection {

enum class Scope : uint8_t { this_thread, all_threads };

/// Makes the n-th call from now on (1: the next one) fail once, as if the system had no memory. Counted are the system
/// calls behind reserve, commit, discard, decommit, MemoryFile and the mappings of one (os.h). UINT64_MAX: only count.
void fail_after(uint64_t n, Scope scope = Scope::this_thread);
/// Ends the counting; no call fails any more.
void off();
/// Returns the number of calls in scope since fail_after.
uint64_t calls();

namespace detail {
extern std::atomic<bool> armed;
bool count_call();
}  // namespace detail

/// Returns whether the call that is about to be made has to fail instead, with errno = ENOMEM.
inline bool fails_now() { return detail::armed.load(std::memory_order_relaxed) && detail::count_call(); }

}  // namespace rotor::memory::fault_injection
