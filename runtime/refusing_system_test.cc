// Instances where the system refuses what they ask for, and what they ask it for at all.
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "memory/testing/child.h"
#include "rotor/wat.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using memory::test::deny;
using memory::test::deny_all_calls;
using memory::test::in_child;

constexpr const char* kNoMemory = R"((module (func (export "run") (result i32) (i32.const 7))))";
/// A memory that is cleaned by comparing.
constexpr const char* kOnePage = R"((module
  (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 1 4) (data (i32.const 1024) "\07\00\00\00")
  (func (export "run") (result i32) (call $host (i32.load (i32.const 1024))))
  (func (export "write") (param i32) (i32.store (i32.const 1024) (local.get 0)) (i32.store (i32.const 60000) (local.get 0)))
  (func (export "secret") (result i32) (i32.load (i32.const 60000)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "trap") unreachable)))";
/// One of 16 MiB, which is cleaned by a scan where the system has one.
constexpr const char* kManyPages = R"((module
  (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "memory") 256 300) (data (i32.const 1024) "\07\00\00\00")
  (func (export "run") (result i32) (call $host (i32.load (i32.const 1024))))
  (func (export "write") (param i32) (i32.store (i32.const 1024) (local.get 0)) (i32.store (i32.const 9000000) (local.get 0)))
  (func (export "secret") (result i32) (i32.load (i32.const 9000000)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "trap") unreachable)))";

class RefusingSystem : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* why = memory::test::why_no_child()) GTEST_SKIP() << why;
  }
  InstancePre link(const char* text) {
    Linker linker(engine_);
    linker.define("env", "host", [](int32_t v) { return v; });
    return must(linker.instantiate_pre(compile(engine_, must(wat_to_wasm(text)))));
  }

  /// Returns whether a value is right, or there is an error that is the system's to make.
  template <class T, class U>
  static bool right_or_refused(const Result<T>& result, const U& wanted) {
    if (result) return *result == wanted;
    refused_++;
    return result.error().kind == ErrorKind::io || result.error().kind == ErrorKind::limit;
  }
  /// Calls everything of an instance, and leaves a secret in it.
  static bool use(const Instance& instance) {
    EXPECT_HERE(right_or_refused(typed<int32_t()>(instance, "run")(), 7));
    EXPECT_HERE(right_or_refused(typed<int32_t()>(instance, "secret")(), 0));
    auto written = typed<void(int32_t)>(instance, "write")(12345);
    EXPECT_HERE(written || written.error().kind == ErrorKind::io);
    auto trapped = typed<void()>(instance, "trap")();
    EXPECT_HERE(!trapped && (trapped.error().trap || trapped.error().kind == ErrorKind::io));
    auto pages = typed<int32_t()>(instance, "grow")();
    EXPECT_HERE(!pages || *pages == -1 || *pages == 1 || *pages == 256);
    return true;
  }
  /// Makes, images, uses and drops instances, in turn with some that are kept.
  static bool use_many(const InstancePre& pre) {
    std::vector<Instance> kept;
    for (int i = 0; i < 40; ++i) {
      auto instance = pre.instantiate();
      EXPECT_HERE(instance || instance.error().kind == ErrorKind::io || instance.error().kind == ErrorKind::limit);
      if (!instance) {
        refused_++;
        continue;
      }
      EXPECT_HERE(use(*instance));
      auto snapshot = instance->snapshot(i % 2 ? SnapshotCopy::whole : SnapshotCopy::changes);
      if (!snapshot) {
        refused_++;
        EXPECT_HERE(snapshot.error().kind == ErrorKind::io);
        EXPECT_HERE(right_or_refused(typed<int32_t()>(*instance, "secret")(), 12345));
      } else if (auto stamped = pre.instantiate(*snapshot)) {
        EXPECT_HERE(right_or_refused(typed<int32_t()>(*stamped, "secret")(), 12345));
      } else {
        refused_++;
        EXPECT_HERE(stamped.error().kind == ErrorKind::io);
      }
      if (i % 8 == 0) kept.push_back(std::move(*instance));
    }
    return true;
  }

  inline static int refused_ = 0;
  Engine engine_ = engine();
};

// The warm path: an instance is made on what others left, called, written to and dropped.
TEST_F(RefusingSystem, WarmInstancesMakeNoCalls) {
  for (const char* text : {kNoMemory, kOnePage}) {
    const InstancePre pre = link(text);
    auto child = [&] {
      auto round = [&] {
        Instance instance = must(pre.instantiate());
        EXPECT_HERE(typed<int32_t()>(instance, "run")().value() == 7);
        if (text == kNoMemory) return true;
        EXPECT_HERE(typed<int32_t()>(instance, "secret")().value() == 0);
        EXPECT_HERE(typed<void(int32_t)>(instance, "write")(12345));
        return true;
      };
      for (int i = 0; i < 100; ++i) EXPECT_HERE(round());
      deny_all_calls();
      for (int i = 0; i < 1000; ++i) EXPECT_HERE(round());
      return true;
    };
    EXPECT_TRUE(in_child(child)) << text;
  }
}

