// Slicing, and a log that is compacted while readers stand anywhere in it: no guest, only handles and numbers.
#include "proxy/slice.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "proxy/log.h"
#include "proxy/provisional.h"

namespace rotor::proxy {
namespace {

using enum ArgKind;

enum Export : uint32_t {
  kMake,
  kAdd,
  kPair,
  kMerge,
  kDrop,
  kSet,
  kBump,
  kTune,
  kPost,
  kMirror,
  kConsumeQuery,
  kExportCount
};

/// make() -> h; add(h, x); pair(a, b) -> h, reads; merge(consumed…) -> h; drop(consumed); set(x) with a key of nothing;
/// bump(x), which touches no handle; tune(h, x) with h as its key; post(h, x), which
/// writes to more than h; mirror(h) -> h, a query; a query that ends what it
/// is given.
Plan make_plan() {
  Plan plan;
  plan.exports.resize(kExportCount);
  auto add = [&](Export index, const char* name, Effect effect, std::vector<ArgKind> args) -> ExportPlan& {
    ExportPlan& item = plan.exports[index];
    item.name = name;
    item.effect = effect;
    item.args = std::move(args);
    item.local = effect == Effect::build;
    return item;
  };
  add(kMake, "make", Effect::build, {scalar});
  add(kAdd, "add", Effect::build, {handle, scalar});
  add(kPair, "pair", Effect::build, {handle, handle}).reads = true;
  add(kMerge, "merge", Effect::build, {consumed_handles});
  add(kDrop, "drop", Effect::release, {consumed});
  add(kSet, "set", Effect::build, {scalar}).key.emplace();
  add(kBump, "bump", Effect::build, {scalar});
  add(kPost, "post", Effect::build, {handle, scalar}).local = false;
  add(kTune, "tune", Effect::build, {handle, scalar}).key = {{0}};
  add(kMirror, "mirror", Effect::query, {handle}).makes_handles = true;
  add(kConsumeQuery, "eat", Effect::query, {consumed});
  return plan;
}

const Plan kPlan = make_plan();

std::shared_ptr<LogCall> call(Export index, std::vector<Slot> args, std::vector<HandleId> made = {}) {
  auto made_call = std::make_shared<LogCall>();
  made_call->export_index = index;
  made_call->args = std::move(args);
  made_call->made = std::move(made);
  return made_call;
}
std::shared_ptr<LogCall> merge(std::vector<HandleId> ids, HandleId made) {
  auto merged = call(kMerge, {ids.size() * sizeof(HandleId)}, {made});
  merged->data.resize(ids.size() * sizeof(HandleId));
  std::memcpy(merged->data.data(), ids.data(), merged->data.size());
  return merged;
}
std::shared_ptr<LogCall> mirror(HandleId of, HandleId made) {
  auto promoted = call(kMirror, {of}, {made});
  promoted->promoted = true;
  return promoted;
}

/// "1" for what stays, "." for what goes.
std::string sliced(const Calls& calls, const HasHandle& has = has_none, std::unordered_set<HandleId> pinned = {}) {
  std::string text;
  for (bool kept : slice(kPlan, calls, has, pinned)) text += kept ? '1' : '.';
  return text;
}

TEST(Slice, AReleaseStaysExactlyIfItsBuildStays) {
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kDrop, {1})}), "..");
  EXPECT_EQ(sliced({call(kMake, {1}, {1})}), "1");
  // 1 is needed by 3, which lives: so it is made, and so it is ended.
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), call(kPair, {1, 2}, {3}), call(kDrop, {1}),
                    call(kDrop, {2})}),
            "11111");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), call(kPair, {1, 2}, {3}), call(kDrop, {1}),
                    call(kDrop, {2}), call(kDrop, {3})}),
            "......");
}

