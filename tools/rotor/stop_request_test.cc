#include "tools/rotor/stop_request.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

namespace rotor::cli {
namespace {

/// Runs `child` in a process of its own and returns how that ended, as waitpid tells it.
template <class Child>
int status_of(Child child) {
  const pid_t pid = fork();
  if (pid == 0) {
    take_end_signals();
    child();
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

bool ended_by(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

TEST(StopRequest, SignalsEndTheProcess) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    EXPECT_TRUE(ended_by(status_of([&] { raise(signal); }), signal)) << signal;
}

TEST(StopRequest, SignalsWaitForTheLastScope) {
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_NONBLOCK), 0);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const int status = status_of([&] {
      EndsLater outer;
      {
        EndsLater inner;
        // Whichever thread gets it.
        std::thread([&] { kill(getpid(), signal); }).join();
        (void)!write(pipe_ends[1], "1", 1);
      }
      (void)!write(pipe_ends[1], "2", 1);
    });
    EXPECT_TRUE(ended_by(status, signal)) << signal;
    char written[2] = {};
    ASSERT_EQ(read(pipe_ends[0], written, 2), 2);
    EXPECT_EQ(std::string_view(written, 2), "12");
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST(StopRequest, WithoutASignalAScopeEndsNothing) {
  EXPECT_EQ(status_of([] { EndsLater scope; }), 0);
}

TEST(StopRequest, TheFirstInterruptIsARequest) {
  const int status = status_of([] {
    take_stop_requests();
    if (stop_was_asked()) _exit(1);
    raise(SIGINT);
    if (!stop_was_asked()) _exit(2);
    raise(SIGINT);
  });
  EXPECT_TRUE(ended_by(status, SIGINT)) << status;
}

TEST(StopRequest, WhatIsIgnoredStaysIgnored) {
  signal(SIGHUP, SIG_IGN);
  EXPECT_EQ(status_of([] { raise(SIGHUP); }), 0);
  signal(SIGHUP, SIG_DFL);
}

}  // namespace
}  // namespace rotor::cli
