#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "memory/fault_injection.h"
#include "memory/os.h"
#include "rotor/rotor.h"
#include "runtime/testing/snapshot_modules.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

namespace fault_injection = memory::fault_injection;

/// Mappings of files in memory, and reservations. (Not all mappings: the allocator's come and go.)
size_t mappings() {
  constexpr uint64_t kReservationBytes = 16 << 20;
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0, end = 0;
    char access[5] = {};
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &begin, &end, access) != 3) continue;
    bool reserved = std::string_view(access) == "---p" && end - begin >= kReservationBytes;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    reserved = false;  // the sanitizer's allocator reserves such, too, and splits them
#endif
    if (reserved || line.find("memfd:rotor-memory") != std::string::npos) ++count;
  }
  return count;
}

size_t descriptors() {
  memory::os::finds_written_fast();  // the process keeps a descriptor for that
  auto files = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

InstanceOptions options_of(bool imageable) {
  InstanceOptions options;
  options.limits.memory.imageable = imageable;
  return options;
}

/// Calls an export; its result if that is an i32.
int32_t call(const Instance& instance, std::string_view name, std::initializer_list<Value> args = {}) {
  auto results = must(must(instance.get_func(name)).call(args));
  return results.empty() ? 0 : results[0].i32();
}
Result<std::vector<Value>> try_call(const Instance& instance, std::string_view name,
                                    std::initializer_list<Value> args = {}) {
  return must(instance.get_func(name)).call(args);
}
int32_t count_of(const Instance& instance) { return must(must(instance.get_global("count")).get()).i32(); }
SnapshotDigest digest(const Snapshot& snapshot) { return must(snapshot.digest()); }

/// kState, linked; its import `host` does `on_host`.
class StateModule {
 public:
  std::function<int32_t(int32_t)> on_host;
  Engine engine = test::engine();
  Module module = compile(engine, kState);
  InstancePre pre = link(module);

  InstancePre link(const Module& linked) {
    Linker linker(engine);
    linker.define("env", "ten", []() -> int32_t { return 10; });
    linker.define("env", "host", [this](int32_t v) -> int32_t { return on_host ? on_host(v) : v; });
    return must(linker.instantiate_pre(linked));
  }
};

struct Way {
  const char* name;
  bool imageable;
  SnapshotCopy copy;
};
class SnapshotTest : public testing::TestWithParam<Way> {
 protected:
  InstanceOptions options() const { return options_of(GetParam().imageable); }
  static Result<Snapshot> take(const Instance& instance) { return instance.snapshot(GetParam().copy); }
  Instance make() { return must(state_.pre.instantiate(options())); }
  Instance stamp(const Snapshot& snapshot) { return must(state_.pre.instantiate(snapshot, options())); }

  StateModule state_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, SnapshotTest,
                         testing::Values(Way{"plain", false, SnapshotCopy::whole},
                                         Way{"imageable", true, SnapshotCopy::whole},
                                         Way{"changes", false, SnapshotCopy::changes}),
                         [](const auto& param) { return std::string(param.param.name); });

/// Of an instance that HoldsMemoryGlobalsAndTables prepared, or of one that was stamped from it.
void expect_prepared(const Instance& instance) {
  EXPECT_EQ(count_of(instance), 2) << "start ran once, then bump";
  EXPECT_EQ(call(instance, "load", {Value(70000)}), -5);
  EXPECT_EQ(call(instance, "load", {Value(3 * 65536 - 4)}), 77);
  EXPECT_EQ(call(instance, "load", {Value(16)}), 0x6c6c6568);  // "hell"
  EXPECT_EQ(must(instance.get_table("t")).size(), 7u);
  EXPECT_EQ(call(instance, "call", {Value(0)}), 1);
  EXPECT_EQ(call(instance, "call", {Value(1)}), 10);
  expect_trap(try_call(instance, "call", {Value(2)}), TrapKind::uninitialized_element);
  EXPECT_EQ(call(instance, "call", {Value(6)}), 2);
  EXPECT_EQ(call(instance, "call_f"), 10);
  EXPECT_EQ(must(try_call(instance, "get_x", {Value(1)}))[0].bits(), Value(ExternRef{42}).bits());
  EXPECT_TRUE(must(try_call(instance, "get_x", {Value(0)}))[0].is_null());
}

/// It goes on to grow up to its maxima, and what is new is zero.
void expect_growth(const Instance& instance) {
  EXPECT_EQ(call(instance, "grow", {Value(1)}), 3);
  EXPECT_EQ(call(instance, "load", {Value(3 * 65536)}), 0);
  EXPECT_EQ(call(instance, "load", {Value(3 * 65536 - 2)}), 0);
  EXPECT_EQ(call(instance, "grow", {Value(5)}), -1);
  expect_trap(try_call(instance, "load", {Value(4 * 65536)}), TrapKind::out_of_bounds_memory);
  EXPECT_EQ(call(instance, "grow_table", {Value(13)}), 7);
  EXPECT_EQ(call(instance, "grow_table", {Value(1)}), -1);
}

TEST_P(SnapshotTest, HoldsMemoryGlobalsAndTables) {
  Instance source = make();
  call(source, "bump");
  call(source, "store", {Value(70000), Value(-5)});
  EXPECT_EQ(call(source, "grow", {Value(1)}), 2);
  call(source, "store", {Value(3 * 65536 - 4), Value(77)});
  EXPECT_EQ(call(source, "grow_table", {Value(3)}), 4);
  call(source, "set_f", {Value(1)});
  must(try_call(source, "set_x", {Value(1), Value(ExternRef{42})}));
  Snapshot snapshot = must(take(source));
  EXPECT_EQ(snapshot.memory_bytes(), 3u * 65536);
  EXPECT_LE(snapshot.resident_bytes(), 3u * 4096);

  Instance stamped = stamp(snapshot);
  expect_prepared(stamped);
  expect_growth(stamped);
  expect_prepared(source);
  expect_growth(source);
  source = Instance();
  expect_prepared(stamp(snapshot));
}

TEST_P(SnapshotTest, DroppedSegmentsStayDropped) {
  Instance source = make();
  Snapshot before = must(take(source));
  call(source, "drop_data");
  call(source, "drop_elem");
  Snapshot after = must(take(source));
  EXPECT_FALSE(digest(before) == digest(after));

  Instance fresh = stamp(before);
  EXPECT_TRUE(try_call(fresh, "init_data"));
  EXPECT_TRUE(try_call(fresh, "init_elem"));
  EXPECT_EQ(call(fresh, "call", {Value(2)}), 2);
  Instance dropped = stamp(after);
  expect_trap(try_call(dropped, "init_data"), TrapKind::out_of_bounds_memory);
  expect_trap(try_call(dropped, "init_elem"), TrapKind::out_of_bounds_table);
}

TEST_P(SnapshotTest, InstancesOfOneSeeNothingOfEachOther) {
  Instance source = make();
  call(source, "store", {Value(100), Value(1)});
  Snapshot snapshot = must(take(source));
  SnapshotDigest at_first = digest(snapshot);
  std::vector<Instance> instances;
  for (int32_t i = 0; i < 8; ++i) {
    instances.push_back(stamp(snapshot));
    EXPECT_EQ(call(instances.back(), "load", {Value(100)}), 1);
    call(instances.back(), "store", {Value(100), Value(1000 + i)});
    call(instances.back(), "store", {Value(65536), Value(i)});
    call(instances.back(), "bump");
  }
  call(source, "store", {Value(100), Value(3)});
  for (int32_t i = 0; i < 8; ++i) {
    Instance& instance = instances[static_cast<size_t>(i)];
    EXPECT_EQ(call(instance, "load", {Value(100)}), 1000 + i);
    EXPECT_EQ(call(instance, "load", {Value(65536)}), i);
    EXPECT_EQ(count_of(instance), 2);
  }
  EXPECT_EQ(digest(snapshot), at_first);
  source = Instance();
  instances.clear();
  EXPECT_EQ(digest(snapshot), at_first);
  EXPECT_EQ(call(stamp(snapshot), "load", {Value(100)}), 1);
}

TEST_P(SnapshotTest, OfAStampedInstance) {
  Instance source = make();
  call(source, "store", {Value(100), Value(1)});
  Snapshot first = must(take(source));
  Instance second_source = stamp(first);
  EXPECT_EQ(digest(must(take(second_source))), digest(first));
  call(second_source, "store", {Value(65536 + 4), Value(2)});
  call(second_source, "grow", {Value(1)});
  call(second_source, "store", {Value(2 * 65536), Value(3)});
  Snapshot second = must(take(second_source));
  second_source = Instance();
  first = Snapshot();
  Instance instance = stamp(second);
  EXPECT_EQ(call(instance, "load", {Value(100)}), 1);
  EXPECT_EQ(call(instance, "load", {Value(65536 + 4)}), 2);
  EXPECT_EQ(call(instance, "load", {Value(2 * 65536)}), 3);
}

TEST_P(SnapshotTest, RefusesWhatDoesNotFit) {
  Instance source = make();
  call(source, "grow", {Value(2)});
  Snapshot snapshot = must(take(source));
  InstanceOptions small = options();
  small.limits.memory.limit_bytes = 3 * 65536;
  EXPECT_EQ(kind_of(state_.pre.instantiate(snapshot, small)), ErrorKind::limit);
  call(source, "grow_table", {Value(4)});
  snapshot = must(take(source));
  small = options();
  small.limits.table_elements = 9;  // of 8 and 2
  EXPECT_EQ(kind_of(state_.pre.instantiate(snapshot, small)), ErrorKind::limit);
  small.limits.table_elements = 10;
  EXPECT_TRUE(state_.pre.instantiate(snapshot, small));

  EXPECT_EQ(kind_of(state_.pre.instantiate(Snapshot())), ErrorKind::invalid_argument);
  Module again = compile(state_.engine, kState);
  EXPECT_EQ(kind_of(state_.link(again).instantiate(snapshot)), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(take(Instance())), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(Snapshot().digest()), ErrorKind::invalid_argument);
}

TEST_P(SnapshotTest, NotWithinACall) {
  Instance source = make();
  ErrorKind kind = ErrorKind::internal;
  state_.on_host = [&](int32_t v) {
    kind = kind_of(take(source));
    return v;
  };
  call(source, "call_host", {Value(1)});
  EXPECT_EQ(kind, ErrorKind::invalid_argument);
  EXPECT_TRUE(take(source));
}

TEST_P(SnapshotTest, StampsAndDropsLeaveNothingBehind) {
  Instance source = make();
  call(source, "store", {Value(100), Value(1)});
  auto round = [&] {
    Snapshot snapshot = must(take(source));
    Instance instance = stamp(snapshot);
    call(instance, "store", {Value(100), Value(2)});
    must(take(instance));
  };
  round();
  size_t mapped = mappings(), opened = descriptors();
  for (int i = 0; i < 100; ++i) round();
  EXPECT_EQ(mappings(), mapped);
  EXPECT_EQ(descriptors(), opened);
}

TEST_P(SnapshotTest, SurvivesEachFailure) {
  Snapshot first = [&] {
    Instance source = make();
    call(source, "store", {Value(100), Value(1)});
    return must(take(source));
  }();
  SnapshotDigest at_first = digest(first);
  must(first.keep_ready(0));
  must(state_.pre.instantiate(options()));  // leaves a slot, if it is not imageable
  size_t mapped = mappings(), opened = descriptors();
  for (uint64_t n = 1;; ++n) {
    bool failed = false;
    {
      fault_injection::fail_after(n);
      Result<Instance> stamped = state_.pre.instantiate(first, options());
      Result<Snapshot> second = fail(ErrorKind::io, "not tried");
      if (stamped) second = stamped->snapshot();
      Result<Instance> again = fail(ErrorKind::io, "not tried");
      if (second) again = state_.pre.instantiate(*second, options());
      Result<Instance> fresh = fail(ErrorKind::io, "not tried");
      if (again) fresh = state_.pre.instantiate(options());
      fault_injection::off();
      failed = !fresh;
      if (!fresh) {
        const Error& error = !stamped  ? stamped.error()
                             : !second ? second.error()
                             : !again  ? again.error()
                                       : fresh.error();
        EXPECT_EQ(error.kind, ErrorKind::io);
        EXPECT_NE(error.message, "not tried");
      }
      if (stamped) {
        EXPECT_EQ(call(*stamped, "load", {Value(100)}), 1);
        EXPECT_EQ(digest(must(stamped->snapshot())), at_first);
      }
    }
    EXPECT_EQ(mappings(), mapped) << n;
    EXPECT_EQ(descriptors(), opened) << n;
    EXPECT_EQ(digest(first), at_first) << n;
    // A search for written pages may fail and nothing come of it.
    if (!failed && n > 12) break;
  }
}

TEST(Snapshot, DigestsDoNotTellHowItWasTaken) {
  StateModule state;
  auto digest_after = [&](bool imageable, bool writes_zero, int32_t value) {
    Instance instance = must(state.pre.instantiate(options_of(imageable)));
    call(instance, "store", {Value(100), Value(value)});
    if (writes_zero) call(instance, "store", {Value(65536), Value(0)});
    return digest(must(instance.snapshot()));
  };
  SnapshotDigest expected = digest_after(false, false, 1);
  EXPECT_EQ(digest_after(true, false, 1), expected);
  EXPECT_EQ(digest_after(false, true, 1), expected);
  EXPECT_EQ(digest_after(true, true, 1), expected);
  EXPECT_FALSE(digest_after(true, false, 2) == expected);
}

TEST(Snapshot, OfChangesKeepsTheImageThatItLiesOver) {
  const Engine engine = test::engine();
  const Module module = compile(engine, must(wat_to_wasm(R"((module (memory (export "memory") 64 80)
    (func (export "fill") (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x400000)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))))")));
  const InstancePre pre = must(Linker(engine).instantiate_pre(module));
  Instance instance = must(pre.instantiate(options_of(true)));
  call(instance, "fill");
  Snapshot first = must(instance.snapshot(SnapshotCopy::changes));
  EXPECT_EQ(first.resident_bytes(), uint64_t{4} << 20);
  for (int round = 1; round <= 3; ++round) {
    for (int32_t at : {0, 1 << 20, 3 << 20}) call(instance, "store", {Value(at + round * 65536), Value(round)});
    if (round == 2) {
      EXPECT_EQ(call(instance, "grow"), 64);
      call(instance, "store", {Value(4 << 20), Value(5)});
    }
    const Snapshot changes = must(instance.snapshot(SnapshotCopy::changes));
    EXPECT_EQ(changes.resident_bytes(), (uint64_t{4} << 20) + 4096u * static_cast<uint64_t>(3 * round + (round > 1)));
    const Snapshot whole = must(instance.snapshot());
    EXPECT_EQ(digest(changes), digest(whole));
    EXPECT_FALSE(digest(changes) == digest(first));
    // The next changes are those of an instance that was made of these.
    must(changes.keep_ready(1));
    instance = must(pre.instantiate(changes));
    EXPECT_EQ(call(instance, "load", {Value((1 << 20) + round * 65536)}), round);
    EXPECT_EQ(call(instance, "load", {Value((1 << 20) + 4096)}), 0x07070707);
  }
  EXPECT_EQ(call(instance, "load", {Value(4 << 20)}), 5);
  expect_trap(try_call(instance, "load", {Value((4 << 20) + 65536)}), TrapKind::out_of_bounds_memory);
}

TEST(Snapshot, DigestsTellSizesGlobalsAndTables) {
  StateModule state;
  Instance untouched = must(state.pre.instantiate());
  SnapshotDigest expected = digest(must(untouched.snapshot()));
  for (std::string_view change : {"bump", "grow", "grow_table", "set_f", "set_x"}) {
    Instance instance = must(state.pre.instantiate());
    EXPECT_EQ(digest(must(instance.snapshot())), expected);
    if (change == "bump")
      call(instance, change);
    else if (change == "set_x")
      must(try_call(instance, change, {Value(0), Value(ExternRef{1})}));
    else
      call(instance, change, {Value(1)});
    EXPECT_FALSE(digest(must(instance.snapshot())) == expected) << change;
  }
}

TEST(Snapshot, OfFunctionsThatTheHostPutInATable) {
  StateModule state;
  Instance source = must(state.pre.instantiate());
  Table table = must(source.get_table("t"));
  must(table.set(2, Value(must(source.get_func("two")))));
  must(table.set(3, must(table.get(1))));  // the imported one, by its reference
  Instance stamped = must(state.pre.instantiate(must(source.snapshot())));
  source = Instance();
  EXPECT_EQ(call(stamped, "call", {Value(2)}), 2);
  EXPECT_EQ(call(stamped, "call", {Value(3)}), 10);

  // One of another instance of the same module is another instance's.
  Instance other = must(state.pre.instantiate());
  must(must(stamped.get_table("t")).set(2, Value(must(other.get_func("two")))));
  EXPECT_EQ(kind_of(stamped.snapshot()), ErrorKind::unsupported);
}

TEST(Snapshot, RefusesWhatIsShared) {
  Engine engine = test::engine();
  Linker linker(engine);
  Instance provider = instantiate(linker, compile(engine, kProvider));
  EXPECT_TRUE(provider.snapshot());
  linker.define_instance("p", provider);
  Instance func_user = instantiate(linker, compile(engine, kFuncUser));
  EXPECT_TRUE(func_user.snapshot()) << "an imported function is no state";
  Instance global_user = instantiate(linker, compile(engine, kGlobalUser));
  EXPECT_EQ(kind_of(global_user.snapshot()), ErrorKind::unsupported);
  Instance table_user = instantiate(linker, compile(engine, kTableUser));
  EXPECT_EQ(kind_of(table_user.snapshot()), ErrorKind::unsupported);
  EXPECT_EQ(kind_of(provider.snapshot()), ErrorKind::unsupported) << "a function of another instance is in its table";
}

/// Of an instance of kMemoryUser, whose memory then changes.
Snapshot memory_user_snapshot(const InstancePre& pre) {
  Instance source = must(pre.instantiate());
  call(source, "poke", {Value(8), Value(5)});
  call(source, "grow", {Value(1)});
  call(source, "poke", {Value(65536), Value(6)});
  Snapshot snapshot = must(source.snapshot());
  EXPECT_EQ(snapshot.memory_bytes(), 2u * 65536);
  {
    Instance other = must(pre.instantiate());
    EXPECT_EQ(kind_of(source.snapshot()), ErrorKind::invalid_argument) << "in use";
  }
  EXPECT_TRUE(source.snapshot());
  EXPECT_EQ(kind_of(pre.instantiate(snapshot)), ErrorKind::invalid_argument) << "in use";
  EXPECT_EQ(call(source, "peek", {Value(8)}), 5);
  call(source, "grow", {Value(1)});
  call(source, "poke", {Value(8), Value(9)});
  return snapshot;
}

MemoryType memory_user_type() {
  MemoryType type;
  type.limits = {1, 4};
  return type;
}

TEST(Snapshot, OfAnImportedMemory) {
  Engine engine = test::engine();
  Memory memory = must(Memory::create(engine, memory_user_type()));
  Linker linker(engine);
  linker.define("env", "memory", Extern(memory));
  InstancePre pre = must(linker.instantiate_pre(compile(engine, kMemoryUser)));
  Snapshot snapshot = memory_user_snapshot(pre);
  EXPECT_EQ(memory.size_bytes(), 3u * 65536);
  Instance restored = must(pre.instantiate(snapshot));
  EXPECT_EQ(memory.size_bytes(), 2u * 65536);
  EXPECT_EQ(call(restored, "peek", {Value(8)}), 5);
  EXPECT_EQ(call(restored, "peek", {Value(65536)}), 6);
  expect_trap(try_call(restored, "peek", {Value(2 * 65536)}), TrapKind::out_of_bounds_memory);
}

TEST(Snapshot, OfAnImportedMemoryOfItsOwn) {
  Engine engine = test::engine();
  Module module = compile(engine, kMemoryUser);
  uint64_t limit_bytes = 4 * 65536;
  Linker linker(engine);
  auto make = [&](const InstanceOptions& options) -> Result<Extern> {
    MemoryLimits limits = options.limits.memory;
    limits.limit_bytes = limit_bytes;
    ROTOR_TRY(Memory made, Memory::create(engine, memory_user_type(), limits));
    return made;
  };
  linker.define_per_instance("env", "memory", memory_user_type(), make);
  InstancePre pre = must(linker.instantiate_pre(module));
  Instance source = must(pre.instantiate(options_of(true)));
  call(source, "poke", {Value(8), Value(5)});
  call(source, "grow", {Value(1)});
  Snapshot snapshot = must(source.snapshot());
  Instance a = must(pre.instantiate(snapshot));
  Instance b = must(pre.instantiate(snapshot, options_of(true)));
  call(a, "poke", {Value(8), Value(1)});
  EXPECT_EQ(call(b, "peek", {Value(8)}), 5);
  EXPECT_EQ(digest(must(b.snapshot())), digest(snapshot));
  limit_bytes = 65536;
  EXPECT_EQ(kind_of(pre.instantiate(snapshot)), ErrorKind::limit);
}

TEST(Snapshot, AnImportedMemoryIsAsItWasAfterAFailure) {
  Engine engine = test::engine();
  Memory memory = must(Memory::create(engine, memory_user_type()));
  Linker linker(engine);
  linker.define("env", "memory", Extern(memory));
  InstancePre pre = must(linker.instantiate_pre(compile(engine, kMemoryUser)));
  Snapshot snapshot = must(must(pre.instantiate()).snapshot());
  const uint8_t mark[] = {1, 2, 3};
  must(memory.write(100, mark));
  fault_injection::fail_after(1);
  EXPECT_EQ(kind_of(pre.instantiate(snapshot)), ErrorKind::io);
  fault_injection::off();
  uint8_t found[3] = {};
  must(memory.read(100, found));
  EXPECT_EQ(std::memcmp(mark, found, 3), 0);
  EXPECT_TRUE(pre.instantiate(snapshot)) << "nobody uses it";
}

TEST(Snapshot, AFailureDoesNotKeepAnImportedMemoryInUse) {
  Engine engine = test::engine();
  Module module = compile(engine, kImportsMemoryAndFunc);
  Linker provider_linker(engine);
  Instance provider = instantiate(provider_linker, compile(engine, kProvider));
  Memory memory = must(Memory::create(engine, memory_user_type()));
  Linker linker(engine);
  linker.define("env", "next", must(provider.get("next")));
  linker.define("env", "memory", Extern(memory));
  InstancePre pre = must(linker.instantiate_pre(module));
  Snapshot snapshot = [&] {
    Linker own(linker);
    own.define("env", "next", []() -> int32_t { return 3; });
    return must(must(own.instantiate(module)).snapshot());
  }();
  fault_injection::fail_after(1);
  EXPECT_EQ(kind_of(pre.instantiate(snapshot)), ErrorKind::io);
  fault_injection::off();
  // The instance that failed is linked to the provider.
  Instance restored = must(pre.instantiate(snapshot));
  EXPECT_EQ(call(restored, "run"), 1);
}

TEST(Snapshot, SharedStateIsWhatTheLinkerDefinesOnce) {
  Engine engine = test::engine();
  Module module = compile(engine, kImports);
  TableType table_type;
  table_type.limits = {1, 4};
  Linker linker(engine);
  linker.define("env", "f", [] {});
  linker.define("env", "table", Extern(must(Table::create(engine, table_type, Value::null(ValType::funcref)))));
  linker.define("env", "constant", Extern(must(Global::create(engine, {ValType::i32, false}, Value(1)))));
  linker.define("env", "variable", Extern(must(Global::create(engine, {ValType::i32, true}, Value(1)))));
  linker.define_per_instance("env", "memory", memory_user_type(), [&](const InstanceOptions&) -> Result<Extern> {
    ROTOR_TRY(Memory made, Memory::create(engine, memory_user_type()));
    return made;
  });
  InstancePre pre = must(linker.instantiate_pre(module));
  EXPECT_EQ(pre.shared_state(), (std::vector<std::string>{"env.table", "env.variable"}));
  linker.define("env", "memory", Extern(must(Memory::create(engine, memory_user_type()))));
  pre = must(linker.instantiate_pre(module));
  EXPECT_EQ(pre.shared_state(), (std::vector<std::string>{"env.table", "env.variable", "env.memory"}));
}

}  // namespace
}  // namespace rotor::runtime::test
