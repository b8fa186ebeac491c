// Files of the operating system: an owned descriptor, and a file that appears whole or not at all. The command line
// tool writes its files through it, too.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

#include "rotor/result.h"

namespace rotor::code {

/// Returns what errno says, as an error of kind io: "`what` `path`: reason".
std::unexpected<Error> io_error(const char* what, const std::string& path);

/// Writes all of the bytes to a descriptor, in as many writes as it takes; waits where a write would block. Returns
/// false, with errno set, if it fails.
bool write_all(int descriptor, const void* data, size_t size_bytes);

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

/// A file that appears whole or not at all; all that Rotor writes to files goes through it, except lines that are added
/// to a file (code/perf_map.h). It is written to a temporary in the file's folder, which has no name where the file
/// system supports that; else it is `<name>.<16 random hex digits>.tmp` (a long name is cut), so nobody else's, deleted
/// unless kept, and locked (flock) while this object lives: a temporary that can be locked was left behind by a process
/// that was killed. Used by one thread at a time. A write to a pipe that nobody reads raises SIGPIPE, and one past
/// RLIMIT_FSIZE SIGXFSZ: a process that wants to live on ignores them.
class OutputFile {
 public:
  /// Begins a new version of the file that a path leads to. Links are followed, and it is what they lead to that is
  /// replaced; the new file has the mode of the old one, and its owner and group as far as the process may set them
  /// (else those who were not of the group get no more than others). A new one has `mode`, less the umask. What is no
  /// regular file (a device, a pipe, which waits for its reader) is written to as it is, and so are descriptors in
  /// /proc (/dev/stdout): whole or not at all does not hold there. Errors: io, naming the path; also the folder, if
  /// that is what can't be written.
  static Result<OutputFile> create(const std::string& path, mode_t mode = 0666);
  /// Begins a file in a folder of Rotor's own, given as a descriptor that the caller keeps open: whatever has the name
  /// is replaced, links and special files, too. The temporary has a name, so that whoever sweeps the folder finds dead
  /// ones. `shown_path` is for messages. Errors: io.
  static Result<OutputFile> create_in(int folder, const std::string& name, std::string shown_path, mode_t mode);
  /// Checks whether `create` would succeed: to be asked before long work, so that its result is not lost. Errors: those
  /// of `create`.
  static Result<void> check(const std::string& path);
  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Appends bytes. Errors: io; a file that had an error can't be kept.
  Result<void> write(const void* data, size_t size_bytes);
  uint64_t size_bytes() const { return size_bytes_; }
  /// Gives the file its name, in place of what had it; must be the last call. Errors: io, and then no trace is left.
  Result<void> keep(Durability durability);

 private:
  explicit OutputFile(std::string shown_path) : shown_path_(std::move(shown_path)) {}
  // These return false, with errno set, if they fail.
  bool choose_temporary();
  bool make_named(mode_t mode);
  bool make_unnamed(mode_t mode);
  bool give_name();
  Result<void> flush(Durability durability) const;

  Descriptor own_folder_;
  int folder_ = -1;  // own_folder_'s, or the caller's
  std::string name_, shown_path_;
  std::string temporary_;  // empty: the file itself is written to
  bool has_name_ = false;  // the temporary, on the disk
  Descriptor file_;
  uint64_t size_bytes_ = 0;
  std::optional<Error> error_;
};

}  // namespace rotor::code
