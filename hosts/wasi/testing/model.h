// A file system as the specification has it, as simple as it gets, and a guest that does the same things to it and to a
// folder of its own. What to do comes from bytes, which a test or a fuzzer makes up.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "hosts/wasi/testing/guest.h"

namespace rotor::wasi::test {

struct Node;
using NodeRef = std::shared_ptr<Node>;
struct Node {
  enum class Kind { folder, file, link } kind;
  std::map<std::string, NodeRef> entries;  ///< of a folder
  std::string text;                        ///< a file's contents, a link's target
  uint64_t names = 0;                      ///< of a file or link
};

/// What a path leads to; nothing, if it leads nowhere or out.
struct Found {
  NodeRef folder;
  std::string name;  ///< ".": the folder itself
  NodeRef node;      ///< null: there is nothing of that name
  bool has_slash = false;
};

class ModelFileSystem {
 public:
  ModelFileSystem() : root_(std::make_shared<Node>(Node::Kind::folder)) {}
  const Node& root() const { return *root_; }

  std::optional<Found> find(const std::string& path, bool follow) const {
    if (path.empty() || path.front() == '/') return std::nullopt;
    std::vector<NodeRef> folders = {root_};
    std::string rest = path;
    for (int links = 0;;) {
      const size_t begin = rest.find_first_not_of('/');
      if (begin == rest.npos) return Found{folders.back(), ".", folders.back(), true};
      const size_t end = std::min(rest.find('/', begin), rest.size());
      const std::string name = rest.substr(begin, end - begin);
      rest = rest.substr(end);
      if (name == ".") continue;
      if (name == "..") {
        if (folders.size() == 1) return std::nullopt;
        folders.pop_back();
        continue;
      }
      const bool is_last = rest.find_first_not_of('/') == rest.npos;
      const auto entry = folders.back()->entries.find(name);
      const NodeRef node = entry == folders.back()->entries.end() ? nullptr : entry->second;
      if (node && node->kind == Node::Kind::link && (!is_last || follow)) {
        if (++links > kMaxLinks) return std::nullopt;
        rest = node->text + rest;
        continue;
      }
      if (is_last) return Found{folders.back(), name, node, !rest.empty()};
      if (!node || node->kind != Node::Kind::folder) return std::nullopt;
      folders.push_back(node);
    }
  }

