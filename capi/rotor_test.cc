// What rotor.h has beside the standard: errors, settings, limits, linkers, snapshots, WASI, the proxy.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <utility>

#include "capi/testing/guest.h"

namespace rotor::capi::test {
namespace {

/// Returns the message of an error, which it deletes; "" for none.
std::string message_of_error(rotor_error_t* error) {
  std::string message = rotor_error_message(error);
  rotor_error_delete(error);
  return message;
}

wasm_shared_module_t* shared_module_of(wasm_engine_t* engine, std::string_view text) {
  wasm_byte_vec_t bytes = wasm_of(text);
  rotor_error_t* error = nullptr;
  wasm_shared_module_t* module = rotor_module_new(engine, &bytes, &error);
  EXPECT_NE(module, nullptr) << message_of_error(error);
  wasm_byte_vec_delete(&bytes);
  return module;
}

int g_finalized = 0;
void finalize(void*) { ++g_finalized; }

TEST(Engines, SayWhyThereIsNone) {
  wasm_config_t* config = wasm_config_new();
  rotor_config_set_cpu(config, "z80");
  rotor_error_t* error = nullptr;
  EXPECT_EQ(rotor_engine_new(config, &error), nullptr);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_INVALID_ARGUMENT);
  EXPECT_NE(message_of_error(error).find("z80"), std::string::npos);
  config = wasm_config_new();
  rotor_config_set_cpu(config, "z80");
  EXPECT_EQ(wasm_engine_new_with_config(config), nullptr);
}

TEST(Engines, DoAsTheirSettingsSay) {
  wasm_config_t* config = wasm_config_new();
  EXPECT_FALSE(rotor_config_set_feature(config, "warp-drive", true));
  EXPECT_TRUE(rotor_config_set_feature(config, "simd", false));
  rotor_config_set_mode(config, ROTOR_MODE_AOT);
  rotor_config_set_opt_level(config, 0);
  rotor_config_set_compile_limits(config, 1, 1 << 28, 60000);
  wasm_engine_t* engine = rotor_engine_new(config, nullptr);
  wasm_byte_vec_t bytes = wasm_of("(func (param v128))");
  rotor_error_t* error = nullptr;
  EXPECT_EQ(rotor_module_new(engine, &bytes, &error), nullptr);
  EXPECT_NE(message_of_error(error).find("simd"), std::string::npos);
  wasm_byte_vec_delete(&bytes);
  wasm_store_t* store = wasm_store_new(engine);
  {
    Guest guest(store, "(func (export \"f\") (result i32) (i32.const 3))");
    EXPECT_EQ(call1(guest.func(0)).of.i32, 3);
  }
  wasm_store_delete(store);
  wasm_engine_delete(engine);
}

TEST(Engines, KeepCodeInAFolder) {
  const auto folder = std::filesystem::temp_directory_path() / ("rotor-capi-cache-" + std::to_string(getpid()));
  wasm_config_t* config = wasm_config_new();
  rotor_config_set_mode(config, ROTOR_MODE_AOT);
  rotor_config_set_cache(config, folder.c_str(), 0);
  wasm_engine_t* engine = rotor_engine_new(config, nullptr);
  ASSERT_NE(engine, nullptr);
  wasm_shared_module_delete(shared_module_of(engine, "(func (export \"f\") (result i32) (i32.const 3))"));
  wasm_engine_delete(engine);
  EXPECT_FALSE(std::filesystem::is_empty(folder));
  std::filesystem::remove_all(folder);
}

TEST(Limits, BoundWhatInstancesHave) {
  World world;
  g_finalized = 0;
  rotor_limits_t* limits = rotor_limits_new();
  EXPECT_TRUE(rotor_limits_set(limits, ROTOR_LIMIT_MEMORY_BYTES, 4 * MEMORY_PAGE_SIZE));
  EXPECT_TRUE(rotor_limits_set(limits, ROTOR_LIMIT_TABLES, 1));
  EXPECT_FALSE(rotor_limits_set(limits, ROTOR_LIMIT_TABLES, UINT64_MAX));
  EXPECT_FALSE(rotor_limits_set(limits, 99, 1));
  uint64_t asked = 0;
  rotor_limits_on_growth(
      limits, 0.7,
      [](void* env, const rotor_growth_t* growth) {
        *static_cast<uint64_t*>(env) = growth->new_bytes;
        return growth->new_bytes < growth->limit_bytes;
      },
      &asked, finalize);
  rotor_store_set_limits(world.store, limits);
  rotor_limits_delete(limits);
  EXPECT_EQ(g_finalized, 0);
  Guest guest(world.store, "(memory 1) (func (export \"grow\") (result i32) (memory.grow (i32.const 1)))");
  EXPECT_EQ(call1(guest.func(0)).of.i32, 1);
  EXPECT_EQ(asked, 0u);
  EXPECT_EQ(call1(guest.func(0)).of.i32, 2);
  EXPECT_EQ(asked, 3 * MEMORY_PAGE_SIZE);
  EXPECT_EQ(call1(guest.func(0)).of.i32, -1);
  EXPECT_EQ(asked, 4 * MEMORY_PAGE_SIZE);
  EXPECT_NE(Guest(world.store, "(table 1 funcref) (table 1 funcref)").failure.find("tables"), std::string::npos);
  rotor_store_set_limits(world.store, nullptr);
}

wasm_trap_t* log_text(void* env, rotor_caller_t* caller, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  const auto address = static_cast<uint32_t>(args->data[0].of.i32), size = static_cast<uint32_t>(args->data[1].of.i32);
  const byte_t* bytes = rotor_caller_view(caller, address, size);
  if (!bytes) {
    wasm_message_t message;
    wasm_name_new_from_string_nt(&message, "no such text");
    wasm_trap_t* trap = wasm_trap_new(nullptr, &message);
    wasm_byte_vec_delete(&message);
    return trap;
  }
  static_cast<std::string*>(env)->append(bytes, size);
  EXPECT_TRUE(rotor_caller_write(caller, address, "HI", 2));
  char back[2];
  EXPECT_TRUE(rotor_caller_read(caller, address, back, 2));
  EXPECT_EQ(back[0], 'H');
  EXPECT_FALSE(rotor_caller_read(caller, UINT64_MAX, back, 2));
  wasm_val_t one = i32(1), got = WASM_INIT_VAL;
  wasm_val_vec_t one_vec{1, &one}, got_vec{1, &got};
  EXPECT_EQ(rotor_caller_call(caller, "plus", &one_vec, &got_vec), nullptr);
  EXPECT_NE(message_of_error(rotor_caller_call(caller, "minus", &one_vec, &got_vec)).find("minus"), std::string::npos);
  EXPECT_FALSE(rotor_caller_must_stop(caller));
  results->data[0] = got;
  return nullptr;
}

wasm_functype_t* log_type() {
  return wasm_functype_new_2_1(wasm_valtype_new_i32(), wasm_valtype_new_i32(), wasm_valtype_new_i32());
}

constexpr const char* kLogger = R"(
  (import "env" "log" (func $log (param i32 i32) (result i32)))
  (import "lib" "nine" (func $nine (result i32)))
  (memory 1) (data (i32.const 8) "hello")
  (func (export "plus") (param i32) (result i32) (i32.add (local.get 0) (call $nine)))
  (func (export "run") (param i32) (result i32) (call $log (local.get 0) (i32.const 5)))
  (func (export "load") (result i32) (i32.load8_u (i32.const 8))))";

