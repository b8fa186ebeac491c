#include "wasm/reader.h"

#include <type_traits>

#include "wasm/limits.h"

namespace rotor::wasm {

template <class T, unsigned bits>
bool ByteReader::leb(T& out) {
  constexpr unsigned kMaxBytes = (bits + 6) / 7;
  constexpr unsigned kLastBits = bits - 7 * (kMaxBytes - 1);  // bits of the last byte that count
  uint64_t start = offset();
  uint64_t value = 0;
  for (unsigned i = 0;; ++i) {
    // An overlong integer is reported as such even where it runs over the end of a section.
    if (pos_ == limit_) return fail_end();
    uint8_t byte = *pos_++;
    value |= uint64_t{byte & 0x7fu} << (7 * i);
    if (i == kMaxBytes - 1) {
      if (byte & 0x80) return fail(Message::integer_too_long, start);
      // The unused bits of the last byte must be zero, or copies of the sign.
      unsigned rest = (byte & 0x7fu) >> (std::is_signed_v<T> ? kLastBits - 1 : kLastBits);
      unsigned ones = 0x7fu >> (std::is_signed_v<T> ? kLastBits - 1 : kLastBits);
      if (rest != 0 && !(std::is_signed_v<T> && rest == ones)) return fail(Message::integer_too_large, start);
    }
    if (!(byte & 0x80)) {
      if (pos_ > end_) return fail_end();
      unsigned used = 7 * (i + 1);
      if (std::is_signed_v<T> && used < 64 && (byte & 0x40)) value |= ~uint64_t{0} << used;
      out = static_cast<T>(value);
      return true;
    }
  }
}

template bool ByteReader::leb<uint32_t, 32>(uint32_t&);
template bool ByteReader::leb<uint64_t, 64>(uint64_t&);
template bool ByteReader::leb<int32_t, 32>(int32_t&);
template bool ByteReader::leb<int64_t, 33>(int64_t&);
template bool ByteReader::leb<int64_t, 64>(int64_t&);

bool ByteReader::prefixed_opcode(uint32_t& out) {
  uint64_t start = offset() - 1;
  uint32_t prefix = out, code = 0;
  if (!u32(code)) return false;
  if (code > 0xfff) return fail_detail(Message::illegal_opcode, start, "prefix with code " + std::to_string(code));
  out = code <= 0xff ? prefix << 8 | code : prefix << 12 | code;
  return true;
}

bool ByteReader::length(uint32_t& out) {
  uint64_t start = offset();
  if (!u32(out)) return false;
  if (out > remaining()) return fail(Message::length_out_of_bounds, start);
  return true;
}

bool ByteReader::count(uint32_t& out) {
  if (!u32(out)) return false;
  if (out > remaining()) return fail_end();
  return true;
}

bool ByteReader::name(std::string& out) {
  uint64_t start = offset();
  uint32_t size = 0;
  if (!length(size)) return false;
  if (size > kMaxStringBytes) return fail_limit(Message::limit_string_size, start, size, kMaxStringBytes);
  if (!is_utf8({pos_, size})) return fail(Message::malformed_utf8, offset());
  out.assign(reinterpret_cast<const char*>(pos_), size);
  pos_ += size;
  return true;
}

bool is_utf8(std::span<const uint8_t> bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    uint8_t first = bytes[i];
    if (first < 0x80) {
      ++i;
      continue;
    }
    // `low` and `high` bound the second byte: that excludes overlong forms, surrogates and what is above U+10FFFF.
    size_t count = 0;
    uint8_t low = 0x80, high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
      count = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      count = 2;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      count = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    if (bytes.size() - i <= count) return false;
    if (bytes[i + 1] < low || bytes[i + 1] > high) return false;
    for (size_t j = 2; j <= count; ++j) {
      if (bytes[i + j] < 0x80 || bytes[i + j] > 0xbf) return false;
    }
    i += count + 1;
  }
  return true;
}

bool ByteReader::module_header() {
  constexpr uint32_t kMagic = 0x6d736100;  // "\0asm"
  constexpr uint32_t kVersion = 1;
  // The component model's binaries have version 13 and layer 1.
  constexpr uint32_t kComponentVersion = 0x0001000d;
  uint32_t magic = 0, version = 0;
  if (!word(magic)) return false;
  if (magic != kMagic) return fail(Message::bad_magic, 0);
  if (!word(version)) return false;
  if (version == kComponentVersion) return fail(Message::is_component, 4);
  return version == kVersion || fail(Message::bad_version, 4);
}

bool ByteReader::section_id(SectionId& out) {
  const uint64_t start = offset();
  uint8_t id = 0;
  if (!u8(id)) return false;
  if (id >= kSectionCount) return fail_index(Message::malformed_section_id, start, id);
  out = static_cast<SectionId>(id);
  return true;
}

}  // namespace rotor::wasm