TEST_F(RefusingSystem, ThatTestCanFail) {
  EXPECT_FALSE(in_child([] {
    deny_all_calls();
    return getppid() != 0;
  }));
}

struct Refused {
  const char* name;
  std::initializer_list<long> calls;
  bool works;  ///< whether nothing fails: there is another way
};

TEST_F(RefusingSystem, ARefusedCallIsAnErrorOrThereIsAnotherWay) {
  const Refused all[] = {
      {"membarrier", {SYS_membarrier}, true},
      {"the scan of pages", {SYS_ioctl}, true},
      {"opening files", {SYS_openat, SYS_open}, true},
      {"reading files", {SYS_pread64}, true},
      {"advice on pages", {SYS_madvise}, true},
      {"new files in memory", {SYS_memfd_create}, false},
      {"seals", {SYS_fcntl}, false},
      {"sizes of files", {SYS_ftruncate}, false},
      {"writing files", {SYS_pwrite64}, false},
      {"holes of files", {SYS_lseek}, false},
      {"access to pages", {SYS_mprotect}, false},
      {"random numbers", {SYS_getrandom}, true},
  };
  for (const char* text : {kOnePage, kManyPages}) {
    for (const bool warm : {false, true}) {
      const InstancePre pre = link(text);
      for (const Refused& refused : all) {
        auto child = [&] {
          if (warm) EXPECT_HERE(use_many(pre) && refused_ == 0);
          deny(refused.calls);
          EXPECT_HERE(use_many(pre));
          if (refused.works) EXPECT_HERE(refused_ == 0);
          return true;
        };
        EXPECT_TRUE(in_child(child)) << refused.name << (warm ? ", warm: " : ": ") << text;
      }
    }
  }
}

/// Bounds a resource of the process, relative to what it uses.
bool bound(int resource, const char* used, uint64_t more_bytes) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(used)) continue;
    const rlim_t bytes = std::stoull(line.substr(line.find(':') + 1)) * 1024 + more_bytes;
    rlimit limit;
    if (getrlimit(resource, &limit) != 0) return false;
    limit.rlim_cur = bytes;
    return setrlimit(resource, &limit) == 0;
  }
  return false;
}
bool unbound(int resource) {
  rlimit limit;
  if (getrlimit(resource, &limit) != 0) return false;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit) == 0;
}

TEST_F(RefusingSystem, NoAddressSpace) {
  const InstancePre pre = link(kOnePage);
  auto child = [&] {
    EXPECT_HERE(bound(RLIMIT_AS, "VmSize:", uint64_t{1} << 30));
    auto instance = pre.instantiate();
    EXPECT_HERE(!instance && instance.error().kind == ErrorKind::io);
    EXPECT_HERE(instance.error().message.find("reservation") != std::string::npos);
    EXPECT_HERE(instance.error().message.find("Cannot allocate memory") != std::string::npos);
    EXPECT_HERE(unbound(RLIMIT_AS));
    return use_many(pre) && refused_ == 0;
  };
  EXPECT_TRUE(in_child(child));
}

// As where memory may not be overcommitted (vm.overcommit_memory = 2): pages that can be written count.
TEST_F(RefusingSystem, NoMemoryToWriteTo) {
  const InstancePre pre = link(kManyPages);
  auto child = [&] {
    EXPECT_HERE(bound(RLIMIT_DATA, "VmData:", uint64_t{8} << 20));
    auto instance = pre.instantiate();
    EXPECT_HERE(!instance && instance.error().kind == ErrorKind::io);
    EXPECT_HERE(instance.error().message.find("Cannot allocate memory") != std::string::npos);
    EXPECT_HERE(unbound(RLIMIT_DATA));
    Instance grown = must(pre.instantiate());
    EXPECT_HERE(typed<int32_t()>(grown, "run")().value() == 7);
    EXPECT_HERE(bound(RLIMIT_DATA, "VmData:", 4096));
    EXPECT_HERE(typed<int32_t()>(grown, "grow")().value() == -1);
    EXPECT_HERE(unbound(RLIMIT_DATA));
    EXPECT_HERE(typed<int32_t()>(grown, "grow")().value() == 256);
    return use_many(pre) && refused_ == 0;
  };
  EXPECT_TRUE(in_child(child));
}

TEST_F(RefusingSystem, NoProc) {
  if (geteuid() != 0) GTEST_SKIP() << "chroot needs root";
  char folder[] = "/tmp/rotor-empty-XXXXXX";
  ASSERT_TRUE(mkdtemp(folder));
  for (const char* text : {kOnePage, kManyPages}) {
    const InstancePre pre = link(text);
    auto child = [&] {
      EXPECT_HERE(chroot(folder) == 0 && chdir("/") == 0 && access("/proc", F_OK) != 0);
      return use_many(pre) && refused_ == 0;
    };
    EXPECT_TRUE(in_child(child));
  }
  std::filesystem::remove(folder);
}

}  // namespace
}  // namespace rotor::runtime::test
