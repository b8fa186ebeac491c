// Host functions within recorded calls: what a replay answers in their place, what diverges, what can't be recorded.
#include "proxy/import_tape.h"

#include <gtest/gtest.h>

#include <cstring>

#include "proxy/testing/answer_guest.h"

namespace rotor::proxy {
namespace {

std::span<const uint8_t> bytes_of(const int32_t& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof value};
}

/// Standbys by replay, or from an image and its tail.
class Answers : public testing::TestWithParam<ImageMode> {
 protected:
  Policy policy() const {
    Policy policy = answer_policy();
    policy.image = GetParam();
    return policy;
  }
  /// Makes the call on a new object, rotates twice, and expects the object to be what it was without another word of
  /// the host.
  void expect_same(Proxy& proxy, const char* name, std::initializer_list<Arg> rest) {
    const uint32_t h = proxy.call("make", {7})->handle();
    std::vector<Arg> args{Arg(h)};
    args.insert(args.end(), rest);
    for (int round = 0; round < 3; round++) {
      const int asked_before = guests_.asked;
      auto reply = proxy.call(name, args);
      ASSERT_TRUE(reply) << reply.error().message;
      EXPECT_GT(guests_.asked, asked_before);
      const int32_t value = proxy.call("get", {h})->i32();
      const int asked = guests_.asked;
      const int32_t address = proxy.call("address", {h})->i32();
      ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
      EXPECT_EQ(guests_.asked, asked) << "a side effect happened twice";
      EXPECT_EQ(proxy.call("get", {h})->i32(), value);
      if (GetParam() == ImageMode::off) {
        EXPECT_NE(proxy.call("address", {h})->i32(), address);
      }
    }
    EXPECT_EQ(proxy.counters().divergences, 0u);
    EXPECT_EQ(proxy.counters().warmups_failed, 0u) << proxy.counters().last_problem;
    EXPECT_TRUE(proxy.counters().rotating) << proxy.counters().off_reason;
  }
  AnswerGuests guests_;
};
INSTANTIATE_TEST_SUITE_P(Tape, Answers, testing::Values(ImageMode::off, ImageMode::lazy),
                         [](const auto& info) { return info.param == ImageMode::off ? "Replay" : "Image"; });

TEST_P(Answers, GiveTheResults) {
  Proxy proxy = guests_.proxy(policy());
  expect_same(proxy, "ask_into", {Arg(5)});
  expect_same(proxy, "wide_into", {Arg(int64_t{1} << 40), Arg(2.5)});
}

TEST_P(Answers, PlaceWritesRelativeToThePointer) {
  guests_.on_fill = [&](Caller& caller, int32_t p, int32_t x) -> Result<void> {
    const int32_t first = 1000 * guests_.asked, second = x;
    ROTOR_CHECK(caller.write(static_cast<uint32_t>(p), bytes_of(first)));
    return caller.write(static_cast<uint32_t>(p) + 8, bytes_of(second));
  };
  Proxy proxy = guests_.proxy(policy());
  expect_same(proxy, "fill_into", {Arg(3)});
}

TEST_P(Answers, PlaceWritesInWhatANestedCallAllocated) {
  guests_.on_lend = [&](Caller& caller, int32_t x) -> Result<int32_t> {
    ROTOR_TRY(auto allocated, caller.call("malloc", {Value(16)}));
    ROTOR_CHECK(caller.write(static_cast<uint32_t>(allocated[0].i32()), bytes_of(x * guests_.asked)));
    return allocated[0].i32();
  };
  Proxy proxy = guests_.proxy(policy());
  expect_same(proxy, "lend_into", {Arg(9)});
}

TEST_P(Answers, RepeatWhatWasDoneToTables) {
  guests_.on_refer = [](Caller& caller, int32_t x) -> Result<int32_t> {
    ROTOR_TRY(uint64_t index, caller.table_grow("refs", 2, Value::null(ValType::externref)));
    ROTOR_CHECK(caller.table_set("refs", index + 1, Value(ExternRef{static_cast<uint64_t>(x)})));
    return static_cast<int32_t>(index) + (x > 0 ? 1 : 0);
  };
  Proxy proxy = guests_.proxy(policy());
  expect_same(proxy, "refer_into", {Arg(4)});
  EXPECT_EQ(proxy.call("refs_size")->i32(), 10) << "grown three times, once a call";
}

TEST_P(Answers, RepeatNestedCallsAndWhatTheyAskInTurn) {
  guests_.on_back = [](Caller& caller, int32_t x) -> Result<int32_t> {
    ROTOR_TRY(auto first, caller.call("nested", {Value(x)}));
    ROTOR_TRY(auto second, caller.call("nested", {Value(x + 1)}));
    return first[0].i32() ^ second[0].i32();
  };
  Proxy proxy = guests_.proxy(policy());
  expect_same(proxy, "back_into", {Arg(2)});
  const int32_t total = proxy.call("total")->i32();
  EXPECT_GT(total, 0);
  ASSERT_TRUE(rotates_now(proxy));
  EXPECT_EQ(proxy.call("total")->i32(), total) << "what the nested calls did to the guest";
}

TEST_P(Answers, ReachAcrossSeveralFunctionsInOrder) {
  guests_.on_gate = [](const AnswerHost&, int32_t step) -> Result<int32_t> { return step % 4; };
  Proxy proxy = guests_.proxy(policy());
  expect_same(proxy, "script", {Arg(16)});
}

TEST_P(Answers, AFailedHostFunctionEndsItsCallUnrecorded) {
  Proxy proxy = guests_.proxy(policy());
  const uint32_t h = proxy.call("make", {7})->handle();
  ASSERT_TRUE(proxy.prepare());
  guests_.on_ask = [](Caller&, int32_t) { return fail(ErrorKind::host, "no answer"); };
  const uint64_t recorded = proxy.counters().log_calls;
  auto failed = proxy.call("ask_into", {h, 5});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::host);
  EXPECT_NE(failed.error().message.find("no answer"), std::string::npos);
  EXPECT_EQ(proxy.counters().log_calls, recorded);
  EXPECT_EQ(guests_.asked, 1);
  guests_.on_ask = nullptr;
  EXPECT_EQ(proxy.call("get", {h})->i32(), 7);
  EXPECT_EQ(proxy.counters().rotations_trap, 1u);
  EXPECT_EQ(guests_.traps_seen, 1);
}

