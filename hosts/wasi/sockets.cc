#include <sys/socket.h>

#include <cerrno>

#include "hosts/wasi/functions.h"
#include "hosts/wasi/system_io.h"
#include "hosts/wasi/system_object.h"
#include "hosts/wasi/wait.h"

namespace rotor::wasi {
namespace {

Outcome<DescriptorRef> socket(Call& call, uint32_t fd, Rights rights) {
  ROTOR_TRY(DescriptorRef found, call.table().get(fd, 0));
  if (!found->is_socket()) return fail(Errno::notsock);
  ROTOR_CHECK(found->check(rights));
  return found;
}

/// Accepts a connection, once there is one. A socket that is not set to O_NONBLOCK would wait where no stop ends it, so
/// poll is asked first.
Outcome<Fd> accept_one(Call& call, const Descriptor& listening) {
  for (;;) {
    pollfd polled{listening.fd, POLLIN, 0};
    if (!listening.is_nonblocking()) {
      ROTOR_CHECK(wait_until_ready(call, listening.fd, POLLIN));
    } else if (poll(&polled, 1, 0) == 0) {
      return fail(Errno::again);
    }
    Fd accepted(accept4(listening.fd, nullptr, nullptr, SOCK_CLOEXEC));
    if (accepted) return accepted;
    if (errno != EINTR && (errno != EAGAIN || listening.is_nonblocking())) return fail_of_system();
  }
}

}  // namespace

Outcome<void> sock_accept(Call& call, uint32_t fd, uint32_t flags, uint32_t result) {
  ROTOR_TRY(DescriptorRef listening, socket(call, fd, kSockAccept));
  if (flags & ~uint32_t{kNonblock}) return fail(Errno::inval);
  ROTOR_CHECK(call.load<uint32_t>(result));  // before a connection is accepted that the guest would not learn of
  ROTOR_TRY(Fd accepted, accept_one(call, *listening));
  ROTOR_TRY(TypeAndRights found, look_at(accepted.get()));
  auto descriptor = std::make_shared<Descriptor>();
  descriptor->type = found.type;
  descriptor->rights = found.rights & ~kSockAccept;
  descriptor->flags = static_cast<uint16_t>(flags);
  descriptor->fd = accepted.get();
  descriptor->object = system_object(found.type, accepted.get(), *call.environment().resolver);
  descriptor->owned = std::move(accepted);
  ROTOR_TRY(uint32_t number, call.table().add(std::move(descriptor)));
  return call.store(result, number);
}

Outcome<void> sock_recv(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t flags, uint32_t result,
                        uint32_t result_flags) {
  ROTOR_TRY(DescriptorRef from, socket(call, fd, kFdRead));
  if (flags & ~uint32_t{kReceivePeek | kReceiveWaitAll}) return fail(Errno::inval);
  Pieces to;
  ROTOR_CHECK(call.pieces(pieces, count, to));
  call.follow(pieces, count);
  const bool waits_for_all = flags & kReceiveWaitAll && from->type == FileType::socket_stream;
  const int peek = flags & kReceivePeek ? MSG_PEEK : 0;
  ROTOR_TRY(Message message, receive(call, *from, to, peek));
  // What is waited for is taken in pieces: MSG_WAITALL would wait where no stop ends it.
  Pieces rest = to;
  uint64_t taken = message.bytes;
  while (waits_for_all && !peek && message.bytes > 0 && taken < to.bytes) {
    rest.drop(message.bytes);
    auto more = receive(call, *from, rest, 0);
    if (!more) break;  // what was taken is not lost
    message = *more;
    taken += message.bytes;
  }
  call.edited(to, taken);
  if (taken > 0 && !peek) call.table().note_taken();
  ROTOR_CHECK(call.store(result, static_cast<uint32_t>(taken)));
  return call.store(result_flags, static_cast<uint16_t>(message.flags & MSG_TRUNC ? kReceivedTruncated : 0));
}

Outcome<void> sock_send(Call& call, uint32_t fd, uint32_t pieces, uint32_t count, uint32_t flags, uint32_t result) {
  ROTOR_TRY(DescriptorRef to, socket(call, fd, kFdWrite));
  if (flags != 0) return fail(Errno::inval);
  Pieces from;
  ROTOR_CHECK(call.pieces(pieces, count, from));
  ROTOR_TRY(Message message, send(call, *to, from, 0));
  return call.store(result, static_cast<uint32_t>(message.bytes));
}

Outcome<void> sock_shutdown(Call& call, uint32_t fd, uint32_t how) {
  ROTOR_TRY(DescriptorRef found, socket(call, fd, kSockShutdown));
  constexpr int kHow[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};
  if (how == 0 || how >= std::size(kHow)) return fail(Errno::inval);
  if (shutdown(found->fd, kHow[how]) != 0) return fail_of_system();
  return {};
}

}  // namespace rotor::wasi
