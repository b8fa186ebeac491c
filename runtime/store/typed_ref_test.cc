// Typed function references across the border to the host. Compiled code calls them without a look at their type, so
// nothing of another type may get in.
#include <optional>

#include "rotor/wat.h"
#include "runtime/access.h"
#include "runtime/engine.h"
#include "runtime/testing/ref_modules.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime::test {
namespace {

class TypedRefTest : public testing::Test {
 protected:
  TypedRefTest()
      : engine_(engine()),
        unary_(must(engine_.heap_type({{ValType::i32}, {ValType::i32}}))),
        unary_ref_(ValType::ref(unary_, false)) {
    linker_.define_func("env", "pick", {{ValType::i32}, {unary_ref_}}, [this](Caller&, Slot* slots) -> Result<void> {
      slots[0] = picked_.bits();
      return {};
    });
    linker_.define_func("env", "extern", {{}, {ValType::externref.non_null()}},
                        [this](Caller&, Slot* slots) -> Result<void> {
                          slots[0] = extern_;
                          return {};
                        });
    instance_ = instantiate(linker_, compile(engine_, kRefs));
  }
  Func func(std::string_view name) { return must(instance_.get_func(name)); }
  Result<std::vector<Value>> call(std::string_view name, std::initializer_list<Value> args = {}) {
    return func(name).call(args);
  }
  template <class T>
  static void expect_mismatch(const Result<T>& result, std::string_view message) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::type_mismatch);
    EXPECT_NE(result.error().message.find(message), std::string::npos) << result.error().message;
  }

  Engine engine_;
  HeapType unary_;
  ValType unary_ref_;
  Linker linker_{engine_};
  Value picked_;
  uint64_t extern_ = 7;
  Instance instance_;
  const Value null_ = Value::null(ValType::funcref);
};

TEST_F(TypedRefTest, TypesAreNamedInTheEngine) {
  EXPECT_EQ(engine_.func_type(unary_), (FuncType{{ValType::i32}, {ValType::i32}}));
  EXPECT_EQ(engine_.func_type(HeapType::Abstract::func), std::nullopt);
  EXPECT_EQ(engine_.func_type(HeapType::named(HeapType::kFirstTypeName + 1000)), std::nullopt);
  EXPECT_EQ(func("apply").type(), (FuncType{{unary_ref_, ValType::i32}, {ValType::i32}}));
  EXPECT_EQ(must(instance_.get_table("nullable")).type().element, unary_ref_.nullable_form());
  EXPECT_EQ(must(instance_.get_global("global")).type().value, unary_ref_);
}

TEST_F(TypedRefTest, Arguments) {
  EXPECT_EQ(must(call("apply", {func("triple"), 5}))[0].i32(), 15);
  EXPECT_EQ(must(call("maybe", {func("triple")}))[0].i32(), 21);
  EXPECT_EQ(must(must(call("any", {func("binary")}))[0].func().call({1, 2}))[0].i32(), 3);
  expect_mismatch(call("apply", {func("binary"), 5}), "argument 0 is a function of type [i32 i32] -> [i32]");
  expect_mismatch(call("apply", {null_, 5}), "argument 0 is null");
  expect_mismatch(call("apply", {5, 5}), "argument 0 is of type i32");
  expect_mismatch(call("any", {null_}), "argument 0 is null");
  expect_mismatch(call("maybe", {func("binary")}), "argument 0 is a function");
  expect_mismatch(call("non_null_extern", {Value::null(ValType::externref)}), "argument 0 is null");
  EXPECT_EQ(must(call("non_null_extern", {ExternRef{4}}))[0].externref().bits, 4u);
  expect_trap(call("maybe", {null_}), TrapKind::null_function_reference);
  Slot slots[2] = {0, 5};
  expect_mismatch(func("apply").call_raw(slots), "argument 0 is null");
}

TEST_F(TypedRefTest, ResultsOfHostFunctions) {
  picked_ = func("triple");
  EXPECT_EQ(must(call("picked", {1}))[0].i32(), 15);
  picked_ = null_;
  expect_mismatch(call("picked", {1}), "result 0 is null");
  picked_ = func("binary");
  expect_mismatch(call("picked", {1}), "is a function of type [i32 i32] -> [i32]");
  EXPECT_EQ(must(call("call_extern"))[0].externref().bits, 7u);
  extern_ = 0;
  expect_mismatch(call("call_extern"), "is null");
}

TEST_F(TypedRefTest, TablesAndGlobals) {
  Table table = must(instance_.get_table("table"));
  EXPECT_EQ(must(must(call("get"))[0].func().call({4}))[0].i32(), 8);
  must(table.set(1, func("triple")));
  EXPECT_EQ(must(must(call("get"))[0].func().call({4}))[0].i32(), 12);
  expect_mismatch(table.set(1, func("binary")), "a function of type");
  expect_mismatch(table.set(1, null_), "null for (ref ");
  expect_mismatch(table.grow(1, null_), "null for (ref ");
  EXPECT_EQ(must(table.grow(1, func("double"))), 2u);
  must(must(instance_.get_table("nullable")).set(0, null_));

  Global global = must(instance_.get_global("global"));
  must(global.set(func("triple")));
  EXPECT_EQ(must(call("call_global"))[0].i32(), 12);
  expect_mismatch(global.set(null_), "null for (ref ");
  expect_mismatch(global.set(func("binary")), "a function of type");

  expect_mismatch(Table::create(engine_, {unary_ref_, {1, 2}}, null_), "null for (ref ");
  expect_mismatch(Global::create(engine_, {unary_ref_, false}, func("binary")), "a function of type");
  EXPECT_EQ(must(Global::create(engine_, {unary_ref_, false}, func("double"))).type().value, unary_ref_);
}

