// Profiles: what samples show of guests, host functions and the library's own work. Samples are counted, never timed.
#include "rotor/profile.h"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <deque>
#include <map>
#include <set>
#include <thread>

#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using Kind = Profile::Kind;

const std::vector<uint8_t> kModule = wasm::test::assemble(R"(
(module $busy
  (import "env" "burn" (func $burn (param i32)))
  (memory 1)
  (func $hot (param i64) (result i64) (local i64)
    (loop $next
      (local.set 1 (i64.mul (i64.add (local.get 1) (local.get 0)) (i64.const 6364136223846793005)))
      (br_if $next (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
    (local.get 1))
  (func $middle (param i64) (result i64) (call $hot (local.get 0)))
  (func (export "spin") (param i64) (result i64) (call $middle (local.get 0)))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  ;; Calls so short that many samples find a function without its frame.
  (func (export "short") (param i32) (result i32) (local i32)
    (loop $next
      (local.set 1 (call $leaf (local.get 1)))
      (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func $caller (param i32) (call $burn (local.get 0)))
  (func (export "host") (param i32) (call $caller (local.get 0)))
  (func (export "fill") (param i32)
    (loop $next
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536))
      (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
)");

/// Keeps the processor busy for that much of the thread's CPU time.
void burn_ms(int64_t ms) {
  auto now_ns = [] {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1'000'000'000) + now.tv_nsec;
  };
  for (const int64_t end = now_ns() + ms * 1'000'000; now_ns() < end;) {
  }
}

std::string text_of(const Profile::Function& function) {
  switch (function.kind) {
    case Kind::guest: return function.module_name + "!" + function.name;
    case Kind::host: return function.module_name + "." + function.name + " host";
    case Kind::runtime: return "runtime";
  }
  return "?";
}

/// Counts samples by their functions, the outermost first.
std::map<std::string, size_t> stacks_of(const Profile& profile) {
  std::map<std::string, size_t> stacks;
  for (const Profile::Sample& sample : profile.samples) {
    std::string text;
    for (uint32_t index : sample.stack) text += (text.empty() ? "" : " > ") + text_of(profile.functions.at(index));
    ++stacks[text];
  }
  return stacks;
}

/// The least samples of some 200 ms. There would be 40, but a machine that is busy with others, or is taken away from,
/// looks at its timers late.
constexpr size_t kFewSamples = 1;

/// Expects that so much of all samples have that stack.
void expect_share(const Profile& profile, const std::string& stack, double share) {
  std::map<std::string, size_t> stacks = stacks_of(profile);
  EXPECT_GE(profile.samples.size(), kFewSamples);
  EXPECT_GE(static_cast<double>(stacks[stack]), share * static_cast<double>(profile.samples.size())) << stack;
  if (testing::Test::HasFailure())
    for (const auto& [text, count] : stacks) std::printf("%zu %s\n", count, text.c_str());
}

class ProfileTest : public testing::TestWithParam<std::pair<CompileMode, OptLevel>> {
 protected:
  ProfileTest() {
    Config config;
    std::tie(config.mode, config.opt) = GetParam();
    config.hot_count = 1000;
    engine_.emplace(must(Engine::create(config)));
    linker_.emplace(*engine_);
    linker_->define("env", "burn", [](int32_t ms) { burn_ms(ms); });
    instance_ = instantiate(*linker_, module_.emplace(compile(*engine_, kModule)));
  }
  Profile profile_of_call(const char* name, Value argument) {
    Func func = must(instance_.get_func(name));
    return must(profile({}, [&] { must(func.call({argument})); }));
  }
  std::optional<Engine> engine_;
  std::optional<Linker> linker_;
  std::optional<Module> module_;
  Instance instance_;
};
INSTANTIATE_TEST_SUITE_P(Modes, ProfileTest,
                         testing::Values(std::pair(CompileMode::aot, OptLevel::o0),
                                         std::pair(CompileMode::aot, OptLevel::o1),
                                         std::pair(CompileMode::lazy, OptLevel::o1),
                                         std::pair(CompileMode::eager, OptLevel::o1)));

TEST_P(ProfileTest, AHotFunctionHasTheSamples) {
  const Profile taken = profile_of_call("spin", int64_t{400'000'000});
  expect_share(taken, "busy!spin > busy!middle > busy!hot", 0.8);
  EXPECT_EQ(taken.dropped, 0u);
  for (const Profile::Function& function : taken.functions) {
    if (function.kind != Kind::guest) continue;
    EXPECT_EQ(function.module_id, module_->id());
    EXPECT_TRUE(function.index >= 1 && function.index <= 3) << function.index;
  }
}

TEST_P(ProfileTest, AFunctionWithoutAFrameHasItsCaller) {
  const Profile taken = profile_of_call("short", int32_t{150'000'000});
  const std::map<std::string, size_t> stacks = stacks_of(taken);
  size_t right = 0;
  for (const auto& [text, count] : stacks)
    if (text == "busy!short" || text == "busy!short > busy!leaf") right += count;
  EXPECT_GE(static_cast<double>(right), 0.95 * static_cast<double>(taken.samples.size()));
  EXPECT_GE(taken.samples.size(), kFewSamples);
  EXPECT_FALSE(stacks.contains("busy!leaf"));
}

TEST_P(ProfileTest, AHostFunctionIsBelowItsCaller) {
  expect_share(profile_of_call("host", int32_t{300}), "busy!host > busy!caller > env.burn host", 0.8);
}

TEST_P(ProfileTest, WorkOfTheLibraryIsBelowWhoAsksForIt) {
  expect_share(profile_of_call("fill", int32_t{300'000}), "busy!fill > runtime", 0.5);
}

// Signals come from another thread, too, far more often than a timer's: while the guest throws, calls in tail position,
// is called by the host again, traps, and has functions compiled.
TEST(Profile, SamplesAreRightWheneverTheyAreTaken) {
  const std::vector<uint8_t> bytes = wasm::test::assemble(R"((module $m
    (import "env" "again" (func $again (param i32)))
    (import "env" "nothing" (func $nothing))
    (memory 1)
    (tag $t (param i32))
    (func $thrower (param i32) (throw $t (local.get 0)))
    (func $between (param i32) (call $thrower (local.get 0)))
    (func $catcher (param i32)
      (drop (block $caught (result i32) (try_table (catch $t $caught) (call $between (local.get 0))) (i32.const 0))))
    (func $last (param i32) (if (i32.eqz (local.get 0)) (then (return_call $nothing))) (drop (memory.grow (i32.const 0))))
    (func $first (param i32) (return_call $last (local.get 0)))
    (func $spin (param i32) (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "inner") (call $spin (i32.const 20)))
    (func (export "trap") (call $spin (i32.const 20)) unreachable)
    (func (export "run")
      (call $catcher (i32.const 1)) (call $first (i32.const 0)) (call $first (i32.const 1)) (call $again (i32.const 0)))))");
  const std::set<std::string> right = {"",         // the host is at work, between calls
                                       "runtime",  // what the host called is being compiled
                                       "m!run",
                                       "m!inner",
                                       "m!inner > m!spin",
                                       "m!trap",
                                       "m!trap > m!spin",
                                       "m!run > m!catcher",
                                       "m!run > m!catcher > m!between",
                                       "m!run > m!catcher > m!between > m!thrower",
                                       "m!run > m!catcher > m!between > m!thrower > runtime",
                                       "m!run > m!first",
                                       "m!run > m!last",
                                       "m!run > m!last > runtime",
                                       "m!run > m!last > env.nothing host",
                                       "m!run > env.nothing host",
                                       "m!run > env.again host",
                                       "m!run > runtime",
                                       "m!run > m!catcher > runtime",
                                       "m!run > m!catcher > m!between > runtime",
                                       "m!inner > runtime",
                                       "m!trap > runtime"};
  const pthread_t self = pthread_self();
  std::deque<Instance> kept;  // only what is there in the end has names
  std::atomic<bool> done = false;
  std::atomic<uint32_t> sent = 0;
  std::thread sender;
  const Profile taken = must(profile({}, [&] {
    sender = std::thread([&] {
      while (!done) {
        pthread_kill(self, SIGPROF);
        ++sent;
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    });
    for (int i = 0; i < 6; ++i) {
      Config config;
      config.mode = i % 2 ? CompileMode::aot : CompileMode::lazy;
      config.opt = i % 4 < 2 ? OptLevel::o1 : OptLevel::o0;
      config.hot_count = 100;
      const Engine engine = must(Engine::create(config));
      Instance& instance = kept.emplace_back();
      Linker linker(engine);
      linker.define("env", "nothing", [] {});
      linker.define("env", "again", [&](int32_t) {
        must(must(instance.get_func("inner")).call({}));
        EXPECT_FALSE(must(instance.get_func("trap")).call({}));
      });
      instance = instantiate(linker, compile(engine, bytes));
      const Func run = must(instance.get_func("run"));
      for (const uint32_t enough = sent + 2000; sent < enough;) must(run.call({}));
    }
  }));
  done = true;
  sender.join();
  std::map<std::string, size_t> stacks = stacks_of(taken);
  EXPECT_GE(taken.samples.size() - stacks[""], 1000u);
  size_t wrong = 0;
  for (const auto& [text, count] : stacks) {
    if (right.contains(text)) continue;
    wrong += count;
    std::printf("wrong: %zu %s\n", count, text.c_str());
  }
  // An interrupt between the few instructions in which a frame of the library's own code comes or goes may lose one.
  EXPECT_LE(wrong, taken.samples.size() / 100) << "of " << taken.samples.size();
}

TEST(Profile, WithoutAGuestStacksAreEmpty) {
  expect_share(must(profile({}, [] { burn_ms(200); })), "", 1);
}

TEST(Profile, CpuTimesAddUp) {
  const Profile taken = must(profile({}, [] { burn_ms(300); }));
  uint64_t sum_ns = 0;
  for (const Profile::Sample& sample : taken.samples) sum_ns += sample.cpu_ns;
  EXPECT_GT(sum_ns, 250'000'000u);
  EXPECT_LT(sum_ns, 600'000'000u);
}

TEST(Profile, ThreadsHaveTheirOwn) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([] { expect_share(must(profile({}, [] { burn_ms(200); })), "", 1); });
  for (std::thread& thread : threads) thread.join();
}

TEST(Profile, WhatIsGoneHasNoName) {
  const Profile taken = must(profile({}, [] {
    const Engine engine = test::engine();
    Linker linker(engine);
    linker.define("env", "burn", [](int32_t ms) { burn_ms(ms); });
    must(must(instantiate(linker, compile(engine, kModule)).get_func("spin")).call({int64_t{200'000'000}}));
  }));
  size_t nameless = 0;
  for (const Profile::Function& function : taken.functions)
    nameless += function.kind == Kind::guest && function.name.empty();
  EXPECT_GE(nameless, 1u);
}

TEST(Profile, DeepStacksKeepTheInnermost) {
  const Engine engine = test::engine();
  const Module module = compile(engine, wasm::test::assemble(R"((module
    (func $spin (param i64) (loop $l (br_if $l (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0)))))
    (func $down (export "down") (param i32)
      (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))
        (else (call $spin (i64.const 400000000))))
      (global.set 0 (i32.const 1)))
    (global (mut i32) (i32.const 0))))"));
  const Instance instance = instantiate(Linker(engine), module);
  const Profile taken = must(profile({}, [&] { must(must(instance.get_func("down")).call({int32_t{2000}})); }));
  size_t full = 0;
  for (const Profile::Sample& sample : taken.samples) {
    EXPECT_LE(sample.stack.size(), Profile::kMaxFrames);
    full += sample.stack.size() == Profile::kMaxFrames && taken.functions[sample.stack.back()].name == "spin";
  }
  EXPECT_GE(full, taken.samples.size() / 2);
}

TEST(Profile, WhatDoesNotFitIsCounted) {
  const Profile taken = must(profile({.limit_bytes = 8 * (Profile::kMaxFrames + 2)}, [] { burn_ms(200); }));
  EXPECT_EQ(taken.samples.size(), 1u);
  EXPECT_GE(taken.dropped, 1u);
}

TEST(Profile, ErrorsOfTheCaller) {
  EXPECT_EQ(kind_of(profile({.interval_us = 99}, [] {})), ErrorKind::invalid_argument);
  auto nested = Result<Profile>(Profile());
  must(profile({}, [&] { nested = profile({}, [] {}); }));
  EXPECT_EQ(kind_of(nested), ErrorKind::invalid_argument);
}

TEST(Profile, AThreadThatBlocksTheSignalIsSampled) {
  sigset_t mask, before;
  sigemptyset(&mask);
  sigaddset(&mask, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  EXPECT_GE(must(profile({}, [] { burn_ms(200); })).samples.size(), kFewSamples);
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  EXPECT_TRUE(sigismember(&before, SIGPROF));
  pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
}

TEST(Profile, AProgramsOwnHandlerStays) {
  must(profile({}, [] {}));
  struct sigaction ours{}, before{};
  ours.sa_handler = [](int) {};
  sigaction(SIGPROF, &ours, &before);
  EXPECT_EQ(kind_of(profile({}, [] {})), ErrorKind::unsupported);
  sigaction(SIGPROF, &before, nullptr);
  must(profile({}, [] {}));
}

}  // namespace
}  // namespace rotor::runtime::test
