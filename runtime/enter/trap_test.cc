// Traps of every kind, stack overflow, and signals that are not ours.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <limits>
#include <optional>
#include <thread>

#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

class TrapTest : public testing::TestWithParam<OptLevel> {
 protected:
  TrapTest() {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = GetParam();
    engine_.emplace(must(Engine::create(config)));
    instance_ = instantiate(Linker(*engine_), compile(*engine_, kTraps));
  }
  template <class... Args>
  Result<std::vector<Value>> call(std::string_view name, Args... args) {
    return must(instance_.get_func(name)).call({Value(args)...});
  }
  std::optional<Engine> engine_;
  Instance instance_;
};
INSTANTIATE_TEST_SUITE_P(Levels, TrapTest, testing::Values(OptLevel::o0, OptLevel::o1));

TEST_P(TrapTest, Arithmetic) {
  expect_trap(call("unreachable"), TrapKind::unreachable);
  expect_trap(call("div_s", 1, 0), TrapKind::integer_divide_by_zero);
  expect_trap(call("div_s", INT32_MIN, -1), TrapKind::integer_overflow);
  expect_trap(call("rem64", int64_t{1}, int64_t{0}), TrapKind::integer_divide_by_zero);
  expect_trap(call("trunc", std::numeric_limits<double>::quiet_NaN()), TrapKind::invalid_conversion_to_integer);
  expect_trap(call("trunc", 3e9), TrapKind::integer_overflow);
  EXPECT_EQ(must(call("div_s", 7, 2))[0].i32(), 3);
}

TEST_P(TrapTest, MemoryBounds) {
  EXPECT_EQ(must(call("load", 65532))[0].i32(), 0);
  expect_trap(call("load", 65533), TrapKind::out_of_bounds_memory);
  expect_trap(call("load", -1), TrapKind::out_of_bounds_memory);
  expect_trap(call("load", -4), TrapKind::out_of_bounds_memory);
  expect_trap(call("load_far", 0), TrapKind::out_of_bounds_memory);
  expect_trap(call("load_far", -1), TrapKind::out_of_bounds_memory);
  expect_trap(call("store", 65533), TrapKind::out_of_bounds_memory);
  expect_trap(call("store", -1), TrapKind::out_of_bounds_memory);
  expect_trap(call("dropped_load", 65536), TrapKind::out_of_bounds_memory);
  EXPECT_EQ(must(call("grow", 1))[0].i32(), 1);
  EXPECT_EQ(must(call("load", 65536))[0].i32(), 0);
  EXPECT_EQ(must(call("grow", 1))[0].i32(), -1);
}

TEST_P(TrapTest, BulkMemory) {
  must(call("fill", 65535, 1));
  must(call("fill", 65536, 0));
  expect_trap(call("fill", 65535, 2), TrapKind::out_of_bounds_memory);
  expect_trap(call("fill", 65537, 0), TrapKind::out_of_bounds_memory);
  expect_trap(call("fill", 1, -1), TrapKind::out_of_bounds_memory);
  must(call("copy", 0, 65535, 1));
  expect_trap(call("copy", 0, 65535, 2), TrapKind::out_of_bounds_memory);
  expect_trap(call("copy", -1, 0, 2), TrapKind::out_of_bounds_memory);
  must(call("init", 8, 1, 2));
  EXPECT_EQ(must(call("load", 8))[0].i32(), 'b' | 'c' << 8);
  expect_trap(call("init", 0, 1, 3), TrapKind::out_of_bounds_memory);
  must(call("drop_data"));
  expect_trap(call("init", 0, 0, 1), TrapKind::out_of_bounds_memory);
  must(call("init", 0, 0, 0));
}

TEST_P(TrapTest, Tables) {
  EXPECT_TRUE(must(call("table_get", 2))[0].is_null());
  expect_trap(call("table_get", 3), TrapKind::out_of_bounds_table);
  expect_trap(call("table_get", -1), TrapKind::out_of_bounds_table);
  expect_trap(call("table_init", 0, 0, 2), TrapKind::out_of_bounds_table);
  expect_trap(call("table_init", 3, 0, 1), TrapKind::out_of_bounds_table);
  expect_trap(call("table_copy", 1, 0, 3), TrapKind::out_of_bounds_table);
  expect_trap(call("indirect", 3), TrapKind::undefined_element);
  expect_trap(call("indirect", 1), TrapKind::uninitialized_element);
  expect_trap(call("indirect", 0), TrapKind::indirect_call_type_mismatch);
  must(call("table_init", 1, 0, 1));
  must(call("indirect", 1));
  must(call("table_copy", 2, 1, 1));
  must(call("indirect", 2));
}

