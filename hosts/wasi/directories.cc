// Folders: what lies in them, and the names in them.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <dirent.h>
#include <cerrno>
#include <memory>

#include "hosts/wasi/functions.h"
#include "hosts/wasi/stat.h"

namespace rotor::wasi {
namespace {

/// A place in a folder of the guest's that has the rights for what it is wanted for.
struct GuestPlace {
  DescriptorRef folder;
  Place at;
};

Outcome<GuestPlace> place(Call& call, uint32_t fd, Rights rights, uint32_t path, uint32_t path_bytes,
                          LastLink last = LastLink::keep) {
  GuestPlace found;
  ROTOR_TRY(found.folder, call.table().directory(fd, rights));
  ROTOR_TRY(std::string text, call.path(path, path_bytes));
  ROTOR_TRY(found.at, call.environment().resolver->place(found.folder->fd, text, last));
  return found;
}

/// Returns whether links are to be followed. Errors: inval (other flags).
Outcome<LastLink> last_link(uint32_t lookup) {
  if (lookup & ~uint32_t{kSymlinkFollow}) return fail(Errno::inval);
  return lookup & kSymlinkFollow ? LastLink::follow : LastLink::keep;
}

/// Returns what is at a place, which may be a link.
Outcome<struct stat> stat_of(const Place& at) {
  struct stat stat;
  if (fstatat(at.folder, at.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return fail_of_system();
  return stat;
}

/// Checks that there is a directory at a place whose path says so.
Outcome<void> check_slash(const Place& at) {
  if (!at.has_slash) return {};
  ROTOR_TRY(auto stat, stat_of(at));
  if (!S_ISDIR(stat.st_mode)) return fail(Errno::notdir);
  return {};
}

/// Checks the name of what is to be made and is no directory: with a slash behind it, it can't be.
Outcome<void> check_new_name(const Place& at) {
  if (!at.has_slash) return {};
  return fail(stat_of(at) ? Errno::exist : Errno::noent);
}

/// Checks that what goes from one folder to another can be opened, cut or dated with no more rights there.
Outcome<void> check_no_gain(const Descriptor& from, const Descriptor& to) {
  constexpr Rights kOfPaths = kPathFilestatSetSize | kPathFilestatSetTimes;
  if (to.inheriting.load() & ~from.inheriting.load()) return fail(Errno::notcapable);
  if (to.rights.load() & ~from.rights.load() & kOfPaths) return fail(Errno::notcapable);
  return {};
}

Outcome<void> done(int result) {
  if (result != 0) return fail_of_system();
  return {};
}

FileType type_of_entry(unsigned char type) {
  switch (type) {
    case DT_BLK: return FileType::block_device;
    case DT_CHR: return FileType::character_device;
    case DT_DIR: return FileType::directory;
    case DT_REG: return FileType::regular_file;
    case DT_LNK: return FileType::symbolic_link;
    case DT_SOCK: return FileType::socket_stream;
    default: return FileType::unknown;
  }
}

/// As getdents64 writes it.
struct SystemEntry {
  uint64_t inode;
  int64_t next;
  uint16_t record_bytes;
  uint8_t type;
};
constexpr size_t kEntryNameOffset = 19;

/// A guest's buffer that is filled from its beginning; what does not fit is cut off.
class Filling {
 public:
  explicit Filling(std::span<uint8_t> to) : to_(to) {}
  void append(const void* bytes, size_t size) {
    const size_t taken = std::min(size, to_.size() - used_);
    std::memcpy(to_.data() + used_, bytes, taken);
    used_ += taken;
  }
  bool is_full() const { return used_ == to_.size(); }
  size_t used() const { return used_; }

 private:
  std::span<uint8_t> to_;
  size_t used_ = 0;
};

void append_entries(Filling& to, std::span<const uint8_t> records) {
  while (!records.empty() && !to.is_full()) {
    SystemEntry entry;
    std::memcpy(&entry, records.data(), kEntryNameOffset);
    const char* name = reinterpret_cast<const char*>(records.data() + kEntryNameOffset);
    DirectoryEntry out{};
    out.next = static_cast<uint64_t>(entry.next);
    out.inode = entry.inode;
    out.name_bytes = static_cast<uint32_t>(strnlen(name, entry.record_bytes - kEntryNameOffset));
    out.type = type_of_entry(entry.type);
    to.append(&out, sizeof out);
    to.append(name, out.name_bytes);
    records = records.subspan(entry.record_bytes);
  }
}

}  // namespace

/// A cookie is the system's own position in the directory; each call goes there. Names are as they are in the folder,
/// even those that are no UTF-8, by which nothing can be opened.
Outcome<void> fd_readdir(Call& call, uint32_t fd, uint32_t buffer, uint32_t size_bytes, uint64_t cookie,
                         uint32_t result) {
  ROTOR_TRY(DescriptorRef found, call.table().directory(fd, kFdReaddir));
  ROTOR_TRY(auto bytes, call.edit(buffer, size_bytes));
  if (cookie > INT64_MAX) return fail(Errno::inval);
  Filling filling(bytes);
  {
    std::lock_guard lock(found->reading_entries);
    if (lseek(found->fd, static_cast<off_t>(cookie), SEEK_SET) < 0) return fail_of_system();
    // On the heap: there may be little stack.
    const auto records = std::make_unique_for_overwrite<uint8_t[]>(kDirectoryBufferBytes);
    while (!filling.is_full()) {
      const long size = syscall(SYS_getdents64, found->fd, records.get(), kDirectoryBufferBytes);
      if (size < 0) return fail_of_system();
      if (size == 0) break;
      append_entries(filling, {records.get(), static_cast<size_t>(size)});
      if (call.caller().must_stop()) return fail(Errno::intr);
    }
  }
  call.caller().edited(buffer, filling.used());
  return call.store(result, static_cast<uint32_t>(filling.used()));
}

Outcome<void> path_create_directory(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes) {
  constexpr mode_t kMode = 0777;
  ROTOR_TRY(auto found, place(call, fd, kPathCreateDirectory, path, path_bytes));
  return done(mkdirat(found.at.folder, found.at.name.c_str(), kMode));
}

Outcome<void> path_remove_directory(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes) {
  ROTOR_TRY(auto found, place(call, fd, kPathRemoveDirectory, path, path_bytes));
  return done(unlinkat(found.at.folder, found.at.name.c_str(), AT_REMOVEDIR));
}

Outcome<void> path_unlink_file(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes) {
  ROTOR_TRY(auto found, place(call, fd, kPathUnlinkFile, path, path_bytes));
  ROTOR_CHECK(check_slash(found.at));
  return done(unlinkat(found.at.folder, found.at.name.c_str(), 0));
}

Outcome<void> path_filestat_get(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                                uint32_t result) {
  ROTOR_TRY(LastLink last, last_link(lookup));
  ROTOR_TRY(DescriptorRef folder, call.table().directory(fd, kPathFilestatGet));
  ROTOR_TRY(std::string text, call.path(path, path_bytes));
  ROTOR_TRY(Fd opened, call.environment().resolver->open(folder->fd, text, O_PATH, last));
  struct stat stat;
  if (fstat(opened.get(), &stat) != 0) return fail_of_system();
  return call.store(result, file_stat_of(stat));
}

Outcome<void> path_filestat_set_times(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                                      uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags) {
  ROTOR_TRY(LastLink last, last_link(lookup));
  ROTOR_TRY(NewTimes times, new_times(atime_ns, mtime_ns, flags));
  ROTOR_TRY(auto found, place(call, fd, kPathFilestatSetTimes, path, path_bytes, last));
  ROTOR_CHECK(check_slash(found.at));
  return done(utimensat(found.at.folder, found.at.name.c_str(), times.times, AT_SYMLINK_NOFOLLOW));
}

Outcome<void> path_link(Call& call, uint32_t old_fd, uint32_t lookup, uint32_t old_path, uint32_t old_path_bytes,
                        uint32_t new_fd, uint32_t new_path, uint32_t new_path_bytes) {
  ROTOR_TRY(LastLink last, last_link(lookup));
  ROTOR_TRY(auto from, place(call, old_fd, kPathLinkSource, old_path, old_path_bytes, last));
  ROTOR_TRY(auto to, place(call, new_fd, kPathLinkTarget, new_path, new_path_bytes));
  ROTOR_CHECK(check_no_gain(*from.folder, *to.folder));
  ROTOR_CHECK(check_slash(from.at));
  ROTOR_CHECK(check_new_name(to.at));
  return done(linkat(from.at.folder, from.at.name.c_str(), to.at.folder, to.at.name.c_str(), 0));
}

Outcome<void> path_readlink(Call& call, uint32_t fd, uint32_t path, uint32_t path_bytes, uint32_t buffer,
                            uint32_t size_bytes, uint32_t result) {
  ROTOR_TRY(auto found, place(call, fd, kPathReadlink, path, path_bytes));
  ROTOR_CHECK(check_slash(found.at));  // a link with a slash behind it is what it leads to
  ROTOR_TRY(auto bytes, call.edit(buffer, size_bytes));
  std::string target(kMaxPathBytes + 1, '\0');
  const ssize_t size = readlinkat(found.at.folder, found.at.name.c_str(), target.data(), target.size());
  if (size < 0) return fail_of_system();
  const size_t taken = std::min(static_cast<size_t>(size), bytes.size());
  std::memcpy(bytes.data(), target.data(), taken);
  call.caller().edited(buffer, taken);
  return call.store(result, static_cast<uint32_t>(taken));
}

Outcome<void> path_rename(Call& call, uint32_t old_fd, uint32_t old_path, uint32_t old_path_bytes, uint32_t new_fd,
                          uint32_t new_path, uint32_t new_path_bytes) {
  ROTOR_TRY(auto from, place(call, old_fd, kPathRenameSource, old_path, old_path_bytes));
  ROTOR_TRY(auto to, place(call, new_fd, kPathRenameTarget, new_path, new_path_bytes));
  ROTOR_CHECK(check_no_gain(*from.folder, *to.folder));
  // A slash behind either says that it is a directory that is renamed.
  from.at.has_slash |= to.at.has_slash;
  ROTOR_CHECK(check_slash(from.at));
  return done(renameat(from.at.folder, from.at.name.c_str(), to.at.folder, to.at.name.c_str()));
}

/// A link that is absolute would lead no guest anywhere, and other programs of the host's wherever the guest likes.
Outcome<void> path_symlink(Call& call, uint32_t target, uint32_t target_bytes, uint32_t fd, uint32_t path,
                           uint32_t path_bytes) {
  ROTOR_TRY(auto found, place(call, fd, kPathSymlink, path, path_bytes));
  ROTOR_TRY(std::string text, call.path(target, target_bytes));
  ROTOR_CHECK(check_new_name(found.at));
  return done(symlinkat(text.c_str(), found.at.folder, found.at.name.c_str()));
}

}  // namespace rotor::wasi
