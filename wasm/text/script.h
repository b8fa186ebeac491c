// Scripts of the specification's test suite (`.wast`; interpreter/README of WebAssembly/spec), as plain data. Modules
// are parsed only when they are asked for, so that a malformed one fails only the command it belongs to.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/result.h"
#include "rotor/wat.h"
#include "wasm/text/lexer.h"
#include "wasm/text/script_commands.h"

namespace rotor::wasm::text {

class Script {
 public:
  /// Parses a source, which the script keeps: its modules are read from it later. Errors: malformed (with the offset in
  /// the source), limit.
  static Result<Script> parse(std::string source);

  const std::vector<ScriptCommand>& commands() const { return commands_; }
  const std::string& source() const { return *source_; }
  /// Returns the bytes of a module of this script; those of a binary module are not checked. May be called by several
  /// threads. Errors: malformed, invalid, limit; the offset is one of `text_of(module)`.
  Result<WatModule> encode(const ScriptModule& module, const WatOptions& options = {}) const;
  /// Returns the text that a module's errors refer to: the script, or the text of a quoted module.
  std::string_view text_of(const ScriptModule& module) const;

 private:
  std::unique_ptr<const std::string> source_;
  TokenList tokens_;
  std::vector<ScriptCommand> commands_;
};

}  // namespace rotor::wasm::text
