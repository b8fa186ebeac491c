#include "wasm/errors.h"

#include <cassert>

#include "wasm/features.h"

namespace rotor::wasm {

namespace {

struct MessageRow {
  ErrorKind kind;
  const char* text;
};
constexpr MessageRow kMessages[] = {
#define ROTOR_MESSAGE(Name, kind, text) {ErrorKind::kind, text},
#include "wasm/errors.def"
};

const MessageRow& row(Message message) { return kMessages[static_cast<size_t>(message)]; }

/// Returns "[i32 i64]"; long lists are cut, or a hostile module's message would be as large as the module.
std::string list(std::span<const ValType> types) {
  constexpr size_t kShown = 8;
  std::string text = "[";
  for (size_t i = 0; i < types.size(); ++i) {
    if (i != 0) text += ' ';
    if (i == kShown) {
      text += "...";
      break;
    }
    text += to_string(types[i]);
  }
  return text + "]";
}

std::string hex(uint32_t number) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[number & 15]);
    number >>= 4;
  } while (number != 0);
  return digits.size() % 2 == 0 ? digits : "0" + digits;
}

}  // namespace

const char* message_text(Message message) { return row(message).text; }

bool ErrorSlot::set(ErrorKind kind, std::string text, uint64_t offset) {
  // The first error is the one at fault; a later one may come from reading on.
  if (!failed_) error_ = Error(kind, std::move(text), offset);
  failed_ = true;
  return false;
}

bool ErrorSlot::fail(Message message, uint64_t offset) { return set(row(message).kind, row(message).text, offset); }

bool ErrorSlot::fail_index(Message message, uint64_t offset, uint64_t index) {
  return set(row(message).kind, row(message).text + (" " + std::to_string(index)), offset);
}

bool ErrorSlot::fail_detail(Message message, uint64_t offset, std::string_view detail) {
  return set(row(message).kind, row(message).text + (": " + std::string(detail)), offset);
}

bool ErrorSlot::fail_limit(Message message, uint64_t offset, uint64_t actual, uint64_t limit) {
  assert(row(message).kind == ErrorKind::limit);
  return set(ErrorKind::limit,
             row(message).text + (": " + std::to_string(actual) + ", the limit is " + std::to_string(limit)), offset);
}

bool ErrorSlot::fail_unsupported(Feature feature, uint64_t offset) {
  return set(ErrorKind::unsupported, std::string("unsupported feature: ") + feature_text(feature), offset);
}

bool ErrorSlot::fail_stack(uint64_t offset, std::span<const ValType> wanted, std::span<const ValType> actual) {
  return fail_detail(Message::type_mismatch, offset,
                     "instruction requires " + list(wanted) + " but stack has " + list(actual));
}

bool ErrorSlot::fail_opcode(uint64_t offset, uint32_t opcode) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)                     \
  if (feature_state(Feature::feature) == FeatureState::unsupported && opcode == code) \
    return fail_unsupported(Feature::feature, offset);
#include "wasm/opcodes.def"
  return set(ErrorKind::malformed, std::string(row(Message::illegal_opcode).text) + " " + hex(opcode), offset);
}

}  // namespace rotor::wasm
