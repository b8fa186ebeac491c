/* Imports by their names, an instance that others use, and a snapshot of one. */
#include "example.h"

static wasm_trap_t* print(void* env, rotor_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)results;
  const uint32_t address = (uint32_t)args->data[0].of.i32, size = (uint32_t)args->data[1].of.i32;
  const byte_t* text = rotor_caller_view(caller, address, size);
  if (!text) {
    wasm_message_t message;
    wasm_name_new_from_string_nt(&message, "print: out of bounds");
    wasm_trap_t* trap = wasm_trap_new(NULL, &message);
    wasm_byte_vec_delete(&message);
    return trap;
  }
  printf("%.*s", (int)size, text);
  ++*(int*)env;
  return NULL;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  rotor_linker_t* linker = rotor_linker_new(engine);
  int printed = 0;
  wasm_functype_t* type = wasm_functype_new_2_0(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  expect_none(rotor_linker_define_func(linker, "env", "print", type, print, &printed, NULL));
  wasm_functype_delete(type);

  wasm_module_t* module = module_of(store,
                                    "(import \"env\" \"print\" (func $print (param i32 i32)))"
                                    "(memory 1) (data (i32.const 0) \"hello\\n\")"
                                    "(func (export \"shorten\") (i32.store8 (i32.const 4) (i32.const 10)))"
                                    "(func (export \"run\") (call $print (i32.const 0) (i32.const 6)))");
  rotor_error_t* error = NULL;
  wasm_instance_t* instance = rotor_linker_instantiate(linker, store, module, NULL, &error);
  expect_none(error);
  wasm_extern_t* shorten = rotor_instance_export(instance, "shorten");
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  EXPECT(!wasm_func_call(wasm_extern_as_func(shorten), &none, &none));

  rotor_snapshot_t* snapshot = rotor_instance_snapshot(instance, &error);
  expect_none(error);
  for (int i = 0; i < 3; i++) { /* each takes a few microseconds, whatever the memory holds */
    wasm_instance_t* stamped = rotor_linker_instantiate(linker, store, module, snapshot, &error);
    expect_none(error);
    wasm_extern_t* run = rotor_instance_export(stamped, "run");
    EXPECT(!wasm_func_call(wasm_extern_as_func(run), &none, &none));
    wasm_extern_delete(run);
    wasm_instance_delete(stamped);
  }
  EXPECT(printed == 3);

  rotor_snapshot_delete(snapshot);
  wasm_extern_delete(shorten);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  rotor_linker_delete(linker);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
