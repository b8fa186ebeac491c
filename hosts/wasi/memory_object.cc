#include "hosts/wasi/memory_object.h"

#include <sys/stat.h>

#include "hosts/wasi/call.h"
#include "hosts/wasi/clocks.h"

namespace rotor::wasi {
namespace {

/// The first inode number is the root's; a removed folder's parent is nobody.
uint64_t inode_above(const Node& folder) { return folder.parent ? folder.parent->inode : folder.inode; }

template <class Base>
class InMemory : public Base {
 public:
  InMemory(const MemoryVolume& volume, NodeRef node) : volume_(volume), node_(std::move(node)) {}
  Outcome<FileStat> stat() const override {
    return locked([&]() -> Outcome<FileStat> { return stat_of_node(*node_); });
  }
  Outcome<void> set_times(const NewTimes& times) override {
    const uint64_t now = now_ns();
    return locked([&]() -> Outcome<void> { return set_times_of_node(*node_, times, now); });
  }
  /// There is no disk.
  Outcome<void> sync(Sync) override { return {}; }

 protected:
  MemoryTree& tree() const { return *volume_.tree; }
  uint64_t now_ns() const { return wasi::now_ns(volume_.clock.get(), Clock::Id::realtime); }
  template <class Body>
  auto locked(Body body) const {
    std::lock_guard lock(tree().mutex());
    return body();
  }
  FileStat stat_of_node(const Node& node) const { return node.stat(volume_.device); }
  static Outcome<void> set_times_of_node(Node& node, const NewTimes& times, uint64_t now_ns) {
    auto set = [&](uint64_t& to, const timespec& time) {
      if (time.tv_nsec == UTIME_OMIT) return;
      to = time.tv_nsec == UTIME_NOW ? now_ns : ns_of(time);
    };
    set(node.atime_ns, times.times[0]);
    set(node.mtime_ns, times.times[1]);
    node.ctime_ns = now_ns;
    return {};
  }

  const MemoryVolume volume_;
  const NodeRef node_;  ///< goes before the tree does
};

class MemoryFile final : public InMemory<File> {
 public:
  using InMemory::InMemory;

  Outcome<uint64_t> seek(int64_t delta, Whence whence) override {
    return locked([&]() -> Outcome<uint64_t> {
      const uint64_t base = whence == Whence::set ? 0 : whence == Whence::current ? offset_ : contents().size();
      int64_t sum;
      if (__builtin_add_overflow(static_cast<int64_t>(base), delta, &sum) || sum < 0) return fail(Errno::inval);
      return offset_ = static_cast<uint64_t>(sum);
    });
  }

  Outcome<uint64_t> read(const Pieces& pieces, std::optional<uint64_t> offset) override {
    return locked([&]() -> Outcome<uint64_t> {
      const uint64_t begin = offset.value_or(offset_);
      uint64_t done = 0;
      for (uint32_t i = 0; i < pieces.count; ++i) {
        const iovec& piece = pieces.all()[i];
        const uint64_t size = contents().read(begin + done, {static_cast<uint8_t*>(piece.iov_base), piece.iov_len});
        done += size;
        if (size < piece.iov_len) break;
      }
      if (!offset) offset_ += done;
      return done;
    });
  }

  /// Writes as much as there is room for.
  Outcome<uint64_t> write(const Pieces& pieces, std::optional<uint64_t> offset, uint16_t flags) override {
    const uint64_t now = now_ns();
    return locked([&]() -> Outcome<uint64_t> {
      const uint64_t at_position = flags & kAppend ? contents().size() : offset_;
      const uint64_t begin = offset.value_or(at_position);
      if (pieces.bytes == 0) return 0;
      const uint64_t most = contents().max_size();
      if (begin >= most) return fail(begin >= INT64_MAX ? Errno::fbig : Errno::nospc);
      const uint64_t size = std::min(pieces.bytes, most - begin);
      if (begin + size > contents().size() && !contents().resize(begin + size)) return fail(Errno::nospc);
      uint64_t done = 0;
      for (uint32_t i = 0; done < size; ++i) {
        const iovec& piece = pieces.all()[i];
        const uint64_t part = std::min<uint64_t>(piece.iov_len, size - done);
        contents().write(begin + done, {static_cast<const uint8_t*>(piece.iov_base), part});
        done += part;
      }
      if (!offset) offset_ = begin + size;
      node_->changed(now);
      return size;
    });
  }

  Outcome<void> set_size(uint64_t size_bytes) override {
    const uint64_t now = now_ns();
    return locked([&] { return resize(size_bytes, now); });
  }

