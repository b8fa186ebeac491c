#include "tools/rotor/module_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

namespace rotor::cli {
namespace {

constexpr std::string_view kMagic("\0asm", 4), kCodeFileMagic = "ROTORC";

/// Returns whether a file is a text. Binaries begin with a zero byte and code files with a letter; a text begins with a
/// parenthesis or a comment. A file named .wat is a text, unless it begins as a binary does.
bool is_text(const std::string& path, std::string_view bytes) {
  if (path.ends_with(".wat")) return !bytes.starts_with(kMagic);
  size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (bytes[first] == '(' || bytes.substr(first).starts_with(";;"));
}

/// Returns what a file looks like that does not begin as a module, text or code file does; empty if nobody knows.
std::string look_of(std::string_view bytes) {
  struct Known {
    std::string_view magic;
    const char* what;
  };
  static constexpr Known kKnown[] = {
      {{"\x1f\x8b", 2}, "gzip, to be unpacked first"},
      {{"\xfd\x37\x7a\x58\x5a", 5}, "xz, to be unpacked first"},
      {{"\x28\xb5\x2f\xfd", 4}, "zstd, to be unpacked first"},
      {{"PK\3\4", 4}, "a zip archive"},
      {{"\x7f"
        "ELF",
        4},
       "a program or library of the system's (ELF)"},
      {{"BC\xc0\xde", 4}, "bitcode of LLVM's"},
      {{"!<arch>", 7}, "an archive of object files"},
  };
  if (bytes.empty()) return "an empty file";
  for (const Known& known : kKnown)
    if (bytes.starts_with(known.magic)) return known.what;
  const std::string_view begin = bytes.substr(0, 512);
  const bool is_plain = std::ranges::none_of(
      begin, [](char c) { return (c >= 0 && c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f; });
  return is_plain ? "a text, but no module's, which begins with a parenthesis" : "";
}

[[noreturn]] void die_in_text(const ModuleFile& file, const Error& error) {
  flush_out();
  print_error("{}\n", render_text_error(file.path, file.text, error));
  finish(Exit::failed);
}

/// Returns the size of a regular file that begins as a code file does; nullopt for any other.
std::optional<uint64_t> code_file_bytes(const std::string& path) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) return std::nullopt;
  char begin[kCodeFileMagic.size()] = {};
  std::ifstream(path, std::ios::binary).read(begin, sizeof begin);
  if (std::string_view(begin, sizeof begin) != kCodeFileMagic) return std::nullopt;
  return std::filesystem::file_size(path, failed);
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
    file.is_code_file = text.starts_with(kCodeFileMagic);
    if (!text.starts_with(kMagic) && !file.is_code_file) file.look = look_of(text);
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
  Stopwatch watch;
  if (auto size = code_file_bytes(path)) {
    // It is mapped. Code is looked through for damage; images of data may be long.
    Result<Module> module = Module::deserialize_file(engine, path, Module::Verify::code);
    if (module) return LoadedModule{std::move(*module), true, watch.wall_ms(), *size};
    ModuleFile file;
    file.path = path;
    file.size = *size;
    return std::unexpected(LoadFailure{std::move(file), std::move(module).error()});
  }
  std::vector<uint8_t> contents = read_file_or_die(path);
  const uint64_t file_bytes = contents.size();
  watch = Stopwatch();
  ModuleFile file = module_file_or_die(path, std::move(contents), {.names = true});
  const std::vector<uint8_t>& bytes = file.module.bytes;
  // An empty or tiny file is a bad module rather than a bad code file.
  const bool is_code_file = !is_binary_module(bytes) && bytes.size() >= 8;
  Result<Module> module = is_code_file ? Module::deserialize(engine, bytes) : Module::compile(engine, bytes);
  if (!module) return std::unexpected(LoadFailure{std::move(file), std::move(module).error()});
  return LoadedModule{std::move(*module), is_code_file, watch.wall_ms(), file_bytes};
}

LoadedModule load_module_or_die(const Engine& engine, const std::string& path) {
  auto loaded = load_module(engine, path);
  if (!loaded) die(loaded.error().file, loaded.error().error);
  return std::move(*loaded);
}

void die(const ModuleFile& file, const Error& error) {
  const bool is_about_all = error.kind == ErrorKind::malformed || error.kind == ErrorKind::corrupt;
  if (is_about_all && !file.look.empty())
    die(file.path, Error(ErrorKind::malformed, fmt::format("no module: it looks like {}", file.look)));
  bool is_about_bytes = error.kind == ErrorKind::invalid || error.kind == ErrorKind::malformed ||
                        error.kind == ErrorKind::unsupported || error.kind == ErrorKind::limit;
  if (file.text.empty() || !is_about_bytes || !error.offset) die(file.path, error);
  die_in_text(file, Error(error.kind, fmt::format("{}: {}", to_string(error.kind), error.message),
                          file.module.source_map.text_offset(*error.offset)));
}

}  // namespace rotor::cli
