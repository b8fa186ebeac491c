// Reads the commands of a script. Not for users: script.h is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wasm/text/cursor.h"
#include "wasm/text/lexer.h"
#include "wasm/text/script_commands.h"

namespace rotor::wasm::text {

/// Deepest nesting of threads, and of `either` in one value.
inline constexpr unsigned kMaxScriptNesting = 16;

class ScriptParser {
 public:
  explicit ScriptParser(const TokenList& tokens) : tokens_(tokens), cursor_(tokens) {}

  Result<std::vector<ScriptCommand>> run();

 private:
  using Kind = ScriptCommand::Kind;

  bool at_command() const;
  ScriptCommand command(unsigned depth);
  void contents(ScriptCommand& out, std::string_view word, unsigned depth);
  void module_or_instance(ScriptCommand& out);
  void rejected_module(ScriptCommand& out, Kind kind);
  void assert_trap(ScriptCommand& out);
  void thread(ScriptCommand& out, unsigned depth);
  /// Reads a module from behind its `(module`, and leaves the cursor at its `)`.
  ScriptModule module(uint32_t offset);
  ScriptAction action();
  std::string optional_name();
  uint64_t line_of(uint32_t offset);

  // Values (script_values.cc).
  ScriptValue value(bool is_result, unsigned depth);
  void vector(ScriptValue& out, bool is_result);
  /// Reads one number or NaN pattern into the bytes of a lane.
  void number(ScriptValue& out, LaneShape shape, unsigned lane, bool is_result);
  void null(ScriptValue& out);
  bool reference(ScriptValue& out, bool is_result);

  const TokenList& tokens_;
  Cursor cursor_;
  // The place up to which lines are counted.
  uint64_t line_ = 1;
  uint32_t line_offset_ = 0;
};

}  // namespace rotor::wasm::text
