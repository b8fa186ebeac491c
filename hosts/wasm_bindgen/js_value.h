// The JavaScript values that a wasm-bindgen guest holds as external references.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "rotor/func.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor::wasm_bindgen {

/// The kind of value that a reference stands for. JavaScript's null is `ref.null`; its undefined is a reference like
/// any other.
enum class JsKind : uint8_t {
  null = 0,
  undefined,
  false_,
  true_,
  global,   ///< globalThis
  process,  ///< of node, with `versions.node`: getrandom then asks node's crypto
  versions,
  node_version,  ///< a string
  crypto,
  require,  ///< a function
  memory,
  buffer,       ///< memory.buffer
  object,       ///< an object that is never inspected
  memory_view,  ///< new Uint8Array(memory.buffer): payload is its pages
  guest_view,   ///< a Uint8Array on guest memory: payload is length << 32 | address
  slice,        ///< a Uint8Array on host bytes: payload is length << 40 | start << 24 | index in the table
  in_table,     ///< payload is an index in the object table
};

struct JsString {
  std::string text;
};
struct JsError {
  std::string message;
};
struct JsNumber {
  double value = 0;
};
/// A Uint8Array on the guest's memory.
struct GuestView {
  uint32_t address = 0;
  uint64_t size_bytes = 0;
};
/// A Uint8Array on bytes of the host.
struct HostSlice {
  std::shared_ptr<std::vector<uint8_t>> buffer;
  size_t start = 0;
  size_t size_bytes = 0;
  std::span<uint8_t> bytes() const { return std::span(*buffer).subspan(start, size_bytes); }
};
using JsObject = std::variant<JsString, JsError, JsNumber, GuestView, HostSlice>;

/// Gives out references and knows what they stand for. Nobody tells a host when a guest drops a reference, so nothing
/// is freed before the table: what is made often (views for random bytes) lives in the reference's 64 bits instead.
/// Thread-safe, but for assignment; the bytes of one HostSlice belong to the thread that made it.
class ObjectTable {
 public:
  ObjectTable() = default;
  /// Copies the table: every reference stands for an object of the same value. Bytes are copied, since a guest may
  /// write to them through one reference and read them through another; slices that shared bytes share the copy.
  ObjectTable(const ObjectTable& other);
  ObjectTable& operator=(ObjectTable&& other) noexcept;

  static constexpr size_t kMaxObjects = size_t{1} << 24;
  static constexpr size_t kMaxBytes = size_t{256} << 20;

  static ExternRef ref(JsKind kind, uint64_t payload = 0) {
    return ExternRef{static_cast<uint64_t>(kind) << 56 | payload};
  }
  static JsKind kind(ExternRef value) { return static_cast<JsKind>(value.bits >> 56); }

  /// Adds an object and returns its reference. Errors: limit (kMaxObjects, kMaxBytes).
  Result<ExternRef> add(JsObject object);
  Result<ExternRef> add_view(GuestView view);
  /// Adds what `new Uint8Array(size)` makes.
  Result<ExternRef> add_bytes(size_t size_bytes);
  /// Adds a part of a Uint8Array. Errors: host (not a Uint8Array, or out of its bounds); limit.
  Result<ExternRef> subarray(ExternRef array, uint32_t begin, uint32_t end);

  /// Returns the Uint8Array that a reference stands for. Errors: host (it stands for none).
  Result<std::variant<GuestView, HostSlice>> array(ExternRef value) const;

  bool is_undefined(ExternRef value) const { return kind(value) == JsKind::undefined; }
  bool is_object(ExternRef value) const;
  bool is_string(ExternRef value) const;
  bool is_function(ExternRef value) const { return kind(value) == JsKind::require; }
  /// Returns a description for messages: an error's message, a string's text, a word for anything else.
  std::string describe(ExternRef value) const;
  size_t size() const;

 private:
  /// Returns the object at an index, or nullptr.
  const JsObject* find(uint64_t index) const;

  mutable std::mutex mutex_;
  std::deque<JsObject> objects_;  // a deque: an object never moves
  size_t bytes_ = 0;
};

}  // namespace rotor::wasm_bindgen
