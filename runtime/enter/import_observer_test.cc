#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "rotor/rotor.h"
#include "runtime/testing/snapshot_modules.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

/// Writes down what it is told.
class Notes : public ImportObserver {
 public:
  Result<void> on_import(uint32_t index, Caller& caller, Slot* slots, const HostFunction& host) override {
    note("import " + std::to_string(index) + " " + std::to_string(slots[0]));
    if (answer) return answer(slots);
    return host(caller, slots);
  }
  void on_write(uint64_t address, std::span<const uint8_t> bytes) override {
    note("write " + std::to_string(address) + " " + std::string(bytes.begin(), bytes.end()));
  }
  void on_table_set(std::string_view table, uint64_t index, ValType type, Slot element) override {
    note("set " + std::string(table) + " " + std::to_string(index) + " " + to_string(type) +
         (element ? " it" : " null"));
  }
  void on_table_grow(std::string_view table, uint64_t delta, ValType type, Slot init) override {
    note("grow " + std::string(table) + " " + std::to_string(delta) + " " + to_string(type) + (init ? " it" : " null"));
  }
  void on_nested_call(std::string_view name, std::span<const Value> args, std::span<const Value> results) override {
    note("call " + std::string(name) + " " + std::to_string(args.size()) + " " + std::to_string(results.size()));
  }
  void on_nested_error(std::string_view name, std::span<const Value>, const Error& error) override {
    note("failed " + std::string(name) + " " + error.message);
  }
  Result<void> on_handle(std::string_view what) override {
    note("handle " + std::string(what));
    if (refuses) return fail(ErrorKind::unsupported, "no handles");
    return {};
  }

  std::vector<std::string> lines;
  std::function<Result<void>(Slot*)> answer;
  bool refuses = false;

 private:
  void note(std::string line) { lines.push_back(std::move(line)); }
};

using Lines = std::vector<std::string>;

class Observer : public testing::Test {
 protected:
  Observer() {
    linker_.define("env", "ten", []() -> int32_t { return 10; });
    linker_.define("env", "host", [this](Caller& caller, int32_t v) -> Result<int32_t> { return host(caller, v); });
    InstanceOptions options;
    options.import_observer = &notes_;
    instance_ = must(linker_.instantiate(compile(engine_, kState), options));
  }
  Result<std::vector<Value>> run() { return must(instance_.get_func("call_host")).call({Value(5)}); }

  Notes notes_;
  std::function<Result<int32_t>(Caller&, int32_t)> host = [](Caller&, int32_t v) { return v + 1; };
  Engine engine_ = engine();
  Linker linker_{engine_};
  Instance instance_;
};

TEST_F(Observer, SeesImportsByTheirIndex) {
  EXPECT_EQ(must(run())[0].i32(), 6);
  EXPECT_EQ(must(must(instance_.get_func("call")).call({Value(1)}))[0].i32(), 10);
  ASSERT_EQ(notes_.lines.size(), 2u);
  EXPECT_EQ(notes_.lines[0], "import 1 5");
  EXPECT_EQ(notes_.lines[1].substr(0, 9), "import 0 ");
}

TEST_F(Observer, CountsImportsOfAllKinds) {
  MemoryType type;
  type.limits = {1, 4};
  TableType table_type;
  table_type.element = ValType::funcref;
  table_type.limits = {1, 4};
  Memory memory = must(Memory::create(engine_, type));
  Table table = must(Table::create(engine_, table_type, Value::null(ValType::funcref)));
  Global global = must(Global::create(engine_, {ValType::i32, false}, Value(1)));
  Global variable = must(Global::create(engine_, {ValType::i32, true}, Value(1)));
  linker_.define("env", "memory", Extern(memory));
  linker_.define("env", "table", Extern(table));
  linker_.define("env", "constant", Extern(global));
  linker_.define("env", "variable", Extern(variable));
  linker_.define("env", "f", [] {});
  InstanceOptions options;
  options.import_observer = &notes_;
  notes_.answer = [](Slot*) -> Result<void> { return {}; };
  Instance instance = must(linker_.instantiate(compile(engine_, kImports), options));
  must(must(instance.get_func("f")).call({}));
  ASSERT_EQ(notes_.lines.size(), 1u);
  EXPECT_EQ(notes_.lines[0].substr(0, 9), "import 4 ");
}

TEST_F(Observer, AnswersInTheHostsPlace) {
  host = [](Caller&, int32_t) -> Result<int32_t> {
    ADD_FAILURE();
    return 0;
  };
  notes_.answer = [](Slot* slots) -> Result<void> {
    slots[0] = 99;
    return {};
  };
  EXPECT_EQ(must(run())[0].i32(), 99);
  notes_.answer = [](Slot*) -> Result<void> { return fail(ErrorKind::io, "no answer"); };
  auto failed = run();
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("no answer"), std::string::npos);
}

