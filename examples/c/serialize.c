/* Compiled code as bytes, and a module shared by threads. */
#include <pthread.h>

#include "example.h"

typedef struct job_t {
  wasm_engine_t* engine;
  const wasm_shared_module_t* module;
  int32_t number, square;
} job_t;

static void* run(void* argument) {
  job_t* job = argument;
  wasm_store_t* store = wasm_store_new(job->engine); /* a store is one thread's */
  wasm_module_t* module = wasm_module_obtain(store, job->module);
  wasm_extern_vec_t none = WASM_EMPTY_VEC, exports;
  wasm_instance_t* instance = wasm_instance_new(store, module, &none, NULL);
  EXPECT(instance);
  wasm_instance_exports(instance, &exports);
  job->square = call(exports.data[0], (wasm_val_t)WASM_I32_VAL(job->number)).of.i32;
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  wasm_store_delete(store);
  return NULL;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_module_t* module =
      module_of(store, "(func (export \"square\") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))");
  wasm_byte_vec_t code;
  wasm_module_serialize(module, &code);
  wasm_module_delete(module);
  module = wasm_module_deserialize(store, &code); /* no compiler is needed for it */
  EXPECT(module);
  wasm_byte_vec_delete(&code);
  wasm_shared_module_t* shared = wasm_module_share(module);
  wasm_module_delete(module);
  wasm_store_delete(store);

  pthread_t threads[4];
  job_t jobs[4];
  for (int i = 0; i < 4; i++) {
    jobs[i] = (job_t){engine, shared, i, -1};
    EXPECT(pthread_create(&threads[i], NULL, run, &jobs[i]) == 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    printf("%d * %d = %d\n", i, i, jobs[i].square);
    EXPECT(jobs[i].square == i * i);
  }
  wasm_shared_module_delete(shared);
  wasm_engine_delete(engine);
  return 0;
}
