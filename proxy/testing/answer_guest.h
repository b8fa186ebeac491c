// A guest for the proxy's tests that asks its host in every way there is, and the host around it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/testing/guest.h"
#include "wasm/testing/assemble.h"

namespace rotor::proxy {

inline const std::vector<uint8_t> kAnswerGuest = wasm::test::assemble_without_names(R"(
(module
  (import "env" "salt" (func $salt (result i32)))
  (import "env" "gate" (func $gate (param i32) (result i32)))
  (import "env" "ask" (func $ask (param i32) (result i32)))
  (import "env" "wide" (func $wide (param i64 f64) (result i64)))
  (import "env" "fill" (func $fill (param i32 i32)))
  (import "env" "lend" (func $lend (param i32) (result i32)))
  (import "env" "refer" (func $refer (param i32) (result i32)))
  (import "env" "back" (func $back (param i32) (result i32)))
  (import "env" "give_func" (func $give_func (result funcref)))
  (memory (export "memory") 2 64)
  (table $refs (export "refs") 4 externref)
  (table $funcs (export "funcs") 2 funcref)
  (global $bump (mut i32) (i32.const 0))
  (global $live (mut i32) (i32.const 0))
  (global $sum (mut i32) (i32.const 0))
  (global $level (export "level") (mut i32) (i32.const 0))
  (elem declare func $live_count)
  ;; Addresses differ from instance to instance, by what the host says.
  (func $malloc (export "malloc") (param $size i32) (result i32) (local $p i32)
    (if (i32.eqz (global.get $bump))
      (then (global.set $bump (i32.add (i32.const 2048) (i32.mul (call $salt) (i32.const 64))))))
    (local.set $p (global.get $bump))
    (global.set $bump (i32.and (i32.add (i32.add (local.get $p) (local.get $size)) (i32.const 15)) (i32.const -16)))
    (if (i32.gt_u (global.get $bump) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.const 1)))))
    (local.get $p))
  (func (export "free") (param i32))
  ;; An object is its value.
  (func $make (export "make") (param $value i32) (result i32) (local $h i32)
    (local.set $h (call $malloc (i32.const 16)))
    (global.set $live (i32.add (global.get $live) (i32.const 1)))
    (i32.store (local.get $h) (local.get $value))
    (local.get $h))
  (func (export "drop") (param $h i32)
    (i32.store (local.get $h) (i32.const -1))
    (global.set $live (i32.sub (global.get $live) (i32.const 1))))
  (func (export "get") (param $h i32) (result i32) (i32.load (local.get $h)))
  (func (export "address") (param $h i32) (result i32) (local.get $h))
  (func (export "mirror") (param $h i32) (result i32) (local.get $h))
  (func (export "copy") (param $h i32) (result i32) (call $make (i32.load (local.get $h))))
  (func $live_count (export "live") (result i32) (global.get $live))
  (func (export "total") (result i32) (global.get $sum))
  (func $add (export "add") (param $h i32) (param $x i32) (result i32)
    (i32.store (local.get $h) (i32.add (i32.load (local.get $h)) (local.get $x)))
    (i32.load (local.get $h)))
  (func (export "leak") (param $pages i32) (result i32)
    (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1)) (then unreachable))
    (memory.size))
  (func (export "grow") (param $pages i32) (result i32) (memory.grow (local.get $pages)))
  (func (export "set_level") (param $x i32) (global.set $level (local.get $x)))
  (func (export "used") (result i32) (global.get $level))
  ;; Asks without a handle.
  (func (export "ask") (param $x i32) (result i32) (call $ask (local.get $x)))
  (func (export "gate") (param $x i32) (result i32) (call $gate (local.get $x)))
  (func (export "mix") (param $a i64) (param $b f64) (param $c f32) (result i64)
    (i64.add (local.get $a) (i64.trunc_f64_s (f64.add (local.get $b) (f64.promote_f32 (local.get $c))))))
  ;; Each adds to the object what the host answers.
  (func (export "ask_into") (param $h i32) (param $x i32) (result i32)
    (call $add (local.get $h) (call $ask (local.get $x))))
  (func (export "wide_into") (param $h i32) (param $x i64) (param $y f64) (result i32)
    (call $add (local.get $h) (i32.wrap_i64 (call $wide (local.get $x) (local.get $y)))))
  (func (export "fill_into") (param $h i32) (param $x i32) (result i32) (local $p i32)
    (local.set $p (call $malloc (i32.const 32)))
    (call $fill (local.get $p) (local.get $x))
    (call $add (local.get $h) (i32.add (i32.load (local.get $p)) (i32.load offset=8 (local.get $p)))))
  (func (export "lend_into") (param $h i32) (param $x i32) (result i32) (local $p i32)
    (local.set $p (call $lend (local.get $x)))
    (if (result i32) (i32.eqz (local.get $p))
      (then (i32.const 0))
      (else (call $add (local.get $h) (i32.load (local.get $p))))))
  ;; What the host puts into the table of references is what it answers: an index.
  (func (export "refer_into") (param $h i32) (param $x i32) (result i32) (local $i i32)
    (local.set $i (call $refer (local.get $x)))
    (call $add (local.get $h) (i32.add (i32.mul (local.get $i) (i32.const 10))
                                       (i32.eqz (ref.is_null (table.get $refs (local.get $i)))))))
  (func (export "refs_size") (result i32) (table.size $refs))
  (func (export "back_into") (param $h i32) (param $x i32) (result i32)
    (call $add (local.get $h) (call $back (local.get $x))))
  (func (export "take_func") (result i32) (ref.is_null (call $give_func)))
  ;; For the host to call: changes the guest, and asks the host in turn.
  (func (export "nested") (param $x i32) (result i32)
    (global.set $sum (i32.add (global.get $sum) (call $ask (local.get $x))))
    (global.get $sum))
  (func (export "nested_trap") (param $x i32)
    (global.set $sum (i32.add (global.get $sum) (local.get $x)))
    unreachable)
  ;; Asks what the gate says, until that says 0: its host functions may be others on each instance.
  (func (export "script") (param $h i32) (param $steps i32) (result i32) (local $i i32) (local $what i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $i) (local.get $steps)))
      (local.set $what (call $gate (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (if (i32.eq (local.get $what) (i32.const 1))
        (then (drop (call $add (local.get $h) (call $ask (i32.const 1))))))
      (if (i32.eq (local.get $what) (i32.const 2))
        (then (drop (call $add (local.get $h) (call $ask (i32.const 2))))))
      (if (i32.eq (local.get $what) (i32.const 3))
        (then (drop (call $wide (i64.const 3) (f64.const 0.5)))))
      (if (i32.eq (local.get $what) (i32.const 4))
        (then (drop (call $wide (i64.const 4) (f64.const 0.5)))))
      (br $next)))
    (i32.load (local.get $h)))
  ;; Traps after it has changed its object and asked its host, if the gate says so.
  (func (export "risky") (param $h i32) (param $x i32) (result i32) (local $r i32)
    (local.set $r (call $add (local.get $h) (call $ask (local.get $x))))
    (if (call $gate (local.get $x)) (then unreachable))
    (drop (call $ask (local.get $x)))
    (local.get $r))
)
)");

