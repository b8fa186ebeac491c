// A guest for the proxy's tests, and the host around it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "rotor/engine.h"
#include "rotor/linker.h"
#include "rotor/module.h"
#include "rotor/proxy.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {

inline const std::vector<uint8_t> kGuest = wasm::test::assemble(R"(
(module
  (import "env" "salt" (func $salt (result i32)))
  (import "env" "note" (func $note (param i32)))
  (import "env" "error" (func $error (param i32) (result externref)))
  (memory (export "memory") 2 64)
  (table $refs (export "refs") 8 externref)
  (global $bump (mut i32) (i32.const 0))
  (global $live (mut i32) (i32.const 0))
  (global $lent (mut i32) (i32.const 0))
  (global $fills (mut i32) (i32.const 0))
  (global $posted (mut i32) (i32.const 0))
  ;; Addresses differ from instance to instance, by what the host says.
  (func $malloc (export "malloc") (param $size i32) (result i32) (local $p i32)
    (if (i32.eqz (global.get $bump))
      (then (global.set $bump (i32.add (i32.const 1024) (i32.mul (call $salt) (i32.const 64))))))
    (local.set $p (global.get $bump))
    (global.set $bump (i32.and (i32.add (i32.add (local.get $p) (local.get $size)) (i32.const 15)) (i32.const -16)))
    (global.set $lent (i32.add (global.get $lent) (i32.const 1)))
    (if (i32.gt_u (global.get $bump) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.const 1)))))
    (local.get $p))
  (func (export "free") (param i32) (global.set $lent (i32.sub (global.get $lent) (i32.const 1))))
  (func (export "lent") (result i32) (global.get $lent))
  (func (export "live") (result i32) (global.get $live))
  (func (export "fills") (result i32) (global.get $fills))
  ;; An object is 16 bytes: its value, and whether its cache is filled.
  (func $make (export "make") (param $value i32) (result i32) (local $h i32)
    (local.set $h (call $malloc (i32.const 16)))
    (global.set $lent (i32.sub (global.get $lent) (i32.const 1)))
    (global.set $live (i32.add (global.get $live) (i32.const 1)))
    (i32.store (local.get $h) (local.get $value))
    (local.get $h))
  (func $drop (export "drop") (param $h i32)
    (i32.store (local.get $h) (i32.const -1))
    (global.set $live (i32.sub (global.get $live) (i32.const 1))))
  (func $get (export "get") (param $h i32) (result i32) (i32.load (local.get $h)))
  (func (export "address") (param $h i32) (result i32) (local.get $h))
  (func (export "mirror") (param $h i32) (result i32) (local.get $h))
  (func (export "add") (param $h i32) (param $x i32) (result i32)
    (i32.store (local.get $h) (i32.add (i32.load (local.get $h)) (local.get $x)))
    (i32.load (local.get $h)))
  (func (export "pair") (param $a i32) (param $b i32) (result i32)
    (call $make (i32.add (i32.mul (call $get (local.get $a)) (i32.const 100)) (call $get (local.get $b)))))
  ;; Grows the memory, or traps.
  (func (export "leak") (param $pages i32) (result i32)
    (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))
    (memory.size))
  ;; Writes to more than its object: what it posted outlives that.
  (func (export "post") (param $h i32) (param $x i32) (result i32)
    (global.set $posted (i32.add (i32.mul (global.get $posted) (i32.const 31))
                                 (i32.add (i32.load (local.get $h)) (local.get $x))))
    (global.get $posted))
  (func (export "posted") (result i32) (global.get $posted))
  (func (export "boom") (param $h i32)
    (i32.store (local.get $h) (i32.const -7))
    unreachable)
  ;; Bytes and vectors.
  (func (export "pack") (param $p i32) (param $n i32) (result i32) (local $sum i32) (local $i i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 10))
                               (i32.load8_u (i32.add (local.get $p) (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (call $make (local.get $sum)))
  (func $fold (param $p i32) (param $n i32) (param $as_handles i32) (result i32) (local $sum i32) (local $x i32)
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $n)))
      (local.set $x (i32.load (local.get $p)))
      (if (local.get $as_handles) (then (local.set $x (call $get (local.get $x)))))
      (local.set $sum (i32.add (local.get $sum) (local.get $x)))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next)))
    (local.get $sum))
  (func (export "total") (param i32 i32) (result i32) (call $fold (local.get 0) (local.get 1) (i32.const 0)))
  (func (export "sum") (param i32 i32) (result i32) (call $fold (local.get 0) (local.get 1) (i32.const 1)))
  ;; Consumes its objects and makes one of their sum.
  (func (export "merge") (param $p i32) (param $n i32) (result i32)
    (global.set $live (i32.sub (global.get $live) (local.get $n)))
    (call $make (call $fold (local.get $p) (local.get $n) (i32.const 1))))
  (func (export "many") (param $n i32) (param $first i32) (result i32 i32) (local $p i32) (local $i i32)
    (local.set $p (call $malloc (i32.mul (local.get $n) (i32.const 4))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
      (i32.store (i32.add (local.get $p) (i32.mul (local.get $i) (i32.const 4)))
                 (call $make (i32.add (local.get $first) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (local.get $p) (local.get $n))
  (func (export "bytes_of") (param $h i32) (result i32 i32) (local $p i32)
    (local.set $p (call $malloc (i32.const 4)))
    (i32.store (local.get $p) (call $get (local.get $h)))
    (local.get $p) (i32.const 4))
  (func (export "wild") (result i32 i32) (i32.const -16) (i32.const 32))
  ;; (value, err, is_err)
  (func (export "try_make") (param $value i32) (result i32 i32 i32)
    (if (result i32 i32 i32) (i32.lt_s (local.get $value) (i32.const 0))
      (then (table.set $refs (i32.const 3) (call $error (local.get $value)))
            (i32.const 0) (i32.const 3) (i32.const 1))
      (else (call $make (local.get $value)) (i32.const 0) (i32.const 0))))
  ;; Fills the object's cache the first time, and returns a new object each time.
  (func (export "cached") (param $h i32) (param $n i32) (result i32)
    (if (i32.eqz (i32.load offset=4 (local.get $h)))
      (then (i32.store offset=4 (local.get $h) (i32.const 1))
            (global.set $fills (i32.add (global.get $fills) (i32.const 1)))))
    (call $make (i32.add (call $get (local.get $h)) (local.get $n))))
  ;; The names of the wasm-bindgen preset.
  (func (export "__wbindgen_malloc") (param $size i32) (param $align i32) (result i32)
    (call $malloc (local.get $size)))
  (func (export "__wbindgen_free") (param i32 i32 i32)
    (global.set $lent (i32.sub (global.get $lent) (i32.const 1))))
  (func (export "__externref_table_dealloc") (param $i i32) (table.set $refs (local.get $i) (ref.null extern)))
  (func (export "error_kept") (param $i i32) (result i32)
    (i32.eqz (ref.is_null (table.get $refs (local.get $i)))))
  (func (export "__wbg_thing_free") (param $h i32) (param i32) (call $drop (local.get $h)))
  ;; Host functions.
  (func (export "tell") (param i32) (call $note (local.get 0)))
  (func (export "ask") (result i32) (call $salt))
  (func (export "takes_ref") (param externref))
)
)");

/// One engine, the module, and factories of guests whose making a test can watch, hold up and fail.
class TestGuests {
 public:
  TestGuests() {
    linker_.define("env", "salt", [](Caller& caller) { return caller.data<Host>()->salt; });
    linker_.define("env", "note", [this](int32_t x) -> Result<void> { return on_note ? on_note(x) : Result<void>(); });
    linker_.define("env", "error", [](int32_t x) { return ExternRef{static_cast<uint64_t>(-x)}; });
  }

  Module module() const { return module_; }
  GuestFactory factory() {
    auto pre = linker_.instantiate_pre(module_);
    EXPECT_TRUE(pre) << pre.error().to_string();
    Limits limits;
    limits.memory.limit_bytes = limit_bytes;
    auto make = [this, linked = linked_guests(*pre, limits, [this] {
                         alive++;
                         return std::shared_ptr<void>(new Host{++made % 100 * 3},
                                                      [this](Host* host) { alive--, delete host; });
                       })](const GuestRequest& request) mutable -> Result<std::unique_ptr<Guest>> {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
      if (failures > 0) return failures--, fail(ErrorKind::host, "no guest today");
      ROTOR_TRY(std::unique_ptr<Guest> guest, linked(request));
      return std::make_unique<Describing>(std::move(guest));
    };
    return make;
  }
  Proxy proxy(Policy policy, ProxyOptions options = {}) {
    auto proxy = Proxy::create(module_, factory(), std::move(policy), std::move(options));
    EXPECT_TRUE(proxy) << proxy.error().to_string();
    return std::move(*proxy);
  }

  uint64_t limit_bytes = 64 * Memory::kPageBytes;
  std::function<Result<void>(int32_t)> on_note;
  std::atomic<int> delay_ms = 0;
  std::atomic<int> failures = 0;  ///< so many guests to come fail
  std::atomic<int> made = 0;
  std::atomic<int> alive = 0;

 private:
  struct Host {
    int32_t salt;  ///< differs from guest to guest, and so do all addresses
  };
  struct Describing final : Guest {
    explicit Describing(std::unique_ptr<Guest> guest) : inner(std::move(guest)) {}
    Instance& instance() override { return inner->instance(); }
    std::string describe_error(ExternRef error) override { return "bad value -" + std::to_string(error.bits); }
    std::unique_ptr<Guest> inner;
  };

  static Engine make_engine() {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = OptLevel::o0;
    config.compile_workers = 1;
    return *Engine::create(std::move(config));
  }

  Engine engine_ = make_engine();
  Module module_ = *Module::compile(engine_, kGuest);
  Linker linker_{engine_};
};

/// What the test guest's exports mean. A page leaked by `leak`, in a memory of 64.
inline Policy test_policy() {
  using enum ArgKind;
  using R = ResultKind;
  Policy policy;
  policy.imports = {{.name = "*", .mode = ImportMode::run}};
  policy.exports = {
      {.name = "make", .effect = Effect::build, .local = true, .results = {{R::handle}}},
      {.name = "add", .effect = Effect::build, .local = true, .args = {{handle, scalar}}},
      {.name = "pair", .effect = Effect::build, .local = true, .args = {{handle, handle}}, .results = {{R::handle}}},
      {.name = "pack", .effect = Effect::build, .local = true, .args = {{bytes}}, .results = {{R::handle}}},
      {.name = "many", .effect = Effect::build, .local = true, .results = {{R::handles}}},
      {.name = "merge", .effect = Effect::build, .local = true, .args = {{consumed_handles}}, .results = {{R::handle}}},
      {.name = "cached",
       .effect = Effect::build,
       .once = true,
       .local = true,
       .args = {{handle, scalar}},
       .results = {{R::handle}}},
      {.name = "post", .effect = Effect::build, .args = {{handle, scalar}}},
      {.name = "tell", .effect = Effect::build},
      {.name = "drop", .effect = Effect::release},
      {.name = "l*", .effect = Effect::query},  // leak, lent, live
      {.name = "fills", .effect = Effect::query},
      {.name = "posted", .effect = Effect::query},
      {.name = "ask", .effect = Effect::query},
      {.name = "error_kept", .effect = Effect::query},
      {.name = "takes_ref", .effect = Effect::query},
      {.name = "get", .effect = Effect::query, .args = {{handle}}},
      {.name = "address", .effect = Effect::query, .args = {{handle}}},
      {.name = "boom", .effect = Effect::query, .args = {{handle}}},
      {.name = "mirror", .effect = Effect::query, .args = {{handle}}, .results = {{R::handle}}},
      {.name = "sum", .effect = Effect::query, .args = {{handles}}},
      {.name = "total", .effect = Effect::query, .args = {{vector}}},
      {.name = "bytes_of", .effect = Effect::query, .args = {{handle}}, .results = {{R::bytes}}},
      {.name = "wild", .effect = Effect::query, .results = {{R::bytes}}},
      {.name = "try_make", .effect = Effect::query, .results = {{R::handle, R::error}}},
  };
  return policy;
}

/// Changes the rule of an export, or adds one.
inline ExportRule& rule_of(Policy& policy, std::string name) {
  for (ExportRule& rule : policy.exports)
    if (rule.name == name) return rule;
  policy.exports.push_back({.name = std::move(name)});
  return policy.exports.back();
}

inline std::string error_of(const auto& result) { return result ? "no error" : result.error().message; }

/// Waits until `condition` holds, for at most 20 s.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 20'000; i++) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace rotor::proxy
