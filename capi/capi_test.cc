// The standard C API: types, functions, traps, modules, and the traps that other implementations fell into.
#include <array>
#include <cstddef>
#include <utility>

#include "capi/testing/guest.h"

namespace rotor::capi::test {
namespace {

static_assert(sizeof(wasm_val_t) == 16 && offsetof(wasm_val_t, of) == 8 && sizeof(wasm_limits_t) == 8);
static_assert(sizeof(wasm_byte_vec_t) == 16 && offsetof(wasm_byte_vec_t, data) == 8);
static_assert(WASM_F64 == 3 && WASM_EXTERNREF == 128 && WASM_FUNCREF == 129 && WASM_EXTERN_TAG == 4);

int g_finalized = 0;
void count_finalized(void* info) { g_finalized += info ? *static_cast<int*>(info) : 1; }

wasm_trap_t* add_one(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  results->data[0] = i32(args->data[0].of.i32 + 1);
  return nullptr;
}

wasm_func_t* make_func(wasm_store_t* store, wasm_functype_t* type, wasm_func_callback_t function) {
  wasm_func_t* func = wasm_func_new(store, type, function);
  wasm_functype_delete(type);
  return func;
}

TEST(Types, OneValueTypeMayStandInSeveralPlaces) {
  wasm_valtype_t* v = wasm_valtype_new_i32();
  wasm_functype_t* type = wasm_functype_new_1_1(v, v);
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_params(type)->data[0]), WASM_I32);
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_results(type)->data[0]), WASM_I32);
  wasm_globaltype_t* global = wasm_globaltype_new(v, WASM_VAR);
  wasm_globaltype_delete(global);
  wasm_functype_delete(type);
  wasm_valtype_delete(v);

  // That of a module that names a type of its own is no constant.
  World world;
  wasm_module_t* module = module_of(world.store, "(type $t (func)) (func (export \"f\") (param (ref null $t)))");
  wasm_exporttype_vec_t exports;
  wasm_module_exports(module, &exports);
  const wasm_functype_t* of_module = wasm_externtype_as_functype_const(wasm_exporttype_type(exports.data[0]));
  wasm_valtype_t* own = wasm_valtype_copy(wasm_functype_params(of_module)->data[0]);
  EXPECT_EQ(wasm_valtype_kind(own), WASM_FUNCREF);
  wasm_functype_delete(wasm_functype_new_2_1(own, own, own));
  wasm_exporttype_vec_delete(&exports);
  wasm_module_delete(module);
}

TEST(Types, CastsGiveTheSameObjectOrNull) {
  const wasm_limits_t limits{1, 4};
  wasm_memorytype_t* memory = wasm_memorytype_new(&limits);
  wasm_externtype_t* type = wasm_memorytype_as_externtype(memory);
  EXPECT_EQ(wasm_externtype_kind(type), WASM_EXTERN_MEMORY);
  EXPECT_EQ(wasm_externtype_as_memorytype(type), memory);
  EXPECT_EQ(wasm_externtype_as_tabletype(type), nullptr);
  EXPECT_EQ(wasm_externtype_as_tagtype_const(type), nullptr);
  wasm_externtype_t* copy = wasm_externtype_copy(type);
  EXPECT_EQ(wasm_memorytype_limits(wasm_externtype_as_memorytype(copy))->max, 4u);
  wasm_externtype_delete(copy);
  wasm_externtype_delete(type);
}

TEST(Types, ThatCannotBeAreNull) {
  EXPECT_EQ(wasm_valtype_new(17), nullptr);
  const wasm_limits_t limits{0, 1};
  EXPECT_EQ(wasm_tabletype_new(wasm_valtype_new_i32(), &limits), nullptr);
  EXPECT_EQ(wasm_globaltype_new(wasm_valtype_new_i32(), 7), nullptr);
  EXPECT_EQ(wasm_tagtype_new(wasm_functype_new_0_1(wasm_valtype_new_i32())), nullptr);
  EXPECT_EQ(wasm_functype_new_1_0(nullptr), nullptr);
}