TEST_P(TrapTest, TablesOfReferences) {
  EXPECT_EQ(must(call("table_grow", ExternRef{9}, 1000))[0].i32(), 2);
  EXPECT_EQ(must(call("table_at", 1001))[0].externref().bits, 9u);
  EXPECT_TRUE(must(call("table_at", 1))[0].is_null());
  must(call("table_fill", 0, ExternRef{5}, 1002));
  EXPECT_EQ(must(call("table_at", 1))[0].externref().bits, 5u);
  expect_trap(call("table_fill", 1, ExternRef{5}, 1002), TrapKind::out_of_bounds_table);
  EXPECT_EQ(must(call("table_grow", ExternRef{}, -1))[0].i32(), -1);
}

TEST_P(TrapTest, Atomics) {
  EXPECT_EQ(must(call("rmw", 4))[0].i32(), 0);
  expect_trap(call("rmw", 5), TrapKind::unaligned_atomic);
  expect_trap(call("rmw", 65536), TrapKind::out_of_bounds_memory);
  expect_trap(call("wait"), TrapKind::expected_shared_memory);
}

TEST_P(TrapTest, WhatWasWrittenBeforeStays) {
  expect_trap(call("set_then_trap"), TrapKind::unreachable);
  EXPECT_EQ(must(must(instance_.get_global("g")).get()).i32(), 1);
}

TEST_P(TrapTest, StackOverflowOnTheMainThread) {
  for (int i = 0; i < 3; ++i) {
    auto result = call("recurse", 0);
    expect_trap(result, TrapKind::stack_overflow);
    ASSERT_EQ(result.error().trap->frames().size(), size_t{Trap::kMaxFrames});
    for (const Frame& frame : result.error().trap->frames()) EXPECT_EQ(frame.func_name, "recurse");
  }
  must(call("nop"));
}

TEST_P(TrapTest, StackOverflowOnASmallStack) {
  on_small_stack(256 << 10, [&] { expect_trap(call("recurse", 0), TrapKind::stack_overflow); });
  on_small_stack(64 << 10, [&] {
    must(call("nop"));
    expect_trap(call("recurse", 0), TrapKind::stack_overflow);
  });
  must(call("nop"));
}

TEST_P(TrapTest, StackBytesIsALimit) {
  InstanceOptions options;
  options.limits.stack_bytes = 64 << 10;
  Instance instance = instantiate(Linker(*engine_), compile(*engine_, kTraps), options);
  expect_trap(must(instance.get_func("recurse")).call({Value(0)}), TrapKind::stack_overflow);
}

