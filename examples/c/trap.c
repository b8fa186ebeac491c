/* What a trap says: its message, its frames, and a deadline that ends a loop. */
#include "example.h"

int main(void) {
  wasm_config_t* config = wasm_config_new();
  rotor_config_set_switch(config, ROTOR_SWITCH_INTERRUPTIBLE, true);
  wasm_engine_t* engine = rotor_engine_new(config, NULL);
  wasm_store_t* store = wasm_store_new(engine);
  wasm_extern_vec_t exports;
  wasm_instance_t* instance =
      instance_of(store,
                  "(func $divide (param i32 i32) (result i32)"
                  "  (i32.div_s (local.get 0) (local.get 1)))"
                  "(func $by_zero (export \"by_zero\") (call $divide (i32.const 1) (i32.const 0)) (drop))"
                  "(func (export \"forever\") (loop $again (br $again)))",
                  &exports);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), &none, &none);
  EXPECT(trap);
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  EXPECT(frames.size == 2 && wasm_frame_instance(frames.data[0]) == instance);
  EXPECT(wasm_frame_func_index(frames.data[0]) == 0 && wasm_frame_func_index(frames.data[1]) == 1);
  wasm_frame_vec_delete(&frames);
  rotor_error_t* error = rotor_trap_error(trap);
  printf("%s\n", rotor_error_text(error));
  EXPECT(strstr(rotor_error_text(error), "by_zero"));
  rotor_error_delete(error);
  wasm_trap_delete(trap);

  rotor_interrupt_t* interrupt = rotor_instance_interrupt(instance);
  expect_none(rotor_interrupt_set_deadline(interrupt, 10));
  trap = wasm_func_call(wasm_extern_as_func(exports.data[1]), &none, &none);
  EXPECT(trap);
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  printf("%s\n", message.data);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  rotor_interrupt_delete(interrupt);

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
