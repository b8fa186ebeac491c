// Folders in memory, as the embedder has them.
#include <algorithm>

#include "hosts/wasi/memory_tree.h"
#include "rotor/printable.h"
#include "rotor/wasi.h"

namespace rotor::wasi {
namespace {

/// When all that the embedder makes was made.
constexpr uint64_t kHostTimeNs = 0;

/// Returns what an outcome says of a path.
template <class T>
Result<T> result_of(Outcome<T> outcome, const std::string& path) {
  if (outcome) {
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return std::move(*outcome);
  }
  const std::string of = " \"" + printable(path) + "\" in memory";
  switch (outcome.error()) {
    case Errno::noent: return rotor::fail(ErrorKind::not_found, "there is nothing at" + of);
    case Errno::nospc: return rotor::fail(ErrorKind::limit, "there is no room for" + of);
    case Errno::exist: return rotor::fail(ErrorKind::invalid_argument, "there is something at" + of);
    case Errno::notdir: return rotor::fail(ErrorKind::invalid_argument, "a part of the path is no folder:" + of);
    case Errno::isdir: return rotor::fail(ErrorKind::invalid_argument, "a folder, not a file, is" + of);
    case Errno::notempty: return rotor::fail(ErrorKind::invalid_argument, "it is not empty: the folder" + of);
    case Errno::inval: return rotor::fail(ErrorKind::invalid_argument, "it is not what is asked for:" + of);
    default: return rotor::fail(ErrorKind::invalid_argument, "no path leads to" + of);
  }
}

/// Makes the folders that lead to a path's last component.
Outcome<void> make_way(MemoryTree& tree, const std::string& path) {
  for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    const auto made = tree.create_directory(tree.root(), path.substr(0, slash), kHostTimeNs);
    if (!made && made.error() != Errno::exist) return made;
  }
  return {};
}

/// Checks a path, and does something with it.
template <class Body>
auto with_path(const std::string& path, Body body) {
  using Done = decltype(body());
  const auto checked = check_path(path);
  return result_of(checked ? body() : Done(fail(checked.error())), path);
}

}  // namespace

MemoryFolder::MemoryFolder(size_t limit_bytes) : tree_(std::make_shared<MemoryTree>(limit_bytes)) {}

Result<void> MemoryFolder::add_file(const std::string& path, std::string_view contents) {
  return with_path(path, [&]() -> Outcome<void> {
    ROTOR_CHECK(make_way(*tree_, path));
    ROTOR_TRY(NodeRef file, tree_->open(tree_->root(), path, LastLink::follow, kCreate, true, kHostTimeNs));
    std::lock_guard lock(tree_->mutex());
    if (!file->contents.resize(contents.size())) return fail(Errno::nospc);
    file->contents.write(0, {reinterpret_cast<const uint8_t*>(contents.data()), contents.size()});
    file->changed(kHostTimeNs);
    return {};
  });
}

Result<void> MemoryFolder::add_folder(const std::string& path) {
  return with_path(path, [&]() -> Outcome<void> {
    ROTOR_CHECK(make_way(*tree_, path + "/"));
    ROTOR_TRY(NodeRef made, tree_->find(tree_->root(), path + "/", LastLink::follow));
    (void)made;
    return {};
  });
}

Result<void> MemoryFolder::remove(const std::string& path) {
  return with_path(path, [&]() -> Outcome<void> {
    const auto removed = tree_->unlink(tree_->root(), path, kHostTimeNs);
    if (removed || removed.error() != Errno::isdir) return removed;
    return tree_->remove_directory(tree_->root(), path, kHostTimeNs);
  });
}

Result<std::string> MemoryFolder::contents(const std::string& path) const {
  return with_path(path, [&]() -> Outcome<std::string> {
    ROTOR_TRY(NodeRef file, tree_->find(tree_->root(), path, LastLink::follow));
    if (file->is_folder()) return fail(Errno::isdir);
    std::lock_guard lock(tree_->mutex());
    std::string bytes(file->contents.size(), '\0');
    file->contents.read(0, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
    return bytes;
  });
}

Result<std::vector<std::string>> MemoryFolder::names(const std::string& path) const {
  return with_path(path, [&]() -> Outcome<std::vector<std::string>> {
    ROTOR_TRY(NodeRef folder, tree_->find(tree_->root(), path + "/", LastLink::follow));
    std::lock_guard lock(tree_->mutex());
    std::vector<std::string> names;
    for (const auto& [name, entry] : folder->entries) names.push_back(name);
    return names;
  });
}

size_t MemoryFolder::used_bytes() const { return tree_->quota().used_bytes(); }

}  // namespace rotor::wasi
