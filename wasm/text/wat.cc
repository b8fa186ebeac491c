#include "rotor/wat.h"

#include <algorithm>

#include "rotor/printable.h"
#include "wasm/text/lexer.h"
#include "wasm/text/module_parser.h"

namespace rotor {

uint64_t WatSourceMap::text_offset(uint64_t binary) const {
  auto after = std::ranges::upper_bound(entries, binary, {}, &Entry::binary);
  return after == entries.begin() ? 0 : std::prev(after)->text;
}

Result<WatModule> parse_wat(std::string_view text, const WatOptions& options) {
  return wasm::text::parse_module(wasm::text::lex(text), options);
}

Result<std::vector<uint8_t>> wat_to_wasm(std::string_view text, const WatOptions& options) {
  ROTOR_TRY(WatModule module, parse_wat(text, options));
  return std::move(module.bytes);
}

namespace {

bool begins_character(char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }

/// Returns the line that `offset` lies in: the offsets of its first byte, and of the byte after its last.
std::pair<size_t, size_t> line_around(std::string_view text, size_t offset) {
  size_t before = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
  size_t begin = before == std::string_view::npos ? 0 : before + 1;
  size_t end = text.find_first_of("\r\n", offset);
  return {begin, end == std::string_view::npos ? text.size() : end};
}

/// Returns a line of a text as messages show it, with its tabs kept: the text may be anybody's.
std::string shown_line(std::string_view line) {
  std::string out;
  for (size_t tab; (tab = line.find('\t')) != std::string_view::npos; line.remove_prefix(tab + 1))
    (out += printable(line.substr(0, tab))) += '\t';
  return out + printable(line);
}

}  // namespace

TextPosition text_position(std::string_view text, uint64_t offset) {
  size_t at = static_cast<size_t>(std::min<uint64_t>(offset, text.size()));
  std::string_view before = text.substr(0, at);
  std::string_view in_line = before.substr(line_around(text, at).first);
  return {1 + static_cast<uint64_t>(std::ranges::count(before, '\n')),
          1 + static_cast<uint64_t>(std::ranges::count_if(in_line, begins_character))};
}

std::string render_text_error(std::string_view file, std::string_view text, const Error& error) {
  if (!error.offset) return std::string(file) + ": error: " + printable(error.message);
  // Of a long line only the part around the place is shown.
  constexpr size_t kMostBefore = 100, kMostAfter = 60;
  size_t at = static_cast<size_t>(std::min<uint64_t>(*error.offset, text.size()));
  TextPosition position = text_position(text, at);
  auto [begin, end] = line_around(text, at);
  if (at - begin > kMostBefore) {
    begin = at - kMostBefore;
    while (begin < at && !begins_character(text[begin])) ++begin;
  }
  if (end - at > kMostAfter) {
    end = at + kMostAfter;
    while (end > at && !begins_character(text[end])) --end;
  }
  std::string out = std::string(file) + ":" + std::to_string(position.line) + ":" + std::to_string(position.column) +
                    ": error: " + printable(error.message) + "\n";
  const std::string before = shown_line(text.substr(begin, at - begin));
  out += before + shown_line(text.substr(at, end - at)) + '\n';
  for (char c : before)
    if (begins_character(c)) out.push_back(c == '\t' ? '\t' : ' ');
  out.push_back('^');
  return out;
}

}  // namespace rotor
