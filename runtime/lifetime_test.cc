// What one thread lets go of while another one is about to read it: drops beside calls, stays, merges, stops and
// compiling. With AddressSanitizer and memory/perturb.h, which the asan preset has, each round is another order.
#include <atomic>
#include <thread>

#include "memory/testing/perturb.h"
#include "rotor/wat.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

using memory::test::Perturbed;
using std::chrono::microseconds;

constexpr std::string_view kGuest = R"(
  (module
    (func (export "ok") (result i32) (i32.const 42))
    (func $triple (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func (export "spin") (param i32) (result i32) (local i32)
      (loop
        (local.set 1 (i32.add (call $triple (local.get 1)) (i32.const 1)))
        (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (local.get 1))
    (table (export "table") 4 funcref)
    (global (export "global") (mut funcref) (ref.null func))))";

/// Two threads that take each step at once.
class Pair {
 public:
  /// Runs `mine` here and `other` on a thread of its own, from the same moment on.
  template <class Mine, class Other>
  static void run(Mine&& mine, Other&& other) {
    std::atomic<int> there = 0;
    auto meet = [&] {
      there++;
      while (there < 2) std::this_thread::yield();
    };
    std::thread thread([&] {
      meet();
      other();
    });
    meet();
    mine();
    thread.join();
  }
};

class Lifetime : public testing::Test {
 protected:
  explicit Lifetime(Config config = {})
      : engine_(must(Engine::create(std::move(config)))), module_(compile(engine_, must(wat_to_wasm(kGuest)))) {}
  std::unique_ptr<Instance> make() { return std::make_unique<Instance>(instantiate(Linker(engine_), module_)); }

  Engine engine_;
  Module module_;
  Perturbed perturbed_;
};

TEST_F(Lifetime, AStayEndsBesideADrop) {
  while (perturbed_.goes_on()) {
    std::unique_ptr<Instance> instance = make();
    Stay stay = must(instance->stay());
    Pair::run([&] { stay.end(); }, [&] { instance.reset(); });
  }
}

TEST_F(Lifetime, ACallReturnsBesideADrop) {
  while (perturbed_.goes_on()) {
    std::unique_ptr<Instance> instance = make();
    auto ok = typed<int32_t()>(*instance, "ok");
    Pair::run(
        [&] {
          // The function's handle goes as soon as it can.
          auto mine = std::exchange(ok, typed<int32_t()>(*make(), "ok"));
          EXPECT_EQ(mine().value_or(42), 42);
        },
        [&] { instance.reset(); });
    EXPECT_EQ(kind_of(ok()), ErrorKind::stale_handle);
  }
}

TEST_F(Lifetime, AMergeBesideADropAndAStop) {
  while (perturbed_.goes_on()) {
    std::unique_ptr<Instance> a = make(), b = make();
    Table table = must(a->get_table("table"));
    Func ok = must(b->get_func("ok"));
    InterruptHandle handle = b->interrupt_handle();
    Pair::run(
        [&] {
          Result<void> set = table.set(0, Value(ok));
          EXPECT_TRUE(set || set.error().kind != ErrorKind::internal);
          ok = Func();
          a.reset();
        },
        [&] {
          (void)handle.interrupt_best_effort();
          b.reset();
          handle.cancel();
        });
  }
}

TEST_F(Lifetime, AHostsTableGoesBesideAStay) {
  while (perturbed_.goes_on()) {
    std::unique_ptr<Instance> instance = make();
    auto table = std::make_unique<Table>(
        must(Table::create(engine_, {.element = ValType::funcref, .limits = {.min = 1}}, Value(Func()))));
    must(table->set(0, Value(must(instance->get_func("ok")))));
    instance.reset();
    Stay stay;
    {
      // The table is the group's only owner, and its element the way in.
      Func ok = must(table->get(0)).func();
      EXPECT_EQ(must(ok.call())[0].i32(), 42);
      Linker linker(engine_);
      linker.define("env", "table", *table);
      Instance user = instantiate(
          linker, compile(engine_, must(wat_to_wasm(R"((module (import "env" "table" (table 1 funcref))))"))));
      stay = must(user.stay());
    }
    Pair::run([&] { stay.end(); }, [&] { table.reset(); });
  }
}

class StoppedLifetime : public Lifetime {
 protected:
  static Config config() {
    Config config;
    config.mode = CompileMode::aot;
    config.interruptible = true;
    return config;
  }
  StoppedLifetime() : Lifetime(config()) {}
};

TEST_F(StoppedLifetime, ADeadlinePassesBesideADrop) {
  while (perturbed_.goes_on()) {
    std::unique_ptr<Instance> instance = make();
    auto spin = typed<int32_t(int32_t)>(*instance, "spin");
    must(instance->set_deadline(InterruptHandle::Clock::now() + microseconds(200)));
    Pair::run([&] { (void)spin(100'000); }, [&] { instance.reset(); });
  }
}

class TieredLifetime : public Lifetime {
 protected:
  static Config config() {
    Config config;
    config.mode = CompileMode::lazy;
    config.hot_count = 100;
    config.compile_workers = 2;
    return config;
  }
  TieredLifetime() : Lifetime(config()) {}
};

TEST_F(TieredLifetime, AModuleGoesWhileItIsCompiled) {
  while (perturbed_.goes_on()) {
    auto module = std::make_unique<Module>(compile(engine_, must(wat_to_wasm(kGuest))));
    auto instance = std::make_unique<Instance>(instantiate(Linker(engine_), *module));
    auto spin = typed<int32_t(int32_t)>(*instance, "spin");
    Pair::run(
        [&] {
          for (int i = 0; i < 20; i++)
            if (!spin(1000)) break;
        },
        [&] {
          module.reset();
          std::this_thread::sleep_for(microseconds(300));
          instance.reset();
        });
  }
}

}  // namespace
}  // namespace rotor::runtime::test
