// Instantiation, imports, weak handles and link groups.
#include <optional>
#include <thread>

#include "runtime/access.h"
#include "runtime/store/instance.h"
#include "runtime/store/link_group.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {
namespace {

class InstanceTest : public testing::Test {
 protected:
  Instance make(std::span<const uint8_t> bytes, const Linker& linker) {
    return instantiate(linker, compile(engine_, bytes));
  }
  /// A linker with an instance's exports as module "p".
  Linker with(const Instance& provider) {
    Linker linker(engine_);
    linker.define_instance("p", provider);
    return linker;
  }
  uint32_t owners(const Instance& instance) { return impl_of(instance)->group->owners(); }
  size_t members(const Instance& instance) { return impl_of(instance)->group->members().size(); }

  Engine engine_ = engine();
  Linker nothing_{engine_};
};

TEST_F(InstanceTest, HandlesAreStaleAfterTheDrop) {
  Func func;
  Value value;
  Table table;
  Global global;
  Memory memory;
  {
    Instance provider = make(kProvider, nothing_);
    func = must(provider.get_func("next"));
    value = Value(func);
    table = must(provider.get_table("table"));
    global = must(provider.get_global("n"));
    memory = must(provider.get_memory("mem"));
    EXPECT_EQ(must(func.call())[0].i32(), 1);
    EXPECT_EQ(must(global.get()).i32(), 1);
    EXPECT_EQ(must(must(table.get(0)).func().call())[0].i32(), 2);
  }
  EXPECT_FALSE(func.alive());
  EXPECT_EQ(kind_of(func.call()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(func.typed<int32_t()>()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(value.func().call()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(table.get(0)), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(table.set(0, value)), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(global.get()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(global.set(Value(1))), ErrorKind::stale_handle);
  EXPECT_FALSE(memory.alive());
  EXPECT_EQ(memory.data(), nullptr);
  EXPECT_EQ(kind_of(memory.grow(1)), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(Func().call()), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, LinkedInstancesLiveTogether) {
  std::optional<Instance> provider = make(kProvider, nothing_);
  Instance user = make(kFuncUser, with(*provider));
  EXPECT_EQ(members(user), 2u);
  EXPECT_EQ(owners(user), 2u);
  Func next = must(provider->get_func("next"));
  provider.reset();
  EXPECT_EQ(owners(user), 1u);
  EXPECT_EQ(must(typed<int32_t()>(user, "run")()), 1);
  EXPECT_EQ(must(typed<int32_t()>(user, "again")()), 2);
  EXPECT_TRUE(next.alive());
  EXPECT_EQ(must(next.call())[0].i32(), 3);
  user = Instance();
  EXPECT_FALSE(next.alive());
}

TEST_F(InstanceTest, StaleDefinitionsAreErrors) {
  std::optional<Instance> provider = make(kProvider, nothing_);
  Linker linker = with(*provider);
  Module user = compile(engine_, kFuncUser), table_user = compile(engine_, kTableUser);
  InstancePre pre = must(linker.instantiate_pre(user));
  InstancePre table_pre = must(linker.instantiate_pre(table_user));
  provider.reset();
  EXPECT_EQ(kind_of(linker.instantiate_pre(user)), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(pre.instantiate()), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(table_pre.instantiate()), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, TableAcrossInstances) {
  std::optional<Instance> provider = make(kProvider, nothing_);
  std::optional<Instance> user = make(kTableUser, with(*provider));
  auto call = typed<int32_t(int32_t)>(*user, "call");
  EXPECT_EQ(must(call(0)), 1);  // the provider's function, with the provider's global
  EXPECT_EQ(must(call(1)), 7);
  expect_trap(call(2), TrapKind::uninitialized_element);
  Table table = must(provider->get_table("table"));
  user.reset();
  EXPECT_EQ(must(must(table.get(1)).func().call())[0].i32(), 7);
  provider.reset();
  EXPECT_EQ(kind_of(table.get(1)), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, FunctionsCrossThroughTheHost) {
  Instance a = make(kProvider, nothing_), b = make(kProvider, nothing_);
  EXPECT_EQ(members(a), 1u);
  Func next = must(b.get_func("next"));
  must(must(a.get_table("table")).set(3, Value(next)));
  EXPECT_EQ(members(a), 2u);
  b = Instance();
  EXPECT_EQ(must(must(must(a.get_table("table")).get(3)).func().call())[0].i32(), 1);
}

TEST_F(InstanceTest, FunctionsCrossAsArgumentsAndHostResults) {
  std::optional<Instance> provider = make(kProvider, nothing_);
  Func next = must(provider->get_func("next"));
  Linker linker(engine_);
  linker.define_func("env", "pick", {{}, {ValType::funcref}}, [&](Caller&, Slot* slots) -> Result<void> {
    slots[0] = Value(next).bits();
    return {};
  });
  Instance refs = make(kFuncRefs, linker), more = make(kFuncRefs, linker);
  EXPECT_EQ(members(refs), 1u);
  // The merge happens while both are entered; the guest goes on with the merged activation.
  EXPECT_EQ(must(typed<int32_t()>(refs, "pick_and_call")()), 1);
  EXPECT_EQ(members(refs), 2u);
  must(must(more.get_func("put")).call({Value(1), Value(next)}));
  EXPECT_EQ(members(more), 3u);
  provider.reset();
  EXPECT_EQ(must(typed<int32_t(int32_t)>(more, "call")(1)), 2);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(refs, "call")(0)), 3);
}

TEST_F(InstanceTest, HostTablesKeepWhatIsInThem) {
  std::optional<Instance> provider = make(kProvider, nothing_);
  Func next = must(provider->get_func("next"));
  std::optional<Table> table =
      must(Table::create(engine_, {ValType::funcref, {4, 10}, false}, Value::null(ValType::funcref)));
  EXPECT_EQ(kind_of(table->set(0, Value(1))), ErrorKind::type_mismatch);
  must(table->set(0, Value(next)));
  EXPECT_EQ(must(table->grow(6, Value(next))), 4u);
  EXPECT_EQ(kind_of(table->grow(1, Value(next))), ErrorKind::limit);
  EXPECT_EQ(kind_of(table->get(10)), ErrorKind::invalid_argument);
  provider.reset();
  EXPECT_EQ(must(must(table->get(9)).func().call())[0].i32(), 1);
  Linker linker(engine_);
  linker.define("p", "table", *table);
  Instance user = make(kTableUser, linker);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(user, "call")(0)), 2);
  linker = Linker(engine_);
  table.reset();
  EXPECT_EQ(owners(user), 1u);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(user, "call")(0)), 3);
  user = Instance();
  EXPECT_FALSE(next.alive());
}

TEST_F(InstanceTest, GlobalsAreShared) {
  std::optional<Instance> provider = make(kProvider, nothing_);
  Instance user = make(kGlobalUser, with(*provider));
  must(typed<void(int32_t)>(user, "add")(5));
  EXPECT_EQ(must(must(provider->get_global("n")).get()).i32(), 5);
  must(must(provider->get_global("n")).set(Value(7)));
  EXPECT_EQ(kind_of(must(provider->get_global("n")).set(Value(7.0))), ErrorKind::type_mismatch);
  EXPECT_EQ(must(typed<int32_t()>(*provider, "next")()), 8);
  provider.reset();
  must(typed<void(int32_t)>(user, "add")(1));
}

TEST_F(InstanceTest, HostGlobals) {
  Global global = must(Global::create(engine_, {ValType::i32, true}, Value(1)));
  Linker linker(engine_);
  linker.define("p", "n", global);
  Instance a = make(kGlobalUser, linker), b = make(kGlobalUser, linker);
  must(typed<void(int32_t)>(a, "add")(5));
  must(typed<void(int32_t)>(b, "add")(5));
  EXPECT_EQ(must(global.get()).i32(), 11);
  EXPECT_EQ(members(a), 1u);  // a number links nothing
  Global constant = must(Global::create(engine_, {ValType::i64, false}, Value(int64_t{1})));
  EXPECT_EQ(kind_of(constant.set(Value(int64_t{2}))), ErrorKind::invalid_argument);
  linker.define("p", "n", constant);
  auto wrong = linker.instantiate_pre(compile(engine_, kGlobalUser));
  ASSERT_EQ(kind_of(wrong), ErrorKind::link);
  EXPECT_NE(wrong.error().message.find("incompatible import type"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("(mut i32)"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("i64"), std::string::npos);
}

TEST_F(InstanceTest, HandlesAreEqualIfTheyNameTheSameThing) {
  Instance a = make(kProvider, nothing_), b = make(kProvider, nothing_);
  EXPECT_EQ(must(a.get_memory("mem")), must(a.get_memory("mem")));
  EXPECT_EQ(must(a.get_memory("mem")), must(a.get_memory("mem")).pinned());
  EXPECT_NE(must(a.get_memory("mem")), must(b.get_memory("mem")));
  EXPECT_EQ(must(a.get_table("table")), must(a.get_table("table")));
  EXPECT_NE(must(a.get_table("table")), must(b.get_table("table")));
  EXPECT_EQ(must(a.get_global("n")), must(a.get_global("n")));
  EXPECT_NE(must(a.get_global("n")), must(b.get_global("n")));
  Table gone = must(b.get_table("table"));
  b = Instance();
  EXPECT_NE(gone, gone) << "there is nothing that it names";
  EXPECT_NE(Memory(), Memory());
}

TEST_F(InstanceTest, AFunctionIsOneHoweverItIsReached) {
  const auto maker = wasm::test::assemble(R"((module
    (import "env" "host" (func $host))
    (func $quiet)
    (func $one (export "one") (export "again"))
    (func $same (export "same"))
    (table (export "table") 3 funcref)
    (elem (i32.const 0) $one $same $host)))");
  const auto user = wasm::test::assemble(R"((module
    (import "p" "one" (func $one))
    (import "p" "same" (func $same))
    (import "p" "table" (table 3 funcref))
    (export "one" (func $one))
    (elem declare func $one $same)
    (func (export "one as a value") (result funcref) (ref.func $one))
    (func (export "same as a value") (result funcref) (ref.func $same))))");
  Linker linker(engine_);
  linker.define("env", "host", [] {});
  Instance a = make(maker, linker), other = make(maker, linker);
  Instance b = make(user, with(a));
  const Func one = must(a.get_func("one"));
  const Func same = must(a.get_func("same"));
  const Table table = must(a.get_table("table"));
  EXPECT_EQ(one, must(a.get_func("again")));
  EXPECT_EQ(one, must(b.get_func("one"))) << "as an import that is exported again";
  EXPECT_EQ(one, must(table.get(0)).func());
  EXPECT_EQ(one, must(must(b.get_func("one as a value")).call())[0].func());
  EXPECT_EQ(same, must(must(b.get_func("same as a value")).call())[0].func());
  EXPECT_NE(one, same) << "the same code is another function";
  EXPECT_NE(one, must(other.get_func("one")));
  EXPECT_EQ(must(one.index()), 2u);
  EXPECT_EQ(must(must(b.get_func("one")).index()), 2u) << "where it is defined";
  EXPECT_EQ(must(same.index()), 3u);
  EXPECT_EQ(must(must(table.get(2)).func().index()), 0u) << "a host function: as the import";
  a = Instance();
  EXPECT_EQ(one, must(b.get_func("one"))) << "they live as long as one of them";
  b = Instance();
  EXPECT_NE(one, one) << "there is nothing that it names";
  EXPECT_EQ(kind_of(one.index()), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, ExternalReferencesThatTheGuestCanNameAreVisited) {
  const auto bytes = wasm::test::assemble(R"((module
    (import "env" "ask" (func $ask (param externref)))
    (import "env" "table" (table $far 2 externref))
    (import "env" "global" (global $given externref))
    (table $near (export "table") 3 externref)
    (table $funcs 1 funcref)
    (global $kept (export "global") (mut externref) (ref.null extern))
    (global $number (mut i64) (i64.const 99))
    (elem declare func $keep)
    (func $keep (export "keep") (param externref)
      (table.set $near (i32.const 2) (local.get 0)) (table.set $funcs (i32.const 0) (ref.func $keep)))
    (func (export "ask") (param externref) (call $ask (local.get 0)))))");
  Table table = must(Table::create(engine_, {ValType::externref, {2}, false}, Value::null(ValType::externref)));
  Global global = must(Global::create(engine_, {ValType::externref, false}, Value(ExternRef{7})));
  Linker linker(engine_);
  linker.define("env", "table", table);
  linker.define("env", "global", global);
  Instance instance;
  std::vector<uint64_t> seen;
  auto visit = [&] {
    seen.clear();
    return instance.each_extern_ref([&](ExternRef reference) { seen.push_back(reference.bits); });
  };
  std::optional<ErrorKind> during;
  linker.define("env", "ask", [&](ExternRef) { during = kind_of(visit()); });
  EXPECT_EQ(kind_of(visit()), ErrorKind::stale_handle) << "an empty handle";
  instance = make(bytes, linker);
  must(visit());
  EXPECT_EQ(seen, std::vector<uint64_t>{7});
  must(must(instance.get_func("keep")).call({Value(ExternRef{5})}));
  must(must(instance.get_global("global")).set(Value(ExternRef{6})));
  must(table.set(1, Value(ExternRef{8})));
  must(visit());
  std::ranges::sort(seen);
  EXPECT_EQ(seen, (std::vector<uint64_t>{5, 6, 7, 8}));
  must(must(instance.get_func("ask")).call({Value(ExternRef{9})}));
  EXPECT_EQ(during, ErrorKind::invalid_argument) << "a frame holds a reference that no table names";
}

TEST_F(InstanceTest, MissingImportIsNamed) {
  auto pre = nothing_.instantiate_pre(compile(engine_, kFuncUser));
  ASSERT_EQ(kind_of(pre), ErrorKind::link);
  EXPECT_EQ(pre.error().message, "unknown import: p.next (func [] -> [i32])");
}

TEST_F(InstanceTest, MemoriesPerInstance) {
  Linker linker(engine_);
  MemoryType type{.limits = {1, 2}, .shared = false, .is64 = false};
  uint32_t made = 0;
  linker.define_per_instance("env", "memory", type, [&](const InstanceOptions& options) -> Result<Extern> {
    ++made;
    ROTOR_TRY(Memory memory, Memory::create(engine_, type, options.limits.memory));
    return Extern(std::move(memory));
  });
  InstancePre pre = must(linker.instantiate_pre(compile(engine_, kMemoryUser)));
  Instance a = must(pre.instantiate()), b = must(pre.instantiate());
  EXPECT_EQ(made, 2u);
  must(typed<void(int32_t, int32_t)>(a, "poke")(8, 77));
  EXPECT_EQ(must(typed<int32_t(int32_t)>(a, "peek")(8)), 77);
  EXPECT_EQ(must(typed<int32_t(int32_t)>(b, "peek")(8)), 0);
  EXPECT_TRUE(must(a.memory0()).alive());
}

TEST_F(InstanceTest, PerInstanceDefinitionOfTheWrongTypeIsALinkError) {
  Linker linker(engine_);
  MemoryType type{.limits = {1, 2}, .shared = false, .is64 = false};
  linker.define_per_instance("env", "memory", type, [&](const InstanceOptions&) -> Result<Extern> {
    ROTOR_TRY(Global global, Global::create(engine_, {ValType::i32, false}, Value(1)));
    return Extern(std::move(global));
  });
  auto made = linker.instantiate(compile(engine_, kMemoryUser));
  ASSERT_EQ(kind_of(made), ErrorKind::link);
  EXPECT_NE(made.error().message.find("env.memory"), std::string::npos);
}

TEST_F(InstanceTest, MemoriesAreCountedOnTheirOwn) {
  std::optional<Memory> memory = must(Memory::create(engine_, {.limits = {1, 4}, .shared = false, .is64 = false}));
  Linker linker(engine_);
  linker.define("env", "memory", *memory);
  Instance a = make(kMemoryUser, linker), b = make(kMemoryUser, linker);
  EXPECT_EQ(members(a), 1u);
  must(typed<void(int32_t, int32_t)>(a, "poke")(8, 77));
  linker = Linker(engine_);
  memory.reset();
  a = Instance();
  EXPECT_EQ(must(typed<int32_t(int32_t)>(b, "peek")(8)), 77);
}

TEST_F(InstanceTest, StartTrapLeavesEarlierWrites) {
  Instance provider = make(kProvider, nothing_);
  auto failed = with(provider).instantiate(compile(engine_, kStartTrap));
  expect_trap(failed, TrapKind::unreachable);
  EXPECT_EQ(failed.error().trap->frames().size(), 1u);
  uint8_t bytes[7];
  must(must(provider.get_memory("mem")).read(16, bytes));
  EXPECT_EQ(std::string(bytes, bytes + 7), "written");
  // Its function is in the table, so the instance that failed lives on.
  EXPECT_EQ(must(must(must(provider.get_table("table")).get(2)).func().call())[0].i32(), 9);
  EXPECT_EQ(members(provider), 2u);
  EXPECT_EQ(owners(provider), 1u);
}

TEST_F(InstanceTest, SegmentTrapLeavesEarlierSegments) {
  Instance provider = make(kProvider, nothing_);
  expect_trap(with(provider).instantiate(compile(engine_, kSegmentTrap)), TrapKind::out_of_bounds_table);
  EXPECT_EQ(must(must(must(provider.get_table("table")).get(3)).func().call())[0].i32(), 8);
}

TEST_F(InstanceTest, DropDuringACallWaitsForItsEnd) {
  Linker linker(engine_);
  std::optional<Instance> instance;
  Func other;
  bool freed_inside = false;
  linker.define("env", "f", [&](Caller& caller) -> Result<void> {
    instance.reset();
    freed_inside = !other.alive();
    ROTOR_TRY(Func again, caller.get_func("other"));
    ROTOR_TRY(auto results, again.call());
    EXPECT_EQ(results[0].i32(), 6);
    return {};
  });
  instance = make(kCallsHost, linker);
  other = must(instance->get_func("other"));
  auto run = typed<int32_t()>(*instance, "run");
  EXPECT_EQ(must(run()), 5);
  EXPECT_FALSE(freed_inside);
  EXPECT_FALSE(other.alive());
  EXPECT_EQ(kind_of(run()), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, DropByAnotherThreadDuringACall) {
  Module module = compile(engine_, kCallsHost);
  for (int i = 0; i < 50; ++i) {
    std::optional<Instance> instance;
    std::thread dropper;
    Linker linker(engine_);
    linker.define("env", "f", [&] { dropper = std::thread([&] { instance.reset(); }); });
    instance = instantiate(linker, module);
    auto run = typed<int32_t()>(*instance, "run");
    EXPECT_EQ(must(run()), 5);
    dropper.join();
    EXPECT_EQ(kind_of(run()), ErrorKind::stale_handle);
  }
}

TEST_F(InstanceTest, AStayKeepsOthersOut) {
  Instance instance = make(kProvider, nothing_);
  Func next = must(instance.get_func("next"));
  Stay stay = must(instance.stay());
  Stay second = must(instance.stay());
  EXPECT_EQ(must(next.call())[0].i32(), 1);
  std::thread([&] {
    EXPECT_EQ(kind_of(next.call()), ErrorKind::invalid_argument);
    EXPECT_EQ(kind_of(instance.stay()), ErrorKind::invalid_argument);
  }).join();
  stay = Stay();
  EXPECT_EQ(must(next.call())[0].i32(), 2);
  std::thread([&] { EXPECT_EQ(kind_of(next.call()), ErrorKind::invalid_argument); }).join();
  second.end();
  std::thread([&] { EXPECT_EQ(must(next.call())[0].i32(), 3); }).join();
  EXPECT_EQ(kind_of(Instance().stay()), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, ADropDuringAStayWaitsForItsEnd) {
  std::optional<Instance> instance = make(kProvider, nothing_);
  Func next = must(instance->get_func("next"));
  Stay stay = must(instance->stay());
  instance.reset();
  EXPECT_EQ(must(next.call())[0].i32(), 1);
  stay.end();
  EXPECT_EQ(kind_of(next.call()), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, GroupsMergeDuringAStay) {
  Instance a = make(kProvider, nothing_), b = make(kProvider, nothing_);
  Stay in_a = must(a.stay()), in_b = must(b.stay());
  Func next = must(b.get_func("next"));
  must(must(a.get_table("table")).set(3, Value(next)));
  EXPECT_EQ(members(a), 2u);
  in_a.end();
  std::thread([&] { EXPECT_EQ(kind_of(next.call()), ErrorKind::invalid_argument); }).join();
  in_b.end();
  std::thread([&] { EXPECT_EQ(must(next.call())[0].i32(), 1); }).join();
}

TEST_F(InstanceTest, MovedInstances) {
  Instance a = make(kProvider, nothing_);
  Func next = must(a.get_func("next"));
  Instance b = std::move(a);
  EXPECT_FALSE(a);
  EXPECT_EQ(kind_of(a.get_func("next")), ErrorKind::stale_handle);
  EXPECT_TRUE(next.alive());
  b = make(kProvider, nothing_);
  EXPECT_FALSE(next.alive());
}

TEST_F(InstanceTest, ModulesAndEnginesOutliveTheirHandles) {
  std::optional<Engine> own = engine();
  Instance instance = instantiate(Linker(*own), compile(*own, kProvider));
  own.reset();
  EXPECT_EQ(must(typed<int32_t()>(instance, "next")()), 1);
}

TEST_F(InstanceTest, OtherEnginesAreRefused) {
  Engine other = engine();
  Linker linker(other);
  EXPECT_EQ(kind_of(linker.instantiate_pre(compile(engine_, kProvider))), ErrorKind::invalid_argument);
  Instance provider = make(kProvider, nothing_);
  linker.define_instance("p", provider);
  EXPECT_EQ(kind_of(linker.instantiate_pre(compile(other, kFuncUser))), ErrorKind::link);
}

TEST_F(InstanceTest, ImportsByTheirPlaces) {
  const auto maker = wasm::test::assemble(R"((module
    (func (export "a") (result i32) (i32.const 1)) (func (export "b") (result i32) (i32.const 2))
    (memory (export "m") 1) (global (export "g") i32 (i32.const 3)) (table (export "t") 1 funcref)))");
  const auto user = wasm::test::assemble(R"((module
    (import "" "x" (func $a (result i32))) (import "" "x" (func $b (result i32))) (import "" "x" (memory $m 1))
    (func (export "f") (result i32) (i32.sub (call $a) (call $b))) (export "a" (func $a)) (export "m" (memory $m))))");
  Instance provider = make(maker, nothing_);
  Module module = compile(engine_, user);
  std::vector<Extern> imports{must(provider.get("b")), must(provider.get("a")), must(provider.get("m"))};
  InstancePre pre = must(InstancePre::resolve(module, imports));
  Instance instance = must(pre.instantiate());
  EXPECT_EQ(must(typed<int32_t()>(instance, "f")()), 1);
  std::swap(imports[0], imports[1]);
  EXPECT_EQ(must(typed<int32_t()>(must(must(InstancePre::resolve(module, imports)).instantiate()), "f")()), -1);

  // An object has one identity, however it is reached, and none once it is gone.
  EXPECT_EQ(must(instance.get_func("a")).identity(), must(provider.get_func("b")).identity());
  EXPECT_EQ(must(instance.get_memory("m")).identity(), must(provider.get_memory("m")).identity());
  EXPECT_NE(must(provider.get_global("g")).identity(), nullptr);
  EXPECT_EQ(must(provider.get_table("t")).identity(), must(provider.get_table("t")).identity());
  const Func gone = must(make(maker, nothing_).get_func("a"));
  EXPECT_EQ(gone.identity(), nullptr);

  EXPECT_EQ(kind_of(InstancePre::resolve(module, std::span(imports).first(2))), ErrorKind::link);
  std::swap(imports[1], imports[2]);
  EXPECT_EQ(kind_of(InstancePre::resolve(module, imports)), ErrorKind::link);
  imports = {gone, gone, gone};
  EXPECT_EQ(kind_of(InstancePre::resolve(module, imports)), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(InstancePre::resolve(compile(engine(), user), imports)), ErrorKind::stale_handle);
}

TEST_F(InstanceTest, FramesSayOfWhichModuleTheyAre) {
  const auto bytes = wasm::test::assemble(R"((module (func (nop) (nop) (unreachable)) (func (export "f") (call 0))))");
  Module one = compile(engine_, bytes), two = compile(engine_, bytes);
  EXPECT_NE(one.id(), two.id());
  Instance instance = instantiate(nothing_, two);
  auto result = must(instance.get_func("f")).call();
  ASSERT_FALSE(result);
  const std::vector<Frame>& frames = result.error().frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].module_id, two.id());
  EXPECT_EQ(frames[0].func_offset, 3u);  // behind the locals and two instructions
  EXPECT_EQ(frames[1].func_offset, 1u);
  // Code from a code file has no bodies to count in.
  Module loaded = must(Module::deserialize(engine_, must(two.serialize())));
  EXPECT_NE(loaded.id(), two.id());
  Instance of_file = instantiate(nothing_, loaded);
  auto trapped = must(of_file.get_func("f")).call();
  ASSERT_FALSE(trapped);
  EXPECT_EQ(trapped.error().frames()[0].func_offset, 0u);
  EXPECT_EQ(trapped.error().frames()[0].module_id, loaded.id());
}

}  // namespace
}  // namespace rotor::runtime::test
