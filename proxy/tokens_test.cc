#include "proxy/tokens.h"

#include <gtest/gtest.h>

#include <set>

namespace rotor::proxy {
namespace {

Plan one_export() {
  Plan plan;
  plan.exports.push_back({.name = "make", .shown = "make"});
  return plan;
}

TEST(TokenTable, SaysWhatEndedAToken) {
  Plan plan = one_export();
  TokenTable tokens(plan);
  using State = TokenTable::State;
  uint32_t a = *tokens.add(State::built, 0, 5, 1024, 1), b = *tokens.add(State::query, 0, 6, 4096, 1),
           c = *tokens.add(State::query, 0, 7, 4096, 1);
  EXPECT_NE(b, c);
  EXPECT_EQ((*tokens.find(a))->id, 5u);
  EXPECT_EQ((*tokens.find(b))->raw, 4096u);
  tokens.end(a, TokenTable::State::released);
  tokens.end(b, TokenTable::State::lease_ended);
  tokens.end(c, TokenTable::State::swapped_out, 7);
  EXPECT_EQ(tokens.find(a).error().message, "stale handle 0x80000000 of make: it was released or consumed");
  EXPECT_EQ(tokens.find(b).error().message, "stale handle 0x80000001 of make: it ended with its lease");
  EXPECT_EQ(tokens.find(c).error().message, "stale handle 0x80000002 of make: rotation 7 ended it");
  EXPECT_EQ(tokens.find(c).error().kind, ErrorKind::stale_handle);
  EXPECT_EQ(tokens.find(1234).error().message, "0x4d2 is no handle of this proxy");
  EXPECT_EQ(tokens.find(0x80000003).error().message, "0x80000003 is no handle of this proxy");
}

TEST(TokenTable, DoesNotReuseATokenSoon) {
  Plan plan = one_export();
  TokenTable tokens(plan);
  std::set<uint32_t> seen;
  for (uint32_t i = 0; i < 100'000; i++) {
    uint32_t token = *tokens.add(TokenTable::State::query, 0, 1, i + 1, 1);
    EXPECT_TRUE(seen.insert(token).second);
    tokens.end(token, TokenTable::State::released);
  }
  // An entry that was given away again no longer knows how its last token ended.
  EXPECT_EQ(tokens.find(*seen.begin()).error().message, "stale handle 0x80000000: it ended long ago");
}

TEST(TokenTable, IsBounded) {
  Plan plan = one_export();
  TokenTable tokens(plan);
  for (uint32_t i = 0; i < TokenTable::kMaxLive; i++) ASSERT_TRUE(tokens.add(TokenTable::State::query, 0, 1, i + 1, 1));
  EXPECT_EQ(tokens.add(TokenTable::State::query, 0, 1, 1 + 1, 1).error().kind, ErrorKind::limit);
  tokens.end(0x80000000u, TokenTable::State::released);
  EXPECT_TRUE(tokens.add(TokenTable::State::query, 0, 1, 1 + 1, 1));
}

}  // namespace
}  // namespace rotor::proxy
