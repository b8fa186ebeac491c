// Text that comes from a guest, made safe to print.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rotor {

/// The most bytes of a name that messages show: a module can name a thing once at any length, and cause it to be shown
/// often.
inline constexpr size_t kShownNameBytes = 512;
/// The most bytes of a guest's longer texts, such as its errors, that messages show.
inline constexpr size_t kShownTextBytes = 4096;

/// Returns `text` as one line that a terminal shows as it stands: what is no printable character (controls, line ends,
/// marks of direction, characters of no width, bytes that are no UTF-8) is escaped, as `\n`, `\u{1b}` or `\xff`. All
/// else stays, backslashes too, so what is printable already comes back unchanged; the result is for people, and not
/// read back. It has at most `max_bytes` bytes, an ellipsis included, if those are 3 or more.
///
/// What Rotor puts into messages, backtraces, perf maps and reports went through this. The names that its API returns
/// (`Module::imports`, `Frame::func_name` and so on) are as the module has them: whoever prints one should call this.
std::string printable(std::string_view text, size_t max_bytes = std::string_view::npos);
/// Does the same for a name: at most kShownNameBytes.
std::string printable_name(std::string_view name);
/// Does the same for a text of several lines, whose newlines stay: not for text that is put within a line.
std::string printable_lines(std::string_view text);

}  // namespace rotor