TEST_F(TypedRefTest, AHostFunctionOfATypeThatNamesItself) {
  Module module = compile(engine_, wasm::test::assemble_without_names(R"((module
    (type $self (func (param (ref null $self)) (result i32)))
    (import "env" "f" (func $f (type $self)))
    (export "f" (func $f))
    (elem declare func $f)
    (func (export "call") (result i32) (call_ref $self (ref.func $f) (ref.func $f)))))"));
  Linker linker(engine_);
  linker.define_func("env", "f", std::get<FuncType>(module.imports()[0].type),
                     [](Caller&, Slot* slots) -> Result<void> {
                       slots[0] = slots[0] ? 5 : 6;
                       return {};
                     });
  Instance instance = instantiate(linker, module);
  EXPECT_EQ(must(must(instance.get_func("call")).call())[0].i32(), 5);
  Func f = must(instance.get_func("f"));
  EXPECT_EQ(must(f.call({f}))[0].i32(), 5);
  EXPECT_EQ(must(f.call({null_}))[0].i32(), 6);
}

TEST_F(TypedRefTest, NamesOfTypesThatAreGoneAreOfNone) {
  // Of the module's own, and of one that the host knows.
  const size_t types = impl_of(engine_).types.size();
  const std::vector<uint8_t> fresh = must(wat_to_wasm(R"((module
    (type $fresh (func (param f32 f32 f32 f32 f32)))
    (import "env" "takes" (func (param (ref null $fresh))))
    (func $f (export "f") (type $fresh)) (table (export "t") 1 (ref null $fresh)) (elem (i32.const 0) (ref null $fresh) (ref.func $f))))"));
  Linker linker(engine_);
  auto takes_type = [](const Module& module) { return std::get<FuncType>(module.imports()[0].type); };
  std::optional<Module> module = compile(engine_, fresh);
  const FuncType takes = takes_type(*module);
  const ValType ref = takes.params[0];
  linker.define_func("env", "takes", takes, [](Caller&, Slot*) -> Result<void> { return {}; });
  must(linker.instantiate(*module));

  // A definition and a table keep the type.
  Table table = must(Table::create(engine_, {ref, {1, 1}}, Value::null(ValType::funcref)));
  module.reset();
  module = compile(engine_, fresh);
  EXPECT_EQ(takes_type(*module), takes);
  must(linker.instantiate(*module));
  module.reset();
  table = {};
  linker = Linker(engine_);
  EXPECT_EQ(impl_of(engine_).types.size(), types);

  // Gone, and the name with it: the type that comes next is another.
  module = compile(engine_, fresh);
  EXPECT_NE(takes_type(*module), takes);
  EXPECT_EQ(engine_.func_type(ref.heap()), std::nullopt);
  EXPECT_EQ(engine_.func_type(takes_type(*module).params[0].heap())->params.size(), 5u);
  EXPECT_EQ(kind_of(engine_.heap_type(takes)), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(Table::create(engine_, {ref, {1, 1}}, Value::null(ValType::funcref))), ErrorKind::stale_handle);
  EXPECT_EQ(kind_of(Global::create(engine_, {ref, true}, Value::null(ValType::funcref))), ErrorKind::stale_handle);
  linker.define_func("env", "takes", takes, [](Caller&, Slot*) -> Result<void> { return {}; });
  EXPECT_EQ(kind_of(linker.instantiate(*module)), ErrorKind::stale_handle);
  linker.define_func("env", "takes", takes_type(*module), [](Caller&, Slot*) -> Result<void> { return {}; });
  must(linker.instantiate(*module));
}

TEST_F(TypedRefTest, AnotherEnginesTypesAreOthers) {
  // The same name there is another type.
  Engine other = engine();
  HeapType first = must(other.heap_type({{ValType::f64}, {}}));
  for (size_t params = 2; first.type_name() < unary_.type_name(); ++params)
    first = must(other.heap_type({std::vector<ValType>(params, ValType::f64), {ValType::f64}}));
  ASSERT_EQ(first.type_name(), unary_.type_name());
  Table table = must(Table::create(other, {ValType::ref(first, true), {1, 2}}, null_));
  expect_mismatch(table.set(0, func("double")), "a function of type");

  Linker linker = linker_;
  Global global = must(Global::create(other, {ValType::ref(first, true), false}, null_));
  Module importer = compile(engine_, wasm::test::assemble(R"((module
    (type (func (param i32) (result i32)))
    (import "env" "g" (global (ref null 0)))))"));
  linker.define("env", "g", Extern(global));
  EXPECT_EQ(kind_of(linker.instantiate(importer)), ErrorKind::link);
  linker.define("env", "g", Extern(must(Global::create(engine_, {unary_ref_.nullable_form(), false}, null_))));
  must(linker.instantiate(importer));
  // One without null will do as well: it can't be written.
  linker.define("env", "g", Extern(must(Global::create(engine_, {unary_ref_, false}, func("double")))));
  must(linker.instantiate(importer));
}

}  // namespace
}  // namespace rotor::runtime::test
