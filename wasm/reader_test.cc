#include "wasm/reader.h"

#include <gtest/gtest.h>

#include "wasm/testing/module.h"

namespace rotor::wasm {
namespace {

using namespace test;

template <class T>
struct Read {
  bool ok;
  T value;
  std::string message;
  uint64_t offset;  ///< of the error, or behind the integer
};

template <class T>
Read<T> read(const Bytes& bytes, bool (ByteReader::*method)(T&)) {
  ByteReader reader(bytes);
  T value{};
  if ((reader.*method)(value)) return {true, value, "", reader.offset()};
  Error error = reader.take_error();
  EXPECT_EQ(error.kind, ErrorKind::malformed);
  return {false, value, error.message, error.offset.value()};
}

TEST(Reader, Unsigned32) {
  EXPECT_EQ(read<uint32_t>({0x00}, &ByteReader::u32).value, 0u);
  EXPECT_EQ(read<uint32_t>({0x7f}, &ByteReader::u32).value, 127u);
  EXPECT_EQ(read<uint32_t>({0x80, 0x01}, &ByteReader::u32).value, 128u);
  EXPECT_EQ(read<uint32_t>({0xff, 0xff, 0xff, 0xff, 0x0f}, &ByteReader::u32).value, UINT32_MAX);
  EXPECT_EQ(read<uint32_t>({0x83, 0x80, 0x80, 0x80, 0x00}, &ByteReader::u32).value, 3u);
  EXPECT_EQ(read<uint32_t>({0x83, 0x80, 0x80, 0x80, 0x00}, &ByteReader::u32).offset, 5u);
}

TEST(Reader, Unsigned32Errors) {
  EXPECT_EQ(read<uint32_t>({}, &ByteReader::u32).message, "unexpected end of section or function");
  EXPECT_EQ(read<uint32_t>({0x80}, &ByteReader::u32).message, "unexpected end of section or function");
  EXPECT_EQ(read<uint32_t>({0x80}, &ByteReader::u32).offset, 1u);
  EXPECT_EQ(read<uint32_t>({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, &ByteReader::u32).message,
            "integer representation too long");
  EXPECT_EQ(read<uint32_t>({0xff, 0xff, 0xff, 0xff, 0x1f}, &ByteReader::u32).message, "integer too large");
  EXPECT_EQ(read<uint32_t>({0xff, 0xff, 0xff, 0xff, 0x1f}, &ByteReader::u32).offset, 0u);
}

TEST(Reader, Signed) {
  EXPECT_EQ(read<int32_t>({0x3f}, &ByteReader::s32).value, 63);
  EXPECT_EQ(read<int32_t>({0x40}, &ByteReader::s32).value, -64);
  EXPECT_EQ(read<int32_t>({0x7f}, &ByteReader::s32).value, -1);
  EXPECT_EQ(read<int32_t>({0xff, 0x7f}, &ByteReader::s32).value, -1);
  EXPECT_EQ(read<int32_t>({0xff, 0x00}, &ByteReader::s32).value, 127);
  EXPECT_EQ(read<int32_t>({0x80, 0x80, 0x80, 0x80, 0x78}, &ByteReader::s32).value, INT32_MIN);
  EXPECT_EQ(read<int32_t>({0xff, 0xff, 0xff, 0xff, 0x07}, &ByteReader::s32).value, INT32_MAX);
  EXPECT_EQ(read<int32_t>({0xff, 0xff, 0xff, 0xff, 0x0f}, &ByteReader::s32).message, "integer too large");
  EXPECT_EQ(read<int32_t>({0xff, 0xff, 0xff, 0xff, 0x4f}, &ByteReader::s32).message, "integer too large");
  EXPECT_EQ(read<int32_t>({0xff, 0xff, 0xff, 0xff, 0xff}, &ByteReader::s32).message, "integer representation too long");
  EXPECT_EQ(read<int64_t>({0xff, 0xff, 0xff, 0xff, 0x0f}, &ByteReader::s33).value, INT64_C(0xffffffff));
  EXPECT_EQ(read<int64_t>({0x80, 0x80, 0x80, 0x80, 0x70}, &ByteReader::s33).value, -(INT64_C(1) << 32));
  EXPECT_EQ(read<int64_t>({0x80, 0x80, 0x80, 0x80, 0x10}, &ByteReader::s33).message, "integer too large");
}

TEST(Reader, SixtyFourBits) {
  Bytes all_ones = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  EXPECT_EQ(read<uint64_t>(all_ones + Bytes{0x01}, &ByteReader::u64).value, UINT64_MAX);
  EXPECT_EQ(read<uint64_t>(all_ones + Bytes{0x02}, &ByteReader::u64).message, "integer too large");
  EXPECT_EQ(read<int64_t>(all_ones + Bytes{0x00}, &ByteReader::s64).value, INT64_MAX);
  EXPECT_EQ(read<int64_t>(all_ones + Bytes{0x7f}, &ByteReader::s64).value, -1);
  EXPECT_EQ(read<int64_t>(all_ones + Bytes{0x01}, &ByteReader::s64).message, "integer too large");
  EXPECT_EQ(read<int64_t>(all_ones + Bytes{0x80, 0x00}, &ByteReader::s64).message, "integer representation too long");
}

// An integer that runs over a section's end is never accepted, though its bytes are looked at.
TEST(Reader, IntegerOverTheEndOfAPart) {
  Bytes bytes = {0x80, 0x80, 0x01, 0x00};
  ByteReader reader(bytes);
  reader.set_end(2);
  uint32_t value = 0;
  EXPECT_FALSE(reader.u32(value));
  EXPECT_EQ(reader.take_error().message, "unexpected end of section or function");
}

TEST(Reader, Opcodes) {
  EXPECT_EQ(read<uint32_t>({0x6a}, &ByteReader::opcode).value, 0x6au);
  EXPECT_EQ(read<uint32_t>({0xfc, 0x0a}, &ByteReader::opcode).value, 0xfc0au);
  EXPECT_EQ(read<uint32_t>({0xfc, 0x8a, 0x00}, &ByteReader::opcode).value, 0xfc0au);
  EXPECT_EQ(read<uint32_t>({0xfd, 0x80, 0x02}, &ByteReader::opcode).value, 0xfd100u);
  EXPECT_EQ(read<uint32_t>({0xff}, &ByteReader::opcode).value, 0xffu);
  EXPECT_FALSE(read<uint32_t>({0xfc, 0x80, 0x80, 0x01}, &ByteReader::opcode).ok);
}

TEST(Reader, Names) {
  EXPECT_EQ(read<std::string>({0x02, 'h', 'i'}, &ByteReader::name).value, "hi");
  EXPECT_EQ(read<std::string>({0x03, 'h', 'i'}, &ByteReader::name).message, "length out of bounds");
  EXPECT_EQ(read<std::string>({0x01, 0xff}, &ByteReader::name).message, "malformed UTF-8 encoding");
  EXPECT_EQ(read<std::string>({0x01, 0xff}, &ByteReader::name).offset, 1u);
}

TEST(Reader, Utf8) {
  auto utf8 = [](const Bytes& bytes) { return is_utf8(bytes); };
  EXPECT_TRUE(utf8({}));
  EXPECT_TRUE(utf8({0xc2, 0x80}));
  EXPECT_TRUE(utf8({0xe0, 0xa0, 0x80}));
  EXPECT_TRUE(utf8({0xed, 0x9f, 0xbf}));
  EXPECT_TRUE(utf8({0xf4, 0x8f, 0xbf, 0xbf}));
  EXPECT_FALSE(utf8({0x80}));                    // continuation alone
  EXPECT_FALSE(utf8({0xc2}));                    // cut short
  EXPECT_FALSE(utf8({0xe1, 0x80}));              // cut short
  EXPECT_FALSE(utf8({0xc1, 0xbf}));              // overlong
  EXPECT_FALSE(utf8({0xe0, 0x9f, 0xbf}));        // overlong
  EXPECT_FALSE(utf8({0xf0, 0x8f, 0xbf, 0xbf}));  // overlong
  EXPECT_FALSE(utf8({0xed, 0xa0, 0x80}));        // surrogate
  EXPECT_FALSE(utf8({0xf4, 0x90, 0x80, 0x80}));  // above U+10FFFF
  EXPECT_FALSE(utf8({0xf0, 0x90, 0x41, 0x80}));
}

}  // namespace
}  // namespace rotor::wasm
