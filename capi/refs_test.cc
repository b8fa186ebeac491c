// References: identity, the host's information, lifetimes.
#include <memory>
#include <utility>

#include "capi/testing/guest.h"

namespace rotor::capi::test {
namespace {

constexpr const char* kHolder = R"(
  (global $g (export "global") (mut externref) (ref.null extern))
  (table $t (export "table") 10 externref)
  (table $f (export "funcs") 4 funcref)
  (func (export "id") (param externref) (result externref) (local.get 0))
  (func (export "keep") (param externref) (global.set $g (local.get 0)))
  (func (export "kept") (result externref) (global.get $g))
  (func (export "func_id") (param funcref) (result funcref) (local.get 0))
  (memory (export "memory") 1 3)
  (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "nine") (result i32) (i32.const 9)))";

int g_finalized = 0;
void finalize(void*) { ++g_finalized; }

TEST(Refs, AreOneObjectWhereverTheyCameFrom) {
  World world;
  Guest guest(world.store, kHolder);
  wasm_foreign_t* foreign = wasm_foreign_new(world.store);
  wasm_ref_t* object = wasm_foreign_as_ref(foreign);
  EXPECT_EQ(wasm_ref_as_foreign(object), foreign);
  EXPECT_EQ(wasm_ref_as_func(object), nullptr);
  EXPECT_EQ(wasm_ref_as_extern(object), nullptr);
  EXPECT_EQ(wasm_ref_as_trap_const(object), nullptr);
  wasm_ref_set_host_info(object, &guest);

  wasm_val_t back = call1(guest.func(3), {ref(object)});
  EXPECT_EQ(back.kind, WASM_EXTERNREF);
  EXPECT_TRUE(wasm_ref_same(back.of.ref, object));
  EXPECT_EQ(wasm_ref_get_host_info(back.of.ref), &guest);
  wasm_val_delete(&back);
  EXPECT_EQ(back.of.ref, nullptr);

  EXPECT_EQ(call0(guest.func(4), {ref(object)}), "");
  wasm_global_t* global = wasm_extern_as_global(guest.exports.data[0]);
  wasm_val_t held;
  wasm_global_get(global, &held);
  EXPECT_TRUE(wasm_ref_same(held.of.ref, object));
  wasm_val_delete(&held);

  wasm_table_t* table = wasm_extern_as_table(guest.exports.data[1]);
  EXPECT_TRUE(wasm_table_set(table, 3, object));
  wasm_ref_t* element = wasm_table_get(table, 3);
  EXPECT_TRUE(wasm_ref_same(element, object));
  wasm_ref_delete(element);
  EXPECT_EQ(wasm_table_get(table, 4), nullptr);
  EXPECT_EQ(wasm_table_get(table, 10), nullptr);
  EXPECT_EQ(world.error(), "index 10 is out of bounds of a table of 10 elements");
  EXPECT_TRUE(wasm_table_grow(table, 2, object));
  EXPECT_EQ(wasm_table_size(table), 12u);

  // What the guest holds lives on, information and all.
  wasm_foreign_delete(foreign);
  wasm_val_t kept = call1(guest.func(5));
  EXPECT_EQ(wasm_ref_get_host_info(kept.of.ref), &guest);
  wasm_val_delete(&kept);
}

TEST(Refs, ThatNoGuestHoldsAnyMoreAreLetGo) {
  World world;
  Guest guest(world.store, kHolder);
  g_finalized = 0;
  wasm_table_t* table = wasm_extern_as_table(guest.exports.data[1]);
  constexpr int kObjects = 5000;
  int kept = 0;
  for (int i = 0; i < kObjects; ++i) {
    wasm_foreign_t* foreign = wasm_foreign_new(world.store);
    wasm_foreign_set_host_info_with_finalizer(foreign, &kept, finalize);
    wasm_ref_t* object = wasm_foreign_as_ref(foreign);
    if (i < 3) {
      EXPECT_TRUE(wasm_table_set(table, static_cast<uint32_t>(i), object));
    }
    EXPECT_EQ(call0(guest.func(4), {ref(object)}), "");  // in the global, until the next one
    wasm_foreign_delete(foreign);
  }
  EXPECT_GT(g_finalized, kObjects / 2);
  EXPECT_LE(g_finalized, kObjects - 4);
  for (uint32_t i = 0; i < 3; ++i) {
    wasm_ref_t* element = wasm_table_get(table, i);
    EXPECT_EQ(wasm_ref_get_host_info(element), &kept);
    wasm_ref_delete(element);
  }
  wasm_val_t last = call1(guest.func(5));
  EXPECT_EQ(wasm_ref_get_host_info(last.of.ref), &kept);
  wasm_val_delete(&last);
  wasm_store_delete(std::exchange(world.store, nullptr));
  EXPECT_EQ(g_finalized, kObjects);
}

