// Files of the operating system: an owned descriptor, and a file that appears whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

#include "rotor/result.h"

namespace rotor::jit {

/// What errno says, as an error of kind io: "`what` `path`: reason".
std::unexpected<Error> io_error(const char* what, const std::string& path);

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// Whether a file's contents survive a crash of the machine (of the process they always do).
enum class Durability : bool {
  none,  ///< for what can be made again: after a crash the file may be there with holes, which its reader must find
  disk,  ///< fsync before the file gets its name
};

/// A file that appears whole or not at all: a temporary in the same folder, deleted unless kept. The temporary is
/// `<name>.<16 random hex digits>.tmp`, so it is nobody else's, and locked (flock) while this object lives: one that
/// can be locked was left behind by a writer that died. One thread at a time.
class OutputFile {
 public:
  /// Makes the temporary. `path` is taken from `folder`, a descriptor (AT_FDCWD: the current folder), which the caller
  /// keeps open. `shown_path` is for messages. Errors: io.
  static Result<OutputFile> create(int folder, std::string path, std::string shown_path, mode_t mode);
  static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Appends. Errors: io; a file that had one can't be kept.
  Result<void> write(const void* data, size_t size_bytes);
  uint64_t size_bytes() const { return size_bytes_; }
  /// Gives the file its name, in place of what had it. The last call. Errors: io, and then no trace is left.
  Result<void> keep(Durability durability);

 private:
  OutputFile(int folder, std::string path, std::string shown_path);
  Result<void> flush(Durability durability) const;

  int folder_;
  std::string path_, shown_path_, temporary_;
  Descriptor file_;
  uint64_t size_bytes_ = 0;
  std::optional<Error> error_;
};

}  // namespace rotor::jit