/// What the host of one guest knows. Its number counts the guests made, from 1.
struct AnswerHost {
  int32_t number;
  int32_t salt() const { return number % 50 * 7; }
};

/// One engine, the module, and factories of guests whose host functions a test can set: each is told which guest asks.
class AnswerGuests {
 public:
  AnswerGuests() {
    auto host = [](Caller& caller) -> const AnswerHost& { return *caller.data<AnswerHost>(); };
    linker_.define("env", "salt", [host](Caller& caller) { return host(caller).salt(); });
    linker_.define("env", "gate", [this, host](Caller& caller, int32_t x) -> Result<int32_t> {
      return on_gate ? on_gate(host(caller), x) : Result<int32_t>(0);
    });
    linker_.define("env", "ask", [this](Caller& caller, int32_t x) -> Result<int32_t> {
      const int32_t n = ++asked;
      return on_ask ? on_ask(caller, x) : Result<int32_t>(100 * n + x);
    });
    linker_.define("env", "wide", [this](Caller&, int64_t x, double y) -> int64_t {
      return x + static_cast<int64_t>(y * 2) + 1000 * ++asked;
    });
    linker_.define("env", "fill", [this](Caller& caller, int32_t p, int32_t x) -> Result<void> {
      asked++;
      return on_fill ? on_fill(caller, p, x) : Result<void>();
    });
    linker_.define("env", "lend", [this](Caller& caller, int32_t x) -> Result<int32_t> {
      asked++;
      return on_lend ? on_lend(caller, x) : Result<int32_t>(0);
    });
    linker_.define("env", "refer", [this](Caller& caller, int32_t x) -> Result<int32_t> {
      asked++;
      return on_refer ? on_refer(caller, x) : Result<int32_t>(0);
    });
    linker_.define("env", "back", [this](Caller& caller, int32_t x) -> Result<int32_t> {
      asked++;
      return on_back ? on_back(caller, x) : Result<int32_t>(0);
    });
    linker_.define_func("env", "give_func", FuncType{{}, {ValType::funcref}},
                        [this](Caller& caller, Slot* slots) -> Result<void> {
                          asked++;
                          ROTOR_TRY(Value func, caller.table_get("funcs", 0));
                          slots[0] = func.bits();
                          return {};
                        });
  }

