// What the standard's values have no room for: vectors, and what exceptions carry.
#include <array>
#include <numeric>

#include "capi/testing/guest.h"

namespace rotor::capi::test {
namespace {

rotor_v128_t counting(uint8_t first) {
  rotor_v128_t vector;
  std::iota(std::begin(vector.bytes), std::end(vector.bytes), first);
  return vector;
}
bool is_counting(const wasm_val_t& value, uint8_t first) {
  rotor_v128_t found;
  const rotor_v128_t wanted = counting(first);
  return rotor_val_v128(&value, &found) && std::memcmp(&found, &wanted, sizeof found) == 0;
}
/// A vector that is deleted with this.
struct Vector {
  wasm_val_t value;
  explicit Vector(uint8_t first) {
    const rotor_v128_t bytes = counting(first);
    rotor_val_new_v128(&value, &bytes);
  }
  Vector(const Vector&) = delete;
  ~Vector() { wasm_val_delete(&value); }
};

TEST(Vectors, AreValuesThatOwnThem) {
  wasm_val_t copy;
  {
    const Vector vector(3);
    EXPECT_EQ(vector.value.kind, ROTOR_V128);
    wasm_val_copy(&copy, &vector.value);
  }
  EXPECT_TRUE(is_counting(copy, 3));
  wasm_val_vec_t one, two;
  wasm_val_vec_new(&one, 1, &copy);  // takes it over
  wasm_val_vec_copy(&two, &one);
  wasm_val_vec_delete(&one);
  EXPECT_TRUE(is_counting(two.data[0], 3));
  wasm_val_delete(&two.data[0]);
  rotor_v128_t zero = counting(1);
  EXPECT_TRUE(rotor_val_v128(&two.data[0], &zero));  // what has lost its vector is zero
  EXPECT_EQ(zero.bytes[5], 0);
  wasm_val_vec_delete(&two);
  const wasm_val_t number = i32(1);
  EXPECT_FALSE(rotor_val_v128(&number, &zero));
}

TEST(Vectors, GoThroughCallsGlobalsAndHostFunctions) {
  World world;
  // The host gets two vectors and a number between them, and gives back the second one and zero.
  const auto host = [](void*, const wasm_val_vec_t* args, wasm_val_vec_t* results) -> wasm_trap_t* {
    EXPECT_TRUE(is_counting(args->data[0], 10));
    EXPECT_EQ(args->data[1].of.i32, 7);
    EXPECT_EQ(results->data[0].kind, ROTOR_V128);
    wasm_val_copy(&results->data[0], &args->data[2]);
    return nullptr;
  };
  const auto v128 = [] { return wasm_valtype_new(ROTOR_V128); };
  wasm_valtype_t* params[] = {v128(), wasm_valtype_new_i32(), v128()};
  wasm_valtype_t* results[] = {v128(), v128()};
  wasm_functype_t* type = wasm_functype_new_of_arrays(3, params, 2, results);
  wasm_func_t* func = wasm_func_new_with_env(world.store, type, host, nullptr, nullptr);
  ASSERT_NE(func, nullptr) << world.error();
  wasm_functype_delete(type);
  Guest guest(world.store, R"(
    (import "" "host" (func $host (param v128 i32 v128) (result v128 v128)))
    (global (export "g") (mut v128) (v128.const i64x2 1 2))
    (func (export "f") (param i32 v128 v128) (result v128 v128)
      (call $host (local.get 1) (local.get 0) (local.get 2))))",
              {wasm_func_as_extern(func)});
  ASSERT_NE(guest.instance, nullptr) << guest.failure;
  const Vector first(10), second(20);
  std::vector<wasm_val_t> returned(2);
  EXPECT_EQ(call(guest.func(1), {i32(7), first.value, second.value}, returned), "");
  EXPECT_TRUE(is_counting(returned[0], 20));
  rotor_v128_t bytes = counting(1);
  EXPECT_TRUE(rotor_val_v128(&returned[1], &bytes));
  EXPECT_EQ(bytes.bytes[15], 0);
  for (wasm_val_t& value : returned) wasm_val_delete(&value);
  EXPECT_EQ(call(guest.func(1), {i32(7), first.value, i32(1)}, returned), "argument 2: i32 for v128");

