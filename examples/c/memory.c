/* A guest's memory where it lies, its growth, and a limit that the host sets. */
#include "example.h"

static bool allow(void* env, const rotor_growth_t* growth) {
  printf("the guest wants %d KiB of %d\n", (int)(growth->new_bytes >> 10), (int)(growth->limit_bytes >> 10));
  ++*(int*)env;
  return true;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  int asked = 0;
  rotor_limits_t* limits = rotor_limits_new();
  rotor_limits_set(limits, ROTOR_LIMIT_MEMORY_BYTES, 3 * MEMORY_PAGE_SIZE);
  rotor_limits_on_growth(limits, 0.5, allow, &asked, NULL);
  rotor_store_set_limits(store, limits);
  rotor_limits_delete(limits);

  wasm_extern_vec_t exports;
  wasm_instance_t* instance =
      instance_of(store,
                  "(memory (export \"memory\") 1)"
                  "(func (export \"load\") (param i32) (result i32) (i32.load8_u (local.get 0)))",
                  &exports);
  wasm_memory_t* memory = wasm_extern_as_memory(exports.data[0]);
  byte_t* data = wasm_memory_data(memory); /* stays where it is, however the memory grows */
  data[1000] = 99;
  EXPECT(call(exports.data[1], (wasm_val_t)WASM_I32_VAL(1000)).of.i32 == 99);
  EXPECT(wasm_memory_grow(memory, 2));
  EXPECT(wasm_memory_size(memory) == 3 && wasm_memory_data(memory) == data && asked == 1);
  EXPECT(!wasm_memory_grow(memory, 1));
  printf("%s\n", rotor_error_message(rotor_store_error(store)));

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
