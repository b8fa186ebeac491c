/* A program of WASI preview 1, whose output the host gets. */
#include "example.h"

static const char kProgram[] =
    "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))"
    "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"
    "(memory (export \"memory\") 1)"
    "(data (i32.const 0) \"\\10\\00\\00\\00\\06\\00\\00\\00\") (data (i32.const 16) \"hello\\n\")"
    "(func (export \"_start\")"
    "  (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))"
    "  (call $exit (i32.const 3)))";

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  rotor_wasi_t* wasi = rotor_wasi_new();
  rotor_wasi_add_arg(wasi, "program");
  rotor_wasi_capture(wasi, 1 << 20);
  rotor_linker_t* linker = rotor_linker_new(engine);
  expect_none(rotor_linker_define_wasi(linker, wasi));
  wasm_module_t* module = module_of(store, kProgram);
  rotor_error_t* error = NULL;
  wasm_instance_t* instance = rotor_linker_instantiate(linker, store, module, NULL, &error);
  expect_none(error);

  uint32_t code = 0;
  expect_none(rotor_wasi_run(wasi, instance, &code));
  wasm_byte_vec_t output;
  rotor_wasi_output(wasi, 1, &output);
  printf("exit code %d, output: %.*s", (int)code, (int)output.size, output.data);
  EXPECT(code == 3 && output.size == 6);

  wasm_byte_vec_delete(&output);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  rotor_linker_delete(linker);
  rotor_wasi_delete(wasi);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return 0;
}
