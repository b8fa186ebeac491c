#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "hosts/wasi/functions.h"
#include "hosts/wasi/stat.h"

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

/// Returns the descriptor of a regular file, with the rights.
Outcome<DescriptorRef> file(Call& call, uint32_t fd, Rights rights) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, rights));
  if (!found->is_file()) return fail(found->is_directory() ? Errno::isdir : Errno::spipe);
  return found;
}

Outcome<void> seek(Call& call, const Descriptor& file, int64_t delta, int whence, uint32_t result) {
  const off_t offset = lseek(file.fd, delta, whence);
  if (offset < 0) return fail_of_system();
  call.table().note_change();
  return call.store(result, static_cast<uint64_t>(offset));
}

/// Returns the descriptor whose position is asked for. Who may seek may do that, too.
Outcome<DescriptorRef> to_tell(Call& call, uint32_t fd) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, 0));
  if (!found->check(kFdSeek)) ROTOR_CHECK(found->check(kFdTell));
  return found;
}

/// Returns the descriptor to sync; streams of the embedder's have nothing to.
Outcome<DescriptorRef> to_sync(Call& call, uint32_t fd, Rights right) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, right));
  if (found->fd < 0) return fail(Errno::inval);
  return found;
}

}  // namespace

Outcome<void> fd_advise(Call& call, uint32_t fd, uint64_t offset, uint64_t size_bytes, uint32_t advice) {
  constexpr std::array kAdvice = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                  POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdAdvise));
  if (advice >= kAdvice.size() || offset > INT64_MAX || size_bytes > INT64_MAX) return fail(Errno::inval);
  if (found->is_directory()) return fail(Errno::badf);
  if (!found->is_file()) return fail(Errno::spipe);
  const int failed =
      posix_fadvise(found->fd, static_cast<off_t>(offset), static_cast<off_t>(size_bytes), kAdvice[advice]);
  if (failed) return fail(errno_of(failed));
  return {};
}

Outcome<void> fd_allocate(Call& call, uint32_t fd, uint64_t offset, uint64_t size_bytes) {
  ROTOR_TRY(DescriptorRef found, file(call, fd, kFdAllocate));
  if (offset > INT64_MAX || size_bytes > INT64_MAX) return fail(Errno::inval);
  return until_done(
      [&] { return fallocate(found->fd, 0, static_cast<off_t>(offset), static_cast<off_t>(size_bytes)); });
}

Outcome<void> fd_close(Call& call, uint32_t fd) { return call.table().close(fd); }

Outcome<void> fd_datasync(Call& call, uint32_t fd) {
  ROTOR_TRY(DescriptorRef found, to_sync(call, fd, kFdDatasync));
  return until_done([&] { return fdatasync(found->fd); });
}

Outcome<void> fd_sync(Call& call, uint32_t fd) {
  ROTOR_TRY(DescriptorRef found, to_sync(call, fd, kFdSync));
  return until_done([&] { return fsync(found->fd); });
}

Outcome<void> fd_fdstat_get(Call& call, uint32_t fd, uint32_t result) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, 0));
  FdStat stat{};
  stat.type = found->type;
  stat.flags = found->flags;
  stat.rights = found->rights;
  stat.inheriting = found->inheriting;
  return call.store(result, stat);
}

Outcome<void> fd_fdstat_set_flags(Call& call, uint32_t fd, uint32_t flags) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdFdstatSetFlags));
  if (flags & ~uint32_t{kAllFdFlags}) return fail(Errno::inval);
  found->flags = static_cast<uint16_t>(flags);
  call.table().note_change();
  return {};
}

Outcome<void> fd_fdstat_set_rights(Call& call, uint32_t fd, uint64_t rights, uint64_t inheriting) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, 0));
  if (rights & ~found->rights.load() || inheriting & ~found->inheriting.load()) return fail(Errno::notcapable);
  // Another thread may have taken some meanwhile: no right comes back.
  found->rights &= rights;
  found->inheriting &= inheriting;
  call.table().note_change();
  return {};
}

Outcome<void> fd_filestat_get(Call& call, uint32_t fd, uint32_t result) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdFilestatGet));
  if (found->fd < 0) {
    FileStat none{};
    none.type = found->type;
    return call.store(result, none);
  }
  struct stat stat;
  if (fstat(found->fd, &stat) != 0) return fail_of_system();
  FileStat out = file_stat_of(stat);
  out.type = found->type;  // it knows the kinds of sockets apart
  return call.store(result, out);
}

Outcome<void> fd_filestat_set_size(Call& call, uint32_t fd, uint64_t size_bytes) {
  ROTOR_TRY(DescriptorRef found, file(call, fd, kFdFilestatSetSize));
  if (size_bytes > INT64_MAX) return fail(Errno::inval);
  return until_done([&] { return ftruncate(found->fd, static_cast<off_t>(size_bytes)); });
}

Outcome<void> fd_filestat_set_times(Call& call, uint32_t fd, uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdFilestatSetTimes));
  ROTOR_TRY(NewTimes times, new_times(atime_ns, mtime_ns, flags));
  if (found->fd < 0) return fail(Errno::inval);
  return until_done([&] { return futimens(found->fd, times.times); });
}

Outcome<void> fd_prestat_get(Call& call, uint32_t fd, uint32_t result) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, 0));
  if (!found->is_preopen) return fail(Errno::badf);
  Prestat stat{};
  stat.name_bytes = static_cast<uint32_t>(found->name.size());
  return call.store(result, stat);
}

Outcome<void> fd_prestat_dir_name(Call& call, uint32_t fd, uint32_t name, uint32_t size_bytes) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, 0));
  if (!found->is_preopen) return fail(Errno::badf);
  if (size_bytes < found->name.size()) return fail(Errno::nametoolong);
  ROTOR_TRY(auto bytes, call.edit(name, found->name.size()));
  std::memcpy(bytes.data(), found->name.data(), bytes.size());
  call.caller().edited(name, bytes.size());
  return {};
}

Outcome<void> fd_renumber(Call& call, uint32_t from, uint32_t to) { return call.table().renumber(from, to); }

Outcome<void> fd_seek(Call& call, uint32_t fd, int64_t delta, uint32_t whence, uint32_t result) {
  constexpr std::array kWhence = {SEEK_SET, SEEK_CUR, SEEK_END};
  // To ask for the position is to tell it.
  const bool tells = delta == 0 && whence == static_cast<uint32_t>(Whence::current);
  ROTOR_TRY(DescriptorRef found, tells ? to_tell(call, fd) : call.table().get(fd, kFdSeek));
  if (whence >= kWhence.size()) return fail(Errno::inval);
  if (found->is_directory()) return fail(Errno::badf);
  if (found->fd < 0) return fail(Errno::spipe);
  return seek(call, *found, delta, kWhence[whence], result);
}

Outcome<void> fd_tell(Call& call, uint32_t fd, uint32_t result) {
  ROTOR_TRY(DescriptorRef found, to_tell(call, fd));
  if (found->fd < 0 || found->is_directory()) return fail(found->fd < 0 ? Errno::spipe : Errno::badf);
  return seek(call, *found, 0, SEEK_CUR, result);
}

}  // namespace rotor::wasi