TEST(Types, OfTagsHoldTheirFunctionType) {
  World world;
  wasm_tagtype_t* type = wasm_tagtype_new(wasm_functype_new_1_0(wasm_valtype_new_i64()));
  wasm_tag_t* tag = wasm_tag_new(world.store, type);
  wasm_tagtype_delete(type);
  wasm_tagtype_t* again = wasm_tag_type(tag);
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_params(wasm_tagtype_functype(again))->data[0]), WASM_I64);
  EXPECT_EQ(wasm_extern_kind(wasm_tag_as_extern(tag)), WASM_EXTERN_TAG);
  Guest wrong(world.store, "(import \"\" \"t\" (func))", {wasm_tag_as_extern(tag)});
  EXPECT_NE(wrong.failure.find("defined as tag [i64]"), std::string::npos) << wrong.failure;
  Guest guest(world.store, "(import \"\" \"t\" (tag $t (param i64))) (export \"t\" (tag $t))",
              {wasm_tag_as_extern(tag)});
  EXPECT_EQ(guest.failure, "");
  wasm_tagtype_delete(again);
  wasm_tag_delete(tag);
}

TEST(Vectors, ThatCannotBeAreEmpty) {
  wasm_byte_vec_t bytes;
  wasm_byte_vec_new_uninitialized(&bytes, SIZE_MAX);
  EXPECT_EQ(bytes.size, 0u);
  wasm_valtype_vec_t types;
  wasm_valtype_vec_new_uninitialized(&types, SIZE_MAX / 4);
  EXPECT_EQ(types.size, 0u);
  wasm_valtype_vec_new_uninitialized(&types, 3);
  EXPECT_EQ(types.data[2], nullptr);
  wasm_valtype_vec_t copy;
  wasm_valtype_vec_copy(&copy, &types);
  wasm_valtype_vec_delete(&types);
  wasm_valtype_vec_delete(&copy);
  EXPECT_EQ(copy.data, nullptr);
}

TEST(Calls, GoBothWays) {
  World world;
  wasm_func_t* host =
      make_func(world.store, wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32()), add_one);
  Guest guest(world.store,
              "(import \"\" \"f\" (func $f (param i32) (result i32)))"
              "(func (export \"twice\") (param i32) (result i32) (call $f (call $f (local.get 0))))"
              "(func (export \"all\") (param i32 i64 f32 f64) (result f64 f32 i64 i32)"
              "  (local.get 3) (local.get 2) (local.get 1) (local.get 0))"
              "(export \"again\" (func $f))",
              {wasm_func_as_extern(host)});
  EXPECT_EQ(call1(guest.func(0), {i32(40)}).of.i32, 42);
  std::vector<wasm_val_t> results(4);
  EXPECT_EQ(call(guest.func(1), {i32(-1), WASM_I64_VAL(INT64_MIN), WASM_F32_VAL(1.5f), WASM_F64_VAL(-2.25)}, results),
            "");
  EXPECT_EQ(results[0].of.f64, -2.25);
  EXPECT_EQ(results[1].of.f32, 1.5f);
  EXPECT_EQ(results[2].of.i64, INT64_MIN);
  EXPECT_EQ(results[3].of.i32, -1);
  // The host's function is one object, however it is reached, and can be called itself.
  EXPECT_TRUE(wasm_func_same(guest.func(2), host));
  EXPECT_EQ(call1(host, {i32(1)}).of.i32, 2);
  wasm_func_delete(host);
  EXPECT_EQ(call1(guest.func(2), {i32(1)}).of.i32, 2);
}