  bool create_directory(const std::string& path) {
    auto at = find(path, false);
    if (!at || at->node) return false;
    at->folder->entries[at->name] = std::make_shared<Node>(Node::Kind::folder);
    return true;
  }
  bool remove_directory(const std::string& path) {
    auto at = find(path, false);
    if (!at || !is_folder(at->node) || at->name == "." || !at->node->entries.empty()) return false;
    at->folder->entries.erase(at->name);
    return true;
  }
  bool unlink(const std::string& path) {
    auto at = find(path, false);
    if (!at || !at->node || is_folder(at->node) || at->has_slash) return false;
    --at->node->names;
    at->folder->entries.erase(at->name);
    return true;
  }
  bool symlink(const std::string& target, const std::string& path) {
    auto at = find(path, false);
    if (!at || at->node || at->has_slash || target.empty() || target.front() == '/') return false;
    put(*at, std::make_shared<Node>(Node::Kind::link))->text = target;
    return true;
  }
  bool link(const std::string& from, const std::string& to, bool follow) {
    auto old = find(from, follow), at = find(to, false);
    if (!old || !old->node || is_folder(old->node) || old->has_slash) return false;
    if (!at || at->node || at->has_slash) return false;
    put(*at, old->node);
    return true;
  }
  bool rename(const std::string& from, const std::string& to) {
    auto old = find(from, false), at = find(to, false);
    if (!old || !at || !old->node || old->name == "." || at->name == ".") return false;
    if ((old->has_slash || at->has_slash) && !is_folder(old->node)) return false;
    if (old->node == at->node) return true;
    if (is_folder(old->node) && is_below(*old->node, at->folder)) return false;
    if (at->node) {
      if (is_folder(at->node) != is_folder(old->node)) return false;
      if (is_folder(at->node) && !at->node->entries.empty()) return false;
      if (!is_folder(at->node)) --at->node->names;
    }
    const NodeRef moved = old->node;
    old->folder->entries.erase(old->name);
    at->folder->entries[at->name] = moved;
    return true;
  }
  /// Returns what was opened, which may have been made or emptied.
  NodeRef open(const std::string& path, uint32_t flags, bool follow, bool writes) {
    if (flags & kDirectory && flags & (kCreate | kExclusive | kTruncate)) return nullptr;
    if (flags & kDirectory && writes) return nullptr;
    if (flags & kExclusive) follow = false;
    auto at = find(path, follow || (path.ends_with('/') && !(flags & kCreate)));
    if (!at) return nullptr;
    if (flags & kCreate && at->has_slash) return nullptr;
    if (!at->node) {
      if (!(flags & kCreate)) return nullptr;
      return put(*at, std::make_shared<Node>(Node::Kind::file));
    }
    if (flags & kExclusive && flags & kCreate) return nullptr;
    if (at->node->kind == Node::Kind::link) return nullptr;
    if (is_folder(at->node)) return writes || flags & (kCreate | kTruncate) ? nullptr : at->node;
    if (flags & kDirectory || at->has_slash) return nullptr;
    if (flags & kTruncate) at->node->text.clear();
    return at->node;
  }
  NodeRef stat(const std::string& path, bool follow) const {
    auto at = find(path, follow || path.ends_with('/'));
    if (!at || !at->node || (at->has_slash && !is_folder(at->node))) return nullptr;
    return at->node;
  }

 private:
  static bool is_folder(const NodeRef& node) { return node && node->kind == Node::Kind::folder; }
  static bool is_below(const Node& top, const NodeRef& node) {
    if (&top == node.get()) return true;
    for (const auto& [name, entry] : top.entries)
      if (is_below(*entry, node)) return true;
    return false;
  }
  static NodeRef put(const Found& at, NodeRef node) {
    ++node->names;
    return at.folder->entries[at.name] = std::move(node);
  }

  NodeRef root_;
};

/// Who keeps the guest's folder, and how.
enum class Keeper : uint8_t { openat2, walk, memory };

/// A guest that does the same to a model and to a folder, beside which lies one that it must not get to.
class ModelRun {
 public:
  explicit ModelRun(Keeper keeper)
      : keeper_(keeper), guest_([&] {
          parent_.folder("root");
          parent_.folder("a");
          parent_.file("a/b", "outside");
          parent_.file("c", "outside");
          Builder builder;
          if (keeper == Keeper::memory) {
            builder.folder(memory_, "/");
          } else {
            builder.folder(parent_.path("root"), "/");
            builder.resolution(keeper == Keeper::walk ? Resolution::walk : Resolution::openat2);
          }
          auto built = builder.build();
          must(built.has_value(), "no environment");
          return Guest(*built);
        }()) {}

  /// Does what the bytes say. Returns what differs; empty: nothing.
  std::string run(std::span<const uint8_t> bytes) {
    bytes_ = bytes;
    while (!bytes_.empty() && difference_.empty()) step();
    if (difference_.empty() && keeper_ == Keeper::memory) {
      compare_in_memory(model_.root(), ".");
      compare_used_bytes();
    } else if (difference_.empty()) {
      compare(model_.root(), parent_.path("root"), ".");
    }
    if (parent_.contents("a/b") != "outside" || parent_.contents("c") != "outside" || entries_outside() != 4)
      differs("outside of the root", "what was there", "something else");
    return difference_;
  }

 private:
  static constexpr uint32_t kRoot = 3;

