// The gate, by itself: what threads read of it that may be gone, and a system that refuses barriers.
#include "proxy/gate.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <thread>

#include "memory/testing/child.h"
#include "memory/testing/perturb.h"

namespace rotor::proxy {
namespace {

using memory::test::in_child;

using namespace std::chrono_literals;
using memory::test::Perturbed;

class GateTest : public testing::Test {
 protected:
  GateTest() { gate_.exchange(guest()); }
  std::unique_ptr<LiveGuest> guest() { return std::make_unique<LiveGuest>(plan_); }
  /// Exchanges under whoever can be exchanged under.
  Gate::Force always() {
    return {.wanted = [] { return true; }, .exchange = [this](LiveGuest&, Holder&) { return guest(); }};
  }
  /// Comes in, may be exchanged under for as long as `inside` takes, and leaves.
  template <class Inside>
  bool take_a_turn(const Gate::Force& force, Inside&& inside) {
    EXPECT_EQ(gate_.enter(force), Gate::Entry::came_in);
    Holder& holder = gate_.mine();
    EXPECT_EQ(inside_.fetch_add(1), 0) << "two are in at once";
    inside_.fetch_sub(1);
    gate_.allow_exchange(holder);
    inside();
    const bool alive = gate_.close(holder);
    gate_.leave(holder);
    if (alive)
      gate_.open();
    else
      gate_.end_retired(holder);
    return alive;
  }

  Plan plan_;
  Gate gate_;
  std::atomic<int> inside_ = 0;
};

// A thread that comes looks at who is in; that one may have been exchanged under since, and have left.
TEST_F(GateTest, WhoComesReadsAHolderThatHasLeft) {
  Perturbed perturbed;
  std::atomic<int> exchanged = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([&, i] {
      const Gate::Force force = always();
      while (perturbed.goes_on()) {
        const bool alive = take_a_turn(force, [&] {
          if (i % 2)
            std::this_thread::sleep_for(1500us);
          else
            std::this_thread::yield();
        });
        if (!alive) exchanged++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(exchanged, 0);
  EXPECT_EQ(gate_.draining(), 0u);
  EXPECT_TRUE(gate_.is_free());
}

// ---- a system that refuses membarrier after the gate was made -------------------------------------------------------

void deny_barriers() {
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{std::size(filter), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("seccomp");
    _exit(2);
  }
}

TEST_F(GateTest, NoWakeUpIsLostWithoutBarriers) {
  EXPECT_TRUE(in_child([&] {
    deny_barriers();
    const Gate::Force never{.wanted = [] { return false; }, .exchange = {}};
    constexpr int kRounds = 20000;
    std::atomic<int> a = 0, b = 0;
    auto turn = [&] {
      gate_.enter(never);
      gate_.leave(gate_.mine());
    };
    // One opens the gate just when the other finds it taken.
    std::thread other([&] {
      for (int round = 1; round <= kRounds; round++) {
        while (a < round) std::this_thread::yield();
        turn();
        gate_.open();
        b = round;
      }
    });
    for (int round = 1; round <= kRounds; round++) {
      turn();
      a = round;
      for (int k = 0; k < round % 64; k++) std::atomic_signal_fence(std::memory_order_seq_cst);
      gate_.open();
      while (b < round) std::this_thread::yield();
    }
    other.join();
    return gate_.is_free();
  }));
}

TEST_F(GateTest, NobodyIsExchangedUnderUnseenWithoutBarriers) {
  EXPECT_TRUE(in_child([&] {
    Perturbed perturbed;
    deny_barriers();
    std::atomic<int> exchanged = 0, wrong = 0;
    LiveGuest* volatile seen = nullptr;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
      threads.emplace_back([&, i] {
        const Gate::Force force = always();
        while (perturbed.goes_on()) {
          gate_.enter(force);
          Holder& holder = gate_.mine();
          for (int k = 0; k < 100; k++) {
            gate_.allow_exchange(holder);
            if (k == 50 && i % 2) std::this_thread::sleep_for(1500us);
            if (!gate_.close(holder)) break;
            // With the phase closed the active is this thread's own.
            LiveGuest* mine = &gate_.active();
            seen = mine;
            if (&gate_.active() != mine || seen != mine) wrong++;
          }
          gate_.leave(holder);
          if (holder.is_retired) {
            exchanged++;
            gate_.end_retired(holder);
          } else {
            gate_.open();
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (exchanged == 0) std::fprintf(stderr, "nothing was exchanged\n");
    return wrong == 0 && exchanged > 0 && gate_.is_free();
  }));
}

}  // namespace
}  // namespace rotor::proxy
