// Errors of the decoder and validator. All are made out of line, so that paths without an error stay small.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "rotor/result.h"
#include "rotor/value.h"
#include "wasm/features.h"
#include "wasm/opcodes.h"

namespace rotor::wasm {

enum class Message : uint8_t {
#define ROTOR_MESSAGE(Name, kind, text) Name,
#include "wasm/errors.def"
};

/// Returns the fixed words of a message.
const char* message_text(Message message);

/// Holds the first error of a decoder. Its functions return false, so that a failing path reads `return fail(...)`.
class ErrorSlot {
 public:
  [[gnu::cold]] bool fail(Message message, uint64_t offset);
  /// Fails with, for example, "unknown local 7".
  [[gnu::cold]] bool fail_index(Message message, uint64_t offset, uint64_t index);
  /// Fails with, for example, "type mismatch: what was wrong".
  [[gnu::cold]] bool fail_detail(Message message, uint64_t offset, std::string_view detail);
  /// Fails with, for example, "too many locals: 70000, the limit is 50000".
  [[gnu::cold]] bool fail_limit(Message message, uint64_t offset, uint64_t actual, uint64_t limit);
  [[gnu::cold]] bool fail_unsupported(Feature feature, uint64_t offset);
  /// Fails with, for example, "type mismatch: instruction requires [i32] but stack has []".
  [[gnu::cold]] bool fail_stack(uint64_t offset, std::span<const ValType> wanted, std::span<const ValType> actual);
  /// Fails for an opcode that opcodes.def does not have: one of a known proposal, or no instruction at all.
  [[gnu::cold]] bool fail_opcode(uint64_t offset, uint32_t opcode);

  bool failed() const { return failed_; }
  /// Takes the error out of the slot, which is empty afterwards.
  Error take_error() {
    failed_ = false;
    return std::exchange(error_, Error());
  }

 private:
  bool set(ErrorKind kind, std::string text, uint64_t offset);

  Error error_;
  bool failed_ = false;
};

}  // namespace rotor::wasm
