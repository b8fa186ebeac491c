// A guest's descriptors: what each stands for, what may be done with it, and the table of their numbers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "hosts/wasi/fd.h"
#include "hosts/wasi/object.h"
#include "hosts/wasi/rights.h"
#include "hosts/wasi/stream.h"
#include "hosts/wasi/types.h"

namespace rotor::wasi {

/// One open descriptor. Shared by the table and the calls that use it, so that it stays open until the last of them
/// ends, whoever closes it meanwhile.
struct Descriptor {
  FileType type = FileType::unknown;
  int fd = -1;                                                  ///< the system's; -1: a stream, or in memory
  Fd owned;                                                     ///< the same, unless it is the process's own
  Stream stream;                                                ///< of the embedder's
  std::unique_ptr<Object> object = std::make_unique<Object>();  ///< what works on it; never null
  /// The same terminal, opened once more and set to O_NONBLOCK, which nobody else notices; none where that was refused.
  Fd never_waits;
  bool is_preopen = false;
  std::string name;  ///< of a preopen, for the guest
  std::atomic<Rights> rights{0};
  std::atomic<Rights> inheriting{0};
  std::atomic<uint16_t> flags{0};  ///< FdFlags. None is set on the system's descriptor: others may share that
  // What the system has not refused yet to say of a single read or write.
  std::atomic<bool> can_nowait{true};    ///< RWF_NOWAIT: not to wait
  std::atomic<bool> can_nosignal{true};  ///< RWF_NOSIGNAL: to send no SIGPIPE

  bool is_file() const { return type == FileType::regular_file; }
  bool is_directory() const { return type == FileType::directory; }
  /// Whether it is the process's own, which the guest shares with others.
  bool is_inherited() const { return fd >= 0 && !owned; }
  /// Pre: is_file().
  File& file() const { return static_cast<File&>(*object); }
  /// Pre: is_directory().
  Folder& folder() const { return static_cast<Folder&>(*object); }
  bool is_socket() const { return type == FileType::socket_dgram || type == FileType::socket_stream; }
  bool is_nonblocking() const { return flags.load(std::memory_order_relaxed) & kNonblock; }
  /// Checks that there are all of these rights. Errors: notcapable.
  Outcome<void> check(Rights wanted) const {
    if (wanted & ~rights.load(std::memory_order_relaxed)) return fail(Errno::notcapable);
    return {};
  }
};
using DescriptorRef = std::shared_ptr<Descriptor>;

/// What a table's descriptors were at a moment. What was closed since stays open as long as this is kept.
struct SavedTable {
  struct Entry {
    DescriptorRef descriptor;  ///< null: the number was free
    Rights rights = 0;
    Rights inheriting = 0;
    uint16_t flags = 0;
    int64_t position = -1;  ///< in a file; -1: there is none, or each write is at the end
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> entries;  ///< by number; none behind the last that was open
  uint64_t changes = 0;
  uint64_t taken = 0;
};

/// Thread-safe.
class Table {
 public:
  explicit Table(uint32_t max_descriptors) : max_(max_descriptors) {}
  /// Returns the descriptor of that number, if it has the rights. Errors: badf, notcapable.
  Outcome<DescriptorRef> get(uint32_t fd, Rights wanted) const;
  /// Does the same for a directory. Errors: notdir as well.
  Outcome<DescriptorRef> directory(uint32_t fd, Rights wanted) const;
  /// Gives a descriptor the least number that is free. Errors: mfile.
  Outcome<uint32_t> add(DescriptorRef descriptor);
  /// Takes a number away. Errors: badf.
  Outcome<void> close(uint32_t fd);
  /// Moves a descriptor to the number of another one, which is closed. Errors: badf (either is not open).
  Outcome<void> renumber(uint32_t from, uint32_t to);
  size_t count() const;

  // For rotation: what a guest had open.

  /// Notes that a position, the flags or the rights of a descriptor changed.
  void note_change() { changes_.fetch_add(1, std::memory_order_relaxed); }
  /// Notes that something was taken that can't be given back: out of a pipe, a terminal, a socket or a stream.
  void note_taken() {
    taken_.fetch_add(1, std::memory_order_relaxed);
    note_change();
  }
  /// Returns a number that is another one after each change, and after each thing that was taken.
  uint64_t changes() const { return changes_.load(std::memory_order_relaxed); }
  SavedTable save() const;
  /// Returns whether all is as it was when that was saved.
  bool equals(const SavedTable& saved) const;
  /// Makes it so again but for what was taken: closes what was opened since, and opens what was closed.
  void restore(const SavedTable& saved);

 private:
  std::vector<SavedTable::Entry> entries() const;
  bool has(uint32_t fd) const { return fd < open_.size() && open_[fd]; }
  mutable std::mutex mutex_;
  const uint32_t max_;
  std::vector<DescriptorRef> open_;
  std::atomic<uint64_t> changes_{0};  ///< of any kind; the same number: nothing changed
  std::atomic<uint64_t> taken_{0};
};

}  // namespace rotor::wasi
