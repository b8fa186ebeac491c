/* Calls that outlive a leak: proxy examples/leaky/leaky.wasm */
#include "example.h"

/* `work` leaves nothing behind that a later call needs; all else does. */
static const char kPolicy[] =
    "mode = \"checkpoint\"\n"
    "[rotation]\nat_swap = \"wait\"\n"
    "[allow]\nwork = \"value\"\n";

static void tell(void* env, const rotor_proxy_event_t* event) {
  if (strcmp(event->name, "rotation") == 0) ++*(int*)env;
}

int main(int count, char** names) {
  EXPECT(count == 2);
  FILE* file = fopen(names[1], "rb");
  EXPECT(file);
  wasm_byte_vec_t binary;
  wasm_byte_vec_new_uninitialized(&binary, 1 << 20);
  binary.size = fread(binary.data, 1, binary.size, file);
  fclose(file);

  wasm_engine_t* engine = wasm_engine_new();
  rotor_error_t* error = NULL;
  wasm_shared_module_t* module = rotor_module_new(engine, &binary, &error);
  expect_none(error);
  wasm_byte_vec_delete(&binary);
  rotor_linker_t* linker = rotor_linker_new(engine);
  rotor_limits_t* limits = rotor_limits_new();
  rotor_limits_set(limits, ROTOR_LIMIT_MEMORY_BYTES, 8 << 20);
  int told = 0;
  rotor_proxy_t* proxy = rotor_proxy_new(linker, module, kPolicy, limits, NULL, tell, &told, &error);
  expect_none(error);

  rotor_arg_t seed = {ROTOR_ARG_I32, {.i32 = 7}};
  rotor_reply_t* reply = NULL;
  expect_none(rotor_proxy_call(proxy, "build_state", &seed, 1, &reply));
  const int32_t state = rotor_reply_values(reply)->data[0].of.i32;
  rotor_reply_delete(reply);
  int right = 0;
  for (int i = 0; i < 500; i++) { /* each call loses a page; the 127th would trap */
    rotor_arg_t args[] = {{ROTOR_ARG_I32, {.i32 = state}}, {ROTOR_ARG_I32, {.i32 = 42}}};
    expect_none(rotor_proxy_call(proxy, "work", args, 2, &reply));
    right += rotor_reply_values(reply)->data[0].of.i32 == -443658602; /* the state came along */
    rotor_reply_delete(reply);
  }
  uint64_t rotations = 0;
  EXPECT(rotor_proxy_counter(proxy, "rotations", &rotations));
  printf("%d of 500 calls right, %d rotations\n", right, (int)rotations);
  EXPECT(right == 500 && rotations > 0 && told == (int)rotations);

  rotor_proxy_delete(proxy);
  rotor_limits_delete(limits);
  rotor_linker_delete(linker);
  wasm_shared_module_delete(module);
  wasm_engine_delete(engine);
  return 0;
}