/// A host function that fails, and a caller around it that takes the error for an answer.
TEST_P(Answers, ANestedCallThatFailedAndWasForgivenCantBeRecorded) {
  guests_.on_back = [](Caller& caller, int32_t x) -> Result<int32_t> {
    auto failed = caller.call("nested_trap", {Value(x)});
    EXPECT_FALSE(failed);
    return 5;
  };
  Proxy proxy = guests_.proxy(policy());
  const uint32_t h = proxy.call("make", {7})->handle();
  EXPECT_EQ(proxy.call("back_into", {h, 3})->i32(), 12);
  EXPECT_EQ(proxy.call("total")->i32(), 3) << "what it did before it trapped";
  if (proxy.counters().rotating) {
    ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
    EXPECT_EQ(proxy.call("total")->i32(), 3) << "the replay went without it";
  } else {
    EXPECT_NE(proxy.counters().off_reason.find("env.back"), std::string::npos) << proxy.counters().off_reason;
  }
}

TEST_P(Answers, QueriesAreNotAnswered) {
  Proxy proxy = guests_.proxy(policy());
  EXPECT_EQ(proxy.call("ask", {1})->i32(), 101);
  ASSERT_TRUE(rotates_now(proxy));
  EXPECT_EQ(guests_.asked, 1);
  EXPECT_EQ(proxy.call("ask", {1})->i32(), 201);
}

// ---- divergence -----------------------------------------------------------------------------------------------------

/// The first guest's script is one, the others' another.
struct Script {
  const char* name;
  std::vector<int32_t> once, then;
  std::string says;
};

class Diverges : public testing::TestWithParam<Script> {};

