// Files, folders and links in the host's memory: what is behind a MemoryFolder. Nothing here knows of guests: who may
// do what was checked before, and all of it is bounded by a number of bytes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hosts/wasi/path.h"
#include "hosts/wasi/types.h"

namespace rotor::wasi {

/// Bytes that a tree may take. Thread-safe: what nobody has open any more is given back wherever that was closed.
class Quota {
 public:
  explicit Quota(size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  /// Takes so many bytes, if there are as many.
  bool take(uint64_t bytes);
  void give_back(uint64_t bytes) { used_bytes_.fetch_sub(bytes); }
  uint64_t left_bytes() const { return limit_bytes_ - used_bytes_; }
  uint64_t used_bytes() const { return used_bytes_; }

 private:
  const uint64_t limit_bytes_;
  std::atomic<uint64_t> used_bytes_{0};
};

/// A file's bytes, in blocks. There are no holes: each byte up to the end counts.
class Blocks {
 public:
  static constexpr uint64_t kBlockBytes = 4096;
  explicit Blocks(Quota& quota) : quota_(quota) {}
  Blocks(const Blocks&) = delete;
  ~Blocks();
  uint64_t size() const { return size_; }
  /// Returns the largest size that there is room for now.
  uint64_t max_size() const;
  /// Cuts or grows, with zeros. Returns false, and changes nothing, if there is no room.
  bool resize(uint64_t size_bytes);
  /// Copies as many bytes as there are. Returns how many.
  uint64_t read(uint64_t offset, std::span<uint8_t> to) const;
  /// Pre: the bytes end at or before `size`.
  void write(uint64_t offset, std::span<const uint8_t> from);

 private:
  /// Calls `copy` with each part of a block that lies in the range, and the offset of that part in the range.
  template <class Copy>
  void each_part(uint64_t offset, uint64_t size_bytes, Copy copy) const;

  Quota& quota_;
  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  uint64_t size_ = 0;
};

struct Node;
using NodeRef = std::shared_ptr<Node>;

/// A file, folder or link.
struct Node {
  Node(FileType type, uint64_t inode, Quota& quota, uint64_t time_ns);
  ~Node();
  bool is_folder() const { return type == FileType::directory; }
  bool is_link() const { return type == FileType::symbolic_link; }
  FileStat stat(uint64_t device) const;
  void changed(uint64_t time_ns) { mtime_ns = ctime_ns = time_ns; }

  const FileType type;
  const uint64_t inode;
  Quota& quota;
  uint64_t names = 0;  ///< that lead to it
  uint64_t atime_ns, mtime_ns, ctime_ns;
  Blocks contents;     ///< of a file
  std::string target;  ///< of a link

  // Of a folder. Cookies are never used again, so that listing goes on where it was whatever is made or removed.
  struct Entry {
    NodeRef node;
    uint64_t cookie;
  };
  std::map<std::string, Entry, std::less<>> entries;
  std::map<uint64_t, std::string_view> by_cookie;  ///< keys of `entries`
  uint64_t next_cookie = kFirstCookie;
  Node* parent = nullptr;  ///< null: it is the root, or was removed
  /// Behind those of "." and "..".
  static constexpr uint64_t kFirstCookie = 3;
};

/// What a path leads to.
struct NodePlace {
  NodeRef folder;
  std::string name;  ///< ".": the folder itself
  NodeRef node;      ///< null: there is nothing of that name
  bool has_slash = false;
};

/// The tree. Each call locks it for itself. Paths are checked (check_path) and begin at a folder of the tree, which
/// they don't leave: perm. `now_ns`: what the times of what is made or changed become.
class MemoryTree {
 public:
  explicit MemoryTree(size_t limit_bytes);
  MemoryTree(const MemoryTree&) = delete;
  ~MemoryTree();

  const NodeRef& root() const { return root_; }
  const Quota& quota() const { return quota_; }
  /// Held by whoever looks at a node, or changes one, outside of the calls below.
  std::mutex& mutex() const { return mutex_; }

  /// Opens or makes a file, or opens a folder. `writes`: a folder is no answer. Links are followed if `last` says so.
  Outcome<NodeRef> open(const NodeRef& from, std::string_view path, LastLink last, uint32_t open_flags, bool writes,
                        uint64_t now_ns);
  /// Returns what a path leads to. With a slash at its end it leads to a folder.
  Outcome<NodeRef> find(const NodeRef& from, std::string_view path, LastLink last) const;
  Outcome<void> create_directory(const NodeRef& from, std::string_view path, uint64_t now_ns);
  Outcome<void> remove_directory(const NodeRef& from, std::string_view path, uint64_t now_ns);
  Outcome<void> unlink(const NodeRef& from, std::string_view path, uint64_t now_ns);
  Outcome<std::string> read_link(const NodeRef& from, std::string_view path) const;
  Outcome<void> symlink(const std::string& target, const NodeRef& from, std::string_view path, uint64_t now_ns);
  Outcome<void> link(const NodeRef& from, std::string_view path, LastLink last, const NodeRef& to,
                     std::string_view to_path, uint64_t now_ns);
  Outcome<void> rename(const NodeRef& from, std::string_view path, const NodeRef& to, std::string_view to_path,
                       uint64_t now_ns);

 private:
  Outcome<NodePlace> place(const NodeRef& from, std::string_view path, LastLink last) const;
  /// Does the same for what has to be there. Errors: noent; notdir (a slash behind what is no folder).
  Outcome<NodePlace> existing(const NodeRef& from, std::string_view path, LastLink last) const;
  /// Does so for a name that is to be new, and of no folder. Errors: exist; noent (a slash behind it).
  Outcome<NodePlace> new_name(const NodeRef& from, std::string_view path) const;
  /// Makes a node, and a name for it. Errors: nospc, noent (the folder was removed).
  Outcome<NodeRef> make(const NodePlace& at, FileType type, std::string target, uint64_t now_ns);
  Outcome<void> add_name(Node& folder, const std::string& name, NodeRef node, uint64_t now_ns);
  void remove_name(Node& folder, const std::string& name, uint64_t now_ns);

  mutable std::mutex mutex_;
  Quota quota_;
  NodeRef root_;
  uint64_t next_inode_ = 1;
};

}  // namespace rotor::wasi
