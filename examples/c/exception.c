/* Exceptions between a guest and the host, both ways, and a vector that one of them carries. */
#include "example.h"

static wasm_tag_t* g_tag;

/* Throws an exception that carries its argument, in each lane of a vector. */
static wasm_trap_t* thrower(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  (void)results;
  rotor_v128_t vector;
  memset(&vector, args->data[0].of.i32, sizeof vector);
  wasm_val_t value;
  rotor_val_new_v128(&value, &vector);
  wasm_val_vec_t values = {1, &value};
  wasm_trap_t* trap = rotor_trap_new_exception(env, g_tag, &values);
  wasm_val_delete(&value);
  return trap;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_functype_t* carried = wasm_functype_new_1_0(wasm_valtype_new(ROTOR_V128));
  wasm_tagtype_t* tag_type = wasm_tagtype_new(carried);
  g_tag = wasm_tag_new(store, tag_type);
  wasm_tagtype_delete(tag_type);
  wasm_functype_t* type = wasm_functype_new_1_0(wasm_valtype_new_i32());
  wasm_func_t* host = wasm_func_new_with_env(store, type, thrower, store, NULL);
  wasm_functype_delete(type);

  wasm_module_t* module = module_of(store,
                                    "(import \"env\" \"tag\" (tag $t (param v128)))"
                                    "(import \"env\" \"throw\" (func $throw (param i32)))"
                                    "(func (export \"catches\") (param i32) (result i32)"
                                    "  (i32x4.extract_lane 3 (block $caught (result v128)"
                                    "    (try_table (catch $t $caught) (call $throw (local.get 0)))"
                                    "    (unreachable))))"
                                    "(func (export \"throws\") (param i32) (result i32)"
                                    "  (throw $t (i8x16.splat (local.get 0))))");
  wasm_extern_t* externs[] = {wasm_tag_as_extern(g_tag), wasm_func_as_extern(host)};
  wasm_extern_vec_t imports = WASM_ARRAY_VEC(externs), exports;
  wasm_instance_t* instance = wasm_instance_new(store, module, &imports, NULL);
  EXPECT(instance);
  wasm_instance_exports(instance, &exports);

  printf("the guest caught %#x\n", (unsigned)call(exports.data[0], (wasm_val_t)WASM_I32_VAL(0x11)).of.i32);
  EXPECT(call(exports.data[0], (wasm_val_t)WASM_I32_VAL(0x11)).of.i32 == 0x11111111);

  wasm_val_t arg = WASM_I32_VAL(0x22), result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result}, values;
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(exports.data[1]), &args, &results);
  EXPECT(trap && rotor_trap_exception_values(trap, &values) && values.size == 1);
  wasm_tag_t* tag = rotor_trap_exception_tag(trap);
  EXPECT(wasm_tag_same(tag, g_tag));
  rotor_v128_t vector;
  EXPECT(rotor_val_v128(&values.data[0], &vector));
  printf("the host caught a vector of %#x\n", vector.bytes[15]);
  EXPECT(vector.bytes[0] == 0x22 && vector.bytes[15] == 0x22);
  wasm_tag_delete(tag);
  wasm_val_vec_delete(&values);
  wasm_trap_delete(trap);

  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_func_delete(host);
  wasm_tag_delete(g_tag);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