  wasm_global_t* global = wasm_extern_as_global(guest.exports.data[0]);
  wasm_val_t held;
  wasm_global_get(global, &held);
  EXPECT_TRUE(rotor_val_v128(&held, &bytes));
  EXPECT_EQ(bytes.bytes[0], 1);
  EXPECT_EQ(bytes.bytes[8], 2);
  wasm_val_delete(&held);
  wasm_global_set(global, &second.value);
  wasm_global_get(global, &held);
  EXPECT_TRUE(is_counting(held, 20));
  wasm_val_delete(&held);
  wasm_func_delete(func);
}

constexpr const char* kThrows = R"(
  (type $carried (func (param i32 v128 externref)))
  (import "" "host" (func $host))
  (tag $t (export "t") (type $carried)) (tag $u (export "u"))
  (func (export "throws") (param i32 v128 externref) (throw $t (local.get 0) (local.get 1) (local.get 2)))
  (func (export "catches") (result i32 v128 externref)
    (block $caught (result i32 v128 externref)
      (try_table (catch $t $caught) (call $host)) (unreachable)))
  (func (export "calls") (call $host)))";

struct Thrower {
  wasm_store_t* store = nullptr;
  wasm_tag_t* tag = nullptr;
  std::vector<wasm_val_t> values;
  std::string error;
};
wasm_trap_t* throw_it(void* env, const wasm_val_vec_t*, wasm_val_vec_t*) {
  auto& thrower = *static_cast<Thrower*>(env);
  const wasm_val_vec_t values{thrower.values.size(), thrower.values.data()};
  wasm_trap_t* trap = rotor_trap_new_exception(thrower.store, thrower.tag, &values);
  if (!trap) thrower.error = rotor_error_message(rotor_store_error(thrower.store));
  return trap;
}

TEST(Exceptions, CanBeReadAndMadeInC) {
  World world;
  Thrower thrower;
  thrower.store = world.store;
  wasm_functype_t* type = wasm_functype_new_0_0();
  wasm_func_t* func = wasm_func_new_with_env(world.store, type, throw_it, &thrower, nullptr);
  wasm_functype_delete(type);
  Guest guest(world.store, kThrows, {wasm_func_as_extern(func)});
  ASSERT_NE(guest.instance, nullptr) << guest.failure;
  thrower.tag = wasm_extern_as_tag(guest.exports.data[0]);
  wasm_tag_t* other = wasm_extern_as_tag(guest.exports.data[1]);

  // One that the guest throws.
  wasm_foreign_t* foreign = wasm_foreign_new(world.store);
  const Vector vector(30);
  wasm_val_t given[] = {i32(-5), vector.value, ref(wasm_foreign_as_ref(foreign))};
  const wasm_val_vec_t args = WASM_ARRAY_VEC(given);
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = wasm_func_call(guest.func(2), &args, &none);
  ASSERT_NE(trap, nullptr);
  wasm_tag_t* tag = rotor_trap_exception_tag(trap);
  EXPECT_TRUE(wasm_tag_same(tag, thrower.tag));
  EXPECT_FALSE(wasm_tag_same(tag, other));
  wasm_tag_delete(tag);
  wasm_val_vec_t carried;
  ASSERT_TRUE(rotor_trap_exception_values(trap, &carried));
  ASSERT_EQ(carried.size, 3u);
  EXPECT_EQ(carried.data[0].of.i32, -5);
  EXPECT_TRUE(is_counting(carried.data[1], 30));
  EXPECT_TRUE(wasm_ref_same(carried.data[2].of.ref, wasm_foreign_as_ref(foreign)));
  wasm_trap_delete(trap);

  // One that the host makes, which a clause of the guest takes, or which ends the call.
  thrower.values.assign(carried.data, carried.data + carried.size);
  std::vector<wasm_val_t> caught(3);
  EXPECT_EQ(call(guest.func(3), {}, caught), "");
  EXPECT_EQ(caught[0].of.i32, -5);
  EXPECT_TRUE(is_counting(caught[1], 30));
  EXPECT_TRUE(wasm_ref_same(caught[2].of.ref, wasm_foreign_as_ref(foreign)));
  for (wasm_val_t& value : caught) wasm_val_delete(&value);
  trap = wasm_func_call(guest.func(4), &none, &none);
  ASSERT_NE(trap, nullptr);
  rotor_error_t* error = rotor_trap_error(trap);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_EXCEPTION);
  rotor_error_delete(error);
  tag = rotor_trap_exception_tag(trap);
  EXPECT_TRUE(wasm_tag_same(tag, thrower.tag));
  wasm_tag_delete(tag);
  wasm_trap_delete(trap);

  // Values that are not the tag's, and a tag that is none.
  EXPECT_EQ(rotor_trap_new_exception(world.store, other, &carried), nullptr);
  EXPECT_EQ(world.error(), "3 values for a tag of 0");
  wasm_val_t wrong[] = {i32(1), i32(2), ref(nullptr)};
  const wasm_val_vec_t wrong_vec = WASM_ARRAY_VEC(wrong);
  EXPECT_EQ(rotor_trap_new_exception(world.store, thrower.tag, &wrong_vec), nullptr);
  EXPECT_EQ(world.error(), "value 1: i32 for v128");
  EXPECT_EQ(rotor_trap_new_exception(world.store, nullptr, &carried), nullptr);
  EXPECT_EQ(world.error(), "no tag of this store");
  World another;
  EXPECT_EQ(rotor_trap_new_exception(another.store, thrower.tag, &carried), nullptr);
  // A trap that is none.
  trap = wasm_trap_new(world.store, nullptr);
  EXPECT_EQ(rotor_trap_exception_tag(trap), nullptr);
  EXPECT_FALSE(rotor_trap_exception_values(trap, &none));
  EXPECT_EQ(none.size, 0u);
  wasm_trap_delete(trap);

  wasm_val_vec_delete(&carried);
  wasm_foreign_delete(foreign);
  wasm_func_delete(func);
}

