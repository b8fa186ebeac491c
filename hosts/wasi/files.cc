#include "hosts/wasi/clocks.h"
#include "hosts/wasi/functions.h"

namespace rotor::wasi {
namespace {

/// Returns the descriptor of a regular file, with the rights.
Outcome<DescriptorRef> file(Call& call, uint32_t fd, Rights rights) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, rights));
  if (!found->is_file()) return fail(found->is_directory() ? Errno::isdir : Errno::spipe);
  return found;
}

Outcome<void> seek(Call& call, const Descriptor& file, int64_t delta, Whence whence, uint32_t result) {
  ROTOR_TRY(uint64_t offset, file.object->seek(delta, whence));
  call.table().note_change();
  return call.store(result, offset);
}

/// Returns the descriptor whose position is asked for. Who may seek may do that, too.
Outcome<DescriptorRef> to_tell(Call& call, uint32_t fd) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, 0));
  if (!found->check(kFdSeek)) ROTOR_CHECK(found->check(kFdTell));
  return found;
}

}  // namespace

Outcome<void> fd_advise(Call& call, uint32_t fd, uint64_t offset, uint64_t size_bytes, uint32_t advice) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdAdvise));
  if (advice >= kAdviceCount || offset > INT64_MAX || size_bytes > INT64_MAX) return fail(Errno::inval);
  if (found->is_directory()) return fail(Errno::badf);
  if (!found->is_file()) return fail(Errno::spipe);
  return found->file().advise(offset, size_bytes, advice);
}

Outcome<void> fd_allocate(Call& call, uint32_t fd, uint64_t offset, uint64_t size_bytes) {
  ROTOR_TRY(DescriptorRef found, file(call, fd, kFdAllocate));
  if (offset > INT64_MAX || size_bytes > INT64_MAX) return fail(Errno::inval);
  return found->file().allocate(offset, size_bytes);
}

Outcome<void> fd_close(Call& call, uint32_t fd) { return call.table().close(fd); }

Outcome<void> fd_datasync(Call& call, uint32_t fd) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdDatasync));
  return found->object->sync(Sync::data);
}

Outcome<void> fd_sync(Call& call, uint32_t fd) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdSync));
  return found->object->sync(Sync::all);
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
  ROTOR_TRY(FileStat stat, found->object->stat());
  stat.type = found->type;  // it knows the kinds of sockets apart
  return call.store(result, stat);
}

Outcome<void> fd_filestat_set_size(Call& call, uint32_t fd, uint64_t size_bytes) {
  ROTOR_TRY(DescriptorRef found, file(call, fd, kFdFilestatSetSize));
  if (size_bytes > INT64_MAX) return fail(Errno::inval);
  return found->file().set_size(size_bytes);
}

Outcome<void> fd_filestat_set_times(Call& call, uint32_t fd, uint64_t atime_ns, uint64_t mtime_ns, uint32_t flags) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, kFdFilestatSetTimes));
  ROTOR_TRY(NewTimes times, new_times(atime_ns, mtime_ns, flags));
  return found->object->set_times(times);
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
  // To ask for the position is to tell it.
  const bool tells = delta == 0 && whence == static_cast<uint32_t>(Whence::current);
  ROTOR_TRY(DescriptorRef found, tells ? to_tell(call, fd) : call.table().get(fd, kFdSeek));
  if (whence >= kWhenceCount) return fail(Errno::inval);
  if (found->is_directory()) return fail(Errno::badf);
  return seek(call, *found, delta, static_cast<Whence>(whence), result);
}

Outcome<void> fd_tell(Call& call, uint32_t fd, uint32_t result) {
  ROTOR_TRY(DescriptorRef found, to_tell(call, fd));
  if (found->is_directory()) return fail(Errno::badf);
  return seek(call, *found, 0, Whence::current, result);
}

}  // namespace rotor::wasi