TEST(Calls, DoNotLookAtWhatResultsHold) {
  World world;
  Guest guest(world.store, "(func (export \"f\") (result i32 externref) (i32.const 7) (ref.null extern))");
  std::array<wasm_val_t, 3> results;
  std::memset(results.data(), 0xaa, sizeof results);
  wasm_val_vec_t args WASM_EMPTY_VEC, result_vec{results.size(), results.data()};
  EXPECT_EQ(wasm_func_call(guest.func(0), &args, &result_vec), nullptr);
  EXPECT_EQ(results[0].kind, WASM_I32);
  EXPECT_EQ(results[0].of.i32, 7);
  EXPECT_EQ(results[1].of.ref, nullptr);
  EXPECT_EQ(results[2].kind, 0xaa);     // no result, not written to
  EXPECT_EQ(call0(guest.func(0)), "");  // no room for any
}

TEST(Calls, OfTheWrongTypeAreTraps) {
  World world;
  Guest guest(world.store, "(func (export \"f\") (param i32)) (func (export \"v\") (param v128))");
  EXPECT_EQ(call0(guest.func(0)), "0 arguments for a function of type [i32] -> []");
  EXPECT_EQ(call0(guest.func(0), {WASM_F32_VAL(1)}), "argument 0: f32 for i32");
  EXPECT_EQ(call0(guest.func(0), {ref(nullptr)}), "argument 0: externref for i32");
  EXPECT_EQ(call0(guest.func(1), {WASM_I64_VAL(1)}), "argument 0: i64 for v128");
  EXPECT_EQ(call0(nullptr), "no function, or one whose store is gone");
}

TEST(Calls, CheckWhatHostFunctionsReturn) {
  World world;
  wasm_func_t* wrong = make_func(world.store, wasm_functype_new_0_1(wasm_valtype_new_i64()),
                                 [](const wasm_val_vec_t*, wasm_val_vec_t* results) -> wasm_trap_t* {
                                   results->data[0] = i32(1);
                                   return nullptr;
                                 });
  EXPECT_EQ(call0(wrong), "a host function's result 0: i32 for i64");
  wasm_func_t* silent = make_func(world.store, wasm_functype_new_0_1(wasm_valtype_new_i64()),
                                  [](const wasm_val_vec_t*, wasm_val_vec_t*) -> wasm_trap_t* { return nullptr; });
  EXPECT_EQ(call1(silent).of.i64, 0);
  wasm_func_t* throwing = make_func(world.store, wasm_functype_new_0_0(),
                                    [](const wasm_val_vec_t*, wasm_val_vec_t*) -> wasm_trap_t* { throw 1; });
  EXPECT_NE(call0(throwing).find("a host function threw"), std::string::npos);
  for (wasm_func_t* func : {wrong, silent, throwing}) wasm_func_delete(func);
}

TEST(Environments, AreFinalizedExactlyOnce) {
  g_finalized = 0;
  auto callback = [](void*, const wasm_val_vec_t*, wasm_val_vec_t*) -> wasm_trap_t* { return nullptr; };
  int weights[4] = {1, 10, 100, 1000};
  {
    World world;
    wasm_functype_t* type = wasm_functype_new_0_0();
    // One that nobody else knows goes with its last owner.
    wasm_func_t* alone = wasm_func_new_with_env(world.store, type, callback, &weights[0], count_finalized);
    wasm_func_t* copy = wasm_func_copy(alone);
    wasm_func_delete(alone);
    EXPECT_EQ(g_finalized, 0);
    wasm_func_delete(copy);
    EXPECT_EQ(g_finalized, 1);
    // One that a guest knows goes with the store.
    wasm_func_t* known = wasm_func_new_with_env(world.store, type, callback, &weights[1], count_finalized);
    Guest guest(world.store, "(import \"\" \"f\" (func $f)) (func (export \"g\") (call $f))",
                {wasm_func_as_extern(known)});
    wasm_func_delete(known);
    EXPECT_EQ(call0(guest.func(0)), "");
    EXPECT_EQ(g_finalized, 1);
    // One that outlives the store, too.
    wasm_func_t* late = wasm_func_new_with_env(world.store, type, callback, &weights[2], count_finalized);
    wasm_store_delete(std::exchange(world.store, nullptr));
    EXPECT_EQ(g_finalized, 111);
    EXPECT_NE(call0(late).find("store is gone"), std::string::npos);
    wasm_func_delete(late);
    wasm_functype_delete(type);
  }
  EXPECT_EQ(g_finalized, 111);
  // And one that came to nothing.
  EXPECT_EQ(wasm_func_new_with_env(nullptr, nullptr, callback, &weights[3], count_finalized), nullptr);
  EXPECT_EQ(g_finalized, 1111);
}

