// Folders: what lies in them, and the names in them.
#include <algorithm>

#include "hosts/wasi/clocks.h"
#include "hosts/wasi/functions.h"

namespace rotor::wasi {
namespace {

/// A path in a folder of the guest's that has the rights for what it is wanted for.
struct GuestPath {
  DescriptorRef descriptor;
  std::string path;
  Folder& folder() const { return descriptor->folder(); }
};

Outcome<GuestPath> at(Call& call, uint32_t fd, Rights rights, uint32_t path, uint32_t path_bytes) {
  GuestPath found;
  ROTOR_TRY(found.descriptor, call.table().directory(fd, rights));
  ROTOR_TRY(found.path, call.path(path, path_bytes));
  return found;
}

/// Returns whether links are to be followed. Errors: inval (other flags).
Outcome<LastLink> last_link(uint32_t lookup) {
  if (lookup & ~uint32_t{kSymlinkFollow}) return fail(Errno::inval);
  return lookup & kSymlinkFollow ? LastLink::follow : LastLink::keep;
}

/// Checks that what goes from one folder to another can be opened, cut or dated with no more rights there.
Outcome<void> check_no_gain(const Descriptor& from, const Descriptor& to) {
  constexpr Rights kOfPaths = kPathFilestatSetSize | kPathFilestatSetTimes;
  if (to.inheriting.load() & ~from.inheriting.load()) return fail(Errno::notcapable);
  if (to.rights.load() & ~from.rights.load() & kOfPaths) return fail(Errno::notcapable);
  return {};
}

}  // namespace

Outcome<void> fd_readdir(Call& call, uint32_t fd, uint32_t buffer, uint32_t size_bytes, uint64_t cookie,
                         uint32_t result) {
  ROTOR_TRY(DescriptorRef found, call.table().directory(fd, kFdReaddir));
  ROTOR_TRY(auto bytes, call.edit(buffer, size_bytes));
  EntryBuffer entries(bytes);
  const auto read = found->folder().read_entries(call, cookie, entries);
  call.caller().edited(buffer, entries.used());
  if (!read) return read;
  return call.store(result, static_cast<uint32_t>(entries.used()));
}

Outcome<void> path_create_directory(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes) {
  ROTOR_TRY(auto found, at(call, fd, kPathCreateDirectory, path, path_bytes));
  return found.folder().create_directory(found.path);
}

Outcome<void> path_remove_directory(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes) {
  ROTOR_TRY(auto found, at(call, fd, kPathRemoveDirectory, path, path_bytes));
  return found.folder().remove_directory(found.path);
}

Outcome<void> path_unlink_file(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes) {
  ROTOR_TRY(auto found, at(call, fd, kPathUnlinkFile, path, path_bytes));
  return found.folder().unlink(found.path);
}

Outcome<void> path_filestat_get(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                                uint32_t result) {
  ROTOR_TRY(LastLink last, last_link(lookup));
  ROTOR_TRY(auto found, at(call, fd, kPathFilestatGet, path, path_bytes));
  ROTOR_TRY(FileStat stat, found.folder().stat_of(found.path, last));
  return call.store(result, stat);
}

Outcome<void> path_filestat_set_times(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                                      uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags) {
  ROTOR_TRY(LastLink last, last_link(lookup));
  ROTOR_TRY(NewTimes times, new_times(atime_ns, mtime_ns, flags));
  ROTOR_TRY(auto found, at(call, fd, kPathFilestatSetTimes, path, path_bytes));
  return found.folder().set_times_of(found.path, last, times);
}

Outcome<void> path_link(Call& call, uint32_t old_fd, uint32_t lookup, uint32_t old_path, uint32_t old_path_bytes,
                        uint32_t new_fd, uint32_t new_path, uint32_t new_path_bytes) {
  ROTOR_TRY(LastLink last, last_link(lookup));
  ROTOR_TRY(auto from, at(call, old_fd, kPathLinkSource, old_path, old_path_bytes));
  ROTOR_TRY(auto to, at(call, new_fd, kPathLinkTarget, new_path, new_path_bytes));
  ROTOR_CHECK(check_no_gain(*from.descriptor, *to.descriptor));
  return from.folder().link(from.path, last, to.folder(), to.path);
}

Outcome<void> path_readlink(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes, uint32_t buffer,
                            uint32_t size_bytes, uint32_t result) {
  ROTOR_TRY(auto found, at(call, fd, kPathReadlink, path, path_bytes));
  ROTOR_TRY(auto bytes, call.edit(buffer, size_bytes));
  ROTOR_TRY(std::string target, found.folder().read_link(found.path));
  const size_t taken = std::min(target.size(), bytes.size());
  std::memcpy(bytes.data(), target.data(), taken);
  call.caller().edited(buffer, taken);
  return call.store(result, static_cast<uint32_t>(taken));
}

Outcome<void> path_rename(Call& call, uint32_t old_fd, uint32_t old_path, uint32_t old_path_bytes, uint32_t new_fd,
                          uint32_t new_path, uint32_t new_path_bytes) {
  ROTOR_TRY(auto from, at(call, old_fd, kPathRenameSource, old_path, old_path_bytes));
  ROTOR_TRY(auto to, at(call, new_fd, kPathRenameTarget, new_path, new_path_bytes));
  ROTOR_CHECK(check_no_gain(*from.descriptor, *to.descriptor));
  return from.folder().rename(from.path, to.folder(), to.path);
}

/// A link that is absolute would lead no guest anywhere, and other programs of the host's wherever the guest likes.
Outcome<void> path_symlink(Call& call, uint32_t target, uint32_t target_bytes, uint32_t fd, uint32_t path,
                           uint32_t path_bytes) {
  ROTOR_TRY(auto found, at(call, fd, kPathSymlink, path, path_bytes));
  ROTOR_TRY(std::string text, call.path(target, target_bytes));
  return found.folder().symlink(text, found.path);
}

}  // namespace rotor::wasi