TEST(Refs, ThatAnExceptionCarriesStay) {
  World world;
  Guest guest(world.store, R"(
    (tag $t (param externref)) (global $e (mut exnref) (ref.null exn))
    (func (export "keep") (param externref)
      (global.set $e (block $caught (result exnref)
        (try_table (catch_all_ref $caught) (throw $t (local.get 0))) (unreachable))))
    (func (export "kept") (result externref)
      (block $caught (result externref) (try_table (catch $t $caught) (throw_ref (global.get $e))) (unreachable)))
    (func (export "pass") (param externref)))");
  int info = 0;
  wasm_foreign_t* foreign = wasm_foreign_new(world.store);
  wasm_foreign_set_host_info(foreign, &info);
  EXPECT_EQ(call0(guest.func(0), {ref(wasm_foreign_as_ref(foreign))}), "");
  wasm_foreign_delete(foreign);
  for (int i = 0; i < 3000; ++i) {
    foreign = wasm_foreign_new(world.store);
    EXPECT_EQ(call0(guest.func(2), {ref(wasm_foreign_as_ref(foreign))}), "");
    wasm_foreign_delete(foreign);
  }
  wasm_val_t kept = call1(guest.func(1));
  ASSERT_NE(kept.of.ref, nullptr);
  EXPECT_EQ(wasm_ref_get_host_info(kept.of.ref), &info);
  wasm_val_delete(&kept);
}

TEST(Refs, OfEveryKindCanBeExternrefs) {
  World world;
  Guest guest(world.store, kHolder);
  wasm_module_t* module = module_of(world.store, "");
  wasm_trap_t* trap = wasm_trap_new(world.store, nullptr);
  const wasm_ref_t* const all[] = {wasm_instance_as_ref_const(guest.instance), wasm_module_as_ref_const(module),
                                   wasm_trap_as_ref_const(trap), wasm_func_as_ref_const(guest.func(3)),
                                   wasm_extern_as_ref_const(guest.exports.data[0])};
  for (const wasm_ref_t* object : all) {
    wasm_val_t back = call1(guest.func(3), {ref(const_cast<wasm_ref_t*>(object))});
    EXPECT_TRUE(wasm_ref_same(back.of.ref, object));
    wasm_val_delete(&back);
  }
  EXPECT_NE(wasm_ref_as_module_const(all[1]), nullptr);
  EXPECT_NE(wasm_ref_as_extern_const(all[4]), nullptr);
  EXPECT_EQ(wasm_ref_as_instance_const(all[1]), nullptr);
  wasm_trap_delete(trap);
  wasm_module_delete(module);
}

TEST(Refs, ToFunctionsAreOfFunctions) {
  World world;
  Guest guest(world.store, kHolder);
  wasm_foreign_t* foreign = wasm_foreign_new(world.store);
  EXPECT_EQ(call0(guest.func(6), {ref(wasm_foreign_as_ref(foreign))}),
            "argument 0: a reference to something else for funcref");
  wasm_val_t back = call1(guest.func(6), {ref(wasm_func_as_ref(guest.func(9)))});
  EXPECT_EQ(back.kind, WASM_FUNCREF);
  EXPECT_TRUE(wasm_func_same(wasm_ref_as_func(back.of.ref), guest.func(9)));
  wasm_table_t* funcs = wasm_extern_as_table(guest.exports.data[2]);
  EXPECT_TRUE(wasm_table_set(funcs, 0, back.of.ref));
  wasm_val_delete(&back);
  wasm_ref_t* element = wasm_table_get(funcs, 0);
  EXPECT_EQ(call1(wasm_ref_as_func(element)).of.i32, 9);
  wasm_ref_delete(element);
  wasm_foreign_delete(foreign);
}

