/* A guest that calls the host. */
#include <stdio.h>
#include <string.h>

#include "rotor.h"

static const char kText[] =
    "(module (import \"env\" \"log\" (func $log (param i32)))"
    "  (func (export \"twice\") (param i32) (result i32)"
    "    (call $log (local.get 0)) (i32.add (local.get 0) (local.get 0))))";

static wasm_trap_t* log_number(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)results;
  printf("the guest says %d\n", args->data[0].of.i32);
  return NULL;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_byte_vec_t binary;
  if (rotor_wat2wasm(kText, strlen(kText), &binary)) return 1;
  wasm_module_t* module = wasm_module_new(store, &binary);

  wasm_functype_t* type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasm_func_t* log = wasm_func_new(store, type, log_number);
  wasm_extern_t* externs[] = {wasm_func_as_extern(log)};
  wasm_extern_vec_t imports = WASM_ARRAY_VEC(externs), exports;
  wasm_trap_t* trap = NULL;
  wasm_instance_t* instance = wasm_instance_new(store, module, &imports, &trap);
  if (!instance) return 1; /* the trap says why */

  wasm_instance_exports(instance, &exports);
  wasm_val_t arg = WASM_I32_VAL(21), result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result};
  trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), &args, &results);
  if (!trap) printf("%d\n", result.of.i32);

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(log);
  wasm_functype_delete(type);
  wasm_module_delete(module);
  wasm_byte_vec_delete(&binary);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return result.of.i32 == 42 ? 0 : 1;
}
