#include "hosts/wasi/memory_tree.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "hosts/wasi/limits.h"

namespace rotor::wasi {
namespace {

uint64_t blocks_of(uint64_t size_bytes) {
  return size_bytes / Blocks::kBlockBytes + (size_bytes % Blocks::kBlockBytes != 0);
}

uint64_t cost_of_name(std::string_view name) { return kMemoryNameBytes + name.size(); }

}  // namespace

bool Quota::take(uint64_t bytes) {
  uint64_t used = used_bytes_;
  do {
    if (bytes > limit_bytes_ - used) return false;
  } while (!used_bytes_.compare_exchange_weak(used, used + bytes));
  return true;
}

// ---- a file's bytes ------------------------------------------------------------------------------------------------

Blocks::~Blocks() { quota_.give_back(blocks_.size() * kBlockBytes); }

uint64_t Blocks::max_size() const {
  const uint64_t most = (blocks_.size() + quota_.left_bytes() / kBlockBytes) * kBlockBytes;
  return std::min<uint64_t>(most, INT64_MAX);
}

bool Blocks::resize(uint64_t size_bytes) {
  const uint64_t count = blocks_of(size_bytes);
  if (count > blocks_.size()) {
    if (!quota_.take((count - blocks_.size()) * kBlockBytes)) return false;
    while (blocks_.size() < count) blocks_.push_back(std::make_unique<uint8_t[]>(kBlockBytes));
  } else {
    quota_.give_back((blocks_.size() - count) * kBlockBytes);
    blocks_.resize(count);
    // What is behind the end is zero, as a file that grows again has it.
    const uint64_t tail = size_bytes % kBlockBytes;
    if (tail && size_bytes < size_) std::memset(blocks_.back().get() + tail, 0, kBlockBytes - tail);
  }
  size_ = size_bytes;
  return true;
}

template <class Copy>
void Blocks::each_part(uint64_t offset, uint64_t size_bytes, Copy copy) const {
  for (uint64_t done = 0; done < size_bytes;) {
    const uint64_t at = offset + done, in_block = at % kBlockBytes;
    const uint64_t part = std::min(size_bytes - done, kBlockBytes - in_block);
    copy(blocks_[at / kBlockBytes].get() + in_block, done, part);
    done += part;
  }
}

uint64_t Blocks::read(uint64_t offset, std::span<uint8_t> to) const {
  if (offset >= size_) return 0;
  const uint64_t size = std::min<uint64_t>(to.size(), size_ - offset);
  each_part(offset, size,
            [&](const uint8_t* block, uint64_t at, uint64_t part) { std::memcpy(to.data() + at, block, part); });
  return size;
}

void Blocks::write(uint64_t offset, std::span<const uint8_t> from) {
  each_part(offset, from.size(),
            [&](uint8_t* block, uint64_t at, uint64_t part) { std::memcpy(block, from.data() + at, part); });
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

Node::Node(FileType type, uint64_t inode, Quota& quota, uint64_t time_ns)
    : type(type),
      inode(inode),
      quota(quota),
      atime_ns(time_ns),
      mtime_ns(time_ns),
      ctime_ns(time_ns),
      contents(quota) {}

Node::~Node() { quota.give_back(kMemoryNodeBytes + target.size()); }

FileStat Node::stat(uint64_t device) const {
  FileStat out{};
  out.device = device;
  out.inode = inode;
  out.type = type;
  out.links = names;
  out.size_bytes = is_link() ? target.size() : contents.size();
  out.atime_ns = atime_ns;
  out.mtime_ns = mtime_ns;
  out.ctime_ns = ctime_ns;
  return out;
}

// ---- the tree ------------------------------------------------------------------------------------------------------

MemoryTree::MemoryTree(size_t limit_bytes) : quota_(std::max<size_t>(limit_bytes, kMemoryNodeBytes)) {
  (void)quota_.take(kMemoryNodeBytes);  // there is as much
  root_ = std::make_shared<Node>(FileType::directory, next_inode_++, quota_, 0);
  root_->names = 1;
}

/// Takes folders apart one after another: a guest may have put them into each other deeper than the stack is.
MemoryTree::~MemoryTree() {
  std::vector<NodeRef> rest = {std::move(root_)};
  while (!rest.empty()) {
    const NodeRef node = std::move(rest.back());
    rest.pop_back();
    node->by_cookie.clear();
    for (auto& [name, entry] : node->entries) {
      quota_.give_back(cost_of_name(name));
      rest.push_back(std::move(entry.node));
    }
    node->entries.clear();
  }
}

Outcome<NodePlace> MemoryTree::place(const NodeRef& from, std::string_view path, LastLink last) const {
  std::vector<NodeRef> folders = {from};  // the way that the path came
  std::string rest(path);
  for (int links = 0;;) {
    const size_t begin = rest.find_first_not_of('/');
    if (begin == rest.npos) return NodePlace{folders.back(), ".", folders.back(), true};
    const size_t end = std::min(rest.find('/', begin), rest.size());
    const std::string name = rest.substr(begin, end - begin);
    rest.erase(0, end);
    if (name.size() > kMaxNameBytes) return fail(Errno::nametoolong);
    if (name == ".") continue;
    if (name == "..") {
      if (folders.size() == 1) return fail(Errno::perm);
      folders.pop_back();
      continue;
    }
    const bool is_last = rest.find_first_not_of('/') == rest.npos;
    const auto found = folders.back()->entries.find(name);
    const NodeRef node = found == folders.back()->entries.end() ? nullptr : found->second.node;
    if (node && node->is_link() && (!is_last || last == LastLink::follow)) {
      if (++links > kMaxLinks) return fail(Errno::loop);
      rest = node->target + rest;
      if (rest.size() > kMaxPathBytes) return fail(Errno::nametoolong);
      continue;
    }
    if (is_last) return NodePlace{folders.back(), name, node, !rest.empty()};
    if (!node) return fail(Errno::noent);
    if (!node->is_folder()) return fail(Errno::notdir);
    folders.push_back(node);
  }
}

Outcome<NodePlace> MemoryTree::existing(const NodeRef& from, std::string_view path, LastLink last) const {
  ROTOR_TRY(NodePlace at, place(from, path, last));
  if (!at.node) return fail(Errno::noent);
  if (at.has_slash && !at.node->is_folder()) return fail(Errno::notdir);
  return at;
}

Outcome<NodePlace> MemoryTree::new_name(const NodeRef& from, std::string_view path) const {
  ROTOR_TRY(NodePlace at, place(from, path, LastLink::keep));
  if (at.node) return fail(Errno::exist);
  if (at.has_slash) return fail(Errno::noent);
  return at;
}

Outcome<NodeRef> MemoryTree::make(const NodePlace& at, FileType type, std::string target, uint64_t now_ns) {
  if (!quota_.take(kMemoryNodeBytes + target.size())) return fail(Errno::nospc);
  auto node = std::make_shared<Node>(type, next_inode_++, quota_, now_ns);
  node->target = std::move(target);
  ROTOR_CHECK(add_name(*at.folder, at.name, node, now_ns));
  return node;
}

Outcome<void> MemoryTree::add_name(Node& folder, const std::string& name, NodeRef node, uint64_t now_ns) {
  if (&folder != root_.get() && !folder.parent) return fail(Errno::noent);
  if (!quota_.take(cost_of_name(name))) return fail(Errno::nospc);
  const uint64_t cookie = folder.next_cookie++;
  ++node->names;
  node->ctime_ns = now_ns;
  if (node->is_folder()) node->parent = &folder;
  const auto added = folder.entries.insert_or_assign(name, Node::Entry{std::move(node), cookie}).first;
  folder.by_cookie.emplace(cookie, added->first);
  folder.changed(now_ns);
  return {};
}

void MemoryTree::remove_name(Node& folder, const std::string& name, uint64_t now_ns) {
  const auto entry = folder.entries.find(name);
  const NodeRef node = std::move(entry->second.node);
  folder.by_cookie.erase(entry->second.cookie);
  folder.entries.erase(entry);
  quota_.give_back(cost_of_name(name));
  --node->names;
  node->ctime_ns = now_ns;
  if (node->is_folder()) node->parent = nullptr;
  folder.changed(now_ns);
}

Outcome<NodeRef> MemoryTree::open(const NodeRef& from, std::string_view path, LastLink last, uint32_t open_flags,
                                  bool writes, uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  const bool creates = open_flags & kCreate;
  if (creates && open_flags & kExclusive) last = LastLink::keep;
  // A slash behind a link has it followed.
  if (path.ends_with('/') && !creates) last = LastLink::follow;
  ROTOR_TRY(NodePlace at, place(from, path, last));
  if (creates && at.has_slash) return fail(Errno::isdir);
  if (!at.node) {
    if (!creates) return fail(Errno::noent);
    return make(at, FileType::regular_file, {}, now_ns);
  }
  if (creates && open_flags & kExclusive) return fail(Errno::exist);
  const bool wants_folder = open_flags & kDirectory || at.has_slash;
  if (at.node->is_link()) return fail(wants_folder ? Errno::notdir : Errno::loop);
  if (at.node->is_folder()) {
    if (writes || open_flags & (kCreate | kTruncate)) return fail(Errno::isdir);
    return at.node;
  }
  if (wants_folder) return fail(Errno::notdir);
  if (open_flags & kTruncate) {
    (void)at.node->contents.resize(0);
    at.node->changed(now_ns);
  }
  return at.node;
}

Outcome<NodeRef> MemoryTree::find(const NodeRef& from, std::string_view path, LastLink last) const {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace at, existing(from, path, path.ends_with('/') ? LastLink::follow : last));
  return at.node;
}

Outcome<void> MemoryTree::create_directory(const NodeRef& from, std::string_view path, uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace at, place(from, path, LastLink::keep));
  if (at.node) return fail(Errno::exist);
  ROTOR_CHECK(make(at, FileType::directory, {}, now_ns));
  return {};
}