TEST(Linkers, FindImportsByTheirNames) {
  World world;
  g_finalized = 0;
  std::string text;
  rotor_linker_t* linker = rotor_linker_new(world.engine);
  wasm_functype_t* type = log_type();
  EXPECT_EQ(rotor_linker_define_func(linker, "env", "log", type, log_text, &text, finalize), nullptr);
  wasm_functype_delete(type);
  wasm_module_t* module = module_of(world.store, kLogger);
  rotor_error_t* error = nullptr;
  EXPECT_EQ(rotor_linker_instantiate(linker, world.store, module, nullptr, &error), nullptr);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_LINK);
  EXPECT_NE(message_of_error(error).find("lib.nine"), std::string::npos);

  Guest nine(world.store, "(func (export \"nine\") (result i32) (i32.const 9))");
  EXPECT_EQ(rotor_linker_define_instance(linker, "lib", nine.instance), nullptr);
  EXPECT_EQ(rotor_linker_define(linker, "lib", "again", nine.exports.data[0]), nullptr);
  wasm_instance_t* instance = rotor_linker_instantiate(linker, world.store, module, nullptr, nullptr);
  ASSERT_NE(instance, nullptr);
  wasm_extern_t* run = rotor_instance_export(instance, "run");
  EXPECT_EQ(call1(wasm_extern_as_func(run), {i32(8)}).of.i32, 10);
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(call0(wasm_extern_as_func(run), {i32(-1)}), "no such text");
  EXPECT_EQ(rotor_instance_export(instance, "walk"), nullptr);
  EXPECT_NE(world.error().find("walk"), std::string::npos);

  // In the state of a snapshot.
  rotor_snapshot_t* snapshot = rotor_instance_snapshot(instance, nullptr);
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(rotor_snapshot_memory_bytes(snapshot), MEMORY_PAGE_SIZE);
  wasm_instance_t* stamped = rotor_linker_instantiate(linker, world.store, module, snapshot, nullptr);
  ASSERT_NE(stamped, nullptr);
  wasm_extern_t* load = rotor_instance_export(stamped, "load");
  EXPECT_EQ(call1(wasm_extern_as_func(load)).of.i32, 'H');
  rotor_snapshot_delete(snapshot);
  for (wasm_extern_t* item : {run, load}) wasm_extern_delete(item);
  for (wasm_instance_t* item : {instance, stamped}) wasm_instance_delete(item);
  wasm_module_delete(module);
  rotor_linker_delete(linker);
  EXPECT_EQ(g_finalized, 0);
  wasm_store_delete(std::exchange(world.store, nullptr));
  EXPECT_EQ(g_finalized, 1);
}

