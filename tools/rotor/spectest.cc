#include "tools/rotor/spectest.h"

namespace rotor::cli {

Result<void> define_spectest(const Engine& engine, Linker& linker) {
  const char* kModule = "spectest";
  linker.define(kModule, "print", [] {});
  linker.define(kModule, "print_i32", [](int32_t) {});
  linker.define(kModule, "print_i64", [](int64_t) {});
  linker.define(kModule, "print_f32", [](float) {});
  linker.define(kModule, "print_f64", [](double) {});
  linker.define(kModule, "print_i32_f32", [](int32_t, float) {});
  linker.define(kModule, "print_f64_f64", [](double, double) {});

  auto define_global = [&](const char* name, const Value& value) -> Result<void> {
    ROTOR_TRY(Global global, Global::create(engine, GlobalType{value.type(), false}, value));
    linker.define(kModule, name, global);
    return {};
  };
  ROTOR_CHECK(define_global("global_i32", Value(int32_t{666})));
  ROTOR_CHECK(define_global("global_i64", Value(int64_t{666})));
  ROTOR_CHECK(define_global("global_f32", Value(666.6f)));
  ROTOR_CHECK(define_global("global_f64", Value(666.6)));

  TableType table_type{ValType::funcref, {10, 20}};
  ROTOR_TRY(Table table, Table::create(engine, table_type, Value::null(ValType::funcref)));
  linker.define(kModule, "table", table);
  table_type.is64 = true;
  ROTOR_TRY(Table table64, Table::create(engine, table_type, Value::null(ValType::funcref)));
  linker.define(kModule, "table64", table64);
  ROTOR_TRY(Memory memory, Memory::create(engine, MemoryType{{1, 2}}));
  linker.define(kModule, "memory", memory);
  ROTOR_TRY(Memory shared, Memory::create(engine, MemoryType{{1, 2}, true}));
  linker.define(kModule, "shared_memory", shared);
  return {};
}

}  // namespace rotor::cli
