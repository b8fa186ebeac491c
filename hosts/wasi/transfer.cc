#include "hosts/wasi/functions.h"
#include "hosts/wasi/system_io.h"

namespace rotor::wasi {
namespace {

/// Notes what a read or write changes of a descriptor that the guest has: the position in a file, or what a pipe held.
void note(Table& table, const Descriptor& descriptor, std::optional<uint64_t> offset, bool takes) {
  if (offset) return;
  if (descriptor.is_file()) return table.note_change();
  if (takes) table.note_taken();
}

Outcome<void> read_into(Call& call, uint32_t fd, Rights rights, uint32_t pieces, uint32_t count,
                        std::optional<uint64_t> offset, uint32_t result) {
  ROTOR_TRY(DescriptorRef from, call.table().get(fd, rights));
  Pieces to;
  ROTOR_CHECK(call.pieces(pieces, count, to));
  call.follow(pieces, count);
  const Outcome<uint64_t> size = read_pieces(call, *from, to, offset);
  // What fails may have filled some of it, as a function of the embedder's does.
  call.edited(to, size ? *size : to.bytes);
  if (!size) return fail(size.error());
  if (*size > 0) note(call.table(), *from, offset, true);
  return call.store(result, static_cast<uint32_t>(*size));
}

Outcome<void> write_from(Call& call, uint32_t fd, Rights rights, uint32_t pieces, uint32_t count,
                         std::optional<uint64_t> offset, uint32_t result) {
  ROTOR_TRY(DescriptorRef to, call.table().get(fd, rights));
  Pieces from;
  ROTOR_CHECK(call.pieces(pieces, count, from));
  ROTOR_TRY(uint64_t size, write_pieces(call, *to, from, offset));
  if (size > 0) note(call.table(), *to, offset, false);
  return call.store(result, static_cast<uint32_t>(size));
}

}  // namespace

Outcome<void> fd_read(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t result) {
  return read_into(call, fd, kFdRead, pieces, count, std::nullopt, result);
}

Outcome<void> fd_pread(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint64_t offset, uint32_t result) {
  return read_into(call, fd, kFdRead | kFdSeek, pieces, count, offset, result);
}

Outcome<void> fd_write(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t result) {
  return write_from(call, fd, kFdWrite, pieces, count, std::nullopt, result);
}

Outcome<void> fd_pwrite(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint64_t offset, uint32_t result) {
  return write_from(call, fd, kFdWrite | kFdSeek, pieces, count, offset, result);
}

}  // namespace rotor::wasi
