#include "wasm/keyed_hash.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wasm/testing/collisions.h"

namespace rotor::wasm {
namespace {

uint64_t hash(KeyedHasher::Key key, std::string_view bytes) {
  KeyedHasher hasher(key);
  hasher.add_last(bytes);
  return hasher.finish();
}

TEST(KeyedHash, IsSipHash13) {
  std::string bytes;
  for (char c = 0; c < 63; ++c) bytes += c;
  // As CPython has them (3.11, PYTHONHASHSEED=0): of the first n of the bytes 0, 1, 2, …
  EXPECT_EQ(hash({0, 0}, bytes.substr(0, 1)), UINT64_C(0x68a914128e01e473));
  EXPECT_EQ(hash({0, 0}, bytes.substr(0, 7)), UINT64_C(0x2f098ab0c751325a));
  EXPECT_EQ(hash({0, 0}, bytes.substr(0, 8)), UINT64_C(0xead411e67ebe2eea));
  EXPECT_EQ(hash({0, 0}, bytes.substr(0, 9)), UINT64_C(0x75927f9d95124362));
  EXPECT_EQ(hash({0, 0}, bytes.substr(0, 15)), UINT64_C(0xf30eb725bb91c9ea));
  EXPECT_EQ(hash({0, 0}, bytes.substr(0, 16)), UINT64_C(0x8972188433a5c5b7));
  EXPECT_EQ(hash({0, 0}, bytes), UINT64_C(0x385d3e39e5f37359));
}

TEST(KeyedHash, WordsAreTheirBytes) {
  KeyedHasher words({1, 2});
  words.add(0x0706050403020100);
  words.add(0x0f0e0d0c0b0a0908);
  std::string bytes;
  for (char c = 0; c < 16; ++c) bytes += c;
  EXPECT_EQ(words.finish(), hash({1, 2}, bytes));
  EXPECT_NE(hash({1, 2}, bytes), hash({1, 3}, bytes));
  EXPECT_NE(hash({1, 2}, bytes), hash({2, 2}, bytes));
}

TEST(KeyedHash, TheKeyIsTheProcesss) {
  const KeyedHasher::Key& key = KeyedHasher::process_key();
  EXPECT_TRUE(key.k0 != 0 || key.k1 != 0);
  EXPECT_EQ(KeyedHash()("name"), hash(key, "name"));
}

struct CountingEqual {
  size_t* count;
  bool operator()(std::string_view a, std::string_view b) const {
    ++*count;
    return a == b;
  }
};
/// Comparisons that it takes to put all names into a table.
template <class Hash>
size_t comparisons(const std::vector<std::string>& names) {
  size_t count = 0;
  std::unordered_set<std::string_view, Hash, CountingEqual> table(0, Hash(), CountingEqual{&count});
  for (const std::string& name : names) EXPECT_TRUE(table.insert(name).second);
  return count;
}

TEST(KeyedHash, NamesThatCollideElsewhereDoNot) {
  const std::vector<std::string> names = test::colliding_names(2000);
  EXPECT_GE(comparisons<std::hash<std::string_view>>(names), 2000u * 1999 / 2);
  EXPECT_EQ(comparisons<KeyedHash>(names), 0u);  // of equal hashes only, 64 bits of them
}

TEST(KeyedHash, NumbersThatCollideElsewhereDoNot) {
  // std::hash of a number is the number, and a table's place of it the remainder.
  KeyedMap<uint64_t, int> table;
  for (int i = 0; i < 2000; ++i) table[static_cast<uint64_t>(i)] = i;
  const uint64_t places = table.bucket_count();
  table.clear();
  for (uint64_t i = 0; i < 2000; ++i) table[i * places] = 0;
  ASSERT_EQ(table.bucket_count(), places);
  for (size_t place = 0; place < places; ++place) EXPECT_LT(table.bucket_size(place), 20u);
}

}  // namespace
}  // namespace rotor::wasm
