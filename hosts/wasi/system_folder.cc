// Folders of the host's.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <mutex>

#include "hosts/wasi/call.h"
#include "hosts/wasi/system_object.h"

namespace rotor::wasi {
namespace {

/// Returns what is at a place, which may be a link.
Outcome<struct stat> stat_at(const Place& at) {
  struct stat stat;
  if (fstatat(at.folder, at.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return fail_of_system();
  return stat;
}

/// Checks that there is a directory at a place whose path says so.
Outcome<void> check_slash(const Place& at) {
  if (!at.has_slash) return {};
  ROTOR_TRY(auto stat, stat_at(at));
  if (!S_ISDIR(stat.st_mode)) return fail(Errno::notdir);
  return {};
}

/// Checks the name of what is to be made and is no directory: with a slash behind it, it can't be.
Outcome<void> check_new_name(const Place& at) {
  if (!at.has_slash) return {};
  return fail(stat_at(at) ? Errno::exist : Errno::noent);
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

void append_entries(EntryBuffer& to, std::span<const uint8_t> records) {
  while (!records.empty() && !to.is_full()) {
    SystemEntry entry;
    std::memcpy(&entry, records.data(), kEntryNameOffset);
    const char* name = reinterpret_cast<const char*>(records.data() + kEntryNameOffset);
    DirectoryEntry out{};
    out.next = static_cast<uint64_t>(entry.next);
    out.inode = entry.inode;
    out.type = type_of_entry(entry.type);
    to.append(out, {name, strnlen(name, entry.record_bytes - kEntryNameOffset)});
    records = records.subspan(entry.record_bytes);
  }
}

/// Returns the flags of openat. O_NONBLOCK: opening a pipe or a device must not wait; what is no file is then refused.
int system_flags(const OpenRequest& request) {
  int flags = O_NONBLOCK | O_NOCTTY;
  if (request.open_flags & kCreate) flags |= O_CREAT;
  if (request.open_flags & kExclusive) flags |= O_EXCL;
  if (request.open_flags & kTruncate) flags |= O_TRUNC;
  if (request.open_flags & kDirectory) return flags | O_DIRECTORY | O_RDONLY;
  const bool writes = request.writes || request.open_flags & kTruncate;
  return flags | (writes ? request.reads ? O_RDWR : O_WRONLY : O_RDONLY);
}

class SystemFolder final : public OnSystem<Folder> {
 public:
  SystemFolder(int fd, const Resolver& resolver) : OnSystem(fd), resolver_(resolver) {}

  /// A cookie is the system's own position in the directory; each call goes there. Names are as they are in the folder,
  /// even those that are no UTF-8, by which nothing can be opened.
  Outcome<void> read_entries(Call& call, uint64_t cookie, EntryBuffer& to) override {
    if (cookie > INT64_MAX) return fail(Errno::inval);
    std::lock_guard lock(reading_entries_);
    if (lseek(fd_, static_cast<off_t>(cookie), SEEK_SET) < 0) return fail_of_system();
    // On the heap: there may be little stack.
    const auto records = std::make_unique_for_overwrite<uint8_t[]>(kDirectoryBufferBytes);
    while (!to.is_full()) {
      const long size = syscall(SYS_getdents64, fd_, records.get(), kDirectoryBufferBytes);
      if (size < 0) return fail_of_system();
      if (size == 0) break;
      append_entries(to, {records.get(), static_cast<size_t>(size)});
      if (call.caller().must_stop()) return fail(Errno::intr);
    }
    return {};
  }

  Outcome<Opened> open(const std::string& path, const OpenRequest& request) override {
    Opened opened;
    ROTOR_CHECK(check_kind(path, request));
    ROTOR_TRY(opened.fd, resolver_.open(fd_, path, system_flags(request), request.last));
    ROTOR_TRY(TypeAndRights found, look_at(opened.fd.get()));
    if (!can_be_opened(found.type)) return fail(Errno::acces);  // it came to be there meanwhile
    opened.type = found.type;
    opened.rights = found.rights;
    opened.object = system_object(found.type, opened.fd.get(), resolver_);
    return opened;
  }

  Outcome<FileStat> stat_of(const std::string& path, LastLink last) override {
    ROTOR_TRY(Fd opened, resolver_.open(fd_, path, O_PATH, last));
    return system_stat(opened.get());
  }

  Outcome<void> set_times_of(const std::string& path, LastLink last, const NewTimes& times) override {
    ROTOR_TRY(Place at, resolver_.place(fd_, path, last));
    ROTOR_CHECK(check_slash(at));
    return done(utimensat(at.folder, at.name.c_str(), times.times, AT_SYMLINK_NOFOLLOW));
  }

  Outcome<void> create_directory(const std::string& path) override {
    constexpr mode_t kMode = 0777;
    ROTOR_TRY(Place at, resolver_.place(fd_, path, LastLink::keep));
    return done(mkdirat(at.folder, at.name.c_str(), kMode));
  }

  Outcome<void> remove_directory(const std::string& path) override {
    ROTOR_TRY(Place at, resolver_.place(fd_, path, LastLink::keep));
    return done(unlinkat(at.folder, at.name.c_str(), AT_REMOVEDIR));
  }

  Outcome<void> unlink(const std::string& path) override {
    ROTOR_TRY(Place at, resolver_.place(fd_, path, LastLink::keep));
    ROTOR_CHECK(check_slash(at));
    return done(unlinkat(at.folder, at.name.c_str(), 0));
  }

  Outcome<std::string> read_link(const std::string& path) override {
    ROTOR_TRY(Place at, resolver_.place(fd_, path, LastLink::keep));
    ROTOR_CHECK(check_slash(at));  // a link with a slash behind it is what it leads to
    std::string target(kMaxPathBytes + 1, '\0');
    const ssize_t size = readlinkat(at.folder, at.name.c_str(), target.data(), target.size());
    if (size < 0) return fail_of_system();
    target.resize(static_cast<size_t>(size));
    return target;
  }

  Outcome<void> symlink(const std::string& target, const std::string& path) override {
    ROTOR_TRY(Place at, resolver_.place(fd_, path, LastLink::keep));
    ROTOR_CHECK(check_new_name(at));
    return done(symlinkat(target.c_str(), at.folder, at.name.c_str()));
  }

  Outcome<void> link(const std::string& path, LastLink last, Folder& to, const std::string& to_path) override {
    ROTOR_TRY(Place from, resolver_.place(fd_, path, last));
    ROTOR_TRY(Place at, place_in(to, to_path));
    ROTOR_CHECK(check_slash(from));
    ROTOR_CHECK(check_new_name(at));
    return done(linkat(from.folder, from.name.c_str(), at.folder, at.name.c_str(), 0));
  }

  Outcome<void> rename(const std::string& path, Folder& to, const std::string& to_path) override {
    ROTOR_TRY(Place from, resolver_.place(fd_, path, LastLink::keep));
    ROTOR_TRY(Place at, place_in(to, to_path));
    // A slash behind either says that it is a directory that is renamed.
    from.has_slash |= at.has_slash;
    ROTOR_CHECK(check_slash(from));
    return done(renameat(from.folder, from.name.c_str(), at.folder, at.name.c_str()));
  }

 private:
  /// Checks that what is to be opened is a file or folder, before that has an effect: who waits for a reader of a pipe
  /// would go on, and a device may begin to work.
  Outcome<void> check_kind(const std::string& path, const OpenRequest& request) const {
    const bool opens_nothing_else =
        request.open_flags & kDirectory || (request.open_flags & kCreate && request.open_flags & kExclusive);
    if (opens_nothing_else) return {};
    const auto found = resolver_.open(fd_, path, O_PATH, request.last);
    if (!found) return {};  // what is wrong is said when it is opened
    ROTOR_TRY(FileStat stat, system_stat(found->get()));
    if (!can_be_opened(stat.type) && stat.type != FileType::symbolic_link) return fail(Errno::acces);
    return {};
  }
  static bool can_be_opened(FileType type) { return type == FileType::regular_file || type == FileType::directory; }
  static Outcome<Place> place_in(Folder& folder, const std::string& path) {
    const auto* of_system = dynamic_cast<const SystemFolder*>(&folder);
    if (!of_system) return fail(Errno::xdev);
    return of_system->resolver_.place(of_system->fd_, path, LastLink::keep);
  }

  const Resolver& resolver_;
  std::mutex reading_entries_;  ///< held while the directory's position is used
};

}  // namespace

std::unique_ptr<Object> system_folder(int fd, const Resolver& resolver) {
  return std::make_unique<SystemFolder>(fd, resolver);
}

}  // namespace rotor::wasi
