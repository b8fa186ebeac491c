// Traces: the export calls of a real program, symbolic, without addresses. JSON Lines, plain or gzipped:
//   [name, [args], result kind, expected?]
// An argument is a number, {"b":"hex"} bytes, {"u":[…]} u32s (numbers or handles), {"h":[call, elem]} the handle that a
// call returned (elem -1, or an element of its vector), or {"x":…} an external reference as data. A result is "v" none,
// "i" a number, "h" a handle, "d" data, "u" a vector of handles; expected is a number ("i", "u": the count) or, of
// data, [size, hex] or, where its bytes differ from run to run, [size].
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rotor/result.h"

namespace rotor::wasm_bindgen {

struct HandleRef {
  static constexpr int32_t kWhole = -1;
  uint32_t call = 0;         ///< its number, counted over the traces replayed one after another
  int32_t element = kWhole;  ///< of the vector it returned
};

/// A number of a trace. Integers stay integers: handles and u32s pass through no double.
using TraceNumber = std::variant<int64_t, double>;

struct TraceElement {
  bool is_handle = false;
  uint32_t number = 0;
  HandleRef handle;
};

struct TraceArg {
  enum class Kind : uint8_t { number, bytes, u32s, handle, extern_data };
  Kind kind = Kind::number;
  TraceNumber number;
  HandleRef handle;
  uint32_t first = 0;  ///< in Trace::bytes or Trace::elements
  uint32_t count = 0;
};

enum class TraceResult : uint8_t { none, integer, handle, data, handles };

struct ExpectedData {
  uint64_t size_bytes = 0;
  /// The data in hex if it is up to 64 bytes, else the first 32 digits of its SHA-256. Empty: only the size is
  /// compared.
  std::string hex;
};
/// The result that a trace expects. monostate: not compared; a number: the value for "i", the count for "u".
using Expected = std::variant<std::monostate, TraceNumber, ExpectedData>;

struct TraceCall {
  uint32_t name = 0;  ///< index in Trace::names
  uint32_t line = 0;  ///< in the file, from 1
  uint32_t first_arg = 0;
  uint32_t arg_count = 0;
  TraceResult result = TraceResult::none;
  Expected expected;
};

struct Trace {
  static constexpr uint64_t kMaxBytes = UINT64_C(1) << 30;  ///< of the text, unzipped

  std::string file;
  /// The number of the first call: how many calls the traces before it have.
  uint32_t first_call = 0;
  std::vector<std::string> names;
  std::vector<TraceCall> calls;
  std::vector<TraceArg> args;
  std::vector<TraceElement> elements;
  std::vector<uint8_t> bytes;
  uint32_t checked = 0;  ///< calls with an expected result
  /// The number of calls whose data differs from run to run (proofs take random bytes): the trace states only its size.
  uint32_t varying = 0;

  std::span<const TraceArg> args_of(const TraceCall& call) const {
    return std::span(args).subspan(call.first_arg, call.arg_count);
  }
  std::span<const uint8_t> bytes_of(const TraceArg& arg) const {
    return std::span(bytes).subspan(arg.first, arg.count);
  }
  std::span<const TraceElement> elements_of(const TraceArg& arg) const {
    return std::span(elements).subspan(arg.first, arg.count);
  }
};

/// Reads and checks a whole trace. `before`: the trace replayed before this one, whose handles it may use. Errors: io
/// (can't be read), corrupt (`file:line: what`).
Result<Trace> load_trace(const std::string& path, const Trace* before = nullptr);
Result<Trace> parse_trace(std::string_view text, std::string file, const Trace* before = nullptr);

}  // namespace rotor::wasm_bindgen
