#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "tools/rotor/output.h"
#include "tools/rotor/stop_request.h"

namespace rotor::cli {
namespace {

std::atomic<bool> g_takes_requests{false}, g_asked{false};
std::atomic<int> g_scopes{0};   // of EndsLater
std::atomic<int> g_waiting{0};  // the signal that came in one; 0: none
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);  // for the handler

/// Ends the process as the signal would have. Async-signal-safe.
void end_by(int signal) {
  if (shows_progress()) (void)!write(STDERR_FILENO, kEraseLine, sizeof kEraseLine - 1);
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  raise(signal);  // in a handler it waits until that returns
}

void handle_end(int signal) {
  if (signal == SIGINT && g_takes_requests.exchange(false)) {
    g_asked = true;
  } else if (g_scopes > 0) {
    g_waiting = signal;
    if (g_scopes == 0) end_by(signal);  // the last scope ended in between, and may not have seen it
  } else {
    end_by(signal);
  }
}

}  // namespace

void take_end_signals() {
  struct sigaction action{};
  action.sa_handler = handle_end;
  // The thread that gets it may be a guest's, with little stack left.
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before{};
    if (sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      (void)sigaction(signal, &action, nullptr);
  }
}

EndsLater::EndsLater() { ++g_scopes; }

EndsLater::~EndsLater() {
  if (--g_scopes > 0) return;
  if (const int signal = g_waiting) end_by(signal);
}

void take_stop_requests() { g_takes_requests = true; }

bool stop_was_asked() { return g_asked; }

}  // namespace rotor::cli
