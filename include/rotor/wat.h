// The text format (spec section 6): encodes modules as people write them to the bytes that `Module::compile` takes, and
// prints such bytes as text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/result.h"

namespace rotor {

/// How a text is encoded.
struct WatOptions {
  /// Writes a name section from the `$names` and `(@name "...")` annotations of the text.
  bool names = false;
};

/// Maps parts of a binary to the text that they come from: the first byte of each module field and of each instruction.
struct WatSourceMap {
  /// A part of the binary.
  struct Entry {
    uint32_t binary = 0;  ///< byte offset of its first byte in the module
    uint32_t text = 0;    ///< byte offset in the text of what it comes from
  };
  std::vector<Entry> entries;  ///< in the order of `binary`

  /// Returns the text offset of the part that the byte at `binary` belongs to; 0 if no part begins before it.
  uint64_t text_offset(uint64_t binary) const;
};

/// A module that was encoded.
struct WatModule {
  std::vector<uint8_t> bytes;  ///< for Module::compile
  WatSourceMap source_map;     ///< for errors that name an offset in `bytes`
};

/// Encodes one module, `(module ...)` or its fields alone. All of WebAssembly 3.0, threads, custom page sizes, wide
/// arithmetic and annotations are understood, whatever the engine can run. The module is not validated: what is well
/// formed but wrong becomes a binary that is wrong in the same way.
/// Errors: malformed, invalid (a branch hint on no branch) or limit, each with the text's byte offset.
Result<WatModule> parse_wat(std::string_view text, const WatOptions& options = {});
/// Encodes one module, and returns its bytes only.
Result<std::vector<uint8_t>> wat_to_wasm(std::string_view text, const WatOptions& options = {});

/// How a module is printed.
struct WatPrintOptions {
  /// Prints names from the name section in place of indices; else all indices are numbers.
  bool names = true;
  /// Custom sections become `(@custom ...)` annotations and branch hints `(@metadata.code.branch_hint ...)`; else they
  /// are left out.
  bool custom_sections = true;
  /// Gets where each function of the module's own, and each instruction in one, begins in the module and in the text;
  /// null: nobody asks. A function begins in the module where its locals do.
  WatSourceMap* source_map = nullptr;
};

/// Prints a binary module as text, one field or instruction a line. It need not be valid, only well-formed; whatever
/// `parse_wat` understands is printed, and reads back, with WatOptions::names, as the same module: byte for byte if
/// `parse_wat` encoded it, or a toolchain that uses the freedoms of the binary format as it does.
///
/// Kept are: all names (duplicate and empty ones by `(@name "...")`), a data count section that nothing needs (by
/// `(@rotor.data_count)`, which others take for a comment), custom sections with their contents, their order and the
/// sections that they stand between, and branch hints (a section of hints that fit no branch stays a custom section,
/// and its offsets mean what they do in the code that the text becomes). Not kept is what the text can't express:
/// integers longer than they need be, long forms of types and segments that have a short one, sections that are empty,
/// locals of one type in several groups, subsections of the name section that are unordered, unknown or repeated, names
/// of what is not there, and a name section that stands anywhere but behind all others that are not custom. Errors:
/// malformed, unsupported (instructions that the text format has no more) or limit (text of hundreds of times the
/// module's size), each with the byte offset in the module.
Result<std::string> wasm_to_wat(std::span<const uint8_t> module, const WatPrintOptions& options = {});

/// The sections, imports and exports of a binary module, whether or not the engine can run it: all of WebAssembly 3.0
/// that the text format knows.
struct ModuleOutline {
  /// A section, as it lies in the module.
  struct Section {
    std::string name;     ///< "type", "code", or a custom section's name
    bool custom = false;  ///< it is a custom section
    uint64_t offset = 0;  ///< of the contents, in bytes
    uint64_t size = 0;    ///< of the contents, in bytes
  };
  /// An import that the module declares.
  struct Import {
    std::string module,  ///< the first of its two names, as the module has it
        name;            ///< the second of them, as the module has it
    std::string kind;    ///< "func", "table", "memory", "global" or "tag"
    std::string type;    ///< in the text format: "func (type 0) (param i32)", "memory 1 2"
  };
  /// An export of the module.
  struct Export {
    std::string name;    ///< as the module has it
    std::string kind;    ///< as of an Import
    uint32_t index = 0;  ///< in the index space of its kind
  };
  std::vector<Section> sections;  ///< in the order of the module
  std::vector<Import> imports;    ///< in the order of the module
  std::vector<Export> exports;    ///< in the order of the module
  /// The error of a part that could not be read, if any: then imports and exports may be missing, and the sections
  /// behind it, if their bounds could not be read.
  std::optional<Error> problem;
};
/// Reads a module's sections, imports and exports; nothing is validated. Names are as the module has them
/// (rotor/printable.h). Errors: malformed (it does not begin as a module).
Result<ModuleOutline> outline_module(std::span<const uint8_t> module);

/// A place in a text, both counted from 1; columns in characters.
struct TextPosition {
  uint64_t line = 1;    ///< from 1 on
  uint64_t column = 1;  ///< from 1 on, in characters
  bool operator==(const TextPosition&) const = default;
};
/// Returns the place of a byte offset in a text; one past the end is the end.
TextPosition text_position(std::string_view text, uint64_t offset);

/// Returns `FILE:LINE:COLUMN: error: MESSAGE`, the line and a caret below it; three lines, without a newline at the
/// end. The line is made printable as by rotor/printable.h, but tabs stay. `error.offset` is an offset in `text`: that
/// of a module which did not validate has to go through the source map first.
std::string render_text_error(std::string_view file, std::string_view text, const Error& error);

}  // namespace rotor