/// (module (memory 1) (func (export "big") (param i32) (result i64) (local i64 × n) …)): every local is loaded from
/// memory, the function calls itself, and then adds them all up: a frame of 8n bytes that is used.
std::vector<uint8_t> big_frame_module(uint32_t locals) {
  auto uleb = [](std::vector<uint8_t>& out, uint32_t v) {
    do {
      out.push_back(static_cast<uint8_t>((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
      v >>= 7;
    } while (v);
  };
  std::vector<uint8_t> body = {0x01};
  uleb(body, locals);
  body.push_back(0x7e);
  for (uint32_t i = 1; i <= locals; ++i) {
    body.insert(body.end(), {0x20, 0x00, 0x29, 0x03});  // local.get 0, i64.load align=8
    uleb(body, 8 * i);
    body.push_back(0x21);  // local.set
    uleb(body, i);
  }
  body.insert(body.end(), {0x20, 0x00, 0x10, 0x00});  // local.get 0, call 0
  for (uint32_t i = 1; i <= locals; ++i) {
    body.push_back(0x20);
    uleb(body, i);
    body.push_back(0x7c);  // i64.add
  }
  body.push_back(0x0b);
  std::vector<uint8_t> code = {0x01};
  uleb(code, static_cast<uint32_t>(body.size()));
  code.insert(code.end(), body.begin(), body.end());
  std::vector<uint8_t> module = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 6, 1, 0x60, 1,   0x7f, 1, 0x7e, 3, 2,
                                 1, 0,   5,   3,   1, 0, 1, 7, 7, 1, 3, 'b',  'i', 'g',  0, 0,    10};
  uleb(module, static_cast<uint32_t>(code.size()));
  module.insert(module.end(), code.begin(), code.end());
  return module;
}

TEST_P(TrapTest, BigFramesOverflowToo) {
  Instance instance = instantiate(Linker(*engine_), compile(*engine_, big_frame_module(1500)));
  Func big = must(instance.get_func("big"));
  expect_trap(big.call({Value(0)}), TrapKind::stack_overflow);
  on_small_stack(192 << 10, [&] { expect_trap(big.call({Value(0)}), TrapKind::stack_overflow); });
}

TEST_P(TrapTest, ManyTrapsOnManyThreads) {
  Module module = instance_.module();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Instance own = instantiate(Linker(*engine_), module);
      auto load = typed<int32_t(int32_t)>(own, "load");
      for (int i = 0; i < 500; ++i) expect_trap(load(-1), TrapKind::out_of_bounds_memory);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_P(TrapTest, FoldedLoadsKnowWhereTheyWere) {
  Instance folded = instantiate(Linker(*engine_), compile(*engine_, kFolded));
  for (auto [name, opcode] : std::initializer_list<std::pair<const char*, uint8_t>>{
           {"sum", 0x28}, {"less", 0x29}, {"half", 0x2b}, {"flag", 0x2d}}) {
    std::vector<Value> args{Value(-8)};
    if (name == std::string("sum")) args.emplace_back(9);
    auto result = must(folded.get_func(name)).call(args);
    expect_trap(result, TrapKind::out_of_bounds_memory);
    uint64_t offset = result.error().trap->frames().at(0).module_offset;
    ASSERT_LT(offset, kFolded.size());
    EXPECT_EQ(kFolded[offset], opcode) << name;
  }
}

TEST_P(TrapTest, Text) {
  auto result = call("div_s", 1, 0);
  std::string text = result.error().to_string();
  EXPECT_EQ(text.find("trap: integer divide by zero\n  #0 div_s @ 0x"), 0u) << text;
}

TEST_P(TrapTest, FramesAreFoundWhenAllElseIsGone) {
  std::optional<Error> error;
  {
    Engine e = engine();
    Instance instance = instantiate(Linker(e), compile(e, kTraps));
    error = must(instance.get_func("unreachable")).call().error();
  }
  const Trap copy = *error->trap;
  std::thread([&] { EXPECT_EQ(copy.frames().at(0).func_name, "unreachable"); }).join();
  EXPECT_EQ(error->trap->frames().size(), 1u);
  EXPECT_EQ(&copy.frames(), &error->trap->frames());
}

/// A fault of the host's own. The address is volatile, so that the compiler does not know better.
void write_where_nothing_is() {
  volatile uintptr_t address = 16;
  *reinterpret_cast<volatile int*>(address) = 1;
}

/// After a guest's trap, so that everything is set up; on its own stack page or elsewhere, the fault is the host's.
void foreign_fault() {
  Engine e = engine();
  Instance instance = instantiate(Linker(e), compile(e, kTraps));
  auto trap = must(instance.get_func("unreachable")).call();
  if (trap || trap.error().kind != ErrorKind::trap) _exit(99);
  write_where_nothing_is();
  _exit(98);
}

class ForeignSignalDeathTest : public testing::Test {
 protected:
  // A process of its own, where no handler is installed yet.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

/// A sanitizer's handler is the previous one then: it reports and exits.
bool killed_by_segv(int status) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) < 90);
#else
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
#endif
}

TEST_F(ForeignSignalDeathTest, DefaultActionEndsTheProcess) { EXPECT_EXIT(foreign_fault(), killed_by_segv, ""); }

TEST_F(ForeignSignalDeathTest, PreviousHandlerIsCalled) {
  auto handled = [] {
    struct sigaction action{};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int signal, siginfo_t* info, void*) {
      _exit(signal == SIGSEGV && info->si_addr == reinterpret_cast<void*>(16) ? 42 : 43);
    };
    sigaction(SIGSEGV, &action, nullptr);
    foreign_fault();
  };
  EXPECT_EXIT(handled(), testing::ExitedWithCode(42), "");
}

TEST_F(ForeignSignalDeathTest, PlainPreviousHandlerIsCalled) {
  auto handled = [] {
    signal(SIGSEGV, [](int) { _exit(44); });
    foreign_fault();
  };
  EXPECT_EXIT(handled(), testing::ExitedWithCode(44), "");
}

TEST_F(ForeignSignalDeathTest, HostFaultDuringACallIsTheHosts) {
  auto faults = [] {
    signal(SIGSEGV, [](int) { _exit(45); });
    Engine e = engine();
    Linker linker(e);
    linker.define("env", "f", [](Caller&) { write_where_nothing_is(); });
    Instance instance = instantiate(linker, compile(e, kCallsHost));
    (void)must(instance.get_func("run")).call();
  };
  EXPECT_EXIT(faults(), testing::ExitedWithCode(45), "");
}

TEST_F(ForeignSignalDeathTest, SentSignalsKeepTheirDefault) {
  auto sent = [] {
    Engine e = engine();
    raise(SIGSEGV);
    _exit(0);
  };
  EXPECT_EXIT(sent(), killed_by_segv, "");
}

}  // namespace
}  // namespace rotor::runtime::test
