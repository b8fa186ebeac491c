// What tests share that look at a forked child.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rotor::memory::test {

/// Why a sanitized process can't have children that go on with what other threads were at; nullptr: it can.
inline const char* why_no_child() {
#if defined(__SANITIZE_THREAD__)
  return "ThreadSanitizer ends a child that starts threads";
#elif defined(__SANITIZE_ADDRESS__)
  return "AddressSanitizer's allocator stays locked in a child, if another thread was in it";
#else
  return nullptr;
#endif
}

/// What `body` returns in a child: false, a signal or no end within a minute is a failure.
template <class Body>
testing::AssertionResult in_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return testing::AssertionFailure() << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) != 0) return testing::AssertionFailure() << "status " << WEXITSTATUS(status);
  return testing::AssertionSuccess();
}

}  // namespace rotor::memory::test
