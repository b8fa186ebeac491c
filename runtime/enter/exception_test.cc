// Exceptions as the host sees them: what it gets, throws and passes on, references that it keeps, and how long those
// live. What guests among themselves do is tested in spec-tests/regress/exceptions.wast.
#include <chrono>
#include <cstring>
#include <thread>

#include "code/code_file.h"
#include "rotor/wat.h"
#include "runtime/access.h"
#include "runtime/store/instance.h"
#include "runtime/testing/support.h"

namespace rotor::runtime::test {
namespace {

constexpr const char* kModule = R"((module $throws
  (import "env" "tag" (tag $host (param i32 f64)))
  (import "env" "host" (func $host (param i32) (result i32)))
  (import "env" "direct" (func $direct (param i32) (result i32)))
  (tag $own (export "own") (param i32))
  (tag $vector (export "vector") (param v128 externref f32))
  (tag $chain (export "chain") (param exnref i32))
  (table $kept (export "kept") 8 10000000 exnref)
  (global $global (export "global") (mut exnref) (ref.null exn))

  (func $throw (export "throw") (param i32) (throw $own (local.get 0)))
  (func (export "throw_vector") (param v128 externref f32)
    (throw $vector (local.get 0) (local.get 1) (local.get 2)))
  (func (export "call_host") (param i32) (result i32) (call $host (local.get 0)))
  ;; 1000 + what $own carries, the sum of what $host does, -1 for any other.
  (func $catch (param $x i32) (param $direct i32) (result i32)
    (block $all
      (block $of_host (result i32 f64)
        (block $of_own (result i32)
          (try_table (catch $own $of_own) (catch $host $of_host) (catch_all $all)
            (if (local.get $direct) (then (return (call $direct (local.get $x)))))
            (return (call $host (local.get $x))))
          (unreachable))
        (return (i32.add (i32.const 1000))))
      (return (i32.add (i32.trunc_f64_s))))
    (i32.const -1))
  (func (export "catch") (param i32) (result i32) (call $catch (local.get 0) (i32.const 0)))
  (func (export "catch_direct") (param i32) (result i32) (call $catch (local.get 0) (i32.const 1)))
  (func $make (export "make") (param i32) (result exnref)
    (block $h (result i32 exnref)
      (try_table (catch_ref $own $h) (call $throw (local.get 0)))
      (unreachable))
    (return))
  (func $rethrow (export "rethrow") (param exnref) (throw_ref (local.get 0)))
  (func $value (export "value") (param exnref) (result i32)
    (block $h (result i32)
      (try_table (catch $own $h) (throw_ref (local.get 0)))
      (unreachable)))
  (func (export "keep") (param $at i32) (param $x i32)
    (table.set $kept (local.get $at) (call $make (local.get $x))))
  (func (export "drop") (param i32) (table.set $kept (local.get 0) (ref.null exn)))
  (func (export "keep_global") (param i32) (global.set $global (call $make (local.get 0))))
  (func (export "at") (param i32) (result i32) (call $value (table.get $kept (local.get 0))))
  (func (export "churn") (param $n i32)
    (loop $again
      (drop (call $make (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; The first one is referred to by a local alone, while a clause makes others.
  (func (export "hold") (param $n i32) (result i32)
    (local $first exnref)
    (local.set $first (call $make (i32.const 77)))
    (loop $again
      (drop (call $make (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (call $value (local.get $first)))
  (func (export "hoard") (param $n i32)
    (loop $again
      (drop (table.grow $kept (call $make (local.get $n)) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; Each carries the one before it.
  (func (export "make_chain") (param $n i32) (result exnref)
    (local $last exnref)
    (loop $again
      (block $h (result exnref i32 exnref)
        (try_table (catch_ref $chain $h) (throw $chain (local.get $last) (local.get $n)))
        (unreachable))
      (local.set $last) (drop) (drop)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $last))
  (func (export "chain_length") (param $e exnref) (result i32)
    (local $n i32)
    (loop $again
      (if (ref.is_null (local.get $e)) (then (return (local.get $n))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (block $h (result exnref i32)
        (try_table (catch $chain $h) (throw_ref (local.get $e)))
        (unreachable))
      (drop) (local.set $e)
      (br $again))
    (unreachable))
  (func (export "forever")
    (block $h (try_table (catch_all $h) (loop $l (br $l)))))
  (func (export "down") (param $n i32) (result i32)
    (block $h (result i32)
      (try_table (catch $own $h) (call $down (local.get $n)))
      (unreachable)))
  (func $down (param $n i32)
    (if (i32.eqz (local.get $n)) (then (call $throw (i32.const 5))))
    (call $down (i32.sub (local.get $n) (i32.const 1))))
))";

struct Setting {
  CompileMode mode;
  OptLevel opt;
};

class ExceptionTest : public testing::TestWithParam<Setting> {
 protected:
  static Engine make_engine() {
    Config config;
    config.mode = GetParam().mode;
    config.opt = GetParam().opt;
    config.interruptible = true;
    config.hot_count = 10;
    return must(Engine::create(config));
  }
  ExceptionTest() : engine_(make_engine()), tag_(must(Tag::create(engine_, {{ValType::i32, ValType::f64}}))) {
    linker_.define("env", "tag", tag_);
    linker_.define_func("env", "host", {{ValType::i32}, {ValType::i32}},
                        [this](Caller& caller, Slot* slots) -> Result<void> {
      ROTOR_TRY(int32_t result, host_(caller, static_cast<int32_t>(slots[0])));
                          slots[0] = static_cast<uint32_t>(result);
                          return {};
                        });
    linker_.define("env", "direct", [this](Caller& caller, int32_t x) { return host_(caller, x); });
    module_ = must(Module::compile(engine_, must(wat_to_wasm(kModule))));
    instance_ = instantiate(linker_, *module_);
  }
  Result<std::vector<Value>> call(std::string_view name, std::initializer_list<Value> args = {}) {
    return must(instance_.get_func(name)).call(args);
  }
  int32_t number(std::string_view name, std::initializer_list<Value> args = {}) {
    return must(call(name, args))[0].i32();
  }
  /// The exceptions that are values in the instance's group.
  size_t live(const Instance& instance) { return impl_of(instance)->group->exceptions().count(); }
  size_t live() { return live(instance_); }
  template <class T>
  static void expect_error(const Result<T>& result, ErrorKind kind, std::string_view text) {
    ASSERT_FALSE(result);
    EXPECT_EQ(to_string(result.error().kind), std::string(to_string(kind))) << result.error().to_string();
    EXPECT_NE(result.error().message.find(text), std::string::npos) << result.error().message;
  }

  Engine engine_;
  Tag tag_;
  std::function<Result<int32_t>(Caller&, int32_t)> host_ = [](Caller&, int32_t x) { return x; };
  Linker linker_{engine_};
  std::optional<Module> module_;
  Instance instance_;
};
INSTANTIATE_TEST_SUITE_P(Settings, ExceptionTest,
                         testing::Values(Setting{CompileMode::aot, OptLevel::o0},
                                         Setting{CompileMode::aot, OptLevel::o1},
                                         Setting{CompileMode::lazy, OptLevel::o1}),
                         [](const auto& info) {
                           return std::string(info.param.mode == CompileMode::lazy ? "lazy" : "aot") +
                                  (info.param.opt == OptLevel::o0 ? "0" : "1");
                         });

TEST_P(ExceptionTest, WhatNobodyCatchesReachesTheHost) {
  auto thrown = call("throw", {42});
  expect_error(thrown, ErrorKind::exception, "an exception of tag [i32]");
  ASSERT_TRUE(thrown.error().exception);
  EXPECT_EQ(thrown.error().exception->tag, must(instance_.get_tag("own")));
  ASSERT_EQ(thrown.error().exception->values.size(), 1u);
  EXPECT_EQ(thrown.error().exception->values[0].i32(), 42);
  ASSERT_EQ(thrown.error().frames().size(), 1u);
  EXPECT_EQ(thrown.error().frames()[0].func_name, "throw");
  EXPECT_FALSE(thrown.error().trap);
  // The instance goes on, and typed calls end in the same way.
  expect_error(typed<void(int32_t)>(instance_, "throw")(7), ErrorKind::exception, "tag [i32]");
  EXPECT_EQ(number("call_host", {3}), 3);
}

TEST_P(ExceptionTest, ValuesOfAllKinds) {
  const V128 vector = V128::of<int64_t>({-5, 1});
  auto thrown = call("throw_vector", {vector, ExternRef{9}, 2.5f});
  ASSERT_FALSE(thrown);
  const std::vector<Value>& values = thrown.error().exception->values;
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0].v128(), vector);
  EXPECT_EQ(values[1].externref(), ExternRef{9});
  EXPECT_EQ(values[2].f32(), 2.5f);
}

TEST_P(ExceptionTest, AHostFunctionThrows) {
  for (const char* catches : {"catch", "catch_direct"}) {
    host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(tag_, {x, 2.5}); };
    EXPECT_EQ(number(catches, {5}), 7) << catches;
    host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(must(instance_.get_tag("own")), {x}); };
    EXPECT_EQ(number(catches, {5}), 1005) << catches;
    const Tag other = must(Tag::create(engine_, {{ValType::i32, ValType::f64}}));
    host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(other, {x, 2.5}); };
    EXPECT_EQ(number(catches, {5}), -1) << catches;
  }
  // Through the guest's frames to the host that called.
  host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(tag_, {x, 2.5}); };
  auto thrown = call("call_host", {1});
  expect_error(thrown, ErrorKind::exception, "an exception of tag [i32 f64]");
  EXPECT_EQ(thrown.error().exception->tag, tag_);
  EXPECT_EQ(thrown.error().exception->values[1].f64(), 2.5);
}

TEST_P(ExceptionTest, WhatIsNoExceptionIsNotCaught) {
  host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(tag_, {x}); };
  expect_error(call("catch", {5}), ErrorKind::type_mismatch, "1 thrown values for");
  host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(tag_, {x, x}); };
  expect_error(call("catch", {5}), ErrorKind::type_mismatch, "thrown value 1 is of type i32");
  host_ = [&](Caller&, int32_t) -> Result<int32_t> { return throw_exception({}, {}); };
  expect_error(call("catch", {5}), ErrorKind::type_mismatch, "without a tag");
  host_ = [&](Caller&, int32_t) -> Result<int32_t> { return fail(ErrorKind::host, "as asked"); };
  expect_error(call("catch", {5}), ErrorKind::host, "as asked");
  host_ = [&](Caller&, int32_t) -> Result<int32_t> { return fail(ErrorKind::exception, "of no value"); };
  expect_error(call("catch", {5}), ErrorKind::exception, "of no value");
  host_ = [](Caller&, int32_t x) { return x; };
  EXPECT_EQ(number("catch", {5}), 5);
}

TEST_P(ExceptionTest, AHostFunctionPassesOnWhatItGot) {
  host_ = [&](Caller& caller, int32_t x) -> Result<int32_t> {
    ROTOR_CHECK(caller.call("throw", {{Value(x)}}));
    return 0;
  };
  EXPECT_EQ(number("catch", {5}), 1005);
  EXPECT_EQ(number("catch_direct", {6}), 1006);
  // Through several entries, one in another.
  host_ = [&](Caller& caller, int32_t x) -> Result<int32_t> {
    if (x == 0) ROTOR_CHECK(caller.call("throw", {{Value(8)}}));
    ROTOR_CHECK(caller.call("call_host", {{Value(x - 1)}}));
    return 0;
  };
  EXPECT_EQ(number("catch", {5}), 1008);
  // Or handles it.
  host_ = [&](Caller& caller, int32_t x) -> Result<int32_t> {
    auto thrown = caller.call("throw", {{Value(x)}});
    return thrown.error().exception->values[0].i32() + 1;
  };
  EXPECT_EQ(number("catch", {5}), 6);
}

TEST_P(ExceptionTest, TagsAreOfInstances) {
  Instance other = instantiate(linker_, *module_);
  EXPECT_NE(must(other.get_tag("own")), must(instance_.get_tag("own")));
  EXPECT_EQ(must(other.get_tag("own")), must(other.get_tag("own")));
  host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(must(other.get_tag("own")), {x}); };
  EXPECT_EQ(number("catch", {5}), -1);
  // One that outlived its instance is still itself.
  const Tag kept = must(other.get_tag("own"));
  other = Instance();
  EXPECT_EQ(kept.type().params, std::vector{ValType::i32});
  host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(kept, {x}); };
  EXPECT_EQ(number("catch", {5}), -1);
  expect_error(instance_.get_tag("throw"), ErrorKind::not_found, "is a func, not a tag");
}

TEST_P(ExceptionTest, ImportsAreChecked) {
  auto instantiated = [&](const char* wat) {
    return linker_.instantiate(must(Module::compile(engine_, must(wat_to_wasm(wat)))));
  };
  expect_error(instantiated(R"((module (import "env" "tag" (tag (param i32)))))"), ErrorKind::link,
               "incompatible import type: env.tag is wanted as tag [i32], defined as tag [i32 f64]");
  expect_error(instantiated(R"((module (import "env" "tag" (func (param i32)))))"), ErrorKind::link,
               "incompatible import type");
  Engine stranger = engine();
  Linker linker(engine_);
  linker.define("env", "tag", must(Tag::create(stranger, {{ValType::i32}})));
  auto module = must(Module::compile(engine_, must(wat_to_wasm(R"((module (import "env" "tag" (tag (param i32)))))"))));
  expect_error(linker.instantiate(module), ErrorKind::link, "incompatible import type");
  EXPECT_EQ(to_string(*module_->export_type("chain")), "tag [exnref i32]");
}

TEST_P(ExceptionTest, ReferencesOfTheHost) {
  Value exception = must(call("make", {42}))[0];
  EXPECT_EQ(exception.type(), ValType::exnref);
  EXPECT_FALSE(exception.is_null());
  ASSERT_TRUE(call("churn", {5000}));
  EXPECT_EQ(number("value", {exception}), 42);
  EXPECT_EQ(live(), 1u);
  auto thrown = call("rethrow", {exception});
  expect_error(thrown, ErrorKind::exception, "tag [i32]");
  EXPECT_EQ(thrown.error().exception->values[0].i32(), 42);
  expect_trap(call("rethrow", {Value::null(ValType::exnref)}), TrapKind::null_exception_reference);
  // Bits are no reference, and slots are bits.
  expect_error(call("rethrow", {Value::from_bits(ValType::exnref, exception.bits())}), ErrorKind::type_mismatch,
               "a reference to no exception");
  expect_error(call("rethrow", {5}), ErrorKind::type_mismatch, "of type i32");
  Slot slots[1] = {1};
  expect_error(must(instance_.get_func("make")).call_raw(slots), ErrorKind::unsupported, "Func::call");
  // Copies keep it, and it goes with the last one.
  Value copy = exception;
  exception = Value();
  ASSERT_TRUE(call("churn", {1}));
  EXPECT_EQ(number("value", {copy}), 42);
  copy = Value();
  ASSERT_TRUE(call("churn", {1}));
  EXPECT_EQ(live(), 0u);
}

TEST_P(ExceptionTest, AReferenceOutlivesItsInstance) {
  Instance other = instantiate(linker_, *module_);
  Value exception = must(must(other.get_func("make")).call({{Value(3)}}))[0];
  other = Instance();
  expect_error(call("value", {exception}), ErrorKind::stale_handle, "gone");
}

TEST_P(ExceptionTest, OfAnotherInstance) {
  Instance other = instantiate(linker_, *module_);
  Value exception = must(must(other.get_func("make")).call({{Value(3)}}))[0];
  // Its tag is another one there, so that nothing catches it.
  expect_error(call("value", {exception}), ErrorKind::exception, "tag [i32]");
  // From then on they are one group.
  EXPECT_EQ(live(), live(other));
  ASSERT_TRUE(must(instance_.get_global("global")).set(exception));
  exception = Value();
  ASSERT_TRUE(call("churn", {1}));
  EXPECT_EQ(live(), 1u);
}

TEST_P(ExceptionTest, TablesAndGlobalsKeep) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(call("keep", {i, 10 + i}));
  ASSERT_TRUE(call("keep_global", {20}));
  EXPECT_EQ(live(), 4u);
  ASSERT_TRUE(call("churn", {10000}));
  EXPECT_EQ(live(), 4u);
  EXPECT_EQ(number("at", {1}), 11);
  EXPECT_EQ(number("value", {must(must(instance_.get_table("kept")).get(2))}), 12);
  EXPECT_EQ(number("value", {must(must(instance_.get_global("global")).get())}), 20);
  ASSERT_TRUE(call("drop", {1}));
  ASSERT_TRUE(call("keep_global", {21}));
  EXPECT_EQ(live(), 3u);
}

TEST_P(ExceptionTest, WhatAnExceptionCarriesIsKept) {
  Value chain = must(call("make_chain", {5000}))[0];
  ASSERT_TRUE(call("churn", {5000}));
  EXPECT_EQ(live(), 5000u);
  EXPECT_EQ(number("chain_length", {chain}), 5000);
  auto thrown = call("rethrow", {chain});
  ASSERT_FALSE(thrown);
  chain = Value();
  EXPECT_EQ(number("chain_length", {thrown.error().exception->values[0]}), 4999);
  thrown = call("churn", {1});
  ASSERT_TRUE(call("churn", {1}));
  EXPECT_EQ(live(), 0u);
}

TEST_P(ExceptionTest, ACallThatMakesManyKeepsFew) {
  InstanceOptions options;
  options.limits.exception_bytes = 256 << 10;
  Instance instance = instantiate(linker_, *module_, options);
  ASSERT_TRUE(must(instance.get_func("churn")).call({{Value(200000)}}));
  EXPECT_EQ(live(instance), 0u);
  EXPECT_EQ(must(must(instance.get_func("hold")).call({{Value(200000)}}))[0].i32(), 77);
  auto hoarded = must(instance.get_func("hoard")).call({{Value(200000)}});
  expect_error(hoarded, ErrorKind::limit, "exception_bytes = 262144");
  // A call that was refused left the others alone.
  EXPECT_EQ(must(must(instance.get_func("at")).call({{Value(8)}}))[0].i32(), 200000);
}

TEST_P(ExceptionTest, SnapshotsHaveNone) {
  ASSERT_TRUE(instance_.snapshot());
  ASSERT_TRUE(call("keep", {3, 10}));
  expect_error(instance_.snapshot(), ErrorKind::unsupported, "table 0 holds an exception");
  ASSERT_TRUE(call("drop", {3}));
  ASSERT_TRUE(call("keep_global", {3}));
  expect_error(instance_.snapshot(), ErrorKind::unsupported, "global 0 holds an exception");
  ASSERT_TRUE(must(instance_.get_global("global")).set(Value::null(ValType::exnref)));
  Snapshot snapshot = must(instance_.snapshot());
  Instance restored = must(must(linker_.instantiate_pre(*module_)).instantiate(snapshot));
  host_ = [&](Caller&, int32_t x) -> Result<int32_t> { return throw_exception(must(restored.get_tag("own")), {x}); };
  EXPECT_EQ(must(must(restored.get_func("catch")).call({{Value(5)}}))[0].i32(), 1005);
}

TEST_P(ExceptionTest, TablesOfTheHost) {
  Table table = must(Table::create(engine_, {ValType::exnref, {4, 10}}, Value::null(ValType::exnref)));
  Value exception = must(call("make", {42}))[0];
  expect_error(table.set(0, exception), ErrorKind::unsupported, "that no instance imports");
  linker_.define("env", "table", table);
  Instance user = instantiate(linker_, must(Module::compile(engine_, must(wat_to_wasm(R"((module
      (import "env" "table" (table $t 4 10 exnref)) (tag $e (param i32))
      (func (export "put") (param i32)
        (local $x exnref)
        (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e (local.get 0))) (unreachable))
        (local.set $x)
        (table.set $t (i32.const 1) (local.get $x)))))")))));
  ASSERT_TRUE(must(user.get_func("put")).call({{Value(5)}}));
  ASSERT_TRUE(table.set(0, exception));
  exception = Value();
  ASSERT_TRUE(call("churn", {1}));
  EXPECT_EQ(live(), 2u);
  EXPECT_EQ(number("value", {must(table.get(0))}), 42);
  // The table keeps what is in it, as one of functions does.
  user = Instance();
  auto thrown = call("rethrow", {must(table.get(1))});
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().exception->values[0].i32(), 5);
}

TEST_P(ExceptionTest, ExternalReferencesThatExceptionsCarry) {
  Instance keeper = instantiate(linker_, must(Module::compile(engine_, must(wat_to_wasm(R"((module
      (tag $e (param externref)) (global $g (mut exnref) (ref.null exn))
      (func (export "put") (param externref)
        (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e (local.get 0))) (unreachable))
        (global.set $g))))")))));
  ASSERT_TRUE(must(keeper.get_func("put")).call({{Value(ExternRef{77})}}));
  std::vector<uint64_t> seen;
  ASSERT_TRUE(keeper.each_extern_ref([&](ExternRef ref) { seen.push_back(ref.bits); }));
  EXPECT_EQ(seen, std::vector<uint64_t>{77});
}

TEST_P(ExceptionTest, AStopIsNotCaught) {
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    (void)instance_.interrupt();
  });
  expect_trap(call("forever"), TrapKind::interrupted);
}

TEST_P(ExceptionTest, CodeThatWasWrittenAndReadAgain) {
  const std::vector<uint8_t> bytes = must(module_->serialize());
  Instance read = instantiate(linker_, must(Module::deserialize(engine_, bytes)));
  for (int32_t depth : {0, 1, 10, 1000})
    EXPECT_EQ(must(must(read.get_func("down")).call({{Value(depth)}}))[0].i32(), 5);
}

TEST_P(ExceptionTest, LandingPadsOfAFileAreChecked) {
  const std::vector<uint8_t> bytes = must(module_->serialize());
  const code::CodeFile file = must(code::parse_code_file(bytes, "file", code::Check::all));
  ASSERT_GT(file.pads.size(), 2u);
  const auto pads = static_cast<size_t>(reinterpret_cast<const uint8_t*>(file.pads.data()) - bytes.data());
  auto expect_refused = [&](size_t pad, size_t offset, uint32_t value) {
    std::vector<uint8_t> damaged = bytes;
    std::memcpy(&damaged[pads + pad * sizeof(code::LandingPad) + offset], &value, sizeof value);
    EXPECT_EQ(kind_of(code::parse_code_file_unchecked(damaged, "file")), ErrorKind::corrupt) << offset << ": " << value;
  };
  using code::LandingPad;
  for (uint32_t address : {0u, file.functions[0].begin, file.functions.back().end + 1, UINT32_MAX}) {
    expect_refused(1, offsetof(LandingPad, return_address), address);
    expect_refused(1, offsetof(LandingPad, pad), address);
  }
  expect_refused(1, offsetof(LandingPad, return_address), file.pads[0].return_address);
  expect_refused(0, offsetof(LandingPad, pad), file.functions.back().end - 1);  // of another function
  expect_refused(0, offsetof(LandingPad, pushed_bytes), 8);
  expect_refused(0, offsetof(LandingPad, pushed_bytes), LandingPad::kMaxPushedBytes + 16);
}

TEST_P(ExceptionTest, TiersMixed) {
  // Functions become hot while others on the stack are not yet.
  for (int32_t depth = 0; depth < 400; ++depth) ASSERT_EQ(number("down", {depth}), 5) << depth;
}

}  // namespace
}  // namespace rotor::runtime::test
