// A bounds-checked cursor over a module's bytes. Offsets are absolute: they count from the start of the module, not of
// the part being read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "rotor/value.h"
#include "wasm/errors.h"
#include "wasm/sections.h"

namespace rotor::wasm {

/// Returns whether the bytes are well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::span<const uint8_t> bytes);

/// Every read returns false on failure and leaves the error in the slot; the cursor then stands anywhere.
class ByteReader : public ErrorSlot {
 public:
  /// Reads [begin, end) of `module`.
  ByteReader(std::span<const uint8_t> module, uint64_t begin, uint64_t end)
      : base_(module.data()), pos_(base_ + begin), end_(base_ + end), limit_(end_) {}
  explicit ByteReader(std::span<const uint8_t> module) : ByteReader(module, 0, module.size()) {}

  uint64_t offset() const { return static_cast<uint64_t>(pos_ - base_); }
  uint64_t end_offset() const { return static_cast<uint64_t>(end_ - base_); }
  uint64_t remaining() const { return static_cast<uint64_t>(end_ - pos_); }
  bool at_end() const { return pos_ == end_; }
  /// Narrows or widens the readable part; `end` is not before the cursor nor behind the end given at construction.
  void set_end(uint64_t end) { end_ = base_ + end; }
  void seek(uint64_t offset) { pos_ = base_ + offset; }

  /// Returns the next byte without consuming it; 0 at the end.
  uint8_t peek() const { return pos_ == end_ ? 0 : *pos_; }
  bool u8(uint8_t& out) {
    if (pos_ == end_) [[unlikely]]
      return fail_end();
    out = *pos_++;
    return true;
  }
  bool skip(uint64_t count) {
    if (count > remaining()) [[unlikely]]
      return fail_end();
    pos_ += count;
    return true;
  }
  bool u32(uint32_t& out) { return short_unsigned(out) || leb<uint32_t, 32>(out); }
  bool u64(uint64_t& out) { return short_unsigned(out) || leb<uint64_t, 64>(out); }
  bool s32(int32_t& out) { return short_signed(out) || leb<int32_t, 32>(out); }
  bool s33(int64_t& out) { return short_signed(out) || leb<int64_t, 33>(out); }
  bool s64(int64_t& out) { return short_signed(out) || leb<int64_t, 64>(out); }
  /// Read IEEE bits, little-endian.
  bool f32_bits(uint32_t& out) { return fixed(out); }
  bool f64_bits(uint64_t& out) { return fixed(out); }
  bool v128(V128& out) { return fixed(out); }
  bool word(uint32_t& out) { return fixed(out); }
  /// What a binary module begins with (spec section 5.5.16): the magic number and the version.
  bool module_header();
  /// Reads the id of a section (spec section 5.5.2); one that there is not is an error.
  bool section_id(SectionId& out);

  /// Reads an opcode into the form that opcodes.def writes: a prefix is shifted by 8, or by 12 if the sub-opcode is
  /// above 0xff.
  bool opcode(uint32_t& out) {
    if (pos_ == end_) [[unlikely]]
      return fail_end();
    out = *pos_++;
    if (out < 0xfb || out == 0xff) [[likely]]
      return true;
    return prefixed_opcode(out);
  }
  /// Reads a size in bytes; more than are left is the error "length out of bounds".
  bool length(uint32_t& out);
  /// Reads a vector's length. Each item takes at least one byte, so a length above the number of bytes left is an
  /// error, and memory may be allocated for one that passes.
  bool count(uint32_t& out);
  /// Reads a name: its length, then UTF-8.
  bool name(std::string& out);

 private:
  // Most integers in a module take one byte.
  template <class T>
  bool short_unsigned(T& out) {
    if (pos_ == end_ || *pos_ >= 0x80) return false;
    out = *pos_++;
    return true;
  }
  template <class T>
  bool short_signed(T& out) {
    if (pos_ == end_ || *pos_ >= 0x80) return false;
    out = static_cast<T>(static_cast<int8_t>(*pos_++ << 1) >> 1);
    return true;
  }
  template <class T>
  bool fixed(T& out) {
    static_assert(std::endian::native == std::endian::little);
    if (remaining() < sizeof out) [[unlikely]]
      return fail_end();
    std::memcpy(&out, pos_, sizeof out);
    pos_ += sizeof out;
    return true;
  }
  template <class T, unsigned bits>
  [[gnu::noinline]] bool leb(T& out);
  bool prefixed_opcode(uint32_t& out);
  [[gnu::cold]] bool fail_end() { return fail(Message::unexpected_end, end_offset()); }

  const uint8_t* base_;
  const uint8_t* pos_;
  const uint8_t* end_;
  const uint8_t* limit_;  ///< the end given at construction
};

extern template bool ByteReader::leb<uint32_t, 32>(uint32_t&);
extern template bool ByteReader::leb<uint64_t, 64>(uint64_t&);
extern template bool ByteReader::leb<int32_t, 32>(int32_t&);
extern template bool ByteReader::leb<int64_t, 33>(int64_t&);
extern template bool ByteReader::leb<int64_t, 64>(int64_t&);

}  // namespace rotor::wasm