  Module module() const { return module_; }
  GuestFactory factory() {
    auto pre = linker_.instantiate_pre(module_);
    EXPECT_TRUE(pre) << pre.error().to_string();
    Limits limits;
    limits.memory.limit_bytes = 64 * Memory::kPageBytes;
    return [this, pre = *pre, limits](const GuestRequest& request) -> Result<std::unique_ptr<Guest>> {
      if (delay_ms) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
      if (fails("factory")) return fail(ErrorKind::host, "no guest today");
      if (request.snapshot) {
        std::lock_guard lock(mutex_);
        from_image.push_back(request.saved ? *static_cast<const int*>(request.saved.get()) : -1);
      }
      auto guest = std::make_unique<Hooked>(*this);
      guest->host.number = ++made;
      ROTOR_TRY(guest->inner, request.instantiate(pre, {.limits = limits, .host_data = &guest->host}));
      return guest;
    };
  }
  Result<Proxy> try_proxy(Policy policy, ProxyOptions options = {}) {
    return Proxy::create(module_, factory(), std::move(policy), std::move(options));
  }
  Proxy proxy(Policy policy, ProxyOptions options = {}) {
    auto proxy = try_proxy(std::move(policy), std::move(options));
    EXPECT_TRUE(proxy) << proxy.error().to_string();
    return std::move(*proxy);
  }

  /// Counts the steps of that name ("factory", "start", "stop", "save", "on_rotate"); the n-th from now fails.
  void fail_step(std::string step, int n) {
    std::lock_guard lock(mutex_);
    failing_ = std::move(step);
    fails_at_ = n;
  }
  /// False: it has happened.
  bool failure_is_due() {
    std::lock_guard lock(mutex_);
    return fails_at_ > 0;
  }

  std::function<Result<int32_t>(const AnswerHost&, int32_t)> on_gate;
  std::function<Result<int32_t>(Caller&, int32_t)> on_ask, on_lend, on_refer, on_back;
  std::function<Result<void>(Caller&, int32_t, int32_t)> on_fill;
  std::function<void(int retired, int next)> on_rotate;
  std::atomic<int> asked = 0;  ///< calls of ask, wide, fill, lend, refer and back that reached the host
  std::atomic<int> made = 0;
  std::atomic<int> alive = 0;
  std::atomic<int> delay_ms = 0;
  std::atomic<int> starts = 0, stops = 0, saves = 0, traps_seen = 0;
  ErrorKind save_fails_as = ErrorKind::host;
  std::vector<int> from_image;  ///< what was saved with the image, for each guest made from one

