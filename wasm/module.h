// A decoded module as plain data (spec section 2.5). Members are in section order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "wasm/features.h"
#include "wasm/opcodes.h"
#include "wasm/sections.h"
#include "wasm/types.h"

namespace rotor::wasm {

/// One instruction of a constant expression; `bits` is the constant, or the index of global.get and ref.func,
/// or that of the type of struct.new and the like.
struct ConstInstr {
  Opcode op;
  uint64_t bits = 0;
  ValType type;            ///< of ref.null
  uint64_t high_bits = 0;  ///< of v128.const, whose low half is `bits`; of array.new_fixed the number of elements
};
struct ConstExpr {
  uint64_t offset = 0;  ///< byte offset in the module, for errors
  std::vector<ConstInstr> code;
};

enum class ExternKind : uint8_t { func, table, memory, global, tag };

/// The type of a tag: that of a function without results, whose parameters are what an exception carries.
struct TagDesc {
  TypeIndex type{0};
};

struct Import {
  std::string module;
  std::string name;
  uint64_t offset = 0;
  std::variant<TypeIndex, TableType, MemoryType, GlobalType, TagDesc> desc;  ///< in the order of ExternKind
  ExternKind kind() const { return static_cast<ExternKind>(desc.index()); }
};
struct Table {
  TableType type;
  std::optional<ConstExpr> init;  ///< absent: null
};
struct Global {
  GlobalType type;
  ConstExpr init;  ///< empty for an imported global
};
struct Export {
  std::string name;
  ExternKind kind;
  uint32_t index;
};

enum class SegmentMode : uint8_t { active, passive, declarative };

/// Either `funcs` (function indices, the common form) or `exprs` holds the items.
struct ElementSegment {
  SegmentMode mode = SegmentMode::passive;
  ValType type = ValType::funcref.non_null();
  TableIndex table{0};
  ConstExpr table_offset;  ///< if active
  std::vector<FuncIndex> funcs;
  std::vector<ConstExpr> exprs;
  size_t size() const { return funcs.empty() ? exprs.size() : funcs.size(); }
};
struct DataSegment {
  SegmentMode mode = SegmentMode::passive;
  MemoryIndex memory{0};
  ConstExpr memory_offset;  ///< if active
  uint64_t begin = 0;       ///< of the contents, as a byte offset in the module
  uint64_t size = 0;        ///< in bytes
};
/// A body's range in the module: from its local declarations to after its `end`.
struct FunctionBody {
  uint64_t begin = 0;
  uint64_t end = 0;
};
struct Section {
  SectionId id = SectionId::custom;
  std::string name;             ///< of a custom section
  uint64_t begin = 0, end = 0;  ///< of the contents (after the name, for a custom section)
};

struct Module {
  std::vector<SubType> types;
  std::vector<RecGroup> rec_groups;
  /// For each type, the first type that is equal to it. Value types name only those, so that equal value types are
  /// `==`.
  std::vector<TypeIndex> canonical_types;
  std::vector<Import> imports;
  /// Index spaces: imports first.
  std::vector<TypeIndex> funcs;
  std::vector<Table> tables;
  std::vector<MemoryType> memories;
  std::vector<Global> globals;
  std::vector<TypeIndex> tags;
  uint32_t imported_funcs = 0, imported_tables = 0, imported_memories = 0, imported_globals = 0, imported_tags = 0;
  std::vector<Export> exports;
  std::optional<FuncIndex> start;
  std::vector<ElementSegment> elements;
  std::optional<uint32_t> data_count;
  std::vector<FunctionBody> bodies;  ///< one a defined function
  std::vector<DataSegment> data;
  std::vector<Section> sections;  ///< in file order
  /// Functions that a `ref.func` may name (spec 3.4.x, C.refs): in exports, element segments, globals. One flag per
  /// function.
  std::vector<bool> declared_funcs;
  /// One bit per Feature that the module's sections use.
  uint32_t used_features = 0;

  bool is_func_type(TypeIndex index) const { return std::holds_alternative<FuncType>(types[raw(index)].composite); }
  /// Pre for these: it is a function type.
  const FuncType& func_type(TypeIndex index) const { return std::get<FuncType>(types[raw(index)].composite); }
  const FuncType& func_type(FuncIndex index) const { return func_type(funcs[raw(index)]); }
  const FuncType& tag_type(TagIndex index) const { return func_type(tags[raw(index)]); }
  TypeIndex canonical(TypeIndex index) const { return canonical_types[raw(index)]; }
  /// Returns the non-null type of references to something of that type.
  ValType ref_type(TypeIndex index) const {
    return ValType::ref(HeapType::concrete(raw(canonical(index))), /*nullable=*/false);
  }
  /// Returns the number of functions that have a body.
  uint32_t defined_funcs() const { return static_cast<uint32_t>(funcs.size()) - imported_funcs; }
  bool is_imported(FuncIndex index) const { return raw(index) < imported_funcs; }
};

}  // namespace rotor::wasm