TEST(Imports, OfAnotherStoreAreRefused) {
  World world;
  wasm_store_t* other = wasm_store_new(world.engine);
  wasm_func_t* func = make_func(other, wasm_functype_new_0_0(),
                                [](const wasm_val_vec_t*, wasm_val_vec_t*) -> wasm_trap_t* { return nullptr; });
  Guest guest(world.store, "(import \"\" \"f\" (func))", {wasm_func_as_extern(func)});
  EXPECT_EQ(guest.instance, nullptr);
  EXPECT_EQ(guest.failure, "import 0: it is of another store");
  Guest taker(world.store, "(func (export \"f\") (param externref)) (table (export \"t\") 1 funcref)");
  EXPECT_EQ(call0(taker.func(0), {ref(wasm_func_as_ref(func))}), "argument 0: a reference of another store");
  wasm_table_t* table = wasm_extern_as_table(taker.exports.data[1]);
  EXPECT_FALSE(wasm_table_set(table, 0, wasm_func_as_ref(func)));
  EXPECT_EQ(world.error(), "a reference of another store");
  wasm_func_delete(func);
  wasm_store_delete(other);
}

TEST(Imports, ThatDoNotFitAreNamed) {
  World world;
  EXPECT_NE(
      Guest(world.store, "(import \"env\" \"f\" (func))").failure.find("0 imports are given, where the module has 1"),
      std::string::npos);
  const wasm_limits_t limits{1, 1};
  wasm_memorytype_t* type = wasm_memorytype_new(&limits);
  wasm_memory_t* memory = wasm_memory_new(world.store, type);
  wasm_memorytype_delete(type);
  EXPECT_EQ(Guest(world.store, "(import \"env\" \"f\" (func))", {wasm_memory_as_extern(memory)}).failure,
            "incompatible import type: env.f is wanted as func [] -> [], defined as memory 1 1");
  EXPECT_EQ(Guest(world.store, "(import \"env\" \"f\" (func))", {nullptr}).failure, "import 0: nothing is given");
  wasm_memory_delete(memory);
}

TEST(Imports, OfOneNameMayBeTwoThings) {
  World world;
  wasm_func_t* funcs[2];
  for (auto& func : funcs)
    func = make_func(world.store, wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32()), add_one);
  Guest guest(
      world.store,
      "(import \"\" \"f\" (func $a (param i32) (result i32))) (import \"\" \"f\" (func $b (param i32) (result i32)))"
      "(export \"a\" (func $a)) (export \"b\" (func $b))",
      {wasm_func_as_extern(funcs[0]), wasm_func_as_extern(funcs[1])});
  EXPECT_TRUE(wasm_func_same(guest.func(0), funcs[0]));
  EXPECT_TRUE(wasm_func_same(guest.func(1), funcs[1]));
  for (wasm_func_t* func : funcs) wasm_func_delete(func);
}

TEST(Traps, HaveAMessageWithItsNul) {
  World world;
  for (auto make : {wasm_name_new_from_string, wasm_name_new_from_string_nt}) {
    wasm_message_t message;
    make(&message, "boom");
    wasm_trap_t* trap = wasm_trap_new(world.store, &message);
    wasm_byte_vec_delete(&message);
    wasm_trap_message(trap, &message);
    EXPECT_EQ(message.size, 5u);
    EXPECT_STREQ(message.data, "boom");
    wasm_byte_vec_delete(&message);
    EXPECT_EQ(wasm_trap_origin(trap), nullptr);
    wasm_trap_delete(trap);
  }
}

wasm_trap_t* g_trap = nullptr;

