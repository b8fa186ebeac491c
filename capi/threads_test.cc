// Stores of several threads, with one engine and shared modules.
#include <atomic>
#include <thread>

#include "capi/testing/guest.h"

namespace rotor::capi::test {
namespace {

TEST(Modules, AreObtainedByTenThreads) {
  World world;
  wasm_module_t* module = module_of(world.store,
                                    "(import \"\" \"f\" (func $f (param i32) (result i32)))"
                                    "(func (export \"g\") (param i32) (result i32) (call $f (local.get 0)))");
  wasm_shared_module_t* shared = wasm_module_share(module);
  wasm_module_delete(module);
  std::atomic<int> sum = 0;
  auto run = [&](int id) {
    wasm_store_t* store = wasm_store_new(world.engine);
    wasm_module_t* mine = wasm_module_obtain(store, shared);
    for (int i = 0; i < 5; ++i) {
      wasm_functype_t* type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
      wasm_func_t* func =
          wasm_func_new(store, type, [](const wasm_val_vec_t* args, wasm_val_vec_t* results) -> wasm_trap_t* {
            results->data[0] = args->data[0];
            return nullptr;
          });
      wasm_functype_delete(type);
      wasm_extern_t* imports[] = {wasm_func_as_extern(func)};
      wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports), exports;
      wasm_instance_t* instance = wasm_instance_new(store, mine, &import_vec, nullptr);
      wasm_func_delete(func);
      wasm_instance_exports(instance, &exports);
      wasm_instance_delete(instance);
      sum += call1(wasm_extern_as_func(exports.data[0]), {i32(id)}).of.i32;
      wasm_extern_vec_delete(&exports);
    }
    wasm_module_delete(mine);
    wasm_store_delete(store);
  };
  std::vector<std::thread> threads;
  for (int id = 0; id < 10; ++id) threads.emplace_back(run, id);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 5 * 45);
  wasm_shared_module_delete(shared);
}

TEST(Interrupts, EndACallOfAnotherThread) {
  wasm_config_t* config = wasm_config_new();
  rotor_config_set_switch(config, ROTOR_SWITCH_INTERRUPTIBLE, true);
  World world;
  wasm_engine_t* engine = rotor_engine_new(config, nullptr);
  wasm_store_t* store = wasm_store_new(engine);
  {
    Guest guest(store, "(func (export \"loop\") (loop $l (br $l)))");
    rotor_interrupt_t* handle = rotor_instance_interrupt(guest.instance);
    std::thread other([&] { EXPECT_EQ(rotor_interrupt_now(handle), nullptr); });
    EXPECT_EQ(call0(guest.func(0)), "interrupt");
    other.join();
    EXPECT_EQ(rotor_interrupt_set_deadline(handle, 5), nullptr);
    EXPECT_EQ(call0(guest.func(0)), "interrupt");
    rotor_interrupt_clear_deadline(handle);
    rotor_interrupt_cancel(handle);
    rotor_interrupt_delete(handle);
  }
  wasm_store_delete(store);
  wasm_engine_delete(engine);
}

}  // namespace
}  // namespace rotor::capi::test