TEST(Refs, KeepTheHostsInformationWithTheObject) {
  g_finalized = 0;
  int info = 0;
  {
    World world;
    {
      Guest guest(world.store, kHolder);
      wasm_func_set_host_info_with_finalizer(guest.func(9), &info, finalize);
      wasm_instance_set_host_info_with_finalizer(guest.instance, &info, finalize);
      wasm_memory_t* memory = wasm_extern_as_memory(guest.exports.data[7]);
      wasm_memory_set_host_info_with_finalizer(memory, &info, finalize);
      wasm_memory_set_host_info_with_finalizer(memory, &guest, finalize);  // the first one's end
      EXPECT_EQ(g_finalized, 1);
      wasm_extern_vec_t again;
      wasm_extern_vec_delete(&guest.exports);
      wasm_instance_exports(guest.instance, &again);
      EXPECT_EQ(wasm_func_get_host_info(wasm_extern_as_func(again.data[9])), &info);
      EXPECT_EQ(wasm_extern_get_host_info(again.data[7]), &guest);
      EXPECT_EQ(wasm_extern_get_host_info(again.data[0]), nullptr);
      wasm_extern_vec_delete(&again);
      wasm_foreign_t* foreign = wasm_foreign_new(world.store);
      wasm_foreign_set_host_info_with_finalizer(foreign, &info, finalize);
      wasm_foreign_delete(foreign);  // no guest ever had it
      EXPECT_EQ(g_finalized, 2);
    }
    EXPECT_EQ(g_finalized, 2);
  }
  EXPECT_EQ(g_finalized, 5);
}

TEST(Refs, ThatAreImportedAndExportedAgainAreTheSame) {
  World world;
  Guest first(world.store, kHolder);
  Guest second(
      world.store,
      "(import \"\" \"g\" (global $g (mut externref))) (import \"\" \"t\" (table $t 1 externref))"
      "(import \"\" \"m\" (memory $m 1)) (import \"\" \"f\" (func $f (result i32)))"
      "(export \"g\" (global $g)) (export \"t\" (table $t)) (export \"m\" (memory $m)) (export \"f\" (func $f))",
      {first.exports.data[0], first.exports.data[1], first.exports.data[7], first.exports.data[9]});
  ASSERT_NE(second.instance, nullptr) << second.failure;
  const size_t places[] = {0, 1, 7, 9};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(wasm_extern_same(second.exports.data[i], first.exports.data[places[i]])) << i;
    EXPECT_FALSE(wasm_extern_same(second.exports.data[i], first.exports.data[(places[i] + 1) % 4])) << i;
  }
}

TEST(Objects, OfTheHostAreTheGuests) {
  World world;
  const wasm_limits_t limits{1, 2};
  wasm_memorytype_t* memory_type = wasm_memorytype_new(&limits);
  wasm_memory_t* memory = wasm_memory_new(world.store, memory_type);
  wasm_globaltype_t* global_type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
  wasm_val_t five = WASM_I64_VAL(5);
  wasm_global_t* global = wasm_global_new(world.store, global_type, &five);
  Guest guest(world.store,
              "(import \"\" \"m\" (memory 1)) (import \"\" \"g\" (global $g (mut i64)))"
              "(func (export \"load\") (result i32) (i32.load8_u (i32.const 7)))"
              "(func (export \"add\") (global.set $g (i64.add (global.get $g) (i64.const 1))))",
              {wasm_memory_as_extern(memory), wasm_global_as_extern(global)});
  byte_t* data = wasm_memory_data(memory);
  data[7] = 77;
  EXPECT_EQ(call1(guest.func(0)).of.i32, 77);
  EXPECT_EQ(wasm_memory_size(memory), 1u);
  EXPECT_TRUE(wasm_memory_grow(memory, 1));
  EXPECT_FALSE(wasm_memory_grow(memory, 1));
  EXPECT_EQ(wasm_memory_data_size(memory), 2 * MEMORY_PAGE_SIZE);
  EXPECT_EQ(wasm_memory_data(memory), data);
  EXPECT_EQ(call0(guest.func(1)), "");
  wasm_val_t value;
  wasm_global_get(global, &value);
  EXPECT_EQ(value.of.i64, 6);
  wasm_val_t wrong = i32(1);
  wasm_global_set(global, &wrong);
  EXPECT_EQ(world.error(), "i32 for i64");
  wasm_global_get(global, &value);
  EXPECT_EQ(value.of.i64, 6);
  wasm_externtype_t* type = wasm_extern_type(wasm_memory_as_extern(memory));
  EXPECT_EQ(wasm_memorytype_limits(wasm_externtype_as_memorytype(type))->min, 2u);
  wasm_externtype_delete(type);
  const wasm_limits_t too_large{70000, wasm_limits_max_default};
  wasm_memorytype_t* large = wasm_memorytype_new(&too_large);
  EXPECT_EQ(wasm_memory_new(world.store, large), nullptr);
  wasm_memorytype_delete(large);
  wasm_memorytype_delete(memory_type);
  wasm_globaltype_delete(global_type);
  wasm_memory_delete(memory);
  wasm_global_delete(global);
}