TEST(Snapshots, HoldNoReferencesOfOtherStores) {
  World world;
  constexpr const char* kText =
      "(global $g (mut externref) (ref.null extern))"
      "(func (export \"set\") (param externref) (global.set $g (local.get 0)))"
      "(func (export \"get\") (result externref) (global.get $g))";
  Guest guest(world.store, kText);
  wasm_foreign_t* foreign = wasm_foreign_new(world.store);
  EXPECT_EQ(call0(guest.func(0), {ref(wasm_foreign_as_ref(foreign))}), "");
  rotor_snapshot_t* snapshot = rotor_instance_snapshot(guest.instance, nullptr);
  wasm_store_t* other = wasm_store_new(world.engine);
  for (wasm_store_t* store : {world.store, other}) {
    wasm_instance_t* stamped = rotor_instance_new_from_snapshot(store, snapshot, nullptr, nullptr);
    ASSERT_NE(stamped, nullptr);
    wasm_extern_t* get = rotor_instance_export(stamped, "get");
    wasm_val_t held = call1(wasm_extern_as_func(get));
    EXPECT_EQ(held.of.ref, store == other ? nullptr : wasm_foreign_as_ref(foreign));
    wasm_val_delete(&held);
    wasm_extern_delete(get);
    wasm_instance_delete(stamped);
  }
  wasm_foreign_delete(foreign);
  rotor_snapshot_delete(snapshot);
  wasm_store_delete(other);
}

TEST(Text, GoesBothWays) {
  wasm_byte_vec_t bytes, text;
  std::string error = message_of_error(rotor_wat2wasm("(func", 5, &bytes));
  EXPECT_NE(error, "");
  EXPECT_EQ(bytes.size, 0u);
  bytes = wasm_of("(func $f (export \"f\") (nop))");
  EXPECT_EQ(rotor_wasm2wat(&bytes, &text), nullptr);
  EXPECT_NE(std::string(text.data, text.size).find("(func $f"), std::string::npos);
  wasm_byte_vec_delete(&text);
  wasm_byte_vec_delete(&bytes);
}

constexpr const char* kProgram = R"(
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\06\00\00\00") (data (i32.const 16) "hello\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $args (i32.const 40) (i32.const 44)))
    (call $exit (i32.load (i32.const 40)))))";

