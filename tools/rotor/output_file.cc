#include "tools/rotor/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace rotor::cli {
namespace {

std::unexpected<Error> io_error(const std::string& path, const char* what) {
  return fail(ErrorKind::io, fmt::format("can't {} {}: {}", what, path, std::strerror(errno)));
}

/// Owns a file descriptor.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool open() const { return fd_ >= 0; }
  bool write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written = ::write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      text.remove_prefix(static_cast<size_t>(written));
    }
    return true;
  }
  /// What a full disk has to say may come only now.
  bool sync() const { return fsync(fd_) == 0 || errno == EINVAL || errno == EROFS; }
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

bool is_special(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/// Where a symbolic link leads: it is the file that is replaced, not the link.
std::string target_of(const std::string& path) {
  std::error_code failed;
  std::filesystem::path target = std::filesystem::canonical(path, failed);
  return failed ? path : target.string();
}

/// A new file beside `target`, its name in `path`.
File make_beside(const std::string& target, std::string& path) {
  path = target + ".XXXXXX";
  File file(mkstemp(path.data()));
  if (!file.open()) return file;
  const mode_t mask = umask(0);
  umask(mask);
  (void)chmod(path.c_str(), 0666 & ~mask);  // mkstemp makes files for their owner alone
  return file;
}

}  // namespace

Result<void> check_output_file(const std::string& path) {
  if (is_special(path)) {
    if (access(path.c_str(), W_OK) != 0) return io_error(path, "write");
    return {};
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    errno = EISDIR;
    return io_error(path, "write");
  }
  std::string temporary;
  File file = make_beside(target_of(path), temporary);
  if (!file.open()) return io_error(path, "write");
  unlink(temporary.c_str());
  return {};
}

Result<void> write_output_file(const std::string& path, std::string_view text) {
  if (is_special(path)) {
    File file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.open() || !file.write(text) || !file.close()) return io_error(path, "write");
    return {};
  }
  const std::string target = target_of(path);
  std::string temporary;
  File file = make_beside(target, temporary);
  if (!file.open()) return io_error(path, "write");
  if (file.write(text) && file.sync() && file.close() && std::rename(temporary.c_str(), target.c_str()) == 0) return {};
  const int reason = errno;
  unlink(temporary.c_str());
  errno = reason;
  return io_error(path, "write");
}

}  // namespace rotor::cli