TEST(Slice, BuildsChangeWhatTheyTakeUnlessTheyRead) {
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kAdd, {1, 5}), call(kAdd, {1, 6})}), "111");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kAdd, {1, 5}), call(kDrop, {1})}), "...");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), call(kPair, {1, 2}, {3}), call(kDrop, {3})}), "11..")
      << "pair only read what lives";
}

TEST(Slice, WhatChangedAHandleAfterItWasReadGoesWithIt) {
  // 1 is needed by 3 as it was when 3 was made; the second add came later, and 1 is dropped.
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kAdd, {1, 5}), call(kPair, {1, 1}, {3}), call(kAdd, {1, 6}),
                    call(kDrop, {1})}),
            "111.1");
}

TEST(Slice, ConsumingMoves) {
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), merge({1, 2}, 3)}), "111");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), merge({1, 2}, 3), call(kDrop, {3})}), "....");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kAdd, {1, 2}), merge({1}, 3)}), "111") << "what was moved was changed";
}

TEST(Slice, AMergeForcedAsTheEndOfAKeptHandlePullsInItsOtherInputs) {
  // 1 stays for 5. So the merge that ends it stays, so 2 and what changed it, and the end of 3 that it made.
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), call(kAdd, {2, 9}), call(kPair, {1, 1}, {5}),
                    merge({1, 2}, 3), call(kDrop, {3})}),
            "111111");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), call(kAdd, {2, 9}), call(kPair, {1, 1}, {5}),
                    merge({1, 2}, 3), call(kDrop, {3}), call(kDrop, {5})}),
            ".......");
}

TEST(Slice, ForcedEndsFollowOneAnother) {
  // 1 is kept by 9; merge(1,2)->3; 3 is merged with 4; and so on: each forces the next.
  EXPECT_EQ(
      sliced({call(kMake, {1}, {1}), call(kPair, {1, 1}, {9}), call(kMake, {2}, {2}), merge({1, 2}, 3),
              call(kMake, {4}, {4}), merge({3, 4}, 5), call(kMake, {6}, {6}), merge({5, 6}, 7), call(kDrop, {7})}),
      "111111111");
}

TEST(Slice, OfAKeyTheLastWriterStays) {
  EXPECT_EQ(sliced({call(kSet, {1}), call(kSet, {2}), call(kSet, {3})}), "..1");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), call(kTune, {1, 5}), call(kTune, {2, 5}),
                    call(kTune, {1, 6})}),
            "11.11")
      << "a key of the handle: each has its own";
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kTune, {1, 5}), call(kDrop, {1})}), "...");
}

TEST(Slice, WhatTouchesNoHandleStays) { EXPECT_EQ(sliced({call(kBump, {1}), call(kBump, {2})}), "11"); }

TEST(Slice, ABuildThatIsNotLocalStaysWithAllThatItTakes) {
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kAdd, {1, 5}), call(kPost, {1, 5}), call(kDrop, {1})}), "1111");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kPost, {1, 5}), call(kAdd, {1, 5}), call(kDrop, {1})}), "11.1")
      << "what came after it changed only what is gone";
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kMake, {2}, {2}), call(kPair, {1, 2}, {3}), call(kPost, {3, 1}),
                    call(kDrop, {1}), call(kDrop, {2}), call(kDrop, {3})}),
            "1111111");
  EXPECT_EQ(sliced({call(kPost, {1, 5}), call(kDrop, {1})}), "1.") << "a handle of no call: the replay says so, aloud";
}

TEST(Slice, APromotedQueryStaysForWhatItReturned) {
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), mirror(1, 2), call(kAdd, {2, 5})}), "111");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), mirror(1, 2), call(kAdd, {2, 5}), call(kDrop, {2})}), "1...")
      << "a query changes nothing of what it takes";
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), mirror(1, 2), call(kAdd, {2, 5}), call(kDrop, {1})}), "1111");
}

