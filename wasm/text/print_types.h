// The state that the printers of types, bodies and sections share, and the printer of types, which reads them from the
// binary and puts them as text.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rotor/wat.h"
#include "wasm/keyed_hash.h"
#include "wasm/reader.h"
#include "wasm/text/print_names.h"
#include "wasm/text/print_text.h"

namespace rotor::wasm::text {

/// A value or storage type as the binary has it.
struct BinaryType {
  uint8_t code = 0;         ///< of a number or packed type; kRef or kRefNull: a reference
  int64_t heap = 0;         ///< of a reference: a type's index, or the negative code of an abstract one
  bool is_mutable = false;  ///< of a field
};

struct BinaryLimits {
  uint8_t flags = 0;
  uint64_t min = 0, max = 0;
  uint32_t page_size_log2 = 0;
};

/// A defined type; its parts lie in `PrintTypes`.
struct BinaryDefinition {
  uint8_t form = 0;  ///< kFunc, kStruct or kArray
  uint8_t sub = 0;   ///< kSub or kSubFinal if it is written out
  uint32_t first_supertype = 0, supertypes = 0;
  uint32_t first_part = 0;  ///< parameters, then results; or fields
  uint32_t params = 0, results = 0, fields = 0;
};

/// The type of an import, or of a definition.
struct BinaryExtern {
  Space space = Space::func;
  uint32_t type = 0;    ///< of a function or tag
  BinaryType value;     ///< of a global or table
  BinaryLimits limits;  ///< of a table or memory
};

/// The module at hand and its text.
struct PrintState {
  PrintState(std::span<const uint8_t> bytes, uint64_t limit) : module(bytes), reader(bytes), out(limit) {}

  std::span<const uint8_t> module;
  ByteReader reader;
  TextOut out;
  PrintedNames names;
  WatSourceMap* source_map = nullptr;  ///< WatPrintOptions::source_map
  bool has_put_name = false;           ///< so that the text's module will have a name section
  std::array<uint32_t, kSpaceCount> counts{};
  /// Whether an instruction was put that needs the data count section.
  bool needs_data_count = false;
  uint64_t data_instruction_offset = 0;  ///< of the last such one

  uint32_t& count(Space space) { return counts[std::to_underlying(space)]; }
  /// Puts ` $name` or ` 7`.
  void index(Space space, uint32_t index);
  /// Puts ` $id (@name "...")`, or as much of it as the name has.
  void name(const PrintedName& name);
  /// Puts ` $name (;7;)` for a definition, and its annotation.
  void definition(Space space, uint32_t index);
};

class PrintTypes {
 public:
  explicit PrintTypes(PrintState& state) : state_(state), reader_(state.reader), out_(state.out) {}

  // Readers. They return false if they fail; the reader holds the error.
  bool section();
  bool value_type(BinaryType& type);
  bool ref_type(BinaryType& type);
  bool heap_type(int64_t& heap);
  bool global_type(BinaryType& type) { return value_type(type) && mutability(type); }
  bool extern_type(BinaryExtern& type);
  bool table_type(BinaryExtern& type);
  bool memory_limits(BinaryLimits& limits);
  bool tag_type(uint32_t& type);

  // Text.
  void put(const BinaryType& type);
  void put_heap(int64_t heap);
  /// Puts `(ref null $t)` in full, or a shorthand.
  void put_ref(bool nullable, int64_t heap);
  void put_mutable(const BinaryType& type);
  void put_extern(const BinaryExtern& type);
  /// Puts ` (type 0) (param i32) (result i32)`; `names` are those of the locals, or empty.
  void put_use(uint32_t type, std::span<const PrintedName> names = {});
  /// Puts ` (word $id i32) (word i32 i64)`; `names` are those of the types, or empty.
  void put_list(std::string_view word, std::span<const BinaryType> types, std::span<const PrintedName> names);
  /// Puts all type definitions, a line each.
  void put_definitions();

  /// Returns the parameters of a type; none if it is no function type.
  std::span<const BinaryType> params(uint32_t type) const;
  /// Returns the names of a type's fields; empty if they have none.
  std::span<const PrintedName> field_names(uint32_t type);

 private:
  struct Group {
    uint32_t first = 0, count = 0;
    bool is_explicit = false;
  };

  bool definition();
  bool composite(uint8_t form);
  bool storage_type(BinaryType& type);
  bool finish_type(uint8_t code, uint64_t start, Message otherwise, BinaryType& type);
  bool mutability(BinaryType& type);
  bool limits(uint8_t flags, BinaryLimits& limits);
  bool parts(uint32_t& count);
  bool fields(uint32_t count);

  void put_limits(const BinaryLimits& limits);
  void put_signature(const BinaryDefinition& type, std::span<const PrintedName> names);
  void put_definition(uint32_t index, uint32_t depth);
  void put_fields(uint32_t index);

  PrintState& state_;
  ByteReader& reader_;
  TextOut& out_;
  std::vector<BinaryDefinition> definitions_;
  std::vector<Group> groups_;
  std::vector<BinaryType> parts_;
  std::vector<uint32_t> supertypes_;
  /// The field names of the types that were asked for, so that each is read once only.
  KeyedMap<uint32_t, std::vector<PrintedName>> field_names_;
};

}  // namespace rotor::wasm::text
