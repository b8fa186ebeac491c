/* What the examples have in common. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rotor.h"

/* Ends the program where something is not as it has to be. */
#define EXPECT(condition)                                                     \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

/* Ends the program if there is an error, with what that says. */
static inline void expect_none(rotor_error_t* error) {
  if (!error) return;
  fprintf(stderr, "%s\n", rotor_error_text(error));
  exit(1);
}

static inline wasm_byte_vec_t binary_of(const char* text) {
  wasm_byte_vec_t binary;
  expect_none(rotor_wat2wasm(text, strlen(text), &binary));
  return binary;
}

static inline wasm_module_t* module_of(wasm_store_t* store, const char* text) {
  wasm_byte_vec_t binary = binary_of(text);
  wasm_module_t* module = wasm_module_new(store, &binary);
  if (!module) fprintf(stderr, "%s\n", rotor_error_text(rotor_store_error(store)));
  EXPECT(module);
  wasm_byte_vec_delete(&binary);
  return module;
}

/* An instance of a module without imports, and its exports. */
static inline wasm_instance_t* instance_of(wasm_store_t* store, const char* text, wasm_extern_vec_t* exports) {
  wasm_module_t* module = module_of(store, text);
  wasm_extern_vec_t none = WASM_EMPTY_VEC;
  wasm_instance_t* instance = wasm_instance_new(store, module, &none, NULL);
  EXPECT(instance);
  wasm_module_delete(module);
  wasm_instance_exports(instance, exports);
  return instance;
}

/* Calls a function of one argument and one result. */
static inline wasm_val_t call(const wasm_extern_t* item, wasm_val_t arg) {
  wasm_val_t result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result};
  EXPECT(!wasm_func_call(wasm_extern_as_func_const(item), &args, &results));
  return result;
}

#endif