TEST_P(Diverges, IsCountedAndTheActiveGoesOn) {
  const Script& script = GetParam();
  AnswerGuests guests;
  guests.on_gate = [&](const AnswerHost& host, int32_t step) -> Result<int32_t> {
    const auto& steps = host.number == 1 ? script.once : script.then;
    return static_cast<size_t>(step) < steps.size() ? steps[static_cast<size_t>(step)] : 0;
  };
  Proxy proxy = guests.proxy(answer_policy());
  const uint32_t h = proxy.call("make", {1})->handle();
  const int32_t value = proxy.call("script", {h, 8})->i32();
  const int asked = guests.asked;
  EXPECT_FALSE(proxy.prepare());
  ProxyCounters counters = proxy.counters();
  EXPECT_EQ(counters.divergences, 1u) << counters.last_problem;
  EXPECT_EQ(counters.warmups_failed, 1u);
  EXPECT_NE(counters.last_problem.find(script.says), std::string::npos) << counters.last_problem;
  EXPECT_EQ(guests.asked, asked) << "no side effect";
  EXPECT_TRUE(counters.rotating);
  EXPECT_EQ(proxy.call("get", {h})->i32(), value) << "the active goes on";
  ASSERT_TRUE(proxy.call("ask_into", {h, 1}));
  EXPECT_EQ(guests.asked, asked + 1);
  EXPECT_TRUE(eventually([&] { return guests.alive == 1; }));
}

INSTANTIATE_TEST_SUITE_P(
    Tape, Diverges,
    testing::Values(
        Script{"OtherOrder", {1, 3}, {3, 1}, "the host function env.wide was called, once it was env.ask"},
        Script{"OtherFunction", {1, 1}, {1, 3}, "the host function env.wide was called, once it was env.ask"},
        Script{"Fewer", {1, 1, 1}, {1}, "2 host calls were not made that once were"},
        Script{"None", {1}, {}, "1 host calls were not made that once were"},
        Script{"More", {1}, {1, 1}, "the host function env.ask was called, which once was not"},
        Script{"Unasked", {}, {3}, "the host function env.wide was called, which once was not"},
        Script{"OtherScalar", {1, 3}, {1, 4}, "argument 1 of the host function env.wide is 0x4, once it was 0x3"}),
    [](const auto& info) { return info.param.name; });

/// An i32 may be a pointer, so another one is no divergence; unless the policy says that it is none.
TEST(Tape, AnotherI32IsADivergenceIfThePolicySaysScalar) {
  for (bool scalar : {false, true}) {
    AnswerGuests guests;
    guests.on_gate = [](const AnswerHost& host, int32_t step) -> Result<int32_t> {
      return step > 0 ? 0 : host.number == 1 ? 1 : 2;
    };
    Policy policy = answer_policy();
    if (scalar) policy.imports.push_back({.name = "env.ask", .args = {{ImportArg::scalar}}});
    Proxy proxy = guests.proxy(policy);
    ASSERT_TRUE(proxy.call("script", {proxy.call("make", {1})->handle(), 2}));
    EXPECT_EQ(proxy.prepare().has_value(), !scalar);
    EXPECT_EQ(proxy.counters().divergences, scalar ? 1u : 0u);
  }
}

TEST(Tape, AnotherResultIsADivergence) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.imports.push_back({.name = "env.ask", .mode = ImportMode::run});
  Proxy proxy = guests.proxy(policy);
  const uint32_t h = proxy.call("make", {1})->handle();
  EXPECT_EQ(proxy.call("ask_into", {h, 1})->i32(), 102);
  EXPECT_FALSE(proxy.prepare());
  EXPECT_EQ(proxy.counters().divergences, 1u);
  EXPECT_NE(proxy.counters().last_problem.find("ask_into returned 0xca, not 0x66"), std::string::npos)
      << proxy.counters().last_problem;
  EXPECT_EQ(proxy.call("get", {h})->i32(), 102);
}

// ---- what can't be recorded -----------------------------------------------------------------------------------------

class Unrecordable : public testing::Test {
 protected:
  /// The call goes well, rotation ends with a reason that has all of `says`, and the active goes on.
  void expect_end(const char* name, std::vector<Arg> args, std::vector<std::string> says) {
    std::string ended;
    Proxy proxy = guests_.proxy(policy_, {.on_event = [&](const ProxyEvent& event) {
                                  if (event.kind == ProxyEventKind::rotation_ended) ended = event.text;
                                }});
    const uint32_t h = proxy.call("make", {7})->handle();
    args.insert(args.begin(), Arg(h));
    if (std::string(name) == "take_func") args.clear();
    auto reply = proxy.call(name, args);
    ASSERT_TRUE(reply) << reply.error().message;
    ProxyCounters counters = proxy.counters();
    EXPECT_FALSE(counters.rotating);
    for (const std::string& text : says)
      EXPECT_NE(counters.off_reason.find(text), std::string::npos) << counters.off_reason << " lacks " << text;
    EXPECT_EQ(ended, counters.off_reason);
    EXPECT_EQ(proxy.prepare().error().kind, ErrorKind::invalid_argument);
    EXPECT_TRUE(proxy.call("add", {h, 1})) << "the active goes on";
    EXPECT_TRUE(proxy.call("drop", {h}));
    EXPECT_EQ(proxy.counters().log_calls, 0u);
  }
  AnswerGuests guests_;
  Policy policy_ = answer_policy();
};

