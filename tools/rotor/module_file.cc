#include "tools/rotor/module_file.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <string_view>

namespace rotor::cli {
namespace {

constexpr std::string_view kMagic("\0asm", 4);

/// Returns whether a file is a text. Binaries begin with a zero byte and code files with a letter; a text begins with a
/// parenthesis or a comment. A file named .wat is a text, unless it begins as a binary does.
bool is_text(const std::string& path, std::string_view bytes) {
  if (path.ends_with(".wat")) return !bytes.starts_with(kMagic);
  size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (bytes[first] == '(' || bytes.substr(first).starts_with(";;"));
}

[[noreturn]] void die_in_text(const ModuleFile& file, const Error& error) {
  std::fflush(stdout);
  print_error("{}\n", render_text_error(file.path, file.text, error));
  finish(Exit::failed);
}

}  // namespace

bool is_binary_module(std::span<const uint8_t> bytes) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with(kMagic);
}

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

std::expected<LoadedModule, LoadFailure> load_module(const Engine& engine, const std::string& path) {
  std::vector<uint8_t> contents = read_file_or_die(path);
  const uint64_t file_bytes = contents.size();
  Stopwatch watch;
  ModuleFile file = module_file_or_die(path, std::move(contents), {.names = true});
  const std::vector<uint8_t>& bytes = file.module.bytes;
  // An empty or tiny file is a bad module rather than a bad code file.
  const bool is_code_file = !is_binary_module(bytes) && bytes.size() >= 8;
  auto load = [&] {
    if (!is_code_file) return Module::compile(engine, bytes);
    std::error_code failed;
    // A file that is not regular has been read, and can't be read again.
    if (!std::filesystem::is_regular_file(path, failed)) return Module::deserialize(engine, bytes);
    file.module.bytes = {};
    return Module::deserialize_file(engine, path, Module::Verify::all);
  };
  Result<Module> module = load();
  if (!module) return std::unexpected(LoadFailure{std::move(file), std::move(module).error()});
  return LoadedModule{std::move(*module), is_code_file, watch.wall_ms(), file_bytes};
}

LoadedModule load_module_or_die(const Engine& engine, const std::string& path) {
  auto loaded = load_module(engine, path);
  if (!loaded) die(loaded.error().file, loaded.error().error);
  return std::move(*loaded);
}

void die(const ModuleFile& file, const Error& error) {
  bool is_about_bytes = error.kind == ErrorKind::invalid || error.kind == ErrorKind::malformed ||
                        error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit;
  if (file.text.empty() || !is_about_bytes || !error.offset) die(file.path, error);
  die_in_text(file, Error(error.kind, fmt::format("{}: {}", to_string(error.kind), error.message),
                          file.module.source_map.text_offset(*error.offset)));
}

}  // namespace rotor::cli
