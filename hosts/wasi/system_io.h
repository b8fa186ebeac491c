// Reads and writes of the system's descriptors, as often as they have to be tried.
#pragma once

#include <cstdint>
#include <optional>

#include "hosts/wasi/call.h"

namespace rotor::wasi {

/// Reads or writes the pieces, and returns how many bytes. `offset`: where, in place of the descriptor's own position.
/// What would wait waits so that a stop of the call ends it; a descriptor with kNonblock gives `again` instead. No
/// signal reaches the process.
Outcome<uint64_t> read_pieces(Call& call, Descriptor& from, const Pieces& pieces, std::optional<uint64_t> offset);
Outcome<uint64_t> write_pieces(Call& call, Descriptor& to, const Pieces& pieces, std::optional<uint64_t> offset);

/// What recvmsg and sendmsg did.
struct Message {
  uint64_t bytes = 0;
  int flags = 0;  ///< of the system's
};
/// Receive and send on a socket, as above. `flags`: the system's MSG_ flags.
Outcome<Message> receive(Call& call, Descriptor& socket, const Pieces& pieces, int flags);
Outcome<Message> send(Call& call, Descriptor& socket, const Pieces& pieces, int flags);

}  // namespace rotor::wasi
