#include "jit/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>

namespace rotor::jit {

std::unexpected<Error> io_error(const char* what, const std::string& path) {
  const char* words = strerrordesc_np(errno);
  return fail(ErrorKind::io, fmt::format("{} {}: {}", what, path, words ? words : "unknown error"));
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

OutputFile::OutputFile(int folder, std::string path, std::string shown_path)
    : folder_(folder), path_(std::move(path)), shown_path_(std::move(shown_path)) {}

Result<OutputFile> OutputFile::create(int folder, std::string path, std::string shown_path, mode_t mode) {
  OutputFile file(folder, std::move(path), std::move(shown_path));
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) return io_error("creating", file.shown_path_);
  file.temporary_ = fmt::format("{}.{:016x}.tmp", file.path_, random);
  file.file_ = Descriptor(openat(folder, file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file.file_) return io_error("creating", file.shown_path_);
  // A file system without locks is no reason to fail: who looks for dead writers has to allow for it.
  (void)flock(file.file_.get(), LOCK_EX | LOCK_NB);
  return file;
}

Result<OutputFile> OutputFile::create(const std::string& path) { return create(AT_FDCWD, path, path, 0644); }

OutputFile::~OutputFile() {
  // While it is locked, that nobody takes it for a dead writer's.
  if (file_) unlinkat(folder_, temporary_.c_str(), 0);
}

Result<void> OutputFile::write(const void* data, size_t size_bytes) {
  if (error_) return std::unexpected(*error_);
  auto* at = static_cast<const char*>(data);
  while (size_bytes) {
    ssize_t n = ::write(file_.get(), at, size_bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_ = io_error("writing", shown_path_).error();
      return std::unexpected(*error_);
    }
    at += n;
    size_bytes -= static_cast<size_t>(n);
    size_bytes_ += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> OutputFile::flush(Durability durability) const {
  if (durability == Durability::disk && fsync(file_.get()) != 0) return io_error("writing", shown_path_);
  // A network file system says only on close that it had no room; of a copy, as closing ours would end the lock.
  int copy = fcntl(file_.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0 || close(copy) != 0) return io_error("writing", shown_path_);
  return {};
}

Result<void> OutputFile::keep(Durability durability) {
  if (error_) return std::unexpected(*error_);
  ROTOR_CHECK(flush(durability));
  if (renameat(folder_, temporary_.c_str(), folder_, path_.c_str()) != 0) return io_error("writing", shown_path_);
  file_ = Descriptor();
  return {};
}

}  // namespace rotor::jit