TEST(Stores, KeepWhatWasDeleted) {
  World world;
  wasm_func_t* nine = nullptr;
  {
    Guest guest(world.store, kHolder);
    nine = wasm_func_copy(guest.func(9));
  }
  EXPECT_EQ(call1(nine).of.i32, 9);
  wasm_func_delete(nine);
}

TEST(Stores, ThatAreGoneAnswerNothing) {
  World world;
  wasm_store_t* store = wasm_store_new(world.engine);
  auto guest = std::make_unique<Guest>(store, kHolder);
  wasm_foreign_t* foreign = wasm_foreign_new(store);
  wasm_module_t* module = module_of(store, kHolder);
  wasm_store_delete(store);
  EXPECT_NE(call0(guest->func(9)).find("store is gone"), std::string::npos);
  EXPECT_EQ(wasm_func_type(guest->func(9)), nullptr);
  EXPECT_EQ(wasm_extern_type(guest->exports.data[0]), nullptr);
  EXPECT_EQ(wasm_memory_data(wasm_extern_as_memory(guest->exports.data[7])), nullptr);
  EXPECT_FALSE(wasm_table_set(wasm_extern_as_table(guest->exports.data[1]), 0, nullptr));
  wasm_extern_vec_t exports, none = WASM_EMPTY_VEC;
  wasm_instance_exports(guest->instance, &exports);
  EXPECT_EQ(exports.size, 0u);
  // A module goes on, for other stores.
  wasm_shared_module_t* shared = wasm_module_share(module);
  wasm_module_t* obtained = wasm_module_obtain(world.store, shared);
  wasm_instance_t* instance = wasm_instance_new(world.store, obtained, &none, nullptr);
  EXPECT_NE(instance, nullptr);
  wasm_instance_delete(instance);
  wasm_module_delete(obtained);
  wasm_shared_module_delete(shared);
  wasm_module_delete(module);
  wasm_foreign_delete(foreign);
}

wasm_store_t* g_store = nullptr;
wasm_func_t* g_func = nullptr;

TEST(Stores, MayBeDeletedInACall) {
  World world;
  g_finalized = 0;
  g_store = wasm_store_new(world.engine);
  wasm_functype_t* type = wasm_functype_new_1_1(wasm_valtype_new_externref(), wasm_valtype_new_externref());
  auto callback = [](void*, const wasm_val_vec_t* args, wasm_val_vec_t* results) -> wasm_trap_t* {
    if (g_store) {
      wasm_func_delete(std::exchange(g_func, nullptr));
      wasm_store_delete(std::exchange(g_store, nullptr));
    }
    wasm_val_copy(&results->data[0], &args->data[0]);
    return nullptr;
  };
  wasm_func_t* func = wasm_func_new_with_env(g_store, type, callback, nullptr, finalize);
  wasm_functype_delete(type);
  g_func = nullptr;
  auto guest = std::make_unique<Guest>(
      g_store,
      "(import \"\" \"f\" (func $f (param externref) (result externref)))"
      "(func (export \"g\") (param externref) (result externref) (call $f (call $f (local.get 0))))",
      std::vector<wasm_extern_t*>{wasm_func_as_extern(func)});
  wasm_func_delete(func);
  g_func = wasm_func_copy(guest->func(0));
  const wasm_func_t* called = g_func;
  wasm_foreign_t* foreign = wasm_foreign_new(g_store);
  guest.reset();
  wasm_val_t result = call1(called, {ref(wasm_foreign_as_ref(foreign))});
  EXPECT_TRUE(wasm_ref_same(result.of.ref, wasm_foreign_as_ref(foreign)));
  EXPECT_EQ(g_finalized, 1);
  wasm_val_delete(&result);
  wasm_foreign_delete(foreign);
}

}  // namespace
}  // namespace rotor::capi::test