TEST(Slice, AQueryThatOnlyEndsIsAnEnd) {
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kConsumeQuery, {1})}), "..");
  EXPECT_EQ(sliced({call(kMake, {1}, {1}), call(kPair, {1, 1}, {2}), call(kConsumeQuery, {1})}), "111");
}

TEST(Slice, WhatIsPinnedStaysAlthoughItEnded) {
  const Calls calls = {call(kMake, {1}, {1}), call(kAdd, {1, 5}), call(kDrop, {1})};
  EXPECT_EQ(sliced(calls), "...");
  EXPECT_EQ(sliced(calls, has_none, {1}), "111");
}

TEST(Slice, WithNothingBeforeItATailOfUnknownHandlesIsEmpty) {
  const Calls tail = {call(kAdd, {1, 5}), call(kPair, {1, 1}, {2}), call(kDrop, {1}), call(kMake, {7}, {7})};
  EXPECT_EQ(sliced(tail, has_none), "...1");
  EXPECT_EQ(sliced(tail, has_all), "1111");
}

TEST(Slice, ATailEndsWhatItsReaderHas) {
  const Calls tail = {call(kAdd, {1, 5}), call(kDrop, {1}), call(kDrop, {2}), merge({3, 4}, 5), call(kDrop, {5})};
  EXPECT_EQ(sliced(tail, has_all), ".1111") << "the add changed what is then dropped";
  EXPECT_EQ(sliced(tail, [](HandleId id) { return id == 2; }), "..1..");
  EXPECT_EQ(sliced(tail, [](HandleId id) { return id == 1 || id == 2; }), ".11..");
}

TEST(Slice, NullHandlesAreNone) {
  EXPECT_EQ(sliced({call(kAdd, {0, 5}), call(kMake, {1}, {kNullHandle}), call(kDrop, {0})}), "11.");
}

// ---- any log, any reader --------------------------------------------------------------------------------------------

using Heap = std::map<HandleId, int64_t>;

/// What a call does to the handles; false: it takes one that is not there.
bool perform(const LogCall& made_call, Heap& heap, int64_t& setting, int64_t* result) {
  std::vector<HandleId> taken;
  std::vector<HandleId> ended;
  each_taken(kPlan.exports[made_call.export_index], made_call, [&](HandleId id, bool ends) {
    taken.push_back(id);
    if (ends) ended.push_back(id);
  });
  for (HandleId id : taken)
    if (!heap.contains(id)) return false;
  int64_t value = 0;
  switch (static_cast<Export>(made_call.export_index)) {
    case kMake: value = static_cast<int64_t>(made_call.args[0]); break;
    case kAdd: value = heap[taken[0]] = (heap[taken[0]] * 3 + static_cast<int64_t>(made_call.args[1])) & 0xffff; break;
    case kTune: break;
    case kPair: value = (heap[taken[0]] * 7 + heap[taken[1]]) & 0xffff; break;
    case kMirror: value = heap[taken[0]] + 7 * setting + 1; break;
    case kMerge:
      for (HandleId id : taken) value = (value * 5 + heap[id]) & 0xffff;
      break;
    case kBump: setting += static_cast<int64_t>(made_call.args[0]); break;
    case kPost:
      value = setting = (setting * 31 + heap[taken[0]] + static_cast<int64_t>(made_call.args[1])) & 0xffff;
      break;
    default: break;
  }
  for (HandleId id : ended) heap.erase(id);
  for (HandleId id : made_call.made)
    if (id != kNullHandle) heap[id] = value;
  *result = value;
  return true;
}

