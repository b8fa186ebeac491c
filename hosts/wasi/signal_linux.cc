#include "hosts/wasi/signal_linux.h"

#include <cerrno>
#include <csignal>
#include <ctime>

namespace rotor::wasi {
namespace {

sigset_t sigpipe_only() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}

}  // namespace

NoSigpipe::NoSigpipe() {
  const sigset_t set = sigpipe_only();
  sigset_t old;
  pthread_sigmask(SIG_BLOCK, &set, &old);
  was_blocked_ = sigismember(&old, SIGPIPE);
}

NoSigpipe::~NoSigpipe() {
  if (was_blocked_) return;
  const int kept = errno;
  const sigset_t set = sigpipe_only();
  const timespec none{};
  // A write sends it to this thread, so it is there if it was sent.
  if (kept == EPIPE) (void)sigtimedwait(&set, nullptr, &none);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  errno = kept;
}

}  // namespace rotor::wasi