TEST(Fuel, IsSetReadAndUsedUp) {
  wasm_config_t* config = wasm_config_new();
  rotor_config_set_switch(config, ROTOR_SWITCH_FUEL, true);
  wasm_engine_t* engine = rotor_engine_new(config, nullptr);
  wasm_store_t* store = wasm_store_new(engine);
  {
    rotor_store_set_fuel(store, 5);
    Guest guest(store, R"((func $two (drop (i32.const 1))) (start $two)
                          (func (export "f") (result i32) (i32.const 1))
                          (func (export "loop") (loop $l (br $l))))");
    ASSERT_NE(guest.instance, nullptr) << guest.failure;
    uint64_t units = 0;
    EXPECT_EQ(rotor_instance_fuel(guest.instance, &units), nullptr);
    EXPECT_EQ(units, 3u);
    EXPECT_EQ(call1(guest.func(0)).of.i32, 1);
    EXPECT_EQ(rotor_instance_add_fuel(guest.instance, 1000), nullptr);
    EXPECT_EQ(rotor_instance_fuel(guest.instance, &units), nullptr);
    EXPECT_EQ(units, 1001u);
    EXPECT_EQ(call0(guest.func(1)), "out of fuel");
    EXPECT_EQ(rotor_instance_set_fuel(guest.instance, UINT64_MAX), nullptr);
    EXPECT_EQ(rotor_instance_fuel(guest.instance, &units), nullptr);
    EXPECT_EQ(units, uint64_t{INT64_MAX});
    rotor_error_t* error = rotor_instance_fuel(nullptr, &units);
    EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_INVALID_ARGUMENT);
    rotor_error_delete(error);
  }
  wasm_store_delete(store);
  wasm_engine_delete(engine);

  World plain;
  Guest guest(plain.store, "(func)");
  rotor_error_t* error = rotor_instance_set_fuel(guest.instance, 1);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(rotor_error_message(error), "the module was compiled without Config::fuel");
  rotor_error_delete(error);
}

}  // namespace
}  // namespace rotor::capi::test
