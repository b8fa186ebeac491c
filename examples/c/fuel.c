/* Fuel: a guest pays for what it executes, a host function has it pay for its own work, and what nobody paid for does
 * not run. */
#include "example.h"

/* Takes 100 units of the guest's for each call. */
static wasm_trap_t* work(void* env, rotor_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)env, (void)args, (void)results;
  uint64_t left;
  expect_none(rotor_caller_fuel(caller, &left));
  expect_none(rotor_caller_set_fuel(caller, left < 100 ? 0 : left - 100));
  return NULL;
}

static uint64_t left(const wasm_instance_t* instance) {
  uint64_t units;
  expect_none(rotor_instance_fuel(instance, &units));
  return units;
}

int main(void) {
  wasm_config_t* config = wasm_config_new();
  rotor_config_set_switch(config, ROTOR_SWITCH_FUEL, true);
  wasm_engine_t* engine = rotor_engine_new(config, NULL);
  wasm_store_t* store = wasm_store_new(engine);
  rotor_linker_t* linker = rotor_linker_new(engine);
  wasm_functype_t* type = wasm_functype_new_0_0();
  expect_none(rotor_linker_define_func(linker, "env", "work", type, work, NULL, NULL));
  wasm_functype_delete(type);
  wasm_module_t* module = module_of(store,
                                    "(import \"env\" \"work\" (func $work))"
                                    "(func (export \"turns\") (param i32) (result i32)"
                                    "  (loop $again (call $work)"
                                    "    (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
                                    "  (local.get 0))");
  rotor_store_set_fuel(store, 1000);
  rotor_error_t* error = NULL;
  wasm_instance_t* instance = rotor_linker_instantiate(linker, store, module, NULL, &error);
  expect_none(error);
  wasm_extern_t* turns = rotor_instance_export(instance, "turns");

  call(turns, (wasm_val_t)WASM_I32_VAL(3));
  printf("3 turns: %d units are left\n", (int)left(instance));
  EXPECT(left(instance) == 1000 - 3 * 106 - 2);

  wasm_val_t arg = WASM_I32_VAL(1000), result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result};
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func_const(turns), &args, &results);
  EXPECT(trap && left(instance) == 0);
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  printf("1000 turns: %s\n", message.data);
  EXPECT(!strcmp(message.data, "out of fuel"));
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);

  expect_none(rotor_instance_add_fuel(instance, 200)); /* it can be called again */
  call(turns, (wasm_val_t)WASM_I32_VAL(1));
  printf("1 turn more: %d units are left\n", (int)left(instance));

  wasm_extern_delete(turns);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  rotor_linker_delete(linker);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
