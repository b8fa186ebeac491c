// Memories that nobody wrote to: found without a look at them, and only if it is so.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "rotor/rotor.h"
#include "runtime/testing/support.h"
#include "wasm/testing/assemble.h"

namespace rotor::runtime {
namespace {

using namespace test;
using wasm::test::assemble;

struct Instruction {
  std::string name;
  std::string params;  ///< their letters in wasm/opcodes.def; the first is the address
  bool has_result;
  bool has_lane;
};
Instruction instruction(std::string name, std::string signature, std::string immediate) {
  const size_t results = signature.find('_');
  return {std::move(name), signature.substr(0, results), results + 1 < signature.size(),
          immediate.find("lane") != std::string::npos};
}

std::vector<Instruction> writing() {
  return {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_WRITES(code, Name, text, immediate, signature, feature) instruction(text, #signature, #immediate),
#define ROTOR_OP_STORE ROTOR_WRITES
#define ROTOR_OP_SIMD_STORE ROTOR_WRITES
#define ROTOR_OP_SIMD_STORE_LANE ROTOR_WRITES
#define ROTOR_OP_ATOMIC_STORE ROTOR_WRITES
#define ROTOR_OP_ATOMIC_RMW ROTOR_WRITES
#define ROTOR_OP_ATOMIC_CMPXCHG ROTOR_WRITES
#include "wasm/opcodes.def"
#undef ROTOR_WRITES
  };
}
std::vector<Instruction> reading() {
  return {
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_READS(code, Name, text, immediate, signature, feature) instruction(text, #signature, #immediate),
#define ROTOR_OP_LOAD ROTOR_READS
#define ROTOR_OP_SIMD_LOAD ROTOR_READS
#define ROTOR_OP_SIMD_LOAD_LANE ROTOR_READS
#define ROTOR_OP_ATOMIC_LOAD ROTOR_READS
#include "wasm/opcodes.def"
#undef ROTOR_READS
  };
}

std::string function_of(const Instruction& op) {
  std::string text = "(func (export \"" + op.name + "\") (" + op.name + (op.has_lane ? " 0" : "") + " (i32.const 64)";
  for (size_t i = 1; i < op.params.size(); ++i) {
    const bool is_expected = op.params.size() == 3 && i == 1;
    const char* ones = op.params[i] == 'i'   ? "(i32.const -1)"
                       : op.params[i] == 'l' ? "(i64.const -1)"
                       : op.params[i] == 'f' ? "(f32.const -1)"
                       : op.params[i] == 'd' ? "(f64.const -1)"
                                             : "(v128.const i64x2 -1 -1)";
    const char* zero = op.params[i] == 'i' ? "(i32.const 0)" : "(i64.const 0)";
    text += std::string(" ") + (is_expected ? zero : ones);
  }
  return text + (op.has_result ? ") drop)\n" : "))\n");
}

/// Makes instances of a module with functions of no parameters, calls one, drops them, and says what became of their
/// memories.
class Owners {
 public:
  Owners(const Engine& engine, const std::string& functions, const std::string& memory = "(memory 1 4)")
      : module_(compile(engine, assemble("(module " + memory + functions + ")"))),
        pre_(must(Linker(engine).instantiate_pre(module_))) {}

  /// Returns whether nothing was looked for in its memory.
  template <class Use>
  bool untouched_by(Use use) {
    const MemorySlots before = module_.memory_slots();
    {
      Instance instance = must(pre_.instantiate());
      use(instance);
    }
    const MemorySlots after = module_.memory_slots();
    const uint64_t cleaned = after.compared + after.scanned + after.discarded;
    EXPECT_EQ(cleaned + after.untouched, before.compared + before.scanned + before.discarded + before.untouched + 1);
    const bool untouched = after.untouched > before.untouched;
    // The next one finds zeroes.
    Instance next = must(pre_.instantiate());
    std::vector<uint8_t> bytes(must(next.memory0()).size_bytes());
    must(must(next.memory0()).read(0, bytes));
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 0), static_cast<ptrdiff_t>(bytes.size()));
    return untouched;
  }
  bool untouched_by_call(const std::string& name) {
    return untouched_by([&](const Instance& instance) { must(must(instance.get_func(name)).call()); });
  }

 private:
  Module module_;
  InstancePre pre_;
};

Engine engine_of(CompileMode mode, OptLevel opt, bool slabs = false) {
  Config config;
  config.mode = mode;
  config.opt = opt;
  config.slab_memories = slabs;
  return must(Engine::create(config));
}

class Untouched : public testing::TestWithParam<std::pair<CompileMode, OptLevel>> {
 protected:
  Engine engine_ = engine_of(GetParam().first, GetParam().second);
};
INSTANTIATE_TEST_SUITE_P(Of, Untouched,
                         testing::Values(std::pair(CompileMode::aot, OptLevel::o0),
                                         std::pair(CompileMode::aot, OptLevel::o1),
                                         std::pair(CompileMode::lazy, OptLevel::o1)));

TEST_P(Untouched, IsWhatNoInstructionThatWritesCameTo) {
  std::string functions;
  for (const auto& list : {writing(), reading()})
    for (const Instruction& op : list) functions += function_of(op);
  for (const char* memory : {"(memory 1 4)", "(memory 4 4)"}) {
    Owners owners(engine_, functions, memory);
    EXPECT_TRUE(owners.untouched_by([](const Instance&) {}));
    for (const Instruction& op : writing()) EXPECT_FALSE(owners.untouched_by_call(op.name)) << op.name;
    for (const Instruction& op : reading()) EXPECT_TRUE(owners.untouched_by_call(op.name)) << op.name;
  }
}

TEST_P(Untouched, IsWhatNoBulkInstructionWrote) {
  Owners owners(engine_, R"((data $d "\07") (table 3 funcref)
    (func (export "fill") (memory.fill (i32.const 5) (i32.const 1) (i32.const 1)))
    (func (export "copy") (memory.copy (i32.const 5) (i32.const 6) (i32.const 1)))
    (func (export "init") (memory.init $d (i32.const 5) (i32.const 0) (i32.const 1)))
    (func (export "grow") (drop (memory.grow (i32.const 1))))
    (func (export "size") (drop (memory.size)))
    (func (export "no growth") (drop (memory.grow (i32.const 0))))
    (func (export "table") (table.fill (i32.const 0) (ref.null func) (i32.const 3))))");
  for (const char* name : {"fill", "copy", "init", "grow"}) EXPECT_FALSE(owners.untouched_by_call(name)) << name;
  for (const char* name : {"size", "no growth", "table"}) EXPECT_TRUE(owners.untouched_by_call(name)) << name;
}

TEST_P(Untouched, IsFoundWhereverTheStoreIs) {
  // A function as compilers have it for products of 128 bits, which is emitted in the place of its calls.
  Owners owners(engine_, R"((type $v (func)) (table funcref (elem $direct $quiet))
    (func $product (param i32 i64 i64)
      (i64.store (local.get 0) (i64.mul (local.get 1) (local.get 2)))
      (i64.store offset=8 (local.get 0) (i64.mul (i64.mul (local.get 1) (local.get 1)) (local.get 2))))
    (func $direct (call $product (i32.const 64) (i64.const 3) (i64.const 5)))
    (func (export "inlined") (call $product (i32.const 64) (i64.const 3) (i64.const 5)))
    (func $quiet)
    (func (export "call") (call $direct))
    (func (export "tail") (return_call $direct))
    (func (export "indirect") (call_indirect (type $v) (i32.const 0)))
    (func (export "indirect quiet") (call_indirect (type $v) (i32.const 1)))
    (func (export "trap") (call $direct) unreachable)
    (func (export "loop") (local $i i32)
      (loop $l
        (if (i32.eq (local.get $i) (i32.const 9)) (then (i32.store8 (i32.const 70) (i32.const 1))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))))");
  for (const char* name : {"inlined", "call", "tail", "indirect", "loop"})
    EXPECT_FALSE(owners.untouched_by_call(name)) << name;
  EXPECT_TRUE(owners.untouched_by_call("indirect quiet"));
  EXPECT_FALSE(owners.untouched_by(
      [](const Instance& instance) { expect_trap(must(instance.get_func("trap")).call(), TrapKind::unreachable); }));
}

TEST_P(Untouched, IsWhatTheHostDidNotWrite) {
  Owners owners(engine_, R"((export "m" (memory 0)))");
  auto memory = [](const Instance& instance) { return must(instance.get_memory("m")); };
  const std::vector<uint8_t> ones(100, 1);
  EXPECT_FALSE(owners.untouched_by([&](const Instance& i) { must(memory(i).write(5, ones)); }));
  EXPECT_FALSE(owners.untouched_by([&](const Instance& i) { memory(i).data()[70] = 1; }));
  EXPECT_FALSE(owners.untouched_by([&](const Instance& i) { must(memory(i).grow(1)); }));
  EXPECT_TRUE(owners.untouched_by([&](const Instance& i) {
    std::vector<uint8_t> bytes(100);
    must(memory(i).read(5, bytes));
    EXPECT_FALSE(memory(i).read(65536, bytes));
  }));
}

TEST_P(Untouched, IsNotWhatAnotherInstanceCouldWrite) {
  Owners owners(engine_, R"((export "m" (memory 0)))");
  Module importer = compile(engine_, assemble(R"((module (import "e" "m" (memory 1))
    (func (export "store") (i32.store8 (i32.const 70) (i32.const 1)))))"));
  for (const bool lasts : {false, true}) {
    Instance other;
    EXPECT_FALSE(owners.untouched_by([&](Instance& owner) {
      Linker linker(engine_);
      linker.define("e", "m", must(owner.get_memory("m")));
      other = instantiate(linker, importer);
      must(typed<void()>(other, "store")());
      if (lasts) owner = Instance();
      other = Instance();
    }));
  }
}

TEST_P(Untouched, IsNotWhatTheInstanceWritesWhenItIsMade) {
  Module module = compile(engine_, assemble(R"((module
    (import "e" "g" (global $g i32)) (memory 1) (data (global.get $g) "abc")))"));
  Linker linker(engine_);
  linker.define("e", "g", must(Global::create(engine_, {ValType::i32, false}, Value(64))));
  for (int i = 0; i < 3; ++i) (void)instantiate(linker, module);
  EXPECT_EQ(module.memory_slots().untouched, 0u);
  EXPECT_EQ(module.memory_slots().compared, 3u);

  Module starts = compile(engine_, assemble(R"((module (memory 1)
    (func $s (i32.store (i32.const 64) (i32.const 1))) (start $s)))"));
  for (int i = 0; i < 3; ++i) (void)instantiate(Linker(engine_), starts);
  EXPECT_EQ(starts.memory_slots().untouched, 0u);
}

TEST(UntouchedMemories, AreWhatHostFunctionsOnlyLookedAt) {
  Engine engine = engine_of(CompileMode::aot, OptLevel::o1);
  Module module = compile(engine, assemble(R"((module (import "e" "f" (func $f)) (memory 1)
    (func (export "call") (call $f))))"));
  enum class Does { views, reads, edits, writes };
  Does does = Does::views;
  Linker linker(engine);
  linker.define("e", "f", [&](Caller& caller) -> Result<void> {
    std::vector<uint8_t> bytes(8);
    if (does == Does::views) ROTOR_CHECK(caller.view(64, 8));
    if (does == Does::reads) ROTOR_CHECK(caller.read(64, bytes));
    if (does == Does::writes) ROTOR_CHECK(caller.write(64, bytes));
    if (does == Does::edits) {
      ROTOR_TRY(auto edited, caller.edit(64, 8));
      edited[0] = 1;
    }
    return {};
  });
  InstancePre pre = must(linker.instantiate_pre(module));
  uint64_t untouched = 0;
  for (Does what : {Does::views, Does::edits, Does::reads, Does::writes, Does::views}) {
    does = what;
    {
      Instance instance = must(pre.instantiate());
      EXPECT_EQ(must(instance.memory0()).size_bytes(), 65536u);
      must(typed<void()>(instance, "call")());
    }
    untouched += what == Does::views || what == Does::reads;
    EXPECT_EQ(module.memory_slots().untouched, untouched) << static_cast<int>(what);
  }
}

TEST(UntouchedMemories, OfSnapshotsKeepTheirSlots) {
  Engine engine = engine_of(CompileMode::aot, OptLevel::o1);
  Module module = compile(engine, assemble(R"((module (memory 64)
    (func (export "set") (i32.store8 (i32.const 70) (i32.const 7)))
    (func (export "get") (result i32) (i32.load8_u (i32.const 70)))))"));
  InstancePre pre = must(Linker(engine).instantiate_pre(module));
  Instance source = must(pre.instantiate());
  must(typed<void()>(source, "set")());
  Snapshot snapshot = must(source.snapshot());
  for (int i = 0; i < 5; ++i) {
    Instance instance = must(pre.instantiate(snapshot));
    EXPECT_EQ(must(typed<int32_t()>(instance, "get")()), 7);
  }
  EXPECT_EQ(snapshot.memory_slots().made, 1u);
  EXPECT_EQ(snapshot.memory_slots().untouched, 5u);
}

TEST(UntouchedMemories, OnSlabsToo) {
  Engine engine = engine_of(CompileMode::aot, OptLevel::o1, true);
  Owners owners(engine, R"((func (export "store") (i32.store (i32.const 64) (i32.const 1))) (func (export "nop")))");
  EXPECT_TRUE(owners.untouched_by_call("nop"));
  EXPECT_FALSE(owners.untouched_by_call("store"));
}

}  // namespace
}  // namespace rotor::runtime
