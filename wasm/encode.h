// Writes the binary format's atoms into a growing byte buffer: the counterpart of reader.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rotor::wasm {

class ByteWriter {
 public:
  void u8(uint8_t byte) { bytes_.push_back(byte); }
  void u32(uint32_t value) { u64(value); }
  void u64(uint64_t value) {
    while (value > 0x7f) {
      bytes_.push_back(static_cast<uint8_t>(value | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<uint8_t>(value));
  }
  void s64(int64_t value) {
    while (value < -0x40 || value > 0x3f) {
      bytes_.push_back(static_cast<uint8_t>(value | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<uint8_t>(value & 0x7f));
  }
  void s32(int32_t value) { s64(value); }
  /// Writes the low `count` bytes of `value`, little-endian.
  void fixed(uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; ++i) bytes_.push_back(static_cast<uint8_t>(value >> 8 * i));
  }
  void bytes(std::span<const uint8_t> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  /// Writes a name: its length and its bytes.
  void string(std::string_view text) {
    u64(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  /// Writes an opcode that is given in the form of opcodes.def.
  void opcode(uint32_t code) {
    if (code <= 0xff) {
      u8(static_cast<uint8_t>(code));
    } else if (code <= 0xffff) {
      u8(static_cast<uint8_t>(code >> 8));
      u32(code & 0xff);
    } else {
      u8(static_cast<uint8_t>(code >> 12));
      u32(code & 0xfff);
    }
  }

  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  void truncate(size_t size) { bytes_.resize(size); }
  void clear() { bytes_.clear(); }
  std::span<const uint8_t> view(size_t begin = 0) const { return std::span(bytes_).subspan(begin); }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace rotor::wasm
