// Text that comes from a guest, made safe to print.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rotor {

/// How much of a name messages show, in bytes: a module can name a thing once at any length, and have it named often.
inline constexpr size_t kShownNameBytes = 512;
/// The same of longer texts of a guest's, such as its errors.
inline constexpr size_t kShownTextBytes = 4096;

/// `text` in one line that a terminal shows as it stands: what is no printable character (controls, line ends, marks of
/// direction, characters of no width, bytes that are no UTF-8) is escaped, as `\n`, `\u{1b}` or `\xff`. All else stays,
/// backslashes too, so what is printable already comes back unchanged; the result is for people, and not read back. It
/// has at most `max_bytes` bytes, an ellipsis included, if those are 3 or more.
///
/// What Rotor puts into messages, backtraces, perf maps and reports went through this. The names that its API returns
/// (`Module::imports`, `Frame::func_name` and so on) are as the module has them: who prints one does the same.
std::string printable(std::string_view text, size_t max_bytes = std::string_view::npos);
/// The same of a name: at most kShownNameBytes.
std::string printable_name(std::string_view name);
/// The same of a text of several lines, whose newlines stay: not for what stands within a line.
std::string printable_lines(std::string_view text);

}  // namespace rotor
