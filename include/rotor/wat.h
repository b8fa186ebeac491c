// The text format (spec section 6): modules as people write them, to the bytes that `Module::compile` takes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/result.h"

namespace rotor {

struct WatOptions {
  /// Writes a name section from the `$names` and `(@name "...")` annotations of the text.
  bool names = false;
};

/// Where in the text the parts of a binary come from: of each module field and each instruction its first byte.
struct WatSourceMap {
  struct Entry {
    uint32_t binary = 0;
    uint32_t text = 0;
  };
  std::vector<Entry> entries;  ///< in the order of `binary`

  /// The text offset of what the byte at `binary` belongs to; 0 if nothing lies before it.
  uint64_t text_offset(uint64_t binary) const;
};

struct WatModule {
  std::vector<uint8_t> bytes;
  WatSourceMap source_map;
};

/// Encodes one module, `(module ...)` or its fields alone. All of WebAssembly 3.0, threads, custom page sizes, wide
/// arithmetic and annotations are understood, whatever the engine can run. The module is not validated: what is well
/// formed but wrong becomes a binary that is wrong in the same way.
/// Errors: malformed, invalid (a branch hint on no branch) or limit, each with the text's byte offset.
Result<WatModule> parse_wat(std::string_view text, const WatOptions& options = {});
/// Its bytes only.
Result<std::vector<uint8_t>> wat_to_wasm(std::string_view text, const WatOptions& options = {});

struct WatPrintOptions {
  /// The name section's names stand for indices; else all are numbers.
  bool names = true;
  /// Custom sections become `(@custom ...)` annotations and branch hints `(@metadata.code.branch_hint ...)`; else they
  /// are left out.
  bool custom_sections = true;
};

/// Prints a binary module as text, one field or instruction a line. It need not be valid, only well-formed; whatever
/// `parse_wat` understands is printed, and reads back as the same module: byte for byte if `parse_wat` encoded it, else
/// but for the freedoms that the binary format has and the text has not (long integers, empty sections and the like).
/// Errors: malformed, unsupported (instructions that the text format has no more) or limit (text of hundreds of times
/// the module's size), each with the byte offset in the module.
Result<std::string> wasm_to_wat(std::span<const uint8_t> module, const WatPrintOptions& options = {});

/// A place in a text, both counted from 1; columns in characters.
struct TextPosition {
  uint64_t line = 1;
  uint64_t column = 1;
  bool operator==(const TextPosition&) const = default;
};
TextPosition text_position(std::string_view text, uint64_t offset);

/// `FILE:LINE:COLUMN: error: MESSAGE`, the line and a caret below it; three lines, without a newline at the end.
/// `error.offset` is one of `text`: that of a module which did not validate goes through the source map first.
std::string render_text_error(std::string_view file, std::string_view text, const Error& error);

}  // namespace rotor
