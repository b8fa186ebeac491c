// What guests take of a stack, and what they leave: on stacks without guard pages, painted, with somebody else's memory
// below them.
#include <alloca.h>
#include <ucontext.h>

#include <cstring>
#include <random>
#include <string>

#include "rotor/wat.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

constexpr uint8_t kPaint = 0x5c;

std::string times(const std::string& text, int count) {
  std::string all;
  while (count-- > 0) all += text;
  return all;
}

Module compile_text(const Engine& engine, const std::string& text) {
  return compile(engine, must(wat_to_wasm(text, {.names = true})));
}

/// Memory for a stack, and as much below it that is not the stack's.
class PaintedStack {
 public:
  explicit PaintedStack(size_t bytes) : bytes_(bytes) {
    base_ = static_cast<uint8_t*>(
        mmap(nullptr, kBelowBytes + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_NE(base_, MAP_FAILED);
    std::memset(base_, kPaint, kBelowBytes + bytes);
  }
  ~PaintedStack() { munmap(base_, kBelowBytes + bytes_); }

  uint8_t* low() const { return base_ + kBelowBytes; }
  size_t bytes() const { return bytes_; }
  /// Runs `body` as a thread on it.
  void run(std::function<void()> body) { on_stack(low(), bytes_, std::move(body)); }
  /// Distance from the low end to the lowest byte that was written; negative: below it.
  ptrdiff_t untouched() const {
    uint8_t* at = base_;
    while (at < low() + bytes_ && *at == kPaint) ++at;
    return at - low();
  }

 private:
  static constexpr size_t kBelowBytes = 256 << 10;
  size_t bytes_;
  uint8_t* base_;
};

/// Moves the stack pointer down by so much, and calls.
template <class Body>
[[gnu::noinline]] void lower_by(size_t bytes, Body&& body) {
  auto* skipped = static_cast<volatile char*>(alloca(bytes + 16));
  skipped[0] = 0;
  body();
  skipped[0] = 1;
}

struct How {
  OptLevel opt;
  CompileMode mode;
};

class StackTest : public testing::TestWithParam<How> {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer wants a megabyte of every stack";
#endif
    Config config;
    config.opt = GetParam().opt;
    config.mode = GetParam().mode;
    engine_ = must(Engine::create(config));
  }
  Instance instantiate(const std::string& text, const InstanceOptions& options = {}) {
    return test::instantiate(Linker(*engine_), compile_text(*engine_, text), options);
  }
  std::optional<Engine> engine_;
};

/// A function that calls itself for ever in the middle of a random body, made so that its frame is large for its
/// length: results of calls that stay alive, values through branches and loops, vectors, arguments in memory.
std::string random_recursion(std::mt19937& random) {
  auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
  int count = 1 + below(300);
  const char* types[] = {"i64 ", "i32 ", "f64 ", "v128 "};
  std::string type = types[below(4)];
  std::string constant = type == "v128 "  ? "v128.const i64x2 1 2 "
                         : type == "f64 " ? "f64.const 1 "
                                          : type.substr(0, 3) + ".const 1 ";
  std::string values = times(type, count);
  int held = below(12);
  std::string body = times("call $f ", held);
  if (below(2))
    body += "(block $b (result " + values + ") call $f " + times("local.get 0 br_if $b ", below(6)) + ") call $g ";
  if (below(2)) body += times("loop ", below(8)) + "";
  int loops = 0;
  for (size_t at = 0; (at = body.find("loop ", at)) != std::string::npos; ++at) ++loops;
  body += times("local.get 0 br_if 0 end ", loops);
  std::string arguments = "local.get 0 " + times(constant, count);
  body += below(2) ? "local.get 0 call $rec " : arguments + "call $many ";
  body += times("call $g ", held);
  return "(module (func $f (result " + values + ") " + times(constant, count) + ") (func $g (param " + values + "))" +
         "(func $many (param i32 " + values + ") local.get 0 call $rec)" + "(func $rec (export \"run\") (param i32) " +
         body + "))";
}

TEST_P(StackTest, NoFrameTakesMoreThanItsCheckTookOff) {
  std::mt19937 random(1);
  for (int round = 0; round < 30; ++round) {
    std::string text = random_recursion(random);
    Instance instance = instantiate(text);
    Func run = must(instance.get_func("run"));
    for (size_t lower : {0, 16, 1040}) {
      PaintedStack stack(512 << 10);
      stack.run([&] { lower_by(lower, [&] { expect_trap(run.call({Value(0)}), TrapKind::stack_overflow); }); });
      ASSERT_GE(stack.untouched(), static_cast<ptrdiff_t>(512 << 10) / 4) << text;
    }
  }
}

/// A leaf's frame may be large, too: at tier 0 each loop has slots of its own for the values that it turns over.
TEST_P(StackTest, LeavesWithLargeFramesAreCheckedToo) {
  constexpr int kLocals = 62, kLoops = 90;
  std::string turn;
  for (int i = 0; i < kLocals; ++i)
    turn += "local.get " + std::to_string(1 + (i + 1) % kLocals) + " local.set " + std::to_string(1 + i) + " ";
  std::string params = times("v128 ", kLocals), values = times("v128.const i64x2 1 2 ", kLocals);
  Instance instance = instantiate("(module (func $leaf (param i32 " + params + ") " + times("loop ", kLoops) + turn +
                                  times("local.get 0 br_if 0 end ", kLoops) + ")" +
                                  "(func $rec (export \"run\") (param i32) i32.const 0 " + values +
                                  "call $leaf local.get 0 call $rec))");
  Func run = must(instance.get_func("run"));
  for (size_t lower = 0; lower < 4096; lower += 240) {
    PaintedStack stack(256 << 10);
    stack.run([&] { lower_by(lower, [&] { expect_trap(run.call({Value(0)}), TrapKind::stack_overflow); }); });
    ASSERT_GE(stack.untouched(), static_cast<ptrdiff_t>(64 << 10));
  }
}

TEST_P(StackTest, HostFunctionsFindTheirReserve) {
  Linker linker(*engine_);
  uint8_t* low = nullptr;
  size_t least = SIZE_MAX;
  linker.define("env", "h", [&] {
    least = std::min(least, static_cast<size_t>(static_cast<uint8_t*>(__builtin_frame_address(0)) - low));
  });
  std::string values = times("i64 ", 200);
  Module module = compile_text(*engine_, "(module (import \"env\" \"h\" (func $h)) (func $f (result " + values + ")" +
                                             times("i64.const 0 ", 200) + ") (func $g (param " + values + "))" +
                                             "(func $rec (export \"run\") call $h " + times("call $f ", 3) +
                                             "call $rec " + times("call $g ", 3) + "))");
  for (uint64_t reserve : {UINT64_C(0), UINT64_C(20) << 10, UINT64_C(128) << 10}) {
    InstanceOptions options;
    options.limits.host_stack_reserve_bytes = reserve;
    Instance instance = test::instantiate(linker, module, options);
    auto run = typed<void()>(instance, "run");
    for (size_t stack_bytes : {size_t{64} << 10, size_t{256} << 10, size_t{1} << 20}) {
      uint64_t promised = std::max<uint64_t>(std::min<uint64_t>(reserve, stack_bytes / 4), 16 << 10);
      least = SIZE_MAX;
      PaintedStack stack(stack_bytes);
      low = stack.low();
      // A frame has some 5 KB: positions all over it, on the smallest stack all.
      for (size_t lower = 0; lower < 5200; lower += stack_bytes == 64 << 10 ? 16 : 112) {
        stack.run([&] { lower_by(lower, [&] { expect_trap(run(), TrapKind::stack_overflow); }); });
      }
      EXPECT_GE(least, promised) << reserve << " of " << stack_bytes;
    }
    EXPECT_NE(least, SIZE_MAX);
  }
}

/// Calls each helper at each depth, as deep as it goes.
constexpr const char* kLibcalls[] = {
    "(drop (memory.grow (i32.const 1)))",
    "(drop (memory.grow (i32.const 0)))",
    "(memory.fill (i32.const 0) (i32.const 1) (i32.const 100))",
    "(memory.copy (i32.const 0) (i32.const 8) (i32.const 100))",
    "(memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))",
    "(data.drop 1)",
    "(drop (table.grow (ref.null func) (i32.const 1)))",
    "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
    "(table.copy (i32.const 0) (i32.const 0) (i32.const 1))",
    "(table.init 0 (i32.const 0) (i32.const 0) (i32.const 1))",
    "(elem.drop 1)",
    "(block $h (try_table (catch_all $h) (throw $e)))",
    "(drop (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e)) (unreachable)))",
    "(drop (memory.atomic.notify (i32.const 0) (i32.const 1)))",
    "(drop (memory.atomic.wait32 (i32.const 0) (i32.load (i32.const 0)) (i64.const 1)))",
    "(drop (memory.atomic.wait64 (i32.const 0) (i64.load (i32.const 0)) (i64.const 1)))",
};

TEST_P(StackTest, LibcallsFitIntoTheLeastReserve) {
  for (const char* libcall : kLibcalls) {
    Instance instance = instantiate(std::string("(module (memory 1 100 shared) (table 1 2000 funcref)") +
                                    "(tag $e) (data \"a\") (data \"b\") (elem func $rec) (elem func $rec)" +
                                    "(func $rec (export \"run\") " + libcall + " call $rec))");
    auto run = typed<void()>(instance, "run");
    ptrdiff_t least = PTRDIFF_MAX;
    for (size_t lower = 0; lower < 96; lower += 16) {
      PaintedStack stack(64 << 10);
      stack.run([&] { lower_by(lower, [&] { expect_trap(run(), TrapKind::stack_overflow); }); });
      least = std::min(least, stack.untouched());
    }
    EXPECT_GT(least, 4096) << libcall;
    RecordProperty(libcall, std::to_string(least));
  }
}

/// Functions that are compiled as they are called, and again, at every depth there is.
TEST_P(StackTest, CompilingFitsIntoTheLeastReserve) {
  constexpr int kFunctions = 300;
  std::string text =
      "(module (func $f0 (export \"run\") (param i32) (if (local.get 0) (then local.get 0 i32.const 1 "
      "i32.sub call $f0 return)) i32.const 0 call $f1)";
  for (int i = 1; i <= kFunctions; ++i)
    text +=
        "(func $f" + std::to_string(i) + " (param i32) local.get 0 call $f" + std::to_string(i % kFunctions + 1) + ")";
  Module module = compile_text(*engine_, text + ")");
  for (int depth : {0, 300, 330, 360, 390, 420, 450}) {
    Instance instance = test::instantiate(Linker(*engine_), module);
    Func run = must(instance.get_func("run"));
    PaintedStack stack(64 << 10);
    stack.run([&] { expect_trap(run.call({Value(int32_t{depth})}), TrapKind::stack_overflow); });
    EXPECT_GT(stack.untouched(), 4096);
  }
}

/// The chain of tail calls keeps its arguments in a frame of the runtime's, whose room the first caller has compared.
TEST_P(StackTest, TailCallBuffersAreTakenIntoAccount) {
  std::string values = times("i64 ", 900), zeroes = times("i64.const 0 ", 900);
  Instance instance = instantiate(
      "(module (func $rec (export \"run\") (param i32) local.get 0 call $tail local.get 0 "
      "drop) (func $tail (param i32) local.get 0 " +
      zeroes + " return_call $many)" + "(func $many (param i32 " + values +
      ") local.get 0 call $rec local.get 1 drop))");
  Func run = must(instance.get_func("run"));
  for (size_t lower = 0; lower < 16 << 10; lower += 496) {
    PaintedStack stack(256 << 10);
    stack.run([&] { lower_by(lower, [&] { expect_trap(run.call({Value(0)}), TrapKind::stack_overflow); }); });
    ASSERT_GE(stack.untouched(), static_cast<ptrdiff_t>(64 << 10));
  }
}

TEST_P(StackTest, ABacktraceBeginsWithTheFunctionThatDidNotFitAndItsCaller) {
  std::string values = times("i64 ", 1000);
  Instance instance = instantiate(
      "(module (func $f (result " + values + ") " + times("i64.const 0 ", 1000) + ") (func $g (param " + values + "))" +
      "(func $big (export \"big\") " + times("call $f ", 8) + times("call $g ", 8) +
      ") (func $middle (export \"middle\") call $big)" + "(func (export \"outer\") call $middle call $big))");
  auto frames_of = [&](const char* name) {
    std::vector<std::string> names;
    PaintedStack stack(64 << 10);
    stack.run([&] {
      auto result = must(instance.get_func(name)).call({});
      expect_trap(result, TrapKind::stack_overflow);
      for (const Frame& frame : result.error().trap->frames()) names.push_back(frame.func_name);
    });
    return names;
  };
  EXPECT_EQ(frames_of("outer"), (std::vector<std::string>{"big", "middle", "outer"}));
  EXPECT_EQ(frames_of("big"), (std::vector<std::string>{"big"}));
}

/// Runs `body` on a stack of its own, as a fiber of this thread.
void on_fiber(const PaintedStack& stack, std::function<void()> body) {
  static thread_local ucontext_t back;
  static thread_local std::function<void()>* run;
  ucontext_t fiber;
  ASSERT_EQ(getcontext(&fiber), 0);
  fiber.uc_stack.ss_sp = stack.low();
  fiber.uc_stack.ss_size = stack.bytes();
  fiber.uc_link = &back;
  run = &body;
  makecontext(&fiber, +[] { (*run)(); }, 0);
  ASSERT_EQ(swapcontext(&back, &fiber), 0);
}

TEST_P(StackTest, AFiberIsDeclaredOrRefused) {
  Instance instance = instantiate(
      "(module (func $rec (export \"rec\") (param i32) (result i32) local.get 0 call $rec "
      "i32.const 1 i32.add) (func (export \"nop\")))");
  Func rec = must(instance.get_func("rec")), nop = must(instance.get_func("nop"));
  PaintedStack one(256 << 10), other(128 << 10);
  auto refused = [&](const PaintedStack& stack) {
    on_fiber(stack, [&] {
      auto result = nop.call({});
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().kind, ErrorKind::invalid_argument);
      EXPECT_NE(result.error().message.find("FiberStack"), std::string::npos);
    });
  };
  auto overflows = [&](const PaintedStack& stack) {
    on_fiber(stack, [&] { expect_trap(rec.call({Value(0)}), TrapKind::stack_overflow); });
    EXPECT_GE(stack.untouched(), static_cast<ptrdiff_t>(stack.bytes() / 4));
    on_fiber(stack, [&] { must(nop.call({})); });
  };
  refused(one);
  {
    FiberStack declared = must(FiberStack::declare(one.low(), one.bytes()));
    overflows(one);
    refused(other);
    EXPECT_EQ(kind_of(FiberStack::declare(one.low() + 4096, 4096)), ErrorKind::invalid_argument);
    EXPECT_EQ(kind_of(FiberStack::declare(one.low() - 4096, 8192)), ErrorKind::invalid_argument);
    EXPECT_EQ(kind_of(FiberStack::declare(one.low(), 0)), ErrorKind::invalid_argument);
    EXPECT_EQ(kind_of(FiberStack::declare(one.low(), SIZE_MAX)), ErrorKind::invalid_argument);
    FiberStack second = must(FiberStack::declare(other.low(), other.bytes()));
    overflows(other);
    overflows(one);
    FiberStack moved = std::move(declared);
    overflows(one);
  }
  refused(one);
  must(nop.call({}));  // on the thread's own
}

INSTANTIATE_TEST_SUITE_P(, StackTest,
                         testing::Values(How{OptLevel::o0, CompileMode::aot}, How{OptLevel::o1, CompileMode::aot},
                                         How{OptLevel::o1, CompileMode::lazy}),
                         [](const auto& info) {
                           return std::string(info.param.mode == CompileMode::lazy ? "lazy" : "aot") +
                                  (info.param.opt == OptLevel::o0 ? "_o0" : "_o1");
                         });

}  // namespace
}  // namespace rotor::runtime::test
