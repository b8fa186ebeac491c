// Output of the commands: standard output and error, and files that appear whole or not at all.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "rotor/result.h"

namespace rotor::cli {

/// Shows a line at the end of standard error, in place of the last one; whatever is written next erases it. Both are
/// for a terminal only.
void show_progress(std::string_view line);
void erase_progress();
/// Returns whether such a line is shown. Async-signal-safe.
bool shows_progress();
/// What erases a terminal's line.
inline constexpr char kEraseLine[] = "\r\033[K";

/// Writes to standard output. What can't be written is reported by `finish_output`, when the command ends.
void write_out(std::string_view text);
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  write_out(fmt::format(format, std::forward<Args>(args)...));
}

/// Writes to standard error; what can't be written is lost.
void write_error(std::string_view text);
template <class... Args>
void print_error(fmt::format_string<Args...> format, Args&&... args) {
  write_error(fmt::format(format, std::forward<Args>(args)...));
}

/// Has what was written to standard output so far appear.
void flush_out();

/// Returns JSON that is as safe to print as text from rotor/printable.h, without a change of its meaning: all but ASCII
/// is `\u` and digits. `indent`: as for nlohmann's dump; -1: one line.
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

/// Writes out what is buffered for standard output. Errors: io, also for what was lost before.
Result<void> finish_output();

/// Checks whether `write_output_file` may work: to be called before a long run, so that its result is not lost. Errors:
/// io.
Result<void> check_output_file(const std::string& path);
/// Writes a file as code/file.h does; `-` is standard output. A signal that ends the process waits for it. Errors: io,
/// naming the file.
Result<void> write_output_file(const std::string& path, std::string_view text);

}  // namespace rotor::cli