/// Records as the proxy does: queries whose handles are provisional until a build takes one.
class RandomLog {
 public:
  RandomLog(uint64_t seed, bool cuts)
      : random_(seed), cuts_(cuts), log_(kPlan, {.calls = 1u << 20, .bytes = 1u << 30, .replay_ns = 1u << 30}) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); i++) {
      step();
      if (below(20) == 0) move_readers();
      if (below(40) == 0) compact();
      if (cuts_ && below(60) == 0) cut();
      if (below(30) == 0) check_fresh();
    }
    for (size_t i = 0; i < readers_.size(); i++) check(readers_[i]);
    check_fresh();
  }
  int missed = 0, caught_up = 0;
  uint64_t dropped = 0;
  uint64_t cut_away = 0;
  int too_late = 0;

 private:
  struct Reader {
    LogPosition position;
    Heap heap;
    int64_t setting = 0;
  };
  /// A query's handle, until it is taken by a build or dropped.
  struct Query {
    std::shared_ptr<LogCall> call;
    std::vector<HandleId> pins;
  };

  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  HandleId any() { return built_[below(static_cast<uint32_t>(built_.size()))]; }
  void forget(HandleId id) { std::erase(built_, id); }

  void record(std::shared_ptr<LogCall> made_call) {
    made_call->seq = log_.next_seq();
    int64_t result = 0;
    ASSERT_TRUE(perform(*made_call, truth_, setting_, &result));
    made_call->scalars = {static_cast<Slot>(result)};
    made_call->cost_ns = 1;
    for (HandleId id : made_call->made) built_.push_back(id);
    log_.append(std::move(made_call));
  }

  void step() {
    const uint32_t what = below(100);
    if (built_.size() < 3 || (what < 20 && built_.size() < 40)) {
      record(call(kMake, {below(1000)}, {log_.next_handle()}));
    } else if (what < 40) {
      record(call(kAdd, {any(), below(1000)}));
    } else if (what < 50) {
      record(call(kPair, {any(), any()}, {log_.next_handle()}));
    } else if (what < 60) {
      const HandleId a = any();
      forget(a);
      const HandleId b = any();
      forget(b);
      record(merge({a, b}, log_.next_handle()));
    } else if (what < 80) {
      const HandleId gone = any();
      forget(gone);
      record(call(kDrop, {gone}));
    } else if (what < 84) {
      record(call(kBump, {below(1000)}));
    } else if (what < 86) {
      record(call(kPost, {any(), below(1000)}));
    } else if (what < 93) {
      query();
    } else {
      end_query();
    }
  }

  void query() {
    if (queries_.size() > 5) return;
    const HandleId of = any();
    Query made{.call = mirror(of, log_.next_handle()), .pins = {of}};
    made.call->seq = log_.next_seq();
    int64_t result = 0;
    ASSERT_TRUE(perform(*made.call, truth_, setting_, &result));
    made.call->scalars = {static_cast<Slot>(result)};
    log_.pin(of);
    queries_.push_back(std::move(made));
  }

  /// A build takes its handle: it enters the log, late if what it read has changed since. Or it is dropped.
  void end_query() {
    if (queries_.empty()) return;
    Query made = std::move(queries_.front());
    queries_.erase(queries_.begin());
    const HandleId id = made.call->made[0];
    const bool unchanged = log_.unchanged_since(made.call->seq, made.pins);
    const bool late = !unchanged && made.call->seq <= log_.cut_seq();
    too_late += late;
    if (below(2) && !late) {
      if (unchanged) made.call->seq = log_.next_seq();
      log_.append(made.call);
      built_.push_back(id);
      record(call(kAdd, {id, below(1000)}));
    } else {
      truth_.erase(id);
    }
    for (HandleId pinned : made.pins) log_.unpin(pinned);
  }

  void move_readers() {
    if (readers_.size() < 4) readers_.push_back(fresh());
    Reader& reader = readers_[below(static_cast<uint32_t>(readers_.size()))];
    if (below(2)) {
      check(reader);
    } else {
      reader = fresh();
    }
  }

  void compact() {
    std::vector<LogPosition> positions;
    for (const Reader& reader : readers_) positions.push_back(reader.position);
    if (base_) positions.push_back(base_->position);
    const uint64_t before = log_.size();
    const uint64_t remain = log_.compact(positions);
    EXPECT_LE(remain, before);
    dropped += before - remain;
  }

  /// Cuts the log where some reader stands: those behind it begin anew with it.
  void cut() {
    if (readers_.empty()) return;
    const Reader base = readers_[below(static_cast<uint32_t>(readers_.size()))];
    if (log_.missed_one(base.position)) return;
    std::erase_if(readers_, [&](const Reader& reader) { return reader.position.seq < base.position.seq; });
    const uint64_t before = log_.size();
    cut_away += before - log_.cut(base.position);
    base_ = base;
    EXPECT_EQ(log_.fill() > 0, log_.size() > 0);
    LogPosition nowhere;
    if (base.position.seq) {
      EXPECT_FALSE(log_.fresh_calls(&nowhere));
      EXPECT_FALSE(log_.tail_calls(nowhere = {}, has_none));
    }
  }

  Reader fresh() {
    Reader reader;
    if (base_) {
      reader = *base_;
      Result<Calls> tail = log_.tail_calls(reader.position, [&](HandleId id) { return reader.heap.contains(id); });
      EXPECT_TRUE(tail) << tail.error().message;
      if (tail) replay(*tail, reader);
      return reader;
    }
    Result<Calls> calls = log_.fresh_calls(&reader.position);
    EXPECT_TRUE(calls) << calls.error().message;
    if (calls) replay(*calls, reader);
    return reader;
  }

  void replay(const Calls& calls, Reader& reader) {
    for (const auto& made_call : calls) {
      int64_t result = 0;
      ASSERT_TRUE(perform(*made_call, reader.heap, reader.setting, &result))
          << kPlan.exports[made_call->export_index].name << ", call " << made_call->seq << ", takes what is not there";
      ASSERT_EQ(static_cast<Slot>(result), made_call->scalars[0])
          << kPlan.exports[made_call->export_index].name << ", call " << made_call->seq << ": a divergence";
    }
  }

  void check(Reader& reader) {
    Result<Calls> tail = log_.tail_calls(reader.position, [&](HandleId id) { return reader.heap.contains(id); });
    if (!tail) {
      missed++;
      reader = fresh();
    } else {
      caught_up++;
      replay(*tail, reader);
    }
    compare(reader);
  }
  void check_fresh() {
    const Reader reader = fresh();
    compare(reader);
  }

  /// What lives: the built handles. Query handles are no part of the state; what is pinned may live longer.
  void compare(const Reader& reader) {
    ASSERT_EQ(reader.setting, setting_);
    for (HandleId id : built_) {
      ASSERT_TRUE(reader.heap.contains(id)) << id << " did not come along";
      ASSERT_EQ(reader.heap.at(id), truth_.at(id)) << id;
    }
    for (const auto& [id, value] : reader.heap)
      ASSERT_TRUE(truth_.contains(id)) << id << " lives on, although it ended";
  }

  std::mt19937_64 random_;
  const bool cuts_;
  Log log_;
  Heap truth_;
  int64_t setting_ = 0;
  std::vector<HandleId> built_;
  std::vector<Query> queries_;
  std::vector<Reader> readers_;
  std::optional<Reader> base_;  ///< that the log was cut at
};

TEST(Slice, EveryReaderOfARandomLogHasWhatLivesAndNothingMore) {
  int missed = 0, caught_up = 0, too_late = 0;
  uint64_t dropped = 0, cut_away = 0;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    RandomLog log(seed, seed % 2);
    log.run(400);
    missed += log.missed;
    caught_up += log.caught_up;
    dropped += log.dropped;
    cut_away += log.cut_away;
    too_late += log.too_late;
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
  // All of it happened.
  EXPECT_GT(missed, 10);
  EXPECT_GT(caught_up, 100);
  EXPECT_GT(dropped, 1000u);
  EXPECT_GT(cut_away, 1000u);
  EXPECT_GT(too_late, 10);
}

}  // namespace
}  // namespace rotor::proxy
