// Each load as an operand of each operator that LLVM might fold it into, and each store of what is chosen or narrowed:
// all of its bytes are accessed on each path through the function, for each set of CPU features, whether this machine
// has them or not. Looks at the machine code that is printed, not at what it does.
//
// ROTOR_ALL_ACCESSES=1 takes every pair (three minutes, scripts/nightly.sh); without it one in eleven.
#include "jit/passes/guest_accesses.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>
#include <set>

#include "jit/emit/batch.h"
#include "jit/link.h"
#include "jit/passes/memory_uses.h"
#include "jit/pipeline.h"
#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "rotor/wat.h"
#include "wasm/decode_module.h"

namespace rotor::jit {
namespace {

struct Op {
  const char* text;
  const char* signature;  ///< as wasm/opcodes.def has it
  const char* immediate;
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_OP_NUMERIC(code, Name, text, immediate, signature, feature) {text, #signature, ""},
#define ROTOR_OP_SIMD_NUMERIC(code, Name, text, immediate, signature, feature) {text, #signature, ""},
#define ROTOR_OP_SIMD_LANE(code, Name, text, immediate, signature, feature) {text, #signature, "0"},
constexpr Op kNumeric[] = {
#include "wasm/opcodes.def"
    {"i8x16.shuffle", "vv_v", "0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7"},            // twice the low half
    {"i8x16.shuffle", "vv_v", "0 1 2 3 20 21 22 23 8 9 10 11 28 29 30 31"},  // a blend
    {"i8x16.shuffle", "vv_v", "4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7"},            // one lane everywhere
    {"i8x16.shuffle", "vv_v", "16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31"},
};

struct Access {
  const char* text;
  unsigned bytes;
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_OP_LOAD(code, Name, text, immediate, signature, feature) \
  {text, 1u << (std::string_view(#immediate).back() - '0')},
#define ROTOR_OP_ATOMIC_LOAD(code, Name, text, immediate, signature, feature) \
  {text, 1u << (std::string_view(#immediate).back() - '0')},
#define ROTOR_OP_SIMD_LOAD(code, Name, text, immediate, signature, feature) \
  {text, 1u << (std::string_view(#immediate).back() - '0')},
constexpr Access kLoads[] = {
#include "wasm/opcodes.def"
};
#define ROTOR_OP(code, Name, text, immediate, signature, feature)
#define ROTOR_OP_STORE(code, Name, text, immediate, signature, feature) \
  {text, 1u << (std::string_view(#immediate).back() - '0')},
#define ROTOR_OP_SIMD_STORE(code, Name, text, immediate, signature, feature) \
  {text, 1u << (std::string_view(#immediate).back() - '0')},
constexpr Access kStores[] = {
#include "wasm/opcodes.def"
};

/// Of an operand or result.
char type_of(const Access& access) {
  std::string_view text = access.text;
  return text.starts_with("i32")   ? 'i'
         : text.starts_with("i64") ? 'l'
         : text.starts_with("f32") ? 'f'
         : text.starts_with("f64") ? 'd'
                                   : 'v';
}
const char* name_of(char type) {
  switch (type) {
    case 'i': return "i32";
    case 'l': return "i64";
    case 'f': return "f32";
    case 'd': return "f64";
    default: return "v128";
  }
}

struct Case {
  std::string body;
  char type;  ///< _: it stores
  unsigned bytes;
};

/// A value of some type, and what may make LLVM want a part of it, or none, or only under a condition.
void add_uses(std::vector<Case>& cases, const std::string& value, char type, unsigned bytes) {
  auto add = [&](const std::string& body, char result) { cases.push_back({body, result, bytes}); };
  std::string other = std::string("(local.get $") + type + "2)";
  add(value, type);
  add("(select " + value + " " + other + " (local.get $i2))", type);
  add("(select " + other + " " + value + " (f64.lt (local.get $d) (local.get $d2)))", type);
  add("(select " + value + " (" + name_of(type) + ".const " + (type == 'v' ? "i32x4 0 0 0 0" : "0") +
          ") (i32.lt_s (local.get $i) (local.get $i2)))",
      type);
  if (type == 'i' || type == 'l') {
    std::string t = name_of(type);
    add("(" + t + ".and " + value + " (" + t + ".const 0xff))", type);
    add("(" + t + ".shr_u " + value + " (" + t + ".const 24))", type);
    add("(" + t + ".eqz (" + t + ".and " + value + " (" + t + ".const 0x40)))", 'i');
  }
  if (type == 'l') add("(i32.wrap_i64 " + value + ")", 'i');
  if (type != 'v') return;
  for (const char* shape : {"i8x16", "i16x8", "i32x4", "i64x2"}) {
    std::string condition = std::string("(") + shape + ".lt_s (local.get $v2) (v128.const i32x4 0 0 0 0))";
    add("(v128.bitselect " + value + " (local.get $v) " + condition + ")", 'v');
    add("(v128.bitselect (local.get $v) " + value + " " + condition + ")", 'v');
    add("(v128.and " + value + " " + condition + ")", 'v');
    add("(v128.andnot " + value + " " + condition + ")", 'v');
    add("(v128.or " + value + " " + condition + ")", 'v');
  }
  add("(i8x16.extract_lane_u 3 " + value + ")", 'i');
  add("(i32x4.extract_lane 0 " + value + ")", 'i');
  add("(i64x2.extract_lane 0 " + value + ")", 'l');
  add("(f32x4.extract_lane 0 " + value + ")", 'f');
  add("(f64x2.extract_lane 1 " + value + ")", 'd');
  add("(i64x2.replace_lane 1 " + value + " (i64.const 0))", 'v');
  add("(f32x4.replace_lane 0 " + value + " (f32.const 0))", 'v');
}

/// Stores of values that need not be computed whole, and of such that were read at the same place.
void add_stores(std::vector<Case>& cases) {
  for (const Access& store : kStores) {
    char type = type_of(store);
    std::string t = name_of(type), other = std::string("(local.get $") + type + ")";
    std::string again = "(" + t + ".load (local.get $a))";
    std::vector<std::string> values = {other, again};
    for (const std::string& value : {std::string("(local.get $") + type + "2)", again}) {
      values.push_back("(select " + value + " " + other + " (local.get $i2))");
      values.push_back("(select " + other + " " + value + " (f64.lt (local.get $d) (local.get $d2)))");
      if (type == 'i' || type == 'l')
        for (const char* op : {"add", "and", "or", "shl"})
          values.push_back("(" + t + "." + op + " " + value + " " + other + ")");
      if (type == 'v')
        for (const char* shape : {"i8x16", "i16x8", "i32x4", "i64x2"})
          values.push_back("(v128.bitselect " + value + " " + other + " (" + shape +
                           ".lt_s (local.get $v2) (v128.const i32x4 0 0 0 0)))");
    }
    if (type == 'i') values.push_back("(i8x16.extract_lane_u 5 (local.get $v))");
    if (type == 'l') values.push_back("(i64x2.extract_lane 1 (local.get $v))");
    if (type == 'f') values.push_back("(f32.demote_f64 (local.get $d))");
    if (type == 'd') values.push_back("(f64x2.extract_lane 1 (local.get $v))");
    for (const std::string& value : values)
      cases.push_back({std::string("(") + store.text + " (local.get $a) " + value + ")", '_', store.bytes});
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_stores(cases);
  const std::set<std::string_view> folded = {"i32.load",       "i32.load8_s",      "i64.load",  "i64.load32_u",
                                             "f32.load",       "f64.load",         "v128.load", "v128.load64_zero",
                                             "v128.load8x8_s", "v128.load32_splat"};
  for (const Access& load : kLoads) {
    char type = type_of(load);
    std::string value = std::string("(") + load.text + " (local.get $a))";
    add_uses(cases, value, type, load.bytes);
    if (!folded.contains(load.text)) continue;
    for (const Op& op : kNumeric) {
      std::string_view params = std::string_view(op.signature).substr(0, std::string_view(op.signature).find('_'));
      char result = std::string_view(op.signature).back();
      for (size_t at = 0; at < params.size(); ++at) {
        if (params[at] != type) continue;
        std::string body = std::string("(") + op.text + " " + op.immediate;
        for (size_t i = 0; i < params.size(); ++i)
          body += " " + (i == at ? value : std::string("(local.get $") + params[i] + ")");
        add_uses(cases, body + ")", result, load.bytes);
      }
    }
  }
  return cases;
}

std::string text_of(std::span<const Case> cases) {
  std::string text = "(module (memory 1)";
  for (const Case& one : cases)
    text += std::string(
                "\n(func (param $a i32) (param $i i32) (param $i2 i32) (param $l i64) (param $l2 i64) (param $f "
                "f32) (param $f2 f32) (param $d f64) (param $d2 f64) (param $v v128) (param $v2 v128) ") +
            (one.type == '_' ? "" : std::string("(result ") + name_of(one.type) + ") ") + one.body + ")";
  return text + ")";
}

/// Notes the functions in which a path to a return misses the access.
class AccessChecker : public llvm::AsmPrinterHandler {
 public:
  AccessChecker(llvm::AsmPrinter& printer, std::span<const Case> cases, std::vector<std::string>& misses)
      : uses_(printer.TM), cases_(cases), misses_(misses) {}
  void beginFunction(const llvm::MachineFunction*) override {}
  void endFunction(const llvm::MachineFunction* function) override {
    const Case& expected = cases_[*function_of_symbol(function->getName())];
    std::set<const llvm::MachineBasicBlock*> seen;
    std::vector<const llvm::MachineBasicBlock*> todo{&function->front()};
    while (!todo.empty()) {
      const llvm::MachineBasicBlock* block = todo.back();
      todo.pop_back();
      if (!seen.insert(block).second || accesses(*block, expected)) continue;
      if (block->isReturnBlock()) {
        misses_.push_back(expected.body);
        return;
      }
      todo.insert(todo.end(), block->succ_begin(), block->succ_end());
    }
  }
  void beginInstruction(const llvm::MachineInstr*) override {}
  void endModule() override {}

 private:
  bool accesses(const llvm::MachineBasicBlock& block, const Case& expected) {
    for (const llvm::MachineInstr& instruction : block) {
      if (!guest_access(instruction) || (expected.type == '_' && !instruction.mayStore())) continue;
      const MemoryUse& use = uses_.of(instruction.getOpcode());
      if (!use.masked && use.bytes >= expected.bytes) return true;
    }
    return false;
  }

  MemoryUses uses_;
  std::span<const Case> cases_;
  std::vector<std::string>& misses_;
};

class GuestAccessesTest : public testing::TestWithParam<std::tuple<OptLevel, const char*>> {};

TEST_P(GuestAccessesTest, AreWholeOnEachPath) {
  auto [opt, cpu] = GetParam();
  std::vector<Case> all = all_cases(), cases;
#ifdef __SANITIZE_ADDRESS__
  constexpr size_t kStep = 101;
#else
  constexpr size_t kStep = 11;
#endif
  size_t step = std::getenv("ROTOR_ALL_ACCESSES") ? 1 : kStep;
  // The stores come first, and all of them are taken.
  for (size_t i = 0; i < all.size(); i += i < 400 ? 1 : step) cases.push_back(all[i]);
  ASSERT_GT(cases.size(), 400u);
  auto pipeline = Pipeline::create(opt, *cpu_target(cpu), true);
  ASSERT_TRUE(pipeline);
  std::vector<std::string> misses;
  constexpr size_t kBatch = 100;
  for (size_t first = 0; first < cases.size(); first += kBatch) {
    std::span<const Case> batch(cases.begin() + static_cast<ptrdiff_t>(first), std::min(kBatch, cases.size() - first));
    auto bytes = wat_to_wasm(text_of(batch));
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    auto module = wasm::decode_module(*bytes, {});
    ASSERT_TRUE(module) << module.error().to_string();
    ModulePlan plan(*module, {}, opt == OptLevel::o0 ? Calls::slots : Calls::direct, false);
    BatchEmitter emitter(*module, *bytes, {});
    std::vector<BatchFunction> functions;
    for (uint32_t i = 0; i < batch.size(); ++i) functions.push_back({i, false, 0, 0});
    uint32_t bad = 0;
    auto llvm_module =
        emitter.emit(plan, (*pipeline)->target(), (*pipeline)->context(batch.size()), functions, false, bad);
    ASSERT_TRUE(llvm_module) << llvm_module.error().to_string() << batch[bad].body;
    (*pipeline)->optimise(**llvm_module);
    llvm::SmallVector<char, 0> assembly;
    (*pipeline)->write_assembly(**llvm_module, assembly, [&](llvm::AsmPrinter& printer) {
      return std::make_unique<AccessChecker>(printer, batch, misses);
    });
  }
  EXPECT_EQ(misses, std::vector<std::string>()) << misses.size() << " of " << cases.size();
}

INSTANTIATE_TEST_SUITE_P(, GuestAccessesTest,
                         testing::Combine(testing::Values(OptLevel::o0, OptLevel::o1),
                                          testing::Values("baseline", "x86-64-v3", "x86-64-v4")),
                         [](const auto& info) {
                           std::string name = std::get<1>(info.param);
                           std::ranges::replace(name, '-', '_');
                           return std::string(std::get<0>(info.param) == OptLevel::o0 ? "o0_" : "o1_") + name;
                         });

}  // namespace
}  // namespace rotor::jit
