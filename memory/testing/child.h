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
#include <cstdio>
#include <iterator>

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

/// What `body` returns in a child: false, a signal or no end within four minutes is a failure.
template <class Body>
testing::AssertionResult in_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(240);  // below the time limit of a test: one that hangs ends by itself, one on a loaded machine does not
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return testing::AssertionFailure() << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) != 0) return testing::AssertionFailure() << "status " << WEXITSTATUS(status);
  return testing::AssertionSuccess();
}

/// Has the kernel refuse new threads from the calling one on.
inline void deny_threads() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{std::size(filter), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("seccomp");
    _exit(2);
  }
}

}  // namespace rotor::memory::test
