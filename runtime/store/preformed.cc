#include "runtime/store/preformed.h"

#include <algorithm>

#include "wasm/const_expr.h"

namespace rotor::runtime {

namespace {

using wasm::Opcode;

/// Tables are preformed up to their last written elements if they have at most so many places for each element that is
/// written, and kSpare more in all: else one element at the end of a large table would cost the module what that takes.
constexpr uint64_t kMostPlacesPerElement = 4;
constexpr uint64_t kSparePlaces = 4096;

bool is_constant(const wasm::ConstInstr& instr) {
  switch (instr.op) {
    case Opcode::I32Const:
    case Opcode::I64Const:
    case Opcode::F32Const:
    case Opcode::F64Const:
    case Opcode::V128Const:
    case Opcode::RefNull: return true;
    default: return wasm::combines_const(instr.op);
  }
}

std::optional<code::GlobalCell> constant_cell(const wasm::ConstExpr& expr) {
  const wasm::ConstInstr& first = expr.code.front();
  if (first.op == Opcode::V128Const && expr.code.size() == 1)  // else it is an operand of what makes an object
    return code::GlobalCell{{first.bits, first.high_bits}};
  if (auto value = constant_value(expr)) return code::GlobalCell{{*value, 0}};
  return std::nullopt;
}

/// Returns the place in the context of the function that an element is; 0 for null; nullopt if it is something else.
std::optional<uint32_t> place_of(const wasm::Module& module, const code::ContextLayout& layout,
                                 const wasm::ElementSegment& segment, size_t index) {
  if (!segment.funcs.empty()) return layout.func_ref(module, raw(segment.funcs[index]));
  const wasm::ConstExpr& expr = segment.exprs[index];
  if (expr.code.size() != 1) return std::nullopt;
  if (expr.code[0].op == Opcode::RefNull) return 0;
  if (expr.code[0].op != Opcode::RefFunc) return std::nullopt;
  return layout.func_ref(module, static_cast<uint32_t>(expr.code[0].bits));
}

/// Writes active segments, in order, into tables.
class TableWriter {
 public:
  TableWriter(const wasm::Module& module, const code::ContextLayout& layout) : module_(module), layout_(layout) {
    for (const wasm::ElementSegment& segment : module.elements) room_ += kMostPlacesPerElement * segment.size();
  }
  /// Returns false if each instance has to write it.
  bool write(const wasm::ElementSegment& segment, std::vector<std::vector<uint32_t>>& tables) {
    const uint32_t index = raw(segment.table);
    if (index < module_.imported_tables) return false;
    const wasm::Table& table = module_.tables[index];
    // What a table is filled with may be another reference in each instance.
    if (table.init && table.init->code.front().op != Opcode::RefNull) return false;
    const auto offset = constant_offset(segment.table_offset, table.type.is64);
    const uint64_t size = segment.size();
    if (!offset || *offset > table.type.limits.min || size > table.type.limits.min - *offset) return false;
    if (!make_room(tables[index], *offset + size)) return false;
    for (uint64_t i = 0; i < size; ++i) {
      const auto place = place_of(module_, layout_, segment, i);
      if (!place) return false;
      tables[index][*offset + i] = *place;
    }
    return true;
  }

 private:
  bool make_room(std::vector<uint32_t>& elements, uint64_t end) {
    if (end <= elements.size()) return true;
    const uint64_t more = end - elements.size();
    if (more > room_) return false;
    room_ -= more;
    elements.resize(end);
    return true;
  }

  const wasm::Module& module_;
  const code::ContextLayout& layout_;
  uint64_t room_ = kSparePlaces;
};

}  // namespace

std::optional<uint64_t> constant_value(const wasm::ConstExpr& expr) {
  if (!std::ranges::all_of(expr.code, is_constant)) return std::nullopt;
  return wasm::eval_const_expr(
      expr, [](wasm::GlobalIndex) { return uint64_t{0}; }, [](wasm::FuncIndex) { return uint64_t{0}; });
}

std::optional<uint64_t> constant_offset(const wasm::ConstExpr& expr, bool is64) {
  const auto offset = constant_value(expr);
  return offset && !is64 ? static_cast<uint32_t>(*offset) : offset;
}

Preformed::Preformed(const wasm::Module& module, const code::ContextLayout& layout)
    : globals(module.globals.size() - module.imported_globals), tables(module.tables.size()) {
  for (uint32_t i = module.imported_globals; i < module.globals.size(); ++i) {
    if (auto cell = constant_cell(module.globals[i].init))
      globals[i - module.imported_globals] = *cell;
    else
      late_globals.push_back(i);
  }
  TableWriter writer(module, layout);
  has_elements = true;
  for (const wasm::ElementSegment& segment : module.elements) {
    dropped_elements.push_back(segment.mode != wasm::SegmentMode::passive);
    has_elements = has_elements && (segment.mode != wasm::SegmentMode::active || writer.write(segment, tables));
  }
  if (!has_elements) tables.clear();
}

}  // namespace rotor::runtime
