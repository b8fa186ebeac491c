// Validation of modules (spec section 3.4), bodies excepted.
#include <string_view>

#include "wasm/keyed_hash.h"
#include "wasm/limits.h"
#include "wasm/module_decoder.h"
#include "wasm/subtypes.h"

namespace rotor::wasm {

namespace {

class ModuleValidator {
 public:
  ModuleValidator(ErrorSlot& errors, Module& module, const ModuleOffsets& offsets)
      : errors_(errors), module_(module), offsets_(offsets) {}

  bool run() {
    module_.declared_funcs.assign(module_.funcs.size(), false);
    return imports() && funcs() && tables() && memories() && tags() && globals() && exports() && start() &&
           elements() && data();
  }

 private:
  /// Checks the type of a function or tag.
  bool type(TypeIndex index, uint64_t at) {
    if (raw(index) >= module_.types.size()) return errors_.fail_index(Message::unknown_type, at, raw(index));
    if (module_.is_func_type(index)) return true;
    return errors_.fail_detail(Message::type_mismatch, at,
                               "type " + std::to_string(raw(index)) + " is no function type");
  }

  bool table_type(const TableType& type, uint64_t at) {
    const SizeLimits& limits = type.limits;
    if (!type.is64 && (limits.min > UINT32_MAX || (limits.has_max() && limits.max > UINT32_MAX))) {
      return errors_.fail(Message::table_too_large, at);
    }
    if (limits.min > limits.max) return errors_.fail(Message::size_min_over_max, at);
    return true;
  }

  bool memory_type(const MemoryType& type, uint64_t at) {
    const SizeLimits& limits = type.limits;
    uint64_t most = UINT64_MAX;
    Message too_large = Message::memory_too_large;
    if (type.page_size_log2 == 16) {
      most = type.is64 ? kMaxMemory64Pages : kMaxMemory32Pages;
      if (type.is64) too_large = Message::memory64_too_large;
    } else if (type.page_size_log2 != 0) {
      return errors_.fail(Message::invalid_page_size, at);
    } else if (!type.is64) {
      most = kMaxMemory32BytePages;
      too_large = Message::byte_memory_too_large;
    }
    if (limits.min > most || (limits.has_max() && limits.max > most)) return errors_.fail(too_large, at);
    if (limits.min > limits.max) return errors_.fail(Message::size_min_over_max, at);
    if (type.shared && !limits.has_max()) return errors_.fail(Message::shared_needs_max, at);
    return true;
  }

  bool tag_type(TypeIndex index, uint64_t at) {
    if (!type(index, at)) return false;
    return module_.func_type(index).results.empty() || errors_.fail(Message::tag_result_type, at);
  }

  bool imports() {
    for (const Import& import : module_.imports) {
      if (const auto* func = std::get_if<TypeIndex>(&import.desc)) {
        if (!type(*func, import.offset)) return false;
      } else if (const auto* table = std::get_if<TableType>(&import.desc)) {
        if (!table_type(*table, import.offset)) return false;
      } else if (const auto* memory = std::get_if<MemoryType>(&import.desc)) {
        if (!memory_type(*memory, import.offset)) return false;
      } else if (const auto* tag = std::get_if<TagDesc>(&import.desc)) {
        if (!tag_type(tag->type, import.offset)) return false;
      }
    }
    return true;
  }

  bool funcs() {
    for (size_t i = 0; i < offsets_.funcs.size(); ++i) {
      if (!type(module_.funcs[module_.imported_funcs + i], offsets_.funcs[i])) return false;
    }
    return true;
  }

  bool tables() {
    for (size_t i = 0; i < offsets_.tables.size(); ++i) {
      const Table& table = module_.tables[module_.imported_tables + i];
      if (!table_type(table.type, offsets_.tables[i])) return false;
      // The table section precedes the global section, so initialisers may read imported globals only.
      if (table.init && !const_expr(*table.init, table.type.element, module_.imported_globals)) return false;
      if (!table.init && !table.type.element.is_defaultable()) {
        return errors_.fail_detail(Message::type_mismatch, offsets_.tables[i],
                                   "a table of " + to_string(table.type.element) + " without an initializer");
      }
    }
    return true;
  }

  bool memories() {
    for (size_t i = 0; i < offsets_.memories.size(); ++i) {
      if (!memory_type(module_.memories[module_.imported_memories + i], offsets_.memories[i])) return false;
    }
    return true;
  }

  bool tags() {
    for (size_t i = 0; i < offsets_.tags.size(); ++i) {
      if (!tag_type(module_.tags[module_.imported_tags + i], offsets_.tags[i])) return false;
    }
    return true;
  }