TEST(Wasi, RunsAProgram) {
  World world;
  rotor_wasi_t* wasi = rotor_wasi_new();
  for (const char* arg : {"prog", "-v", "x"}) rotor_wasi_add_arg(wasi, arg);
  rotor_wasi_set_env(wasi, "HOME", "/");
  rotor_wasi_set_input(wasi, "in", 2);
  rotor_wasi_capture(wasi, 1 << 20);
  rotor_wasi_deterministic(wasi, 7);
  rotor_linker_t* linker = rotor_linker_new(world.engine);
  EXPECT_EQ(rotor_linker_define_wasi(linker, wasi), nullptr);
  EXPECT_EQ(rotor_linker_define_wasi(linker, wasi), nullptr);  // the same outside once more
  wasm_module_t* module = module_of(world.store, kProgram);
  wasm_instance_t* instance = rotor_linker_instantiate(linker, world.store, module, nullptr, nullptr);
  ASSERT_NE(instance, nullptr);
  uint32_t code = 0;
  EXPECT_EQ(message_of_error(rotor_wasi_run(wasi, instance, &code)), "");
  EXPECT_EQ(code, 3u);
  wasm_byte_vec_t output;
  rotor_wasi_output(wasi, 1, &output);
  EXPECT_EQ(std::string(output.data, output.size), "hello\n");
  wasm_byte_vec_delete(&output);
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  rotor_linker_delete(linker);
  rotor_wasi_delete(wasi);

  wasi = rotor_wasi_new();
  rotor_wasi_add_folder(wasi, "/no/such/folder", nullptr, true);
  linker = rotor_linker_new(world.engine);
  EXPECT_NE(message_of_error(rotor_linker_define_wasi(linker, wasi)).find("/no/such/folder"), std::string::npos);
  rotor_linker_delete(linker);
  rotor_wasi_delete(wasi);
}

/// Copies /data/in to /data/out, which it makes.
constexpr const char* kCopies = R"(
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\01\00\00\00\01\00\00") (data (i32.const 64) "in") (data (i32.const 72) "out")
  (func $opened (param i32 i32 i32) (result i32)
    (if (call $open (i32.const 3) (i32.const 0) (local.get 0) (local.get 1) (local.get 2) (i64.const 66) (i64.const 0)
                    (i32.const 0) (i32.const 16)) (then unreachable))
    (i32.load (i32.const 16)))
  (func (export "_start")
    (if (call $read (call $opened (i32.const 64) (i32.const 2) (i32.const 0)) (i32.const 0) (i32.const 1) (i32.const 4))
      (then unreachable))
    (if (call $write (call $opened (i32.const 72) (i32.const 3) (i32.const 1)) (i32.const 0) (i32.const 1)
                     (i32.const 20)) (then unreachable))))";

TEST(Wasi, FilesInMemory) {
  World world;
  rotor_wasi_t* wasi = rotor_wasi_new();
  rotor_wasi_add_memory_folder(wasi, "/data", 1 << 20, false);
  rotor_wasi_add_memory_folder(wasi, nullptr, 1 << 20, false);
  EXPECT_EQ(message_of_error(rotor_wasi_put_file(wasi, "/data", "in", "hello", 5)), "");
  EXPECT_NE(message_of_error(rotor_wasi_put_file(wasi, "/no", "in", "hello", 5)).find("\"/no\""), std::string::npos);
  EXPECT_NE(message_of_error(rotor_wasi_put_file(wasi, "/data", "../in", "hello", 5)), "");
  EXPECT_NE(message_of_error(rotor_wasi_put_file(wasi, "/data", nullptr, nullptr, 0)), "");
  rotor_linker_t* linker = rotor_linker_new(world.engine);
  EXPECT_EQ(rotor_linker_define_wasi(linker, wasi), nullptr);
  wasm_module_t* module = module_of(world.store, kCopies);
  wasm_instance_t* instance = rotor_linker_instantiate(linker, world.store, module, nullptr, nullptr);
  ASSERT_NE(instance, nullptr);
  EXPECT_EQ(message_of_error(rotor_wasi_run(wasi, instance, nullptr)), "");
  wasm_byte_vec_t bytes;
  EXPECT_EQ(message_of_error(rotor_wasi_get_file(wasi, "/data", "out", &bytes)), "");
  EXPECT_EQ(std::string(bytes.data, bytes.size), "hello");
  wasm_byte_vec_delete(&bytes);
  EXPECT_NE(message_of_error(rotor_wasi_get_file(wasi, "/data", "none", &bytes)), "");
  EXPECT_NE(message_of_error(rotor_wasi_get_file(wasi, "/no", "out", &bytes)), "");
  wasm_instance_delete(instance);
  wasm_module_delete(module);
  rotor_linker_delete(linker);
  rotor_wasi_delete(wasi);
}

