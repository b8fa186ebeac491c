// The text under construction, and the tokens that it is made of.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rotor::wasm::text {

/// Returns `name` as an id: `$name`, or `$"name"` where its characters demand it. Pre: not empty, UTF-8.
std::string id_of(std::string_view name);

/// The text, which grows to a limit of bytes and no further: a module can name a thing once and refer to it by a byte,
/// so that its text may be far larger.
class TextOut {
 public:
  explicit TextOut(uint64_t limit) : limit_(limit) {}

  void put(std::string_view text) {
    if (text.size() > limit_ - text_.size()) [[unlikely]] {
      over_ = true;
    } else {
      text_.append(text);
    }
  }
  void put(char c) { put(std::string_view(&c, 1)); }
  void natural(uint64_t number);
  void integer(int64_t number);
  void hex(uint64_t number);
  /// Put the shortest decimal that reads back as the same bits; a NaN with its payload.
  void f32(uint32_t bits);
  void f64(uint64_t bits);
  /// Puts a name in quotes, and escapes the characters that have no shape of their own or would reorder the line. Pre:
  /// UTF-8.
  void name(std::string_view utf8);
  /// Puts any bytes in quotes.
  void data(std::span<const uint8_t> bytes);
  /// Begins a new line. Deep nesting is indented no further, or the text would grow with the square of the depth.
  void line(uint32_t depth);
  /// Puts `text` before what was put since `position`.
  void insert(size_t position, std::string_view text);

  /// Returns what was put since `position`; valid until the next put.
  std::string_view since(size_t position) const { return std::string_view(text_).substr(position); }

  size_t position() const { return text_.size(); }
  /// Returns whether something was left out because the limit was reached.
  bool over() const { return over_; }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  uint64_t limit_;
  bool over_ = false;
};

}  // namespace rotor::wasm::text
