#include <signal.h>

#include <atomic>

#include "tools/rotor/stop_request.h"

namespace rotor::cli {
namespace {

std::atomic<bool> g_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // as a signal handler needs it

}  // namespace

void take_stop_requests() {
  struct sigaction action{};
  action.sa_handler = [](int) { g_asked.store(true, std::memory_order_relaxed); };
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigemptyset(&action.sa_mask);
  (void)sigaction(SIGINT, &action, nullptr);
}

bool stop_was_asked() { return g_asked.load(std::memory_order_relaxed); }

}  // namespace rotor::cli
