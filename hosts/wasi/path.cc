#include "hosts/wasi/path.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "hosts/wasi/limits.h"

namespace rotor::wasi {
namespace {

/// Returns the bytes of the character of UTF-8 that `text` begins with; 0: it is none.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) -> uint32_t { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  auto is_tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint32_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return is_tail(1) ? 2 : 0;
  if (first >= 0xE0 && first < 0xF0) {
    if (!is_tail(1) || !is_tail(2)) return 0;
    const uint32_t code = (first & 0xF) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    return code >= 0x800 && (code < 0xD800 || code > 0xDFFF) ? 3 : 0;
  }
  if (first >= 0xF0 && first < 0xF5) {
    if (!is_tail(1) || !is_tail(2) || !is_tail(3)) return 0;
    const uint32_t code = (first & 7) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    return code >= 0x10000 && code <= 0x10FFFF ? 4 : 0;
  }
  return 0;
}

}  // namespace

Outcome<void> check_path(std::string_view path) {
  if (path.empty()) return fail(Errno::noent);
  if (path.size() > kMaxPathBytes) return fail(Errno::nametoolong);
  if (path.front() == '/') return fail(Errno::perm);
  for (size_t i = 0; i < path.size();) {
    const size_t length = path[i] == 0 ? 0 : utf8_length(path.substr(i));
    if (length == 0) return fail(Errno::ilseq);
    i += length;
  }
  return {};
}

SplitPath split_path(std::string_view path) {
  SplitPath split;
  const size_t end = path.find_last_not_of('/');
  if (end == path.npos) return {path, ".", true};
  split.has_slash = end + 1 < path.size();
  path = path.substr(0, end + 1);
  const size_t slash = path.find_last_of('/');
  split.name = slash == path.npos ? path : path.substr(slash + 1);
  split.folder = slash == path.npos ? std::string_view() : path.substr(0, slash + 1);
  if (split.name == "." || split.name == "..") return {path, ".", true};
  return split;
}

Outcome<std::string> read_relative_link(int folder, const char* name) {
  std::string target(kMaxPathBytes + 1, '\0');
  const ssize_t size = readlinkat(folder, name, target.data(), target.size());
  if (size < 0) return fail_of_system();
  if (static_cast<size_t>(size) > kMaxPathBytes) return fail(Errno::nametoolong);
  target.resize(static_cast<size_t>(size));
  if (target.empty()) return fail(Errno::noent);
  if (target.front() == '/') return fail(Errno::perm);
  return target;
}

Outcome<Fd> open_component(int folder, const char* name, int flags) {
  constexpr mode_t kMode = 0666;
  for (;;) {
    Fd opened(openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC, kMode));
    if (opened) return opened;
    if (errno != EINTR) return fail_of_system();
  }
}

Result<const Resolver*> resolver_for(Resolution how) {
  if (how == Resolution::walk) return &walk_resolver();
  const bool has_openat2 = openat2_resolver().open(AT_FDCWD, ".", O_PATH, LastLink::keep).has_value();
  if (has_openat2) return &openat2_resolver();
  if (how == Resolution::automatic) return &walk_resolver();
  return rotor::fail(ErrorKind::unsupported, "the system has no openat2, or does not allow it");
}

}  // namespace rotor::wasi