TEST_F(Observer, IsToldWhatIsWrittenInPlace) {
  host = [](Caller& caller, int32_t) -> Result<int32_t> {
    ROTOR_TRY(auto bytes, caller.edit(100, 3));
    bytes[0] = 'a';
    bytes[1] = 'b';
    caller.edited(100, 2);
    ROTOR_TRY(auto seen, caller.view(101, 1));
    EXPECT_EQ(seen[0], 'b');
    constexpr uint64_t kSize = 2 * 65536;
    EXPECT_TRUE(caller.view(kSize, 0));
    EXPECT_TRUE(caller.edit(kSize - 1, 1));
    EXPECT_EQ(kind_of(caller.view(kSize, 1)), ErrorKind::invalid_argument);
    EXPECT_EQ(kind_of(caller.edit(kSize - 1, 2)), ErrorKind::invalid_argument);
    EXPECT_EQ(kind_of(caller.edit(UINT64_MAX, 2)), ErrorKind::invalid_argument);
    EXPECT_EQ(kind_of(caller.edit(2, UINT64_MAX)), ErrorKind::invalid_argument);
    return 0;
  };
  EXPECT_TRUE(run());
  EXPECT_EQ(notes_.lines, (Lines{"import 1 5", "write 100 ab"}));
}

TEST_F(Observer, IsToldWhatTheHostDoesToTheGuest) {
  host = [](Caller& caller, int32_t) -> Result<int32_t> {
    ROTOR_CHECK(caller.write(100, std::vector<uint8_t>{'a', 'b'}));
    EXPECT_FALSE(caller.write(UINT64_C(1) << 40, std::vector<uint8_t>{'a'}));
    uint8_t read[2];
    ROTOR_CHECK(caller.read(100, read));
    EXPECT_EQ(read[1], 'b');
    ROTOR_TRY(uint64_t bytes, caller.memory_bytes());
    EXPECT_EQ(bytes, 2u * 65536);
    ROTOR_TRY(Value function, caller.table_get("t", 0));
    ROTOR_CHECK(caller.table_set("t", 2, function));
    EXPECT_FALSE(caller.table_set("t", 1000, function));
    EXPECT_EQ(kind_of(caller.table_set("nothing", 0, function)), ErrorKind::not_found);
    ROTOR_TRY(uint64_t old_size, caller.table_grow("t", 2, Value::null(ValType::funcref)));
    EXPECT_EQ(old_size, 4u);
    EXPECT_FALSE(caller.table_grow("t", 1000, function));
    ROTOR_CHECK(caller.table_set("x", 0, Value(ExternRef{7})));
    ROTOR_TRY(auto results, caller.call("call", {Value(2)}));
    EXPECT_EQ(results[0].i32(), 1);
    EXPECT_FALSE(caller.call("call", {Value(4)}));
    EXPECT_EQ(kind_of(caller.call("nothing")), ErrorKind::not_found);
    return 0;
  };
  must(run());
  EXPECT_EQ(notes_.lines, (Lines{"import 1 5", "write 100 ab", "set t 2 funcref it", "grow t 2 funcref null",
                                 "set x 0 externref it", "call call 1 1", "failed call uninitialized element"}));
}

TEST_F(Observer, MayRefuseHandles) {
  host = [this](Caller& caller, int32_t v) -> Result<int32_t> {
    EXPECT_EQ(caller.get_memory().has_value(), !notes_.refuses);
    EXPECT_EQ(caller.get_table("t").has_value(), !notes_.refuses);
    EXPECT_EQ(caller.get_func("two").has_value(), !notes_.refuses);
    return v;
  };
  Lines expected{"import 1 5", "handle get_memory", "handle get_table", "handle get_func"};
  must(run());
  EXPECT_EQ(notes_.lines, expected);
  notes_.lines.clear();
  notes_.refuses = true;
  must(run());
  EXPECT_EQ(notes_.lines, expected);
}

TEST_F(Observer, IsOfOneInstance) {
  Instance other = must(linker_.instantiate(compile(engine_, kState)));
  EXPECT_EQ(must(must(other.get_func("call_host")).call({Value(5)}))[0].i32(), 6);
  EXPECT_TRUE(notes_.lines.empty());
}

TEST_F(Observer, SeesAnInstanceThatWasStamped) {
  Snapshot snapshot = must(instance_.snapshot());
  InstanceOptions options;
  Notes notes;
  options.import_observer = &notes;
  Instance stamped = must(must(linker_.instantiate_pre(instance_.module())).instantiate(snapshot, options));
  must(must(stamped.get_func("call_host")).call({Value(8)}));
  EXPECT_EQ(notes.lines, Lines{"import 1 8"});
  EXPECT_TRUE(notes_.lines.empty());
}

TEST(CallerFunctions, WorkUnobserved) {
  Engine engine = test::engine();
  Linker linker(engine);
  linker.define("env", "ten", []() -> int32_t { return 10; });
  linker.define("env", "host", [](Caller& caller, int32_t) -> Result<int32_t> {
    ROTOR_CHECK(caller.write(0, std::vector<uint8_t>{1}));
    ROTOR_CHECK(caller.table_set("x", 0, Value(ExternRef{7})));
    ROTOR_TRY(Value element, caller.table_get("x", 0));
    EXPECT_EQ(element.bits(), Value(ExternRef{7}).bits());
    ROTOR_TRY(auto results, caller.call("load", {Value(0)}));
    return results[0].i32();
  });
  Instance instance = must(linker.instantiate(compile(engine, kState)));
  EXPECT_EQ(must(must(instance.get_func("call_host")).call({Value(5)}))[0].i32(), 1);
}

}  // namespace
}  // namespace rotor::runtime::test