  Outcome<void> allocate(uint64_t offset, uint64_t size_bytes) override {
    if (size_bytes == 0) return fail(Errno::inval);
    if (size_bytes > INT64_MAX - offset) return fail(Errno::fbig);
    const uint64_t now = now_ns();
    return locked([&]() -> Outcome<void> {
      if (offset + size_bytes <= contents().size()) return {};
      return resize(offset + size_bytes, now);
    });
  }

  Outcome<void> advise(uint64_t, uint64_t, uint32_t) override { return {}; }

 private:
  Blocks& contents() const { return node_->contents; }
  Outcome<void> resize(uint64_t size_bytes, uint64_t now_ns) {
    if (!contents().resize(size_bytes)) return fail(Errno::nospc);
    node_->changed(now_ns);
    return {};
  }

  uint64_t offset_ = 0;
};

class MemoryFolderObject final : public InMemory<Folder> {
 public:
  using InMemory::InMemory;

  /// A cookie is that of the entry before; "." and ".." have the first two.
  Outcome<void> read_entries(Call& call, uint64_t cookie, EntryBuffer& to) override {
    std::lock_guard lock(tree().mutex());
    auto append = [&](uint64_t next, const Node& node, uint64_t inode, std::string_view name) {
      DirectoryEntry entry{};
      entry.next = next;
      entry.inode = inode;
      entry.type = node.type;
      to.append(entry, name);
    };
    if (cookie < 1) append(1, *node_, node_->inode, ".");
    if (cookie < 2) append(2, *node_, inode_above(*node_), "..");
    auto next = node_->by_cookie.upper_bound(cookie);
    for (; next != node_->by_cookie.end() && !to.is_full(); ++next) {
      const Node& node = *node_->entries.find(next->second)->second.node;
      append(next->first, node, node.inode, next->second);
      if (call.caller().must_stop()) return fail(Errno::intr);
    }
    return {};
  }

  Outcome<Opened> open(const std::string& path, const OpenRequest& request) override {
    Opened opened;
    ROTOR_TRY(NodeRef node, tree().open(node_, path, request.last, request.open_flags, request.writes, now_ns()));
    opened.type = node->type;
    opened.rights = node->is_folder() ? kDirectoryRights : kFileRights;
    if (node->is_folder())
      opened.object = std::make_unique<MemoryFolderObject>(volume_, std::move(node));
    else
      opened.object = std::make_unique<MemoryFile>(volume_, std::move(node));
    return opened;
  }

  Outcome<FileStat> stat_of(const std::string& path, LastLink last) override {
    ROTOR_TRY(NodeRef node, tree().find(node_, path, last));
    return locked([&]() -> Outcome<FileStat> { return stat_of_node(*node); });
  }
  Outcome<void> set_times_of(const std::string& path, LastLink last, const NewTimes& times) override {
    const uint64_t now = now_ns();
    ROTOR_TRY(NodeRef node, tree().find(node_, path, last));
    return locked([&] { return set_times_of_node(*node, times, now); });
  }
  Outcome<void> create_directory(const std::string& path) override {
    return tree().create_directory(node_, path, now_ns());
  }
  Outcome<void> remove_directory(const std::string& path) override {
    return tree().remove_directory(node_, path, now_ns());
  }
  Outcome<void> unlink(const std::string& path) override { return tree().unlink(node_, path, now_ns()); }
  Outcome<std::string> read_link(const std::string& path) override { return tree().read_link(node_, path); }
  Outcome<void> symlink(const std::string& target, const std::string& path) override {
    return tree().symlink(target, node_, path, now_ns());
  }
  Outcome<void> link(const std::string& path, LastLink last, Folder& to, const std::string& to_path) override {
    ROTOR_TRY(NodeRef folder, node_of(to));
    return tree().link(node_, path, last, folder, to_path, now_ns());
  }
  Outcome<void> rename(const std::string& path, Folder& to, const std::string& to_path) override {
    ROTOR_TRY(NodeRef folder, node_of(to));
    return tree().rename(node_, path, folder, to_path, now_ns());
  }

 private:
  /// Returns the node of a folder of the same tree.
  Outcome<NodeRef> node_of(Folder& folder) const {
    const auto* in_memory = dynamic_cast<const MemoryFolderObject*>(&folder);
    if (!in_memory || in_memory->volume_.tree != volume_.tree) return fail(Errno::xdev);
    return in_memory->node_;
  }
};

}  // namespace

std::unique_ptr<Object> memory_folder(const MemoryVolume& volume) {
  return std::make_unique<MemoryFolderObject>(volume, volume.tree->root());
}

}  // namespace rotor::wasi
