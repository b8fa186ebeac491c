#include "hosts/wasi/table.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace rotor::wasi {

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

Outcome<DescriptorRef> Table::get(uint32_t fd, Rights wanted) const {
  DescriptorRef found;
  {
    std::lock_guard lock(mutex_);
    if (!has(fd)) return fail(Errno::badf);
    found = open_[fd];
  }
  if (auto allowed = found->check(wanted); !allowed) return fail(allowed.error());
  return found;
}

Outcome<DescriptorRef> Table::directory(uint32_t fd, Rights wanted) const {
  auto found = get(fd, 0);
  if (!found) return found;
  if (!(*found)->is_directory()) return fail(Errno::notdir);
  if (auto allowed = (*found)->check(wanted); !allowed) return fail(allowed.error());
  return found;
}

Outcome<uint32_t> Table::add(DescriptorRef descriptor) {
  std::lock_guard lock(mutex_);
  auto free = std::ranges::find(open_, nullptr);
  if (free == open_.end()) {
    if (open_.size() >= max_) return fail(Errno::mfile);
    open_.push_back(std::move(descriptor));
    return static_cast<uint32_t>(open_.size() - 1);
  }
  *free = std::move(descriptor);
  return static_cast<uint32_t>(free - open_.begin());
}

Outcome<void> Table::close(uint32_t fd) {
  DescriptorRef closed;  // destroyed without the lock: closing may take long
  std::lock_guard lock(mutex_);
  if (!has(fd)) return fail(Errno::badf);
  closed = std::move(open_[fd]);
  return {};
}

Outcome<void> Table::renumber(uint32_t from, uint32_t to) {
  DescriptorRef closed;
  std::lock_guard lock(mutex_);
  if (!has(from) || !has(to)) return fail(Errno::badf);
  if (from == to) return {};
  closed = std::exchange(open_[to], std::move(open_[from]));
  open_[from] = nullptr;
  return {};
}

size_t Table::count() const {
  std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::ranges::count_if(open_, [](const DescriptorRef& d) { return d != nullptr; }));
}

}  // namespace rotor::wasi