Outcome<void> MemoryTree::remove_directory(const NodeRef& from, std::string_view path, uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace at, existing(from, path, LastLink::keep));
  if (!at.node->is_folder()) return fail(Errno::notdir);
  if (at.name == ".") return fail(Errno::inval);
  if (!at.node->entries.empty()) return fail(Errno::notempty);
  remove_name(*at.folder, at.name, now_ns);
  return {};
}

Outcome<void> MemoryTree::unlink(const NodeRef& from, std::string_view path, uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace at, existing(from, path, LastLink::keep));
  if (at.node->is_folder()) return fail(Errno::isdir);
  remove_name(*at.folder, at.name, now_ns);
  return {};
}

Outcome<std::string> MemoryTree::read_link(const NodeRef& from, std::string_view path) const {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace at, existing(from, path, LastLink::keep));
  if (!at.node->is_link()) return fail(Errno::inval);
  return at.node->target;
}

Outcome<void> MemoryTree::symlink(const std::string& target, const NodeRef& from, std::string_view path,
                                  uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace at, new_name(from, path));
  ROTOR_CHECK(make(at, FileType::symbolic_link, target, now_ns));
  return {};
}

Outcome<void> MemoryTree::link(const NodeRef& from, std::string_view path, LastLink last, const NodeRef& to,
                               std::string_view to_path, uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace old, existing(from, path, last));
  ROTOR_TRY(NodePlace at, new_name(to, to_path));
  if (old.node->is_folder()) return fail(Errno::perm);
  return add_name(*at.folder, at.name, old.node, now_ns);
}