  /// Checks an expression; `visible` is as in check_const_expr. A function that the expression names counts as
  /// declared.
  bool const_expr(const ConstExpr& expr, ValType wanted, size_t visible) {
    if (!check_const_expr(errors_, module_, expr, wanted, visible)) return false;
    for (const ConstInstr& instr : expr.code) {
      if (instr.op == Opcode::RefFunc) module_.declared_funcs[instr.bits] = true;
    }
    return true;
  }

  bool globals() {
    // A global may read the globals before it (since spec 3.0; in 2.0 only imported ones).
    for (size_t i = module_.imported_globals; i < module_.globals.size(); ++i) {
      if (!const_expr(module_.globals[i].init, module_.globals[i].type.value, i)) return false;
    }
    return true;
  }

  bool export_index(const Export& exported, uint64_t at) {
    auto check = [&](size_t count, Message unknown) {
      return exported.index < count || errors_.fail_index(unknown, at, exported.index);
    };
    switch (exported.kind) {
      case ExternKind::func:
        if (!check(module_.funcs.size(), Message::unknown_function)) return false;
        module_.declared_funcs[exported.index] = true;
        return true;
      case ExternKind::table: return check(module_.tables.size(), Message::unknown_table);
      case ExternKind::memory: return check(module_.memories.size(), Message::unknown_memory);
      case ExternKind::global:
        if (!check(module_.globals.size(), Message::unknown_global)) return false;
        if (module_.globals[exported.index].type.is_mutable) {
          module_.used_features |= feature_bit(Feature::mutable_global);
        }
        return true;
      case ExternKind::tag: return check(module_.tags.size(), Message::unknown_tag);
    }
    return false;
  }

  bool exports() {
    KeyedSet<std::string_view> names;
    names.reserve(module_.exports.size());
    for (size_t i = 0; i < module_.exports.size(); ++i) {
      const Export& exported = module_.exports[i];
      if (!export_index(exported, offsets_.exports[i])) return false;
      if (!names.insert(exported.name).second) return errors_.fail(Message::duplicate_export_name, offsets_.exports[i]);
    }
    return true;
  }

  bool start() {
    if (!module_.start) return true;
    if (raw(*module_.start) >= module_.funcs.size()) {
      return errors_.fail_index(Message::unknown_function, offsets_.start, raw(*module_.start));
    }
    const FuncType& type = module_.func_type(*module_.start);
    if (!type.params.empty() || !type.results.empty()) {
      return errors_.fail_detail(Message::start_function_type, offsets_.start, "its type is " + to_string(type));
    }
    return true;
  }

  bool element(const ElementSegment& segment, uint64_t at) {
    size_t visible = module_.globals.size();
    if (segment.mode == SegmentMode::active) {
      if (raw(segment.table) >= module_.tables.size()) {
        return errors_.fail_index(Message::unknown_table, at, raw(segment.table));
      }
      ValType element = module_.tables[raw(segment.table)].type.element;
      if (!matches(module_, segment.type, element)) {
        return errors_.fail_detail(Message::type_mismatch, at,
                                   "segment of " + to_string(segment.type) + " for a table of " + to_string(element));
      }
      if (!const_expr(segment.table_offset, index_type(module_.tables[raw(segment.table)].type), visible)) return false;
    }
    for (FuncIndex func : segment.funcs) {
      if (raw(func) >= module_.funcs.size()) return errors_.fail_index(Message::unknown_function, at, raw(func));
      module_.declared_funcs[raw(func)] = true;
    }
    for (const ConstExpr& expr : segment.exprs) {
      if (!const_expr(expr, segment.type, visible)) return false;
    }
    return true;
  }

  bool elements() {
    for (size_t i = 0; i < module_.elements.size(); ++i) {
      if (!element(module_.elements[i], offsets_.elements[i])) return false;
    }
    return true;
  }

  bool data() {
    for (size_t i = 0; i < module_.data.size(); ++i) {
      const DataSegment& segment = module_.data[i];
      if (segment.mode != SegmentMode::active) continue;
      if (raw(segment.memory) >= module_.memories.size()) {
        return errors_.fail_index(Message::unknown_memory, offsets_.data[i], raw(segment.memory));
      }
      ValType address = index_type(module_.memories[raw(segment.memory)]);
      if (!const_expr(segment.memory_offset, address, module_.globals.size())) return false;
    }
    return true;
  }

  ErrorSlot& errors_;
  Module& module_;
  const ModuleOffsets& offsets_;
};

}  // namespace

bool validate_module(ErrorSlot& errors, Module& module, const ModuleOffsets& offsets) {
  return ModuleValidator(errors, module, offsets).run();
}

}  // namespace rotor::wasm