/// Loses a page with each call of `work`.
constexpr const char* kLeaky = R"(
  (import "env" "host" (func $host (param i32) (result i32)))
  (global $state (mut i32) (i32.const 0))
  (global $next (mut i32) (i32.const 1024))
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32)
    (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 0))))
  (func (export "free") (param i32))
  (func (export "set") (param i32) (global.set $state (local.get 0)))
  (func (export "work") (param i32) (result i32)
    (if (i32.lt_s (memory.grow (i32.const 1)) (i32.const 0)) (then (unreachable)))
    (i32.add (call $host (local.get 0)) (global.get $state)))
  (func (export "first") (param i32 i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "bad") (result i32) (unreachable)))";

constexpr const char* kPolicy = R"(
mode = "checkpoint"
[rotation]
at_swap = "wait"
[exports]
first = { args = ["bytes"] }
[allow]
work = "value"
first = "value"
bad = "value"
)";

constexpr const char* kReplayPolicy = R"(
[exports]
set = { effect = "build" }
work = { effect = "query" }
first = { effect = "query", args = ["bytes"] }
bad = { effect = "query" }
)";

struct Leaky {
  World world;
  rotor_linker_t* linker = rotor_linker_new(world.engine);
  wasm_shared_module_t* module = shared_module_of(world.engine, kLeaky);
  rotor_limits_t* limits = rotor_limits_new();
  rotor_proxy_t* proxy = nullptr;
  std::atomic<int> rotations = 0;

  explicit Leaky(const char* policy = kPolicy) {
    wasm_functype_t* type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    auto host = [](void*, rotor_caller_t*, const wasm_val_vec_t* args, wasm_val_vec_t* results) -> wasm_trap_t* {
      results->data[0] = args->data[0];
      return nullptr;
    };
    EXPECT_EQ(rotor_linker_define_func(linker, "env", "host", type, host, nullptr, finalize), nullptr);
    wasm_functype_delete(type);
    rotor_limits_set(limits, ROTOR_LIMIT_MEMORY_BYTES, 32 * MEMORY_PAGE_SIZE);
    rotor_error_t* error = nullptr;
    auto tell = [](void* env, const rotor_proxy_event_t* event) {
      if (!std::strcmp(event->name, "rotation")) ++*static_cast<std::atomic<int>*>(env);
    };
    proxy = rotor_proxy_new(linker, module, policy, limits, nullptr, tell, &rotations, &error);
    EXPECT_NE(proxy, nullptr) << message_of_error(error);
  }
  ~Leaky() {
    rotor_proxy_delete(proxy);
    rotor_limits_delete(limits);
    wasm_shared_module_delete(module);
    rotor_linker_delete(linker);
  }
};

rotor_arg_t number(int32_t value) { return {ROTOR_ARG_I32, {.i32 = value}}; }

TEST(Proxies, OutliveALeak) {
  Leaky leaky;
  ASSERT_NE(leaky.proxy, nullptr);
  rotor_arg_t seven = number(7);
  EXPECT_EQ(message_of_error(rotor_proxy_call(leaky.proxy, "set", &seven, 1, nullptr)), "");
  EXPECT_EQ(message_of_error(rotor_proxy_checkpoint(leaky.proxy)), "");
  for (int i = 0; i < 200; ++i) {
    rotor_arg_t arg = number(i);
    rotor_reply_t* reply = nullptr;
    ASSERT_EQ(message_of_error(rotor_proxy_call(leaky.proxy, "work", &arg, 1, &reply)), "") << i;
    ASSERT_EQ(rotor_reply_values(reply)->data[0].of.i32, i + 7);
    rotor_reply_delete(reply);
  }
  uint64_t rotations = 0;
  EXPECT_TRUE(rotor_proxy_counter(leaky.proxy, "rotations", &rotations));
  EXPECT_GT(rotations, 4u);
  EXPECT_EQ(leaky.rotations, static_cast<int>(rotations));
  EXPECT_FALSE(rotor_proxy_counter(leaky.proxy, "revolutions", &rotations));
  wasm_byte_vec_t text;
  rotor_proxy_metrics(leaky.proxy, "guest=\"leaky\"", &text);
  EXPECT_NE(std::string(text.data, text.size).find("guest=\"leaky\""), std::string::npos);
  wasm_byte_vec_delete(&text);
}

