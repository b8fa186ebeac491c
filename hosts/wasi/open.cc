#include "hosts/wasi/functions.h"

namespace rotor::wasi {
namespace {

/// What path_open was asked for.
struct Request {
  uint32_t open_flags;
  Rights rights;
  Rights inheriting;
  uint32_t fd_flags;
  LastLink last;
};

/// Returns what the folder's own rights have to hold.
Rights needed_of_folder(const Request& request) {
  Rights needed = kPathOpen;
  if (request.open_flags & kCreate) needed |= kPathCreateFile;
  if (request.open_flags & kTruncate) needed |= kPathFilestatSetSize;
  return needed;
}

/// Returns what its inheriting rights have to hold: what is asked for and read or changed by, or the file would be
/// another one than the guest asked for. Of others a descriptor just gets those that there are.
Rights needed_to_inherit(const Request& request) {
  Rights needed = request.rights & (kFdRead | kFdReaddir);
  if (!(request.open_flags & kDirectory)) needed |= request.rights & kFileWrites;
  if (request.fd_flags & kDsync) needed |= kFdDatasync;
  if (request.fd_flags & (kSync | kRsync)) needed |= kFdSync;
  return needed;
}

}  // namespace

Outcome<void> path_open(Call& call, uint32_t fd, uint32_t lookup, uint32_t path, uint32_t path_bytes,
                        uint32_t open_flags, uint64_t rights, uint64_t inheriting, uint32_t fd_flags, uint32_t result) {
  const Request request{open_flags, rights, inheriting, fd_flags,
                        lookup & kSymlinkFollow && !(open_flags & kExclusive) ? LastLink::follow : LastLink::keep};
  if (lookup & ~uint32_t{kSymlinkFollow} || open_flags & ~uint32_t{kAllOpenFlags} || fd_flags & ~uint32_t{kAllFdFlags})
    return fail(Errno::inval);
  if (open_flags & kDirectory && open_flags & (kCreate | kExclusive | kTruncate)) return fail(Errno::inval);
  if (open_flags & kDirectory && rights & kFdWrite) return fail(Errno::isdir);
  ROTOR_TRY(DescriptorRef folder, call.table().directory(fd, needed_of_folder(request)));
  const Rights inherited = folder->inheriting;
  if (needed_to_inherit(request) & ~inherited) return fail(Errno::notcapable);
  ROTOR_TRY(std::string text, call.path(path, path_bytes));
  ROTOR_CHECK(call.load<uint32_t>(result));  // before anything is made that the guest would not learn of
  const OpenRequest wanted{open_flags, (rights & (kFdRead | kFdReaddir)) != 0, (rights & kFileWrites) != 0,
                           request.last};
  ROTOR_TRY(Opened opened, folder->folder().open(text, wanted));

  auto descriptor = std::make_shared<Descriptor>();
  descriptor->type = opened.type;
  descriptor->fd = opened.fd.get();
  descriptor->owned = std::move(opened.fd);
  descriptor->object = std::move(opened.object);
  descriptor->rights = rights & opened.rights & inherited;
  descriptor->inheriting = opened.type == FileType::directory ? inheriting & inherited : 0;
  descriptor->flags = static_cast<uint16_t>(fd_flags);
  ROTOR_TRY(uint32_t number, call.table().add(std::move(descriptor)));
  return call.store(result, number);
}

}  // namespace rotor::wasi
