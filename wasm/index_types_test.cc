// Several memories, 64-bit memories and tables, page sizes and wide arithmetic: what decodes and what is typed how.
#include <gtest/gtest.h>

#include "wasm/decode_body.h"
#include "wasm/decode_module.h"
#include "wasm/testing/module.h"

namespace rotor::wasm {
namespace {

using namespace test;

constexpr uint8_t kEnd = 0x0b, kDrop = 0x1a, kI32Const = 0x41, kI64Const = 0x42;

Features all_on() {
  Features features;
  features.custom_page_sizes = features.wide_arithmetic = true;
  return features;
}

/// "" if it is valid.
std::string check(const Bytes& bytes, const Features& features = all_on()) {
  auto module = decode_module(bytes, {.features = features, .bodies_elsewhere = false});
  if (!module) return module.error().message;
  auto valid = validate_bodies(*module, bytes, features);
  return valid ? "" : valid.error().message;
}

std::string memory(const Bytes& type) { return check(module({section(5, vec({type}))})); }
std::string table(const Bytes& type) { return check(module({section(4, vec({Bytes{kFuncRef} + type}))})); }

// Memories: 0 of 32 bits, 1 of 64 bits, 2 of 32 bits in pages of one byte. Tables: 0 of 32 bits, 1 of 64 bits. One
// passive data segment, one passive element segment.
Bytes with_code(const Bytes& code) {
  return module({section(1, vec({func_type({}, {})})), section(3, vec({{0}})),
                 section(4, vec({{kFuncRef, 0, 1}, {kFuncRef, 4, 1}})), section(5, vec({{0, 1}, {4, 1}, {8, 1, 0}})),
                 section(9, vec({{1, 0, 0}})), section(12, {1}), section(10, vec({body(code + Bytes{kEnd})})),
                 section(11, vec({{1, 0}}))});
}
std::string code(const Bytes& code) { return check(with_code(code)); }
const Bytes kInt = {kI32Const, 0}, kLong = {kI64Const, 0};

TEST(IndexTypes, LimitsOfMemories) {
  constexpr uint64_t kMost = uint64_t{1} << 48;
  EXPECT_EQ(memory(Bytes{4} + leb(kMost)), "");
  EXPECT_EQ(memory(Bytes{5, 0} + leb(kMost)), "");
  EXPECT_EQ(memory(Bytes{4} + leb(kMost + 1)), "memory size must be at most 2^48 pages (2^64 bytes)");
  EXPECT_EQ(memory(Bytes{5, 0} + leb(UINT64_MAX)), "memory size must be at most 2^48 pages (2^64 bytes)");
  EXPECT_EQ(memory({5, 2, 1}), "size minimum must not be greater than maximum");
  EXPECT_EQ(memory({6, 1}), "shared memory must have maximum");
  EXPECT_EQ(memory({7, 1, 1}), "");
}

TEST(IndexTypes, PageSizes) {
  EXPECT_EQ(memory({8, 1, 0}), "");
  EXPECT_EQ(memory({8, 1, 16}), "");
  for (uint8_t log2 : {1, 12, 15, 17, 63}) EXPECT_EQ(memory({8, 1, log2}), "invalid custom page size") << int{log2};
  EXPECT_EQ(memory({8, 1, 64}), "invalid custom page size");
  EXPECT_EQ(memory({8, 1}), "unexpected end of section or function");
  EXPECT_EQ(memory(Bytes{8} + leb(UINT32_MAX) + Bytes{0}), "");
  EXPECT_EQ(memory(Bytes{8} + leb(uint64_t{1} << 32) + Bytes{0}), "memory size must be at most 2^32-1 bytes");
  EXPECT_EQ(memory(Bytes{8} + leb(65537) + Bytes{16}), "memory size must be at most 65536 pages (4GiB)");
  EXPECT_EQ(memory(Bytes{13} + leb(UINT64_MAX) + leb(UINT64_MAX) + Bytes{0}), "");
  auto decoded =
      decode_module(module({section(5, vec({{15, 1, 2, 0}}))}), {.features = all_on(), .bodies_elsewhere = false});
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->memories[0], (MemoryType{{1, 2}, true, true, 0}));
  EXPECT_EQ(decoded->used_features,
            feature_bit(Feature::threads) | feature_bit(Feature::memory64) | feature_bit(Feature::custom_page_sizes));
}

TEST(IndexTypes, LimitsOfTables) {
  EXPECT_EQ(table(Bytes{4} + leb(UINT64_MAX)), "");
  EXPECT_EQ(table(Bytes{5, 0} + leb(UINT64_MAX)), "");
  EXPECT_EQ(table({5, 2, 1}), "size minimum must not be greater than maximum");
  EXPECT_EQ(table(Bytes{1, 0} + leb(uint64_t{1} << 32)), "table size must be at most 2^32-1");
}

TEST(IndexTypes, EachProposalCanBeOff) {
  Features off = all_on();
  off.memory64 = off.multi_memory = off.custom_page_sizes = off.wide_arithmetic = false;
  EXPECT_EQ(check(module({section(5, vec({{4, 1}}))}), off), "unsupported feature: memory64");
  EXPECT_EQ(check(module({section(4, vec({{kFuncRef, 4, 1}}))}), off), "unsupported feature: memory64");
  EXPECT_EQ(check(module({section(5, vec({{0, 1}, {0, 1}}))}), off), "unsupported feature: multi-memory");
  EXPECT_EQ(check(module({section(5, vec({{8, 1, 16}}))}), off), "unsupported feature: custom-page-sizes");
  auto one_memory = [&](const Bytes& code) {
    return check(module({section(1, vec({func_type({}, {})})), section(3, vec({{0}})), section(5, vec({{0, 1}})),
                         section(10, vec({body(code + Bytes{kEnd})}))}),
                 off);
  };
  EXPECT_EQ(one_memory(kInt + Bytes{0x28, 0x42, 0, 0, kDrop}), "unsupported feature: multi-memory");
  EXPECT_EQ(one_memory(kLong + kLong + Bytes{0xfc, 0x16}), "unsupported feature: wide-arithmetic");
}

TEST(IndexTypes, MemoriesAreFew) {
  Bytes memories = leb(101);
  for (int i = 0; i < 101; ++i) memories = memories + Bytes{0, 0};
  EXPECT_EQ(check(module({section(5, memories)})), "too many memories: 101, the limit is 100");
  Bytes imports = leb(101);
  for (int i = 0; i < 101; ++i) imports = imports + str("m") + str("m") + Bytes{2, 0, 0};
  EXPECT_EQ(check(module({section(2, imports)})), "too many memories: 101, the limit is 100");
}

TEST(IndexTypes, ImportedTablesCountToo) {
  auto imports = [](uint32_t count) {
    Bytes all = leb(count);
    const Bytes one = str("") + str("") + Bytes{1, kFuncRef, 0, 0};
    all.reserve(all.size() + count * one.size());
    for (uint32_t i = 0; i < count; ++i) all.insert(all.end(), one.begin(), one.end());
    return section(2, all);
  };
  EXPECT_EQ(check(module({imports(100'000)})), "");
  EXPECT_EQ(check(module({imports(100'001)})), "too many tables: 100001, the limit is 100000");
  EXPECT_EQ(check(module({imports(100'000), section(4, vec({{kFuncRef, 0, 0}}))})),
            "too many tables: 100001, the limit is 100000");
}

TEST(IndexTypes, AccessesTakeTheMemorysAddresses) {
  EXPECT_EQ(code(kInt + Bytes{0x28, 2, 0, kDrop}), "");
  EXPECT_EQ(code(kLong + Bytes{0x28, 0x42, 1, 0, kDrop}), "");
  EXPECT_EQ(code(kInt + Bytes{0x28, 0x42, 2, 0, kDrop}), "");
  EXPECT_EQ(code(kInt + Bytes{0x28, 0x42, 1, 0, kDrop}),
            "type mismatch: instruction requires [i64] but stack has [i32]");
  EXPECT_EQ(code(kLong + Bytes{0x28, 0x42, 2, 0, kDrop}),
            "type mismatch: instruction requires [i32] but stack has [i64]");
  EXPECT_EQ(code(kInt + Bytes{0x28, 0x42, 3, 0, kDrop}), "unknown memory 3");
  // Stores and atomics: the first operand only.
  EXPECT_EQ(code(kLong + kInt + Bytes{0x36, 0x42, 1, 0}), "");
  EXPECT_EQ(code(kInt + kInt + Bytes{0x36, 0x42, 1, 0}),
            "type mismatch: instruction requires [i64 i32] but stack has [i32 i32]");
  EXPECT_EQ(code(kLong + kLong + kLong + Bytes{0xfe, 0x49, 0x43, 1, 0, kDrop}), "");
  EXPECT_EQ(code(kLong + kInt + kLong + Bytes{0xfe, 0x01, 0x42, 1, 0, kDrop}), "");
  EXPECT_EQ(code(kInt + kInt + kLong + Bytes{0xfe, 0x01, 0x42, 1, 0, kDrop}),
            "type mismatch: instruction requires [i64 i32 i64] but stack has [i32 i32 i64]");
}

TEST(IndexTypes, VectorAccessesTakeTheMemorysAddresses) {
  const Bytes vector = {0xfd, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};  // v128.const
  for (const Bytes& address : {kLong, kInt}) {
    const bool right = address == kLong;
    const std::string have = right ? "i64" : "i32";
    auto expect = [&](const Bytes& operands, const Bytes& access, const std::string& more) {
      EXPECT_EQ(code(operands + access),
                right ? "" : "type mismatch: instruction requires [i64" + more + "] but stack has [i32" + more + "]");
    };
    expect(address, {0xfd, 0, 0x44, 1, 0, kDrop}, "");                    // v128.load
    expect(address + vector, {0xfd, 11, 0x44, 1, 0}, " v128");            // v128.store
    expect(address + vector, {0xfd, 84, 0x40, 1, 0, 3, kDrop}, " v128");  // v128.load8_lane
    expect(address + vector, {0xfd, 88, 0x40, 1, 0, 3}, " v128");         // v128.store8_lane
  }
}

TEST(IndexTypes, OffsetsAreOfTheMemorysRange) {
  const Bytes most = leb(UINT64_MAX), over32 = leb(uint64_t{1} << 32);
  EXPECT_EQ(code(kLong + Bytes{0x28, 0x42, 1} + most + Bytes{kDrop}), "");
  EXPECT_EQ(code(kInt + Bytes{0x28, 2} + over32 + Bytes{kDrop}), "offset out of range");
  EXPECT_EQ(code(kInt + Bytes{0x28, 0x42, 2} + over32 + Bytes{kDrop}), "offset out of range");
}

TEST(IndexTypes, MemoryInstructions) {
  EXPECT_EQ(code({0x3f, 1, 0x50, kDrop}), "");               // memory.size: i64.eqz takes it
  EXPECT_EQ(code({0x3f, 2, 0x45, kDrop}), "");               // i32.eqz
  EXPECT_EQ(code(kLong + Bytes{0x40, 1, 0x50, kDrop}), "");  // memory.grow
  EXPECT_EQ(code(kInt + Bytes{0x40, 1, kDrop}), "type mismatch: instruction requires [i64] but stack has [i32]");
  EXPECT_EQ(code(kLong + kInt + kLong + Bytes{0xfc, 0x0b, 1}), "");      // memory.fill
  EXPECT_EQ(code(kLong + kInt + kInt + Bytes{0xfc, 0x08, 0, 1}), "");    // memory.init
  EXPECT_EQ(code(kLong + kLong + kLong + Bytes{0xfc, 0x0a, 1, 1}), "");  // memory.copy
  EXPECT_EQ(code(kLong + kInt + kInt + Bytes{0xfc, 0x0a, 1, 0}), "");
  EXPECT_EQ(code(kInt + kLong + kInt + Bytes{0xfc, 0x0a, 0, 1}), "");
  EXPECT_EQ(code(kInt + kLong + kLong + Bytes{0xfc, 0x0a, 0, 1}),
            "type mismatch: instruction requires [i32 i64 i32] but stack has [i32 i64 i64]");
}

TEST(IndexTypes, TableInstructions) {
  const Bytes null = {0xd0, kFuncRef};
  EXPECT_EQ(code(kLong + Bytes{0x25, 1, kDrop}), "");
  EXPECT_EQ(code(kInt + Bytes{0x25, 1, kDrop}), "type mismatch: instruction requires [i64] but stack has [i32]");
  EXPECT_EQ(code(kLong + null + Bytes{0x26, 1}), "");
  EXPECT_EQ(code({0xfc, 0x10, 1, 0x50, kDrop}), "");                      // table.size
  EXPECT_EQ(code(null + kLong + Bytes{0xfc, 0x0f, 1, 0x50, kDrop}), "");  // table.grow
  EXPECT_EQ(code(kLong + null + kLong + Bytes{0xfc, 0x11, 1}), "");       // table.fill
  EXPECT_EQ(code(kLong + kInt + kInt + Bytes{0xfc, 0x0c, 0, 1}), "");     // table.init
  EXPECT_EQ(code(kLong + kInt + kInt + Bytes{0xfc, 0x0e, 1, 0}), "");     // table.copy
  EXPECT_EQ(code(kLong + Bytes{0x11, 0, 1}), "");                         // call_indirect
  EXPECT_EQ(code(kInt + Bytes{0x11, 0, 1}), "type mismatch: instruction requires [i64] but stack has [i32]");
}

TEST(IndexTypes, OffsetsOfSegments) {
  auto data = [](const Bytes& offset) {
    return check(
        module({section(5, vec({{0, 1}, {4, 1}})), section(11, vec({Bytes{2, 1} + offset + Bytes{kEnd, 0}}))}));
  };
  EXPECT_EQ(data(kLong), "");
  EXPECT_EQ(data(kInt), "type mismatch: instruction requires [i64] but stack has [i32]");
  auto elements = [](const Bytes& offset) {
    return check(module({section(4, vec({{kFuncRef, 4, 1}})), section(9, vec({Bytes{0} + offset + Bytes{kEnd, 0}}))}));
  };
  EXPECT_EQ(elements(kLong), "");
  EXPECT_EQ(elements(kInt), "type mismatch: instruction requires [i64] but stack has [i32]");
}

TEST(IndexTypes, WideArithmetic) {
  const Bytes two = kLong + kLong;
  EXPECT_EQ(code(two + two + Bytes{0xfc, 0x13, kDrop, kDrop}), "");
  EXPECT_EQ(code(two + two + Bytes{0xfc, 0x14, 0x7c, kDrop}), "");  // i64.add takes both results
  EXPECT_EQ(code(two + Bytes{0xfc, 0x15, kDrop, kDrop}), "");
  EXPECT_EQ(code(two + Bytes{0xfc, 0x16, kDrop, kDrop}), "");
  EXPECT_EQ(code(two + Bytes{0xfc, 0x13}),
            "type mismatch: instruction requires [i64 i64 i64 i64] but stack has [i64 i64]");
  EXPECT_EQ(code({0x00, 0xfc, 0x13, 0x7c, kDrop}), "");  // unreachable
}

}  // namespace
}  // namespace rotor::wasm