TEST(Proxies, GiveLeases) {
  Leaky leaky;
  rotor_arg_t seven = number(7);
  EXPECT_EQ(message_of_error(rotor_proxy_call(leaky.proxy, "set", &seven, 1, nullptr)), "");
  EXPECT_EQ(message_of_error(rotor_proxy_prepare(leaky.proxy)), "");
  rotor_lease_t* lease = rotor_proxy_acquire(leaky.proxy, nullptr);
  rotor_arg_t text{ROTOR_ARG_BYTES, {.list = {"xyz", 3}}};
  rotor_reply_t* reply = nullptr;
  EXPECT_EQ(message_of_error(rotor_lease_call(lease, "first", &text, 1, &reply)), "");
  EXPECT_EQ(rotor_reply_values(reply)->data[0].of.i32, 'x');
  rotor_reply_delete(reply);
  wasm_val_t one = i32(1), got = WASM_INIT_VAL;
  wasm_val_vec_t args{1, &one}, results{1, &got};
  EXPECT_EQ(message_of_error(rotor_lease_raw(lease, "work", &args, &results)), "");
  EXPECT_EQ(got.of.i32, 8);
  size_t size = 0;
  EXPECT_NE(rotor_lease_memory(lease, &size), nullptr);
  EXPECT_EQ(size, 2 * MEMORY_PAGE_SIZE);
  EXPECT_NE(message_of_error(rotor_lease_call(lease, "wok", &seven, 1, nullptr)), "");
  rotor_arg_t nothing{ROTOR_ARG_BYTES, {.list = {nullptr, 3}}};
  EXPECT_EQ(message_of_error(rotor_lease_call(lease, "first", &nothing, 1, nullptr)), "argument 0: no data");
  EXPECT_NE(message_of_error(rotor_lease_set_deadline(lease, 10)), "");  // not interruptible
  rotor_lease_delete(lease);
}

TEST(Proxies, RunWorkOnceMoreAfterATrap) {
  Leaky leaky(kReplayPolicy);
  auto work = [](void* env, rotor_lease_t* held) -> rotor_error_t* {
    ++*static_cast<int*>(env);
    rotor_lease_delete(held);  // not ours: nothing happens
    return rotor_lease_call(held, "bad", nullptr, 0, nullptr);
  };
  int times = 0;
  rotor_error_t* error = rotor_proxy_with_lease(leaky.proxy, work, &times);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_TRAP);
  EXPECT_NE(std::string(rotor_error_text(error)).find("#0"), std::string::npos);
  EXPECT_EQ(message_of_error(error), "unreachable");
  EXPECT_EQ(times, 2);
}

TEST(Proxies, SayWhatIsWrongWithAPolicy) {
  Leaky leaky;
  rotor_error_t* error = nullptr;
  EXPECT_EQ(rotor_proxy_new(leaky.linker, leaky.module, "mod = 1", nullptr, nullptr, nullptr, nullptr, &error),
            nullptr);
  EXPECT_EQ(rotor_error_kind(error), ROTOR_ERROR_CORRUPT);
  EXPECT_NE(message_of_error(error).find("policy:1:"), std::string::npos);
  EXPECT_EQ(rotor_proxy_new(leaky.linker, leaky.module, "[allow]\nwok = \"value\"\n", nullptr, nullptr, nullptr,
                            nullptr, nullptr),
            nullptr);
}

}  // namespace
}  // namespace rotor::capi::test