TEST(Traps, OfHostFunctionsComeOutAsTheyAre) {
  World world;
  g_trap = nullptr;
  auto host = [](void* env, const wasm_val_vec_t*, wasm_val_vec_t*) -> wasm_trap_t* {
    wasm_message_t message;
    wasm_name_new_from_string_nt(&message, "callback abort");
    g_trap = wasm_trap_new(static_cast<wasm_store_t*>(env), &message);
    wasm_byte_vec_delete(&message);
    wasm_trap_set_host_info(g_trap, &g_trap);
    return g_trap;
  };
  wasm_functype_t* type = wasm_functype_new_0_0();
  wasm_func_t* func = wasm_func_new_with_env(world.store, type, host, world.store, nullptr);
  wasm_functype_delete(type);
  Guest guest(world.store,
              "(import \"\" \"f\" (func $f)) (func (export \"g\") (call $f)) (func (export \"u\") (unreachable))",
              {wasm_func_as_extern(func)});
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(guest.func(0), &none, &none);
  EXPECT_EQ(trap, g_trap);
  EXPECT_EQ(wasm_trap_get_host_info(trap), &g_trap);
  wasm_frame_t* frame = wasm_trap_origin(trap);
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(wasm_frame_func_index(frame), 1u);
  EXPECT_TRUE(wasm_instance_same(wasm_frame_instance(frame), guest.instance));
  EXPECT_EQ(wasm_frame_func_offset(frame), 1u);  // behind the byte that says that there are no locals
  EXPECT_GT(wasm_frame_module_offset(frame), 8u);
  wasm_frame_delete(frame);
  EXPECT_EQ(message_of(trap), "callback abort");

  trap = wasm_func_call(guest.func(1), &none, &none);
  wasm_frame_vec_t trace, copy;
  wasm_trap_trace(trap, &trace);
  wasm_frame_vec_copy(&copy, &trace);
  wasm_frame_vec_delete(&trace);
  ASSERT_EQ(copy.size, 1u);
  EXPECT_TRUE(wasm_instance_same(wasm_frame_instance(copy.data[0]), guest.instance));
  wasm_frame_vec_delete(&copy);
  rotor_error_t* error = rotor_trap_error(trap);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_TRAP);
  rotor_frame_t named;
  ASSERT_TRUE(rotor_error_frame(error, 0, &named));
  EXPECT_EQ(named.func_index, 2u);
  EXPECT_FALSE(rotor_error_frame(error, 1, &named));
  rotor_error_delete(error);
  EXPECT_EQ(message_of(trap), "unreachable");
  wasm_func_delete(func);
}

TEST(Traps, KnowTheInstanceThatWasCalledOfSeveral) {
  World world;
  wasm_module_t* module = module_of(world.store, "(func (export \"u\") (unreachable))");
  wasm_extern_vec_t no_imports = WASM_EMPTY_VEC, exports[2];
  wasm_instance_t* instances[2];
  for (int i = 0; i < 2; ++i) {
    instances[i] = wasm_instance_new(world.store, module, &no_imports, nullptr);
    wasm_instance_exports(instances[i], &exports[i]);
  }
  for (int i = 0; i < 2; ++i) {
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(exports[i].data[0]), &none, &none);
    wasm_frame_t* frame = wasm_trap_origin(trap);
    EXPECT_EQ(wasm_frame_instance(frame), instances[i]);
    wasm_frame_delete(frame);
    wasm_trap_delete(trap);
    wasm_extern_vec_delete(&exports[i]);
    wasm_instance_delete(instances[i]);
  }
  wasm_module_delete(module);
}

TEST(Traps, OfTheStartFunctionAreWhyThereIsNoInstance) {
  World world;
  EXPECT_EQ(Guest(world.store, "(func $s (unreachable)) (start $s)").failure, "unreachable");
  EXPECT_EQ(Guest(world.store, "(memory 1) (data (i32.const 65536) \"x\")").failure, "out of bounds memory access");
}