Outcome<void> MemoryTree::rename(const NodeRef& from, std::string_view path, const NodeRef& to,
                                 std::string_view to_path, uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  ROTOR_TRY(NodePlace old, existing(from, path, LastLink::keep));
  ROTOR_TRY(NodePlace at, place(to, to_path, LastLink::keep));
  if (old.name == "." || at.name == ".") return fail(Errno::busy);
  const bool is_folder = old.node->is_folder();
  // A slash behind either says that it is a directory that is renamed.
  if (at.has_slash && !is_folder) return fail(Errno::notdir);
  if (old.node == at.node) return {};
  for (const Node* above = at.folder.get(); is_folder && above; above = above->parent)
    if (above == old.node.get()) return fail(Errno::inval);
  if (at.node) {
    if (at.node->is_folder() != is_folder) return fail(is_folder ? Errno::notdir : Errno::isdir);
    if (!at.node->entries.empty()) return fail(Errno::notempty);
    remove_name(*at.folder, at.name, now_ns);  // what gives room for the new name
  }
  ROTOR_CHECK(add_name(*at.folder, at.name, old.node, now_ns));
  Node* const parent = old.node->parent;
  remove_name(*old.folder, old.name, now_ns);
  old.node->parent = parent;
  return {};
}

}  // namespace rotor::wasi