TEST_F(Unrecordable, AHandleThroughWhichTheHostMayWrite) {
  guests_.on_fill = [](Caller& caller, int32_t p, int32_t) -> Result<void> {
    ROTOR_TRY(Memory memory, caller.get_memory());
    const int32_t value = 5;
    return memory.write(static_cast<uint32_t>(p), bytes_of(value));
  };
  expect_end("fill_into", {Arg(1)}, {"fill_into", "env.fill", "get_memory", "let the policy run it"});
}

TEST_F(Unrecordable, AWriteThatNoPointerLeadsTo) {
  guests_.on_refer = [](Caller& caller, int32_t) -> Result<int32_t> {
    const int32_t value = 5;
    ROTOR_CHECK(caller.write(0x10000, bytes_of(value)));
    return 0;
  };
  policy_.imports.push_back({.name = "env.refer", .args = {{ImportArg::scalar}}});
  expect_end("refer_into", {Arg(1)}, {"refer_into", "env.refer", "no pointer argument", "let the policy run it"});
}

/// A count or an index is no pointer, although the policy does not say so: the address would not be relative to
/// anything that moves.
TEST_F(Unrecordable, AWriteThatOnlyASmallNumberLeadsTo) {
  guests_.on_refer = [](Caller& caller, int32_t) -> Result<int32_t> {
    const int32_t value = 5;
    ROTOR_CHECK(caller.write(0x10000, bytes_of(value)));
    return 0;
  };
  expect_end("refer_into", {Arg(1)}, {"refer_into", "env.refer", "no pointer argument", "let the policy run it"});
}

TEST_F(Unrecordable, AWriteBelowItsPointer) {
  guests_.on_fill = [](Caller& caller, int32_t p, int32_t) -> Result<void> {
    const int32_t value = 5;
    return caller.write(static_cast<uint32_t>(p) - 512, bytes_of(value));
  };
  policy_.imports.push_back({.name = "env.fill", .args = {{ImportArg::pointer, ImportArg::scalar}}});
  expect_end("fill_into", {Arg(1)}, {"env.fill", "no pointer argument"});
}

TEST_F(Unrecordable, AFunctionReference) {
  AnswerGuests& guests = guests_;
  guests.on_refer = nullptr;
  guests.on_back = nullptr;
  // A null one is no more than a null.
  Proxy proxy = guests.proxy(policy_);
  EXPECT_EQ(proxy.call("take_func")->i32(), 1);
  EXPECT_TRUE(proxy.counters().rotating);
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
}

TEST_F(Unrecordable, AHandleToAFunction) {
  guests_.on_back = [](Caller& caller, int32_t) -> Result<int32_t> {
    ROTOR_TRY(Func func, caller.get_func("live"));
    ROTOR_TRY(auto results, func.call({}));
    return results[0].i32();
  };
  expect_end("back_into", {Arg(1)}, {"back_into", "env.back", "get_func", "let the policy run it"});
}