TEST(Modules, AreRefusedWithAReason) {
  World world;
  wasm_byte_vec_t bytes = wasm_of("(func (export \"f\"))");
  EXPECT_TRUE(wasm_module_validate(world.store, &bytes));
  bytes.data[4] = 9;
  EXPECT_FALSE(wasm_module_validate(world.store, &bytes));
  EXPECT_EQ(wasm_module_new(world.store, &bytes), nullptr);
  rotor_error_t* error = rotor_store_error(world.store);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_MALFORMED);
  uint64_t offset = 0;
  EXPECT_TRUE(rotor_error_offset(error, &offset));
  EXPECT_EQ(offset, 4u);
  wasm_byte_vec_delete(&bytes);
  EXPECT_EQ(wasm_module_deserialize(world.store, &bytes), nullptr);
  EXPECT_EQ(rotor_error_kind(rotor_store_error(world.store)), ROTOR_ERROR_CORRUPT);
}

TEST(Modules, SayWhatTheyImportAndExport) {
  World world;
  wasm_module_t* module =
      module_of(world.store,
                "(import \"a\" \"b\" (global (mut f64))) (import \"c\" \"d\" (table 1 9 externref))"
                "(memory (export \"m\") 2 3) (func (export \"f\") (param v128) (result funcref) (ref.null func))");
  wasm_importtype_vec_t imports, copy;
  wasm_module_imports(module, &imports);
  wasm_importtype_vec_copy(&copy, &imports);
  wasm_importtype_vec_delete(&imports);
  ASSERT_EQ(copy.size, 2u);
  EXPECT_EQ(std::string(wasm_importtype_module(copy.data[1])->data, 1), "c");
  EXPECT_EQ(std::string(wasm_importtype_name(copy.data[1])->data, 1), "d");
  const wasm_globaltype_t* global = wasm_externtype_as_globaltype_const(wasm_importtype_type(copy.data[0]));
  EXPECT_EQ(wasm_globaltype_mutability(global), WASM_VAR);
  EXPECT_EQ(wasm_valtype_kind(wasm_globaltype_content(global)), WASM_F64);
  const wasm_tabletype_t* table = wasm_externtype_as_tabletype_const(wasm_importtype_type(copy.data[1]));
  EXPECT_EQ(wasm_tabletype_limits(table)->max, 9u);
  EXPECT_EQ(wasm_valtype_kind(wasm_tabletype_element(table)), WASM_EXTERNREF);
  wasm_importtype_vec_delete(&copy);
  wasm_exporttype_vec_t exports;
  wasm_module_exports(module, &exports);
  EXPECT_EQ(wasm_memorytype_limits(wasm_externtype_as_memorytype_const(wasm_exporttype_type(exports.data[0])))->min,
            2u);
  const wasm_functype_t* func = wasm_externtype_as_functype_const(wasm_exporttype_type(exports.data[1]));
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_params(func)->data[0]), ROTOR_V128);
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_results(func)->data[0]), WASM_FUNCREF);
  wasm_exporttype_vec_delete(&exports);
  wasm_module_delete(module);
}

TEST(Modules, ComeBackFromTheirBytes) {
  World world;
  wasm_module_t* module = module_of(world.store, "(func (export \"f\") (result i32) (i32.const 5))");
  wasm_byte_vec_t bytes;
  wasm_module_serialize(module, &bytes);
  wasm_module_delete(module);
  module = wasm_module_deserialize(world.store, &bytes);
  ASSERT_NE(module, nullptr);
  wasm_byte_vec_delete(&bytes);
  wasm_extern_vec_t none = WASM_EMPTY_VEC, exports;
  wasm_instance_t* instance = wasm_instance_new(world.store, module, &none, nullptr);
  wasm_module_delete(module);
  wasm_instance_exports(instance, &exports);
  wasm_instance_delete(instance);
  EXPECT_EQ(call1(wasm_extern_as_func(exports.data[0])).of.i32, 5);
  wasm_extern_vec_delete(&exports);
}

}  // namespace
}  // namespace rotor::capi::test
