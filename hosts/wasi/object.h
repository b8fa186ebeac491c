// What stands behind a descriptor: something of the system's, a stream of the embedder's, or a file or folder in
// memory. WASI's functions check numbers, rights and flags; what is open does the rest, each kind in a file of its own
// (system_object.cc, system_folder.cc, memory_object.cc).
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hosts/wasi/fd.h"
#include "hosts/wasi/path.h"
#include "hosts/wasi/rights.h"
#include "hosts/wasi/types.h"

namespace rotor::wasi {

class Call;
struct Pieces;

/// What utimensat is to set: times, UTIME_NOW or UTIME_OMIT.
struct NewTimes {
  timespec times[2];
};

/// What is to be on the disk before a call ends.
enum class Sync : bool { data, all };

/// Anything that is open. By itself it has neither contents nor times: that is how a stream of the embedder's is.
class Object {
 public:
  virtual ~Object() = default;
  /// Returns what there is to say of it; the type is the descriptor's.
  virtual Outcome<FileStat> stat() const { return FileStat{}; }
  virtual Outcome<void> set_times(const NewTimes&) { return fail(Errno::inval); }
  virtual Outcome<void> sync(Sync) { return fail(Errno::inval); }
  /// Moves the position, and returns where it is then. Only files have one, and some devices.
  virtual Outcome<uint64_t> seek(int64_t /*delta*/, Whence) { return fail(Errno::spipe); }
};

/// A regular file, with its position. Offsets and sizes are at most INT64_MAX.
class File : public Object {
 public:
  /// Reads and writes pieces at an offset, or at the position, which is moved. `flags`: FdFlags.
  virtual Outcome<uint64_t> read(const Pieces& pieces, std::optional<uint64_t> offset) = 0;
  virtual Outcome<uint64_t> write(const Pieces& pieces, std::optional<uint64_t> offset, uint16_t flags) = 0;
  virtual Outcome<void> set_size(uint64_t size_bytes) = 0;
  /// Makes the file reach as far as that, with room for it.
  virtual Outcome<void> allocate(uint64_t offset, uint64_t size_bytes) = 0;
  /// Takes advice; `advice` is WASI's number, below kAdviceCount.
  virtual Outcome<void> advise(uint64_t offset, uint64_t size_bytes, uint32_t advice) = 0;
};

/// What path_open asks for.
struct OpenRequest {
  uint32_t open_flags;
  bool reads;
  bool writes;
  LastLink last;
};

/// What was opened: a regular file, which is a File, or a directory, which is a Folder.
struct Opened {
  FileType type = FileType::unknown;
  Rights rights = 0;  ///< what can be done with it at most
  Fd fd;              ///< of the system's, if it is that; `object` works on it
  std::unique_ptr<Object> object;
};

/// A guest's buffer that is filled with directory entries from its beginning; what does not fit is cut off.
class EntryBuffer {
 public:
  explicit EntryBuffer(std::span<uint8_t> to) : to_(to) {}
  void append(DirectoryEntry entry, std::string_view name) {
    entry.name_bytes = static_cast<uint32_t>(name.size());
    append_bytes(&entry, sizeof entry);
    append_bytes(name.data(), name.size());
  }
  bool is_full() const { return used_ == to_.size(); }
  size_t used() const { return used_; }

 private:
  void append_bytes(const void* bytes, size_t size) {
    const size_t taken = std::min(size, to_.size() - used_);
    if (taken) std::memcpy(to_.data() + used_, bytes, taken);
    used_ += taken;
  }
  std::span<uint8_t> to_;
  size_t used_ = 0;
};

/// A directory. Paths are checked (check_path), and lead nowhere but below it: what leads out is an error, perm.
class Folder : public Object {
 public:
  /// Appends entries from a cookie on (DirectoryEntry::next, 0: the first) until there are no more or it is full.
  virtual Outcome<void> read_entries(Call& call, uint64_t cookie, EntryBuffer& to) = 0;
  virtual Outcome<Opened> open(const std::string& path, const OpenRequest& request) = 0;
  virtual Outcome<FileStat> stat_of(const std::string& path, LastLink last) = 0;
  virtual Outcome<void> set_times_of(const std::string& path, LastLink last, const NewTimes& times) = 0;
  virtual Outcome<void> create_directory(const std::string& path) = 0;
  virtual Outcome<void> remove_directory(const std::string& path) = 0;
  virtual Outcome<void> unlink(const std::string& path) = 0;
  virtual Outcome<std::string> read_link(const std::string& path) = 0;
  virtual Outcome<void> symlink(const std::string& target, const std::string& path) = 0;
  /// Gives a file another name, in a folder of the same kind; else xdev.
  virtual Outcome<void> link(const std::string& path, LastLink last, Folder& to, const std::string& to_path) = 0;
  virtual Outcome<void> rename(const std::string& path, Folder& to, const std::string& to_path) = 0;
};

}  // namespace rotor::wasi
