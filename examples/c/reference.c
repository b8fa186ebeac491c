/* Things of the host's that a guest holds without knowing what they are. */
#include "example.h"

static void forget(void* info) { printf("nobody needs %s any more\n", (const char*)info); }

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_extern_vec_t exports;
  wasm_instance_t* instance = instance_of(store,
                                          "(global $held (mut externref) (ref.null extern))"
                                          "(func (export \"swap\") (param externref) (result externref)"
                                          "  (global.get $held) (global.set $held (local.get 0)))",
                                          &exports);

  char name[] = "the file";
  wasm_foreign_t* file = wasm_foreign_new(store);
  wasm_foreign_set_host_info_with_finalizer(file, name, forget);
  wasm_val_t nothing = call(exports.data[0], (wasm_val_t)WASM_REF_VAL(wasm_foreign_as_ref(file)));
  EXPECT(!nothing.of.ref);
  wasm_foreign_delete(file); /* the guest still holds it */

  wasm_val_t held = call(exports.data[0], (wasm_val_t)WASM_REF_VAL(NULL));
  EXPECT(wasm_ref_get_host_info(held.of.ref) == name);
  printf("the guest gave back %s\n", (const char*)wasm_ref_get_host_info(held.of.ref));
  wasm_val_delete(&held);

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
