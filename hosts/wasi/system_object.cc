#include "hosts/wasi/system_object.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "hosts/wasi/call.h"
#include "hosts/wasi/clocks.h"

namespace rotor::wasi {
namespace {

/// Returns what a call of the system's says that gives 0 or -1, and is to be made again when a signal cuts it short.
template <class Once>
Outcome<void> until_done(Once once) {
  for (;;) {
    if (once() == 0) return {};
    if (errno != EINTR) return fail_of_system();
  }
}

/// What stat says, as guests are told.
FileStat file_stat_of(const struct stat& stat) {
  FileStat out{};
  out.device = stat.st_dev;
  out.inode = stat.st_ino;
  out.type = type_of_mode(stat.st_mode);
  out.links = stat.st_nlink;
  out.size_bytes = static_cast<uint64_t>(stat.st_size);
  out.atime_ns = ns_of(stat.st_atim);
  out.mtime_ns = ns_of(stat.st_mtim);
  out.ctime_ns = ns_of(stat.st_ctim);
  return out;
}

Outcome<uint64_t> system_seek(int fd, int64_t delta, Whence whence) {
  constexpr std::array kWhence = {SEEK_SET, SEEK_CUR, SEEK_END};
  const off_t offset = lseek(fd, delta, kWhence[static_cast<size_t>(whence)]);
  if (offset < 0) return fail_of_system();
  return static_cast<uint64_t>(offset);
}

/// The flags that make one write what the descriptor's own flags would make all of them.
int write_flags(uint16_t flags) {
  int system = 0;
  if (flags & kAppend) system |= RWF_APPEND;
  if (flags & kDsync) system |= RWF_DSYNC;
  if (flags & (kSync | kRsync)) system |= RWF_SYNC;
  return system;
}

/// A pipe, a device or a socket. What goes through it is in system_io.cc.
class SystemObject final : public OnSystem<Object> {
 public:
  using OnSystem::OnSystem;
  Outcome<uint64_t> seek(int64_t delta, Whence whence) override { return system_seek(fd_, delta, whence); }
};

class SystemFile final : public OnSystem<File> {
 public:
  using OnSystem::OnSystem;
  Outcome<uint64_t> seek(int64_t delta, Whence whence) override { return system_seek(fd_, delta, whence); }
  Outcome<uint64_t> read(const Pieces& pieces, std::optional<uint64_t> offset) override {
    return transfer([&] { return preadv2(fd_, pieces.all(), count(pieces), place(offset), 0); });
  }
  Outcome<uint64_t> write(const Pieces& pieces, std::optional<uint64_t> offset, uint16_t flags) override {
    const int system = write_flags(flags) & (offset ? ~RWF_APPEND : ~0);  // a place is a place
    return transfer([&] { return pwritev2(fd_, pieces.all(), count(pieces), place(offset), system); });
  }
  Outcome<void> set_size(uint64_t size_bytes) override {
    return until_done([&] { return ftruncate(fd_, static_cast<off_t>(size_bytes)); });
  }
  Outcome<void> allocate(uint64_t offset, uint64_t size_bytes) override {
    return until_done([&] { return fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(size_bytes)); });
  }
  Outcome<void> advise(uint64_t offset, uint64_t size_bytes, uint32_t advice) override {
    constexpr std::array kAdvice = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                    POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    static_assert(kAdvice.size() == kAdviceCount);
    const int failed = posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(size_bytes), kAdvice[advice]);
    if (failed) return fail(errno_of(failed));
    return {};
  }

 private:
  static int count(const Pieces& pieces) { return static_cast<int>(pieces.count); }
  static off_t place(std::optional<uint64_t> offset) { return offset ? static_cast<off_t>(*offset) : -1; }
  template <class Once>
  static Outcome<uint64_t> transfer(Once once) {
    for (;;) {
      const ssize_t size = once();
      if (size >= 0) return static_cast<uint64_t>(size);
      if (errno != EINTR) return fail_of_system();
    }
  }
};

}  // namespace

FileType type_of_mode(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFBLK: return FileType::block_device;
    case S_IFCHR: return FileType::character_device;
    case S_IFDIR: return FileType::directory;
    case S_IFREG: return FileType::regular_file;
    case S_IFLNK: return FileType::symbolic_link;
    case S_IFSOCK: return FileType::socket_stream;
    default: return FileType::unknown;
  }
}

Outcome<TypeAndRights> look_at(int fd) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) return fail_of_system();
  const FileType type = type_of_mode(stat.st_mode);
  switch (type) {
    case FileType::directory: return TypeAndRights{type, kDirectoryRights};
    case FileType::regular_file: return TypeAndRights{type, kFileRights};
    case FileType::socket_stream: {
      int kind = SOCK_STREAM;
      socklen_t size = sizeof kind;
      (void)getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size);
      return TypeAndRights{kind == SOCK_DGRAM ? FileType::socket_dgram : type, kSocketRights};
    }
    case FileType::character_device:
      // A guest takes what can't be sought in for a terminal.
      return TypeAndRights{type, isatty(fd) ? kStreamRights : kStreamRights | kFdSeek | kFdTell};
    default: return TypeAndRights{type, kStreamRights};
  }
}

Outcome<FileStat> system_stat(int fd) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) return fail_of_system();
  return file_stat_of(stat);
}

Outcome<void> system_set_times(int fd, const NewTimes& times) {
  return until_done([&] { return futimens(fd, times.times); });
}

Outcome<void> system_sync(int fd, Sync what) {
  return until_done([&] { return what == Sync::data ? fdatasync(fd) : fsync(fd); });
}

std::unique_ptr<Object> system_object(FileType type, int fd, const Resolver& resolver) {
  switch (type) {
    case FileType::regular_file: return std::make_unique<SystemFile>(fd);
    case FileType::directory: return system_folder(fd, resolver);
    default: return std::make_unique<SystemObject>(fd);
  }
}

}  // namespace rotor::wasi
