#include "rotor/result.h"

#include <fmt/format.h>

#include "rotor/printable.h"
#include "rotor/trap.h"
#include "runtime/enter/trap.h"

namespace rotor {

const char* to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::malformed: return "malformed";
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::link: return "link";
    case ErrorKind::trap: return "trap";
    case ErrorKind::exception: return "exception";
    case ErrorKind::host: return "host";
    case ErrorKind::limit: return "limit";
    case ErrorKind::type_mismatch: return "type mismatch";
    case ErrorKind::not_found: return "not found";
    case ErrorKind::invalid_argument: return "invalid argument";
    case ErrorKind::stale_handle: return "stale handle";
    case ErrorKind::retired: return "retired";
    case ErrorKind::corrupt: return "corrupt";
    case ErrorKind::io: return "io";
    case ErrorKind::internal: return "internal error";
  }
  return "?";
}

std::string Error::to_string() const {
  std::string text = fmt::format("{}: {}", rotor::to_string(kind), printable(message));
  if (offset) text += fmt::format(" (at byte 0x{:x})", *offset);
  return text + runtime::lines_of(frames());
}

}  // namespace rotor