 private:
  struct Hooked final : Guest {
    explicit Hooked(AnswerGuests& of) : guests(of) { guests.alive++; }
    ~Hooked() override { guests.alive--; }
    Instance& instance() override { return inner; }
    Result<void> start_workers(const GroupRule&) override {
      EXPECT_FALSE(running);
      if (guests.fails("start")) return fail(ErrorKind::host, "workers won't start");
      running = true;
      guests.starts++;
      return {};
    }
    Result<void> stop_workers(const GroupRule&) override {
      EXPECT_TRUE(running);
      running = false;
      guests.stops++;
      if (guests.fails("stop")) return fail(ErrorKind::host, "workers won't stop");
      return {};
    }
    Result<std::shared_ptr<const void>> save() override {
      EXPECT_FALSE(running);
      guests.saves++;
      if (guests.fails("save")) return fail(guests.save_fails_as, "can't be saved");
      return std::make_shared<const int>(host.number);
    }
    Result<void> on_rotate(Guest& retired) override {
      if (guests.fails("on_rotate")) return fail(ErrorKind::host, "won't take over");
      if (guests.on_rotate) guests.on_rotate(static_cast<Hooked&>(retired).host.number, host.number);
      return {};
    }
    void on_trap() override { guests.traps_seen++; }

    AnswerGuests& guests;
    AnswerHost host{};
    bool running = false;
    Instance inner;
  };

  bool fails(const char* step) {
    std::lock_guard lock(mutex_);
    return failing_ == step && fails_at_ > 0 && --fails_at_ == 0;
  }

  static Engine make_engine() {
    Config config;
    config.mode = CompileMode::aot;
    config.opt = OptLevel::o0;
    config.compile_workers = 1;
    return *Engine::create(std::move(config));
  }

  std::mutex mutex_;
  std::string failing_;
  int fails_at_ = 0;
  Engine engine_ = make_engine();
  Module module_ = *Module::compile(engine_, kAnswerGuest);
  Linker linker_{engine_};
};

/// Host functions are answered, but for those that make each guest another one.
inline Policy answer_policy() {
  using enum ArgKind;
  using R = ResultKind;
  Policy policy;
  policy.imports = {{.name = "env.salt", .mode = ImportMode::run}, {.name = "env.gate", .mode = ImportMode::run}};
  policy.exports = {
      {.name = "*", .effect = Effect::query},
      {.name = "make", .effect = Effect::build, .local = true, .results = {{R::handle}}},
      {.name = "add", .effect = Effect::build, .local = true, .args = {{handle, scalar}}},
      {.name = "*_into", .effect = Effect::build, .local = true, .args = {{handle, scalar}}},
      {.name = "wide_into", .effect = Effect::build, .local = true, .args = {{handle, scalar, scalar}}},
      {.name = "script", .effect = Effect::build, .local = true, .args = {{handle, scalar}}},
      {.name = "risky", .effect = Effect::build, .local = true, .args = {{handle, scalar}}},
      {.name = "take_func", .effect = Effect::build},
      {.name = "nested", .effect = Effect::build},
      {.name = "drop", .effect = Effect::release},
      {.name = "get", .effect = Effect::query, .args = {{handle}}},
      {.name = "address", .effect = Effect::query, .args = {{handle}}},
      {.name = "mirror", .effect = Effect::query, .args = {{handle}}, .results = {{R::handle}}},
      {.name = "copy", .effect = Effect::query, .args = {{handle}}, .results = {{R::handle}}},
  };
  policy.backoff_first_ms = 0;
  policy.backoff_max_ms = 1;
  return policy;
}

/// Has a standby made by replay and swapped in; false: that failed, and last_problem says why.
inline bool rotates_now(Proxy& proxy) {
  const uint64_t before = proxy.counters().rotations;
  if (!proxy.prepare() || !proxy.rotate()) return false;
  (void)proxy.call("live");
  return proxy.counters().rotations == before + 1;
}

}  // namespace rotor::proxy
