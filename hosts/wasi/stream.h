// What the embedder stands behind a descriptor with: functions.
#pragma once

#include "hosts/wasi/types.h"
#include "rotor/wasi.h"

namespace rotor::wasi {

struct Stream {
  ReadFunction read;    ///< empty: not to be read
  WriteFunction write;  ///< empty: not to be written to
};

/// Calls one of a stream's functions, which may throw or claim to have done more than it was asked to.
Outcome<size_t> read_stream(const Stream& stream, std::span<uint8_t> bytes);
Outcome<size_t> write_stream(const Stream& stream, std::span<const uint8_t> bytes);

}  // namespace rotor::wasi
