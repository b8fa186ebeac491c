#include "tools/rotor/output.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <nlohmann/json.hpp>

#include "code/file.h"
#include "tools/rotor/stop_request.h"

namespace rotor::cli {
namespace {

std::atomic<bool> g_shows_progress = false;
std::atomic<int> g_lost = 0;  // the first errno of standard output, which stdio does not keep

void note_lost() {
  if (g_lost == 0) g_lost = errno;
}

/// Returns a scope in which a file is written: none for a pipe or device, which may have to wait for a reader.
std::unique_ptr<EndsLater> ends_later_than(const std::string& path) {
  std::error_code failed;
  const auto type = std::filesystem::status(path, failed).type();
  const bool may_wait = type != std::filesystem::file_type::regular && type != std::filesystem::file_type::not_found;
  return may_wait ? nullptr : std::make_unique<EndsLater>();
}

}  // namespace

void show_progress(std::string_view line) {
  const std::string text = fmt::format("{}{}", kEraseLine, line);
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  g_shows_progress = true;
}

void erase_progress() {
  if (g_shows_progress.exchange(false)) std::fputs(kEraseLine, stderr);
}

bool shows_progress() { return g_shows_progress; }

void write_out(std::string_view text) {
  erase_progress();
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) note_lost();
}

void flush_out() {
  if (std::fflush(stdout) != 0) note_lost();
}

void write_error(std::string_view text) {
  erase_progress();
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

Result<void> finish_output() {
  flush_out();
  const int lost = g_lost.exchange(0);  // reported once
  if (lost == 0 && !std::ferror(stdout)) return {};
  std::clearerr(stdout);
  errno = lost ? lost : EIO;
  return code::io_error("can't write", "standard output");
}

Result<void> check_output_file(const std::string& path) {
  if (path == "-") return {};
  const auto scope = ends_later_than(path);
  return code::OutputFile::check(path);
}

Result<void> write_output_file(const std::string& path, std::string_view text) {
  if (path == "-") {
    write_out(text);
    return finish_output();
  }
  const auto scope = ends_later_than(path);
  ROTOR_TRY(code::OutputFile file, code::OutputFile::create(path));
  ROTOR_CHECK(file.write(text.data(), text.size()));
  return file.keep(code::Durability::disk);
}

}  // namespace rotor::cli
