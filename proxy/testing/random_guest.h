// A guest that draws random numbers, of its host and by a generator of its own.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "rotor/engine.h"
#include "rotor/linker.h"
#include "rotor/proxy.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {

inline const std::vector<uint8_t> kRandomGuest = wasm::test::assemble(R"(
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 2 64)
  (global $state (mut i64) (i64.const 0))
  (global $seeded (mut i32) (i32.const 0))
  ;; Asks the host once, and then its own generator, as most guests do.
  (func $seed (export "seed")
    (drop (call $random_get (i32.const 16) (i32.const 8)))
    (global.set $state (i64.or (i64.load (i32.const 16)) (i64.const 1)))
    (global.set $seeded (i32.const 1)))
  (func (export "seed_with") (param $low i32) (param $high i64)
    (global.set $state (i64.or (i64.xor (i64.extend_i32_u (local.get $low)) (local.get $high)) (i64.const 1)))
    (global.set $seeded (i32.const 1)))
  (func (export "seed_fails") (drop (memory.grow (i32.const 1))) unreachable)
  (func (export "draw") (result i64)
    (if (i32.eqz (global.get $seeded)) (then (call $seed)))
    (global.set $state (i64.add (i64.mul (global.get $state) (i64.const 6364136223846793005))
                                (i64.const 1442695040888963407)))
    (global.get $state))
  (func (export "leak") (param $pages i32) (result i32)
    (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))
    (memory.size))
)
)");

class RandomGuests {
 public:
  RandomGuests() {
    linker_.define("wasi_snapshot_preview1", "random_get",
                   [this](Caller& caller, int32_t address, int32_t size) -> Result<int32_t> {
                     std::vector<uint8_t> bytes(static_cast<size_t>(size));
                     for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(next_ = next_ * 69069 + 1);
                     ROTOR_CHECK(caller.write(static_cast<uint32_t>(address), bytes));
                     return 0;
                   });
  }

  Module module() const { return module_; }
  Result<Proxy> proxy(Policy policy) {
    ROTOR_TRY(auto pre, linker_.instantiate_pre(module_));
    Limits limits;
    limits.memory.limit_bytes = 64 * Memory::kPageBytes;
    return Proxy::create(module_, linked_guests(pre, limits), std::move(policy));
  }

 private:
  static Engine make_engine() {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = OptLevel::o0;
    config.compile_workers = 1;
    return *Engine::create(std::move(config));
  }

  uint32_t next_ = 1;
  Engine engine_ = make_engine();
  Module module_ = *Module::compile(engine_, kRandomGuest);
  Linker linker_{engine_};
};

inline Policy random_policy() {
  Policy policy;
  policy.mode = RotationMode::checkpoint;
  policy.allow = {{.name = "draw", .results = Returned::value}, {.name = "leak", .results = Returned::value}};
  return policy;
}

}  // namespace rotor::proxy
