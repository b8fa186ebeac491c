// When a checkpoint is taken, and what is held: decisions without a guest.
#include "proxy/checkpoint_state.h"

#include <gtest/gtest.h>

#include "proxy/held_results.h"
#include "proxy/random_imports.h"

namespace rotor::proxy {
namespace {

constexpr uint64_t kMs = 1'000'000;

CheckpointRule rule(double grown, double cpu) {
  CheckpointRule rule;
  rule.grown = grown;
  rule.cpu = cpu;
  return rule;
}

TEST(CheckpointState, IsStaleUntilTakenAndAfterEachChange) {
  const CheckpointRule r = rule(0.1, 0.01);
  CheckpointState state(r, 0.7);
  EXPECT_TRUE(state.is_stale());
  EXPECT_TRUE(state.is_pristine());
  state.note_change(1);
  EXPECT_FALSE(state.is_pristine());
  state.note_taken(0, 1, 0.1);
  EXPECT_FALSE(state.is_stale());
  EXPECT_FALSE(state.is_pristine()) << "there is a checkpoint";
  state.note_change(2);
  state.note_change(3);
  EXPECT_TRUE(state.is_stale());
  state.take_back_change();
  EXPECT_TRUE(state.is_stale()) << "one of two";
  state.take_back_change();
  EXPECT_FALSE(state.is_stale());
}

TEST(CheckpointState, IsQuietOnceACallFollowsTheLastChange) {
  const CheckpointRule r = rule(0.1, 0.01);
  CheckpointState state(r, 0.7);
  EXPECT_FALSE(state.is_quiet(0)) << "no call was made";
  EXPECT_TRUE(state.is_quiet(1));
  state.note_change(2);
  EXPECT_FALSE(state.is_quiet(2));
  EXPECT_TRUE(state.is_quiet(3));
}

TEST(CheckpointState, TheFirstIsDueAtOnce) {
  const CheckpointRule r = rule(0.1, 0.01);
  CheckpointState state(r, 0.7);
  EXPECT_TRUE(state.is_due(0, 0.1));
}

TEST(CheckpointState, TheNextIsDueByTimeOrByGrowth) {
  const CheckpointRule r = rule(0.125, 0.01);
  CheckpointState state(r, 0.7);
  state.note_taken(1000 * kMs, 2 * kMs, 0.25);
  EXPECT_FALSE(state.is_due(1000 * kMs, 0.25));
  EXPECT_FALSE(state.is_due(1197 * kMs, 0.25));
  EXPECT_TRUE(state.is_due(1198 * kMs, 0.25)) << "2 ms are 1 % of 200, with these";
  EXPECT_FALSE(state.is_due(1001 * kMs, 0.374));
  EXPECT_TRUE(state.is_due(1001 * kMs, 0.375));
  EXPECT_FALSE(state.is_due(1001 * kMs, 0.7)) << "it would be futile";
  EXPECT_TRUE(state.is_due(1198 * kMs, 0.7)) << "it serves a trap";
}

TEST(CheckpointState, ARewindPaysForTheNext) {
  const CheckpointRule r = rule(0.125, 0.01);
  CheckpointState state(r, 0.7);
  state.note_rewind(0.5);
  EXPECT_FALSE(state.is_paid(0.25)) << "the first is due anyway";
  state.note_taken(1000 * kMs, 2 * kMs, 0.25);
  EXPECT_FALSE(state.is_paid(0.25)) << "one rewind, one checkpoint";
  state.note_rewind(0.124);
  EXPECT_FALSE(state.is_paid(0.25));
  EXPECT_FALSE(state.is_due(1001 * kMs, 0.25));
  state.note_rewind(0.125);
  EXPECT_TRUE(state.is_paid(0.25));
  EXPECT_TRUE(state.is_due(1001 * kMs, 0.25));
  EXPECT_FALSE(state.is_paid(0.7)) << "it would be futile";
  EXPECT_FALSE(state.is_due(1001 * kMs, 0.7));
  state.note_failed(1001 * kMs, kMs);
  EXPECT_FALSE(state.is_paid(0.25)) << "that one waits for the time";
  EXPECT_FALSE(state.is_due(1002 * kMs, 0.25));
}

TEST(CheckpointState, IsAlwaysDueWithAllOfTheTime) {
  const CheckpointRule r = rule(1, 1);
  CheckpointState state(r, 0.7);
  state.note_taken(1000 * kMs, 2 * kMs, 0.25);
  EXPECT_TRUE(state.is_due(1000 * kMs, 0.25));
}

TEST(CheckpointState, AFailureWaitsForTheTime) {
  const CheckpointRule r = rule(0.125, 0.01);
  CheckpointState state(r, 0.7);
  state.note_failed(kMs, kMs);
  EXPECT_FALSE(state.is_due(99 * kMs, 0.1));
  EXPECT_TRUE(state.is_due(100 * kMs, 0.1));
  state.note_taken(101 * kMs, kMs, 0.1);
  state.note_failed(201 * kMs, kMs);
  EXPECT_FALSE(state.is_due(202 * kMs, 0.5)) << "growth does not count after a failure";
  EXPECT_TRUE(state.is_due(300 * kMs, 0.5));
}

TEST(CheckpointState, IsFutileFromWarmAtOn) {
  const CheckpointRule r = rule(0.1, 0.01);
  CheckpointState state(r, 0.7);
  EXPECT_FALSE(state.is_futile());
  state.note_taken(0, 1, 0.69);
  EXPECT_FALSE(state.is_futile());
  state.note_taken(0, 1, 0.7);
  EXPECT_TRUE(state.is_futile());
}

Plan two_exports() {
  Plan plan;
  plan.exports.push_back({.name = "parse", .shown = "parse"});
  plan.exports.push_back({.name = "open", .shown = "open"});
  return plan;
}

TEST(HeldResults, AreHeldUntilReleasedOrDropped) {
  HeldResults held;
  EXPECT_EQ(held.held(), 0u);
  held.note_returned(100, 0, 1);
  held.note_returned(200, 0, 2);
  held.note_returned(300, 1, 3);
  held.note_returned(200, 0, 4);
  EXPECT_EQ(held.held(), 3u) << "a number is held once";
  EXPECT_EQ(held.held_since(), 1u);
  EXPECT_EQ(held.holders(two_exports()), "parse 2, open 1");
  held.note_released(100);
  held.note_released(100);
  held.note_released(999);
  EXPECT_EQ(held.held(), 2u);
  EXPECT_TRUE(held.drop(200));
  EXPECT_FALSE(held.drop(200));
  EXPECT_FALSE(held.drop(100));
  EXPECT_EQ(held.held(), 1u);
  EXPECT_TRUE(held.is_newer(200)) << "the guest still has it";
  EXPECT_FALSE(held.is_newer(100));
  EXPECT_EQ(held.holders(two_exports()), "open 1");
  held.note_returned(200, 1, 5);
  EXPECT_EQ(held.held(), 2u) << "returned again, it is held again";
  EXPECT_EQ(held.held_since(), 1u) << "something always was";
  held.note_released(200);
  held.note_released(300);
  held.note_returned(400, 0, 9);
  EXPECT_EQ(held.held_since(), 9u);
}

TEST(HeldResults, ACheckpointTakesThemIn) {
  HeldResults held;
  held.note_returned(100, 0, 1);
  held.note_checkpoint();
  EXPECT_EQ(held.held(), 0u);
  EXPECT_FALSE(held.is_newer(100));
  held.note_rewind(1);
  EXPECT_EQ(held.find_dead(100), nullptr);
}

TEST(HeldResults, ARewindTakesWhatIsNewer) {
  HeldResults held;
  held.note_returned(100, 1, 1);
  held.note_returned(200, 0, 2);
  EXPECT_TRUE(held.drop(200));
  EXPECT_FALSE(held.any_dead());
  held.note_rewind(7);
  EXPECT_TRUE(held.any_dead());
  EXPECT_EQ(held.held(), 0u);
  ASSERT_NE(held.find_dead(100), nullptr);
  EXPECT_EQ(held.find_dead(100)->export_index, 1u);
  EXPECT_EQ(held.find_dead(100)->rotation, 7u);
  EXPECT_NE(held.find_dead(200), nullptr) << "dropped, and gone";
  held.note_returned(100, 0, 3);
  EXPECT_EQ(held.find_dead(100), nullptr) << "the guest gave the number out again";
  held.revive(200);
  EXPECT_FALSE(held.any_dead());
}

TEST(HeldResults, AreBounded) {
  HeldResults held;
  for (uint64_t i = 1; i <= HeldResults::kMaxHeld + 2; i++) held.note_returned(i, 0, i);
  EXPECT_EQ(held.held(), HeldResults::kMaxHeld + 2);
  EXPECT_NE(held.holders(two_exports()).find("2 that are not told apart"), std::string::npos);
  for (uint64_t i = 1; i <= HeldResults::kMaxHeld + 2; i++) held.note_released(i);
  EXPECT_EQ(held.held(), 2u) << "until the next checkpoint";
  for (uint64_t i = 1; i <= HeldResults::kMaxDead + 2; i++) held.note_returned(i, 0, i);
  held.note_rewind(1);
  EXPECT_EQ(held.held(), 0u);
  size_t known = 0;
  for (uint64_t i = 1; i <= HeldResults::kMaxDead + 2; i++) known += held.find_dead(i) != nullptr;
  EXPECT_EQ(known, HeldResults::kMaxDead);
  held.note_returned(1, 0, 1);
  held.note_rewind(2);
  EXPECT_NE(held.find_dead(1), nullptr) << "the newest are known";
}

TEST(CountsText, NamesTheLargest) {
  Plan plan;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) plan.exports.push_back({.name = name, .shown = name});
  EXPECT_EQ(counts_text(plan, {0, 0, 0, 0, 0, 0, 0}), "");
  EXPECT_EQ(counts_text(plan, {0, 2, 0, 9, 0, 0, 2}), "d 9, b 2, g 2");
  EXPECT_EQ(counts_text(plan, {1, 2, 3, 4, 5, 6, 7}), "g 7, f 6, e 5, d 4, c 3 and 2 more");
}

TEST(RandomImports, AreKnownByName) {
  for (const char* name :
       {"wasi_snapshot_preview1.random_get", "wasi:random/random@0.2.0.get-random-bytes", "env.getentropy",
        "wbg.__wbg_getRandomValues_a1b2", "./plonk_wasm_bg.js.__wbg_randomFillSync_ac0988aba3254290", "env.seed",
        "wbg.__wbg_random_656f2ae924b2540e", "gojs.runtime.getRandomData"})
    EXPECT_TRUE(is_random_import(name)) << name;
  for (const char* name : {"wasi_snapshot_preview1.clock_time_get", "env.salt", "env.randomize_later", "seed.env"})
    EXPECT_FALSE(is_random_import(name)) << name;
}

}  // namespace
}  // namespace rotor::proxy
