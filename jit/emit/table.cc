// Table instructions. A table's size only grows, and its elements may move then; every index is compared with the size.
#include "jit/emit/function.h"

#include "code/abi.h"
#include "code/run_page.h"

namespace rotor::jit {

using Value = FunctionEmitter::Value;
using wasm::TableIndex;

Value FunctionEmitter::table_def(uint32_t table) {
  return invariant_load(module_.ptr, context_address(plan_.context.table(table)));
}

Value FunctionEmitter::table_slot(TableIndex table, Value index, TrapKind kind) {
  Value def = table_def(raw(table));
  Value size = b_.CreateLoad(module_.i64, b_.CreateConstGEP1_32(module_.i8, def, offsetof(code::TableDef, size)));
  Value wide_index = index64(index);
  trap_if(b_.CreateICmpUGE(wide_index, size), kind);
  Value elements =
      b_.CreateLoad(module_.ptr, b_.CreateConstGEP1_32(module_.i8, def, offsetof(code::TableDef, elements)));
  return b_.CreateGEP(module_.i64, elements, wide_index);
}

Value FunctionEmitter::table_get(TableIndex table, ValType, Value index) {
  return b_.CreateLoad(module_.i64, table_slot(table, index, TrapKind::out_of_bounds_table));
}

void FunctionEmitter::table_set(TableIndex table, ValType, Value index, Value value) {
  // Volatile, as all stores whose effect can be seen after a trap.
  b_.CreateStore(value, table_slot(table, index, TrapKind::out_of_bounds_table), /*isVolatile=*/true);
}

Value FunctionEmitter::table_size(TableIndex table) {
  Value size = b_.CreateLoad(module_.i64,
                             b_.CreateConstGEP1_32(module_.i8, table_def(raw(table)), offsetof(code::TableDef, size)));
  return index_result(plan_.module.tables[raw(table)].type.is64, size);
}

Value FunctionEmitter::table_grow(TableIndex table, ValType, Value init, Value delta) {
  Value old_size = emit_libcall(code::Libcall::table_grow, {int32(raw(table)), init, index64(delta)});
  pay_for_growth(delta, old_size);
  return index_result(plan_.module.tables[raw(table)].type.is64, old_size);
}

void FunctionEmitter::table_fill(TableIndex table, ValType, Value index, Value value, Value size) {
  pay_for(size);
  trap_if(to_bool(emit_libcall(code::Libcall::table_fill, {int32(raw(table)), index64(index), value, index64(size)})),
          TrapKind::out_of_bounds_table);
}

void FunctionEmitter::table_init(TableIndex table, wasm::ElemIndex segment, Value dst, Value src, Value size) {
  pay_for(size);
  trap_if(to_bool(emit_libcall(code::Libcall::table_init,
                               {int32(raw(table)), int32(raw(segment)), index64(dst), index64(src), index64(size)})),
          TrapKind::out_of_bounds_table);
}

void FunctionEmitter::elem_drop(wasm::ElemIndex segment) {
  emit_libcall(code::Libcall::elem_drop, {int32(raw(segment))});
}

void FunctionEmitter::table_copy(TableIndex dst_table, TableIndex src_table, Value dst, Value src, Value size) {
  pay_for(size);
  trap_if(to_bool(emit_libcall(code::Libcall::table_copy, {int32(raw(dst_table)), int32(raw(src_table)), index64(dst),
                                                           index64(src), index64(size)})),
          TrapKind::out_of_bounds_table);
}

}  // namespace rotor::jit
