#include "tools/rotor/module_file.h"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

namespace rotor::cli {
namespace {

/// Binaries begin with a zero byte and code files with a letter: a text begins with a parenthesis or a comment.
bool is_text(const std::string& path, std::string_view bytes) {
  if (path.ends_with(".wat")) return true;
  size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (bytes[first] == '(' || bytes.substr(first).starts_with(";;"));
}

[[noreturn]] void die_in_text(const ModuleFile& file, const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", render_text_error(file.path, file.text, error));
  finish(Exit::failed);
}

}  // namespace

ModuleFile module_file_or_die(const std::string& path, std::vector<uint8_t> bytes, const WatOptions& options) {
  ModuleFile file;
  file.path = path;
  file.size = bytes.size();
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!is_text(path, text)) {
    file.module.bytes = std::move(bytes);
    return file;
  }
  file.text = text;
  auto module = parse_wat(file.text, options);
  if (!module) die_in_text(file, module.error());
  file.module = std::move(*module);
  return file;
}

ModuleFile read_module_file_or_die(const std::string& path) {
  return module_file_or_die(path, read_file_or_die(path), {.names = true});
}

void die(const ModuleFile& file, const Error& error) {
  bool is_about_bytes = error.kind == ErrorKind::invalid || error.kind == ErrorKind::malformed ||
                        error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit;
  if (file.text.empty() || !is_about_bytes || !error.offset) die(file.path, error);
  die_in_text(file, Error(error.kind, fmt::format("{}: {}", to_string(error.kind), error.message),
                          file.module.source_map.text_offset(*error.offset)));
}

}  // namespace rotor::cli
