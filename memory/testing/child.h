// What tests share that look at a forked child.
#pragma once

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <vector>

namespace rotor::memory::test {

/// Has the body of a child return false unless the condition holds, and say so: gtest's macros say nothing there.
#define EXPECT_HERE(condition)                                             \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      return false;                                                        \
    }                                                                      \
  } while (0)

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

/// What `body` returns in a child: false, a signal or no end within four minutes is a failure.
template <class Body>
testing::AssertionResult in_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(240);  // below the time limit of a test: one that hangs ends by itself, one on a loaded machine does not
    // What throws must not go on with the parent's other tests.
    try {
      _exit(body() ? 0 : 1);
    } catch (const std::exception& thrown) {
      std::fprintf(stderr, "thrown: %s\n", thrown.what());
      _exit(3);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return testing::AssertionFailure() << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) != 0) return testing::AssertionFailure() << "status " << WEXITSTATUS(status);
  return testing::AssertionSuccess();
}

/// Has the kernel do `named` for these calls of the system from now on, and `others` for all others (SECCOMP_RET_...).
/// Holds for the calling thread and those that it starts.
inline void filter_calls(std::initializer_list<long> calls, uint32_t named, uint32_t others) {
  std::vector<sock_filter> filter = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (long call : calls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, named));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, others));
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("seccomp");
    _exit(2);
  }
}

/// Has the kernel refuse calls.
inline void deny(std::initializer_list<long> calls, int error = EPERM) {
  filter_calls(calls, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error), SECCOMP_RET_ALLOW);
}
/// Has the kernel refuse new threads.
inline void deny_threads() { deny({SYS_clone3, SYS_clone}, EAGAIN); }
/// Has every call but the end of the process be that: SIGSYS.
inline void deny_all_calls() { filter_calls({SYS_exit_group}, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS); }

}  // namespace rotor::memory::test