  uint8_t next() {
    if (bytes_.empty()) return 0;
    const uint8_t byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  std::string path() {
    static constexpr const char* kComponents[] = {"a", "b", "c", "a", "b", "c", ".", ".."};
    std::string text;
    const uint8_t shape = next();
    for (int i = shape & 3; i >= 0; --i) text += std::string(kComponents[next() & 7]) + (i > 0 ? "/" : "");
    return shape & 0x1C ? text : text + "/";
  }
  void differs(const std::string& what, const std::string& wanted, const std::string& got) {
    if (difference_.empty()) difference_ = what + ": wanted " + wanted + ", got " + got;
  }
  void expect(const std::string& what, bool wanted, Errno got) {
    if (wanted != (got == Errno::success))
      differs(what, wanted ? "success" : "an error", std::to_string(static_cast<int>(got)));
  }

  void step() {
    Guest& g = guest_;
    const uint8_t what = next();
    const bool follow = what & 0x80;
    const uint32_t lookup = follow ? uint32_t{kSymlinkFollow} : 0;
    const std::string at = path();
    const std::string by = at + (follow ? " (followed)" : "");
    switch (what % 10) {
      case 0: return expect("mkdir " + at, model_.create_directory(at), g.path("path_create_directory", kRoot, at));
      case 1: return expect("rmdir " + at, model_.remove_directory(at), g.path("path_remove_directory", kRoot, at));
      case 2: return expect("unlink " + at, model_.unlink(at), g.path("path_unlink_file", kRoot, at));
      case 3: {
        const std::string target = path();
        return expect("symlink " + target + " " + at, model_.symlink(target, at), g.symlink(target, kRoot, at));
      }
      case 4: {
        const std::string to = path();
        return expect("link " + by + " " + to, model_.link(at, to, follow), g.link(kRoot, at, kRoot, to, lookup));
      }
      case 5: {
        const std::string to = path();
        return expect("rename " + at + " " + to, model_.rename(at, to), g.rename(kRoot, at, kRoot, to));
      }
      case 6: return compare_stat(by, model_.stat(at, follow), g.stat(kRoot, at, lookup));
      case 7: return read_link(at);
      default: return open(by, at, follow);
    }
  }

  void compare_stat(const std::string& at, const NodeRef& wanted, Errno got) {
    expect("stat " + at, wanted != nullptr, got);
    if (!wanted || got != Errno::success) return;
    const auto stat = guest_.load<FileStat>(Guest::kBuffer);
    constexpr FileType kTypes[] = {FileType::directory, FileType::regular_file, FileType::symbolic_link};
    if (stat.type != kTypes[static_cast<int>(wanted->kind)]) differs("stat " + at, "its type", "another one");
    if (wanted->kind == Node::Kind::folder) return;
    if (stat.size_bytes != wanted->text.size() || stat.links != wanted->names)
      differs("stat " + at, std::to_string(wanted->text.size()) + " bytes", std::to_string(stat.size_bytes));
  }

  void read_link(const std::string& at) {
    const auto found = model_.find(at, false);
    const bool is_link = found && found->node && found->node->kind == Node::Kind::link && !found->has_slash;
    const uint32_t address = guest_.put(at);
    expect("readlink " + at, is_link,
           guest_("path_readlink", kRoot, address, at.size(), Guest::kBuffer, 1000, Guest::kResult));
    if (is_link && guest_.text() != found->node->text) differs("readlink " + at, found->node->text, guest_.text());
  }

  void open(const std::string& by, const std::string& at, bool follow) {
    const uint8_t flags = next() & kAllOpenFlags;
    const bool writes = next() & 1;
    const std::string what = "open " + by + " " + std::to_string(flags) + (writes ? " to write" : "");
    const NodeRef wanted = model_.open(at, flags, follow, writes);
    const Rights rights = kFdRead | kFdReaddir | kFdSeek | (writes ? kFdWrite : 0);
    const Errno got = guest_.open(kRoot, at, flags, rights, ~Rights{0}, follow ? uint32_t{kSymlinkFollow} : 0);
    expect(what, wanted != nullptr, got);
    if (got != Errno::success) return;
    const uint32_t fd = guest_.result();
    if (wanted && wanted->kind == Node::Kind::file) {
      if (writes) {
        const std::string text(next() % 5, static_cast<char>('0' + next() % 10));
        expect(what + ", write", true, guest_.write(fd, text));
        wanted->text.replace(0, text.size(), text);
        expect(what + ", seek", true, guest_("fd_seek", fd, 0, 0, Guest::kResult));
      }
      expect(what + ", read", true, guest_.read(fd));
      if (guest_.text() != wanted->text) differs(what + ", read", wanted->text, guest_.text());
    }
    expect("close", true, guest_("fd_close", fd));
  }

  /// Compares what there is with the model, without the guest.
  void compare(const Node& wanted, const std::string& folder, const std::string& name) {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      ++count;
      const auto found = wanted.entries.find(entry.path().filename().string());
      if (found == wanted.entries.end()) return differs(name, "nothing more", entry.path().string());
      const Node& node = *found->second;
      const auto type = entry.symlink_status().type();
      using std::filesystem::file_type;
      constexpr file_type kTypes[] = {file_type::directory, file_type::regular, file_type::symlink};
      if (type != kTypes[static_cast<int>(node.kind)]) return differs(entry.path().string(), "its type", "another one");
      if (node.kind == Node::Kind::folder) compare(node, entry.path().string(), found->first);
      if (node.kind == Node::Kind::link && std::filesystem::read_symlink(entry.path()) != node.text)
        differs(entry.path().string(), node.text, "another target");
    }
    if (count != wanted.entries.size()) differs(name, std::to_string(wanted.entries.size()), std::to_string(count));
  }
  /// Does the same in memory.
  void compare_in_memory(const Node& wanted, const std::string& folder) {
    const auto names = memory_.names(folder);
    if (!names || names->size() != wanted.entries.size())
      return differs(folder, std::to_string(wanted.entries.size()) + " entries", names ? "other ones" : "none");
    for (const auto& [name, node] : wanted.entries) {
      const std::string at = folder + "/" + name;
      if (node->kind == Node::Kind::folder) {
        compare_in_memory(*node, at);
      } else if (node->kind == Node::Kind::link) {
        read_link(at);
      } else if (auto text = memory_.contents(at); !text || *text != node->text) {
        differs(at, node->text, text ? *text : text.error().message);
      }
    }
  }
  /// Compares what the folder says that it takes with what the model's files would: nothing is forgotten, nor counted
  /// twice.
  void compare_used_bytes() {
    uint64_t bytes = kMemoryNodeBytes;  // the root's
    std::set<const Node*> counted;
    count_bytes(model_.root(), counted, bytes);
    if (memory_.used_bytes() != bytes)
      differs("the bytes of the folder", std::to_string(bytes), std::to_string(memory_.used_bytes()));
  }
  static void count_bytes(const Node& folder, std::set<const Node*>& counted, uint64_t& bytes) {
    constexpr uint64_t kBlockBytes = 4096;
    for (const auto& [name, node] : folder.entries) {
      bytes += kMemoryNameBytes + name.size();
      if (!counted.insert(node.get()).second) continue;
      bytes += kMemoryNodeBytes;
      if (node->kind == Node::Kind::link) bytes += node->text.size();
      if (node->kind == Node::Kind::file) bytes += (node->text.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
      count_bytes(*node, counted, bytes);
    }
  }
  size_t entries_outside() const {
    size_t count = 0;
    for (const char* folder : {"", "a"})
      for (const auto& entry : std::filesystem::directory_iterator(parent_.path(folder))) {
        (void)entry;
        ++count;
      }
    return count;
  }

  const Keeper keeper_;
  Folder parent_;
  MemoryFolder memory_;
  Guest guest_;
  ModelFileSystem model_;
  std::span<const uint8_t> bytes_;
  std::string difference_;
};

}  // namespace rotor::wasi::test
