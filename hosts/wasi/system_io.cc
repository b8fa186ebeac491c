#include "hosts/wasi/system_io.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "hosts/wasi/signal_linux.h"
#include "hosts/wasi/wait.h"

namespace rotor::wasi {
namespace {

enum class Direction { read, write };

/// RWF_NOSIGNAL of Linux 6.18, which headers of today lack.
constexpr int kNoSignalFlag = 0x100;

ssize_t transfer_once(Direction direction, int fd, std::span<const iovec> pieces, int flags) {
  const int count = static_cast<int>(pieces.size());
  return direction == Direction::read ? preadv2(fd, pieces.data(), count, -1, flags)
                                      : pwritev2(fd, pieces.data(), count, -1, flags);
}

Outcome<uint64_t> transfer_file(Direction direction, const Descriptor& file, const Pieces& pieces,
                                std::optional<uint64_t> offset) {
  if (offset && *offset > INT64_MAX) return fail(Errno::inval);
  if (direction == Direction::read) return file.file().read(pieces, offset);
  return file.file().write(pieces, offset, file.flags.load(std::memory_order_relaxed));
}

/// Waits until a descriptor that can't be told not to wait has some bytes, or room for some.
Outcome<void> wait_first(Call& call, const Descriptor& stream, short events) {
  if (!stream.is_nonblocking()) return wait_until_ready(call, stream.fd, events);
  pollfd polled{stream.fd, events, 0};
  if (poll(&polled, 1, 0) == 0) return fail(Errno::again);
  return {};
}

/// Returns the first bytes of the pieces, as many as there is room for where poll says that there is some.
iovec first_of(const Pieces& pieces) {
  return {pieces.all()[0].iov_base, std::min<size_t>(pieces.all()[0].iov_len, kMaxWaitingWriteBytes)};
}

/// Does so with a pipe or device, whose position is its own. Those that can be told not to wait, and terminals, are
/// asked first and waited for afterwards. Pre: there are bytes to transfer.
Outcome<uint64_t> transfer_stream(Call& call, Direction direction, Descriptor& stream, const Pieces& pieces) {
  const bool writes = direction == Direction::write;
  const short events = writes ? POLLOUT : POLLIN;
  for (;;) {
    const bool is_terminal = static_cast<bool>(stream.never_waits);
    const bool can_nowait = !is_terminal && stream.can_nowait.load(std::memory_order_relaxed);
    const bool may_wait = !is_terminal && !can_nowait;
    const bool can_nosignal = stream.can_nosignal.load(std::memory_order_relaxed);
    const int flags = (can_nowait ? RWF_NOWAIT : 0) | (writes && can_nosignal ? kNoSignalFlag : 0);
    const iovec first = first_of(pieces);
    const std::span<const iovec> now =
        writes && may_wait ? std::span(&first, 1) : std::span(pieces.all(), pieces.count);
    if (may_wait) ROTOR_CHECK(wait_first(call, stream, events));
    std::optional<NoSigpipe> no_signal;
    if (writes && !can_nosignal) no_signal.emplace();
    const ssize_t size = transfer_once(direction, is_terminal ? stream.never_waits.get() : stream.fd, now, flags);
    no_signal.reset();
    if (size >= 0) return static_cast<uint64_t>(size);
    if (errno == EOPNOTSUPP && writes && can_nosignal) {
      stream.can_nosignal.store(false, std::memory_order_relaxed);
    } else if (errno == EOPNOTSUPP && can_nowait) {
      stream.can_nowait.store(false, std::memory_order_relaxed);
    } else if (errno == EAGAIN) {
      if (stream.is_nonblocking()) return fail(Errno::again);
      ROTOR_CHECK(wait_until_ready(call, stream.fd, events));
    } else if (errno != EINTR) {
      return fail_of_system();
    }
  }
}

template <class Once>
Outcome<Message> pass_message(Call& call, Descriptor& socket, const Pieces& pieces, short events, Once once) {
  msghdr header{};
  header.msg_iov = const_cast<iovec*>(pieces.all());
  header.msg_iovlen = pieces.count;
  for (;;) {
    const ssize_t size = once(socket.fd, &header);
    if (size >= 0) return Message{static_cast<uint64_t>(size), header.msg_flags};
    if (errno == EINTR) continue;
    if (errno != EAGAIN || socket.is_nonblocking()) return fail_of_system();
    ROTOR_CHECK(wait_until_ready(call, socket.fd, events));
  }
}

/// Does so with what the embedder gave functions for: one piece after another, until one is not taken whole.
template <class One>
Outcome<uint64_t> transfer_pieces(const Pieces& pieces, One one) {
  uint64_t done = 0;
  for (uint32_t i = 0; i < pieces.count; ++i) {
    const std::span<uint8_t> bytes(static_cast<uint8_t*>(pieces.all()[i].iov_base), pieces.all()[i].iov_len);
    Outcome<size_t> size = one(bytes);
    if (!size && done == 0) return fail(size.error());
    if (size) done += *size;
    if (!size || *size < bytes.size()) break;
  }
  return done;
}

Outcome<uint64_t> transfer(Call& call, Direction direction, Descriptor& descriptor, const Pieces& pieces,
                           std::optional<uint64_t> offset) {
  const bool reads = direction == Direction::read;
  if (descriptor.is_directory()) return fail(Errno::isdir);
  if (descriptor.is_file()) return transfer_file(direction, descriptor, pieces, offset);
  if (offset) return fail(Errno::spipe);
  if (pieces.bytes == 0) return 0;
  if (descriptor.fd < 0)
    return transfer_pieces(pieces, [&](std::span<uint8_t> bytes) {
      return reads ? read_stream(descriptor.stream, bytes) : write_stream(descriptor.stream, bytes);
    });
  if (!descriptor.is_socket()) return transfer_stream(call, direction, descriptor, pieces);
  ROTOR_TRY(Message message, reads ? receive(call, descriptor, pieces, 0) : send(call, descriptor, pieces, 0));
  return message.bytes;
}

}  // namespace

Outcome<uint64_t> read_pieces(Call& call, Descriptor& from, const Pieces& pieces, std::optional<uint64_t> offset) {
  return transfer(call, Direction::read, from, pieces, offset);
}

Outcome<uint64_t> write_pieces(Call& call, Descriptor& to, const Pieces& pieces, std::optional<uint64_t> offset) {
  return transfer(call, Direction::write, to, pieces, offset);
}

Outcome<Message> receive(Call& call, Descriptor& socket, const Pieces& pieces, int flags) {
  return pass_message(call, socket, pieces, POLLIN,
                      [flags](int fd, msghdr* header) { return recvmsg(fd, header, flags | MSG_DONTWAIT); });
}

Outcome<Message> send(Call& call, Descriptor& socket, const Pieces& pieces, int flags) {
  return pass_message(call, socket, pieces, POLLOUT, [flags](int fd, msghdr* header) {
    return sendmsg(fd, header, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
  });
}

}  // namespace rotor::wasi
