// The commands of a script, as plain data.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rotor/value.h"
#include "wasm/text/lanes.h"

namespace rotor::wasm::text {

/// What a floating-point result or lane is compared with.
enum class NanPattern : uint8_t {
  none,        ///< exactly its bits
  canonical,   ///< nan:canonical
  arithmetic,  ///< nan:arithmetic
};

/// An argument, or an expected result.
struct ScriptValue {
  enum class Kind : uint8_t {
    i32,
    i64,
    f32,
    f64,
    v128,
    ref_null,  ///< (ref.null) with `heap` absent: any null; (ref.null HEAP): a null of that hierarchy
    ref,       ///< (ref.HEAP), or (ref.HEAP N) with `payload`: (ref.extern 1), (ref.func), (ref.struct), (ref.i31)
    ref_host,  ///< (ref.host N): the external reference N as `anyref`
    either,    ///< one of `alternatives`; in results only
  };
  Kind kind = Kind::i32;
  LaneShape shape = LaneShape::i32x4;     ///< of a v128
  std::array<uint8_t, 16> bytes{};        ///< little-endian; 4 or 8 bytes used by a scalar
  std::array<NanPattern, 4> nan{};        ///< a lane; of a scalar the first. Bytes of a patterned lane are 0
  std::optional<HeapType> heap;           ///< of ref_null and ref
  std::optional<uint64_t> payload;        ///< of ref and ref_host
  std::vector<ScriptValue> alternatives;  ///< of `either`

  uint64_t bits() const;  ///< of a scalar
};

/// A module of a script: `Script::encode` makes its bytes.
struct ScriptModule {
  enum class Kind : uint8_t { text, binary, quote };
  Kind kind = Kind::text;
  bool is_definition = false;  ///< (module definition ...): not instantiated
  std::string name;            ///< `$name` without the `$`; empty: none
  uint64_t offset = 0;         ///< in the script
  std::string bytes;           ///< binary: the module; quote: its text
  uint32_t begin_token = 0;    ///< text: the range of its tokens, fields only
  uint32_t end_token = 0;
};

struct ScriptAction {
  enum class Kind : uint8_t { invoke, get };
  Kind kind = Kind::invoke;
  std::string module;  ///< its name; empty: the last one
  std::string field;
  std::vector<ScriptValue> args;
};

/// One command as plain data: beside each kind stand the members that it uses.
struct ScriptCommand {
  enum class Kind : uint8_t {
    module,                   ///< module; define it, and make an instance unless it is a definition
    instance,                 ///< (module instance $name $of): `name`, `of`, either may be empty
    register_,                ///< (register "as" $of): `as`, `of` (empty: the last instance)
    action,                   ///< action, its results are dropped
    assert_return,            ///< action, expected
    assert_trap,              ///< action, message
    assert_exhaustion,        ///< action, message
    assert_exception,         ///< action
    assert_invalid,           ///< module, message
    assert_malformed,         ///< module, message
    assert_invalid_custom,    ///< module, message: about a custom section or annotation
    assert_malformed_custom,  ///< module, message
    assert_unlinkable,        ///< module, message
    assert_uninstantiable,    ///< module, message: assert_trap of a module
    thread,                   ///< (thread $name (shared (module $of))* command*): `name`, `shared`, `commands`
    wait,                     ///< (wait $name): `name`
  };
  Kind kind = Kind::module;
  uint64_t offset = 0;  ///< of the command in the script
  uint64_t line = 0;    ///< counted from 1
  ScriptModule module;
  ScriptAction action;
  std::vector<ScriptValue> expected;
  std::string message;
  std::string name;
  std::string of;
  std::string as;
  std::vector<std::string> shared;  ///< names of the modules a thread shares
  std::vector<ScriptCommand> commands;
};

/// Returns the keyword of a command ("assert_return").
const char* to_string(ScriptCommand::Kind kind);

}  // namespace rotor::wasm::text