TEST_F(Unrecordable, AQuerysHandleIsNotTakenByABuild) {
  guests_.on_lend = [](Caller& caller, int32_t) -> Result<int32_t> {
    ROTOR_TRY(Memory memory, caller.get_memory());
    (void)memory;
    ROTOR_TRY(auto made, caller.call("malloc", {Value(16)}));
    return made[0].i32();
  };
  // lend_into as a query that returns a handle of what was lent.
  rule_of(policy_, "lend_into") = {.name = "lend_into",
                                   .effect = Effect::query,
                                   .args = {{ArgKind::handle, ArgKind::scalar}},
                                   .results = {{ResultKind::handle}}};
  Proxy proxy = guests_.proxy(policy_);
  const uint32_t h = proxy.call("make", {5000})->handle();
  const uint32_t query = proxy.call("lend_into", {h, 1})->handle();
  auto refused = proxy.call("add", {query, 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::invalid_argument);
  EXPECT_NE(refused.error().message.find("env.lend uses get_memory"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(proxy.counters().rotating) << "nothing that was recorded is in the way";
}

// ---- run ------------------------------------------------------------------------------------------------------------

TEST(Tape, WhatThePolicyRunsIsRunAgain) {
  AnswerGuests guests;
  guests.on_fill = [](Caller& caller, int32_t p, int32_t x) -> Result<void> {
    ROTOR_TRY(Memory memory, caller.get_memory());
    return memory.write(static_cast<uint32_t>(p), bytes_of(x));
  };
  Policy policy = answer_policy();
  policy.imports.push_back({.name = "env.fill", .mode = ImportMode::run});
  Proxy proxy = guests.proxy(policy);
  const uint32_t h = proxy.call("make", {1})->handle();
  EXPECT_EQ(proxy.call("fill_into", {h, 4})->i32(), 5);
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  EXPECT_EQ(guests.asked, 2) << "once a guest";
  EXPECT_EQ(proxy.call("get", {h})->i32(), 5);
}

/// A host function that runs again calls the guest, which asks one that is answered.
TEST(Tape, AnswersReachIntoNestedCallsOfWhatRuns) {
  AnswerGuests guests;
  guests.on_back = [](Caller& caller, int32_t x) -> Result<int32_t> {
    ROTOR_TRY(auto got, caller.call("nested", {Value(x)}));
    return got[0].i32();
  };
  Policy policy = answer_policy();
  policy.imports.push_back({.name = "env.back", .mode = ImportMode::run});
  Proxy proxy = guests.proxy(policy);
  const uint32_t h = proxy.call("make", {1})->handle();
  const int32_t value = proxy.call("back_into", {h, 4})->i32();
  EXPECT_EQ(guests.asked, 2);
  const int32_t total = proxy.call("total")->i32();
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  EXPECT_EQ(guests.asked, 3) << "back ran again, ask did not";
  EXPECT_EQ(proxy.call("get", {h})->i32(), value);
  EXPECT_EQ(proxy.call("total")->i32(), total);
}

TEST(Tape, ThePresetSaysRunAndARuleSaysMore) {
  AnswerGuests guests;
  Policy policy = answer_policy();
  policy.preset = Preset::wasm_bindgen;
  policy.imports.clear();
  policy.imports.push_back({.name = "env.wide", .mode = ImportMode::answer});
  // The guest lacks the preset's allocator; nothing here needs it.
  auto explained = policy.explain(guests.module());
  ASSERT_TRUE(explained) << explained.error().message;
  for (const ExplainedImport& import : explained->imports) {
    const bool is_wide = import.name == "env.wide";
    EXPECT_EQ(import.mode, is_wide ? ImportMode::answer : ImportMode::run) << import.name;
    EXPECT_EQ(import.rule == "preset", !is_wide) << import.name << ": " << import.rule;
  }
  policy.preset = Preset::plain;
  policy.imports.clear();
  explained = policy.explain(guests.module());
  ASSERT_TRUE(explained);
  for (const ExplainedImport& import : explained->imports) EXPECT_EQ(import.mode, ImportMode::answer) << import.name;
}

TEST(Tape, ThePresetsFunctionsRunOnEachGuest) {
  AnswerGuests guests;
  guests.on_ask = [](Caller&, int32_t x) -> Result<int32_t> { return x; };
  Policy policy = answer_policy();
  policy.preset = Preset::wasm_bindgen;
  policy.imports.clear();
  Proxy proxy = guests.proxy(policy);
  const uint32_t h = proxy.call("make", {1})->handle();
  EXPECT_EQ(proxy.call("ask_into", {h, 4})->i32(), 5);
  ASSERT_TRUE(rotates_now(proxy)) << proxy.counters().last_problem;
  EXPECT_EQ(guests.asked, 2);
  EXPECT_EQ(proxy.call("get", {h})->i32(), 5);
}

}  // namespace
}  // namespace rotor::proxy
