#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "code/abi.h"
#include "code/code_file.h"
#include "code/code_image.h"
#include "code/compiler.h"
#include "code/cpu.h"
#include "code/run_page.h"
#include "code/stubs.h"
#include "wasm/decode_module.h"
#include "wasm/testing/assemble.h"

namespace rotor::jit {
namespace {

const std::vector<uint8_t> kTraps = wasm::test::assemble(R"(
(module
  (func (export "two") (param i32)
    (if (local.get 0) (then unreachable) (else unreachable)))
  (func (export "dead") (param i32) (drop (i32.load8_u (local.get 0))))
  (func (export "zero") (param $p i32) (param $n i32)
    (loop $l
      (i32.store (local.get $p) (i32.const 0))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "switch") (param i32) (result i32)
    (block (block (block (block (block (block
      (br_table 0 1 2 3 4 5 (local.get 0)))
      (return (i32.const 10))) (return (i32.const 11))) (return (i32.const 12))) (return (i32.const 13)))
      (return (i32.const 14))) (i32.const 15))
  (func (export "call_two") (call 0 (i32.const 1)))
  (memory 1))
)");

code::Compiled compile(OptLevel opt, unsigned workers = 1, uint32_t batch = 64) {
  auto module = wasm::decode_module(kTraps, {});
  EXPECT_TRUE(module) << module.error().to_string();
  code::CompileOptions options;
  options.settings.opt = opt;
  options.workers = workers;
  options.batch_functions = batch;
  auto compiled = code::compile_module(*module, kTraps, options);
  EXPECT_TRUE(compiled) << compiled.error().to_string();
  return std::move(*compiled);
}

/// The code of one function.
code::FunctionCode code_of(const code::CodeImage& image, uint32_t function) {
  auto it = std::ranges::find(image.functions, function, &code::FunctionCode::func);
  EXPECT_NE(it, image.functions.end());
  return *it;
}

/// Offsets in text of the trap sites of one function.
std::vector<uint32_t> trap_sites(const code::CodeImage& image, uint32_t function, TrapKind kind) {
  const uint8_t site[] = {code::kTrapOpcode, static_cast<uint8_t>(code::kTrapVector + static_cast<uint8_t>(kind))};
  std::vector<uint32_t> sites;
  code::FunctionCode code = code_of(image, function);
  for (uint32_t at = code.begin; at + std::size(site) <= code.end; ++at)
    if (std::equal(std::begin(site), std::end(site), image.text.begin() + at)) sites.push_back(at);
  return sites;
}

class CompileTest : public testing::TestWithParam<OptLevel> {};
INSTANTIATE_TEST_SUITE_P(Levels, CompileTest, testing::Values(OptLevel::o0, OptLevel::o1),
                         [](const auto& level) { return level.param == OptLevel::o0 ? "o0" : "o1"; });

TEST_P(CompileTest, TrapSitesStayApartAndKnowTheirOffset) {
  code::CodeImage image = compile(GetParam()).image;
  auto sites = trap_sites(image, 0, TrapKind::unreachable);
  ASSERT_EQ(sites.size(), 2u);
  std::vector<uint64_t> offsets;
  for (uint32_t site : sites) offsets.push_back(code::module_offset_at(code_of(image, 0), image.lines, site));
  std::sort(offsets.begin(), offsets.end());
  for (uint64_t offset : offsets) EXPECT_EQ(kTraps[offset], 0x00) << "not the opcode of unreachable";
  EXPECT_NE(offsets[0], offsets[1]);
}

TEST_P(CompileTest, DeadLoadsStay) {
  code::CodeImage image = compile(GetParam()).image;
  bool found = false;  // some instruction of the function belongs to the load at its module offset
  code::FunctionCode code = code_of(image, 1);
  for (uint32_t at = code.begin; at < code.end; ++at)
    found |= kTraps[code::module_offset_at(code, image.lines, at)] == 0x2d;
  EXPECT_TRUE(found);
}

TEST_P(CompileTest, TheSameHoweverItIsSplit) {
  code::CodeImage one = compile(GetParam(), 1).image;
  EXPECT_EQ(one.text, compile(GetParam(), 2).image.text);
  code::CodeImage single = compile(GetParam(), 2, 1).image;
  EXPECT_EQ(single.functions.size(), one.functions.size());
}

TEST_P(CompileTest, SmallLeavesHaveNoStackCheck) {
  code::CodeImage image = compile(GetParam()).image;
  EXPECT_TRUE(trap_sites(image, 3, TrapKind::stack_overflow).empty());
  EXPECT_EQ(trap_sites(image, 4, TrapKind::stack_overflow).size(), 1u);
}

TEST_P(CompileTest, LoopHeadsOfInterruptibleCodeLookForAStop) {
  const std::vector<uint8_t> bytes =
      wasm::test::assemble("(module (func) (func (loop (br 0))) (func (loop (loop (br 1)))))");
  auto module = wasm::decode_module(bytes, {});
  ASSERT_TRUE(module) << module.error().message;
  code::CompileOptions options;
  options.settings.opt = GetParam();
  for (bool interruptible : {false, true}) {
    options.settings.interruptible = interruptible;
    auto compiled = code::compile_module(*module, bytes, options);
    ASSERT_TRUE(compiled) << compiled.error().message;
    for (uint32_t func : {0u, 1u, 2u})
      EXPECT_EQ(trap_sites(compiled->image, func, TrapKind::interrupted).size(), interruptible ? func : 0) << func;
  }
}

/// Whether a function's code holds a relative call directly to another's entry.
bool calls_directly(const code::CodeImage& image, uint32_t from, uint32_t to) {
  constexpr uint8_t kCallRel32 = 0xe8;
  code::FunctionCode code = code_of(image, from);
  for (uint32_t at = code.begin; at + 5 <= code.end; ++at) {
    int32_t distance;
    std::memcpy(&distance, &image.text[at + 1], sizeof distance);
    if (image.text[at] == kCallRel32 && at + 5 + static_cast<uint32_t>(distance) == code_of(image, to).begin)
      return true;
  }
  return false;
}

TEST(Compile, TierZeroCallsThroughSlotsAheadOfTimeCodeStraight) {
  EXPECT_FALSE(calls_directly(compile(OptLevel::o0).image, 4, 0));
  EXPECT_TRUE(calls_directly(compile(OptLevel::o1).image, 4, 0));
  // Across batches too.
  EXPECT_TRUE(calls_directly(compile(OptLevel::o1, 1, 1).image, 4, 0));
}

TEST(Compile, FirstBadFunctionIsReported) {
  std::vector<uint8_t> bytes(std::begin(kTraps), std::end(kTraps));
  auto module = wasm::decode_module(bytes, {});
  ASSERT_TRUE(module);
  for (size_t i : {0u, 2u}) bytes[module->bodies[i].end - 1] = 0x01;  // nop instead of end
  code::CompileOptions options;
  options.batch_functions = 1;
  options.workers = 2;
  auto compiled = code::compile_module(*module, bytes, options);
  ASSERT_FALSE(compiled);
  ASSERT_TRUE(compiled.error().offset);
  EXPECT_LE(*compiled.error().offset, module->bodies[0].end);
}

TEST(Compile, AModuleWithoutFunctionsHasNoText) {
  constexpr uint8_t kEmpty[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};
  auto module = wasm::decode_module(kEmpty, {});
  ASSERT_TRUE(module);
  auto compiled = code::compile_module(*module, kEmpty, {});
  ASSERT_TRUE(compiled) << compiled.error().to_string();
  EXPECT_TRUE(compiled->image.text.empty());
}

TEST(Compile, UnknownCpuIsNamed) {
  auto module = wasm::decode_module(kTraps, {});
  code::CompileOptions options;
  options.settings.cpu = "pentium";
  auto compiled = code::compile_module(*module, kTraps, options);
  ASSERT_FALSE(compiled);
  EXPECT_NE(compiled.error().message.find("pentium"), std::string::npos);
}

TEST(Compile, CodeOverTheLimitIsAnError) {
  auto module = wasm::decode_module(kTraps, {});
  code::CompileOptions options;
  options.code_limit_bytes = 4096;
  auto compiled = code::compile_module(*module, kTraps, options);
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().kind, ErrorKind::limit);
}

/// Links a function that was compiled alone, somewhere in the region of a growing module.
code::CodeImage compile_alone(uint32_t function, uint32_t tier) {
  static const wasm::Module module = *wasm::decode_module(kTraps, {});
  auto compiler = code::FunctionCompiler::create(module, kTraps, {});
  EXPECT_TRUE(compiler);
  auto code = (*compiler)->compile(std::vector{function}, tier);
  EXPECT_TRUE(code) << code.error().to_string();
  code::RegionLayout region = *code::tiered_region(module, 1 << 30);
  auto image = (*code)->link(region, 5 * code::kCodePageBytes, code::kCodePageBytes, tier);
  EXPECT_TRUE(image) << image.error().to_string();
  return std::move(*image);
}

TEST(Compile, AFunctionAloneIsLinkedForItsPlace) {
  for (uint32_t tier : {0u, 1u}) {
    code::CodeImage image = compile_alone(4, tier);
    ASSERT_EQ(image.functions.size(), 1u);
    EXPECT_EQ(image.functions[0].func, 4u);
    EXPECT_EQ(image.functions[0].begin, 5 * code::kCodePageBytes);
    EXPECT_EQ(image.functions[0].tier, tier);
    EXPECT_EQ(image.text.size() % code::kCodePageBytes, 0u);
    // It reaches the other's slot in the run page by its distance.
    code::RunPageLayout run_page(*wasm::decode_module(kTraps, {}));
    code::RegionLayout region = *code::tiered_region(*wasm::decode_module(kTraps, {}), 1 << 30);
    bool found = false;
    for (uint32_t at = image.functions[0].begin; at + 4 <= image.functions[0].end; ++at) {
      int32_t distance;
      std::memcpy(&distance, &image.text[at - image.text_offset], sizeof distance);
      found |= at + 4 + static_cast<uint64_t>(distance) == region.run_page() + run_page.slot(0);
    }
    EXPECT_TRUE(found) << tier;
  }
}

TEST(Compile, OnlyCodeThatIsToCountCounts) {
  auto module = wasm::decode_module(kTraps, {});
  code::CompileOptions options;
  options.settings.tiered = true;
  options.settings.opt = OptLevel::o0;
  auto plain = code::compile_module(*module, kTraps, options);
  options.settings.opt = OptLevel::o1;
  auto counting = code::compile_module(*module, kTraps, options);
  ASSERT_TRUE(plain && counting);
  // The loop counts in two places, so its function grows the most.
  auto size = [](const code::Compiled& c, uint32_t f) { return code_of(c.image, f).end - code_of(c.image, f).begin; };
  for (uint32_t f = 0; f < 5; ++f) EXPECT_GT(size(*counting, f), size(*plain, f)) << f;
  EXPECT_GT(size(*counting, 2) - size(*plain, 2), size(*counting, 1) - size(*plain, 1));
}

TEST(Stubs, JumpThroughTheirSlotAndTellTheirFunction) {
  auto module = wasm::decode_module(kTraps, {});
  code::RunPageLayout run_page(*module);
  constexpr uint64_t kRunPage = 1 << 20;
  std::vector<uint8_t> text = code::Stubs::code(5, run_page, kRunPage);
  auto target = [&](uint32_t at, uint32_t opcode_bytes) {
    int32_t distance;
    std::memcpy(&distance, &text[at + opcode_bytes], sizeof distance);
    return at + opcode_bytes + 4 + static_cast<uint64_t>(distance);
  };
  EXPECT_EQ(target(0, 2), kRunPage + run_page.lazy_entry);
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(text[code::Stubs::stub(i)], 0xff);
    EXPECT_EQ(target(code::Stubs::stub(i), 2), kRunPage + run_page.slot(i));
    EXPECT_EQ(text[code::Stubs::lazy(i)], 0xe8);
    EXPECT_EQ(target(code::Stubs::lazy(i), 1), 0u);
    EXPECT_EQ(code::Stubs::func_of_return(code::Stubs::lazy(i) + 5), i);
  }
}

class CodeFileTest : public testing::Test {
 protected:
  void SetUp() override {
    auto module = wasm::decode_module(kTraps, {});
    compiled_ = compile(OptLevel::o1);
    module_bytes_ = code::without_code_section(kTraps, *module);
    file_.region = compiled_.region;
    file_.text = compiled_.image.text;
    file_.rodata = compiled_.image.rodata;
    file_.functions = compiled_.image.functions;
    file_.lines = compiled_.image.lines;
    file_.module_bytes = module_bytes_;
    file_.cpu_features = compiled_.cpu_features;
    write();
  }
  void write() {
    contents_.clear();
    auto ok = code::write_code(file_, [this](const void* data, size_t size) -> Result<void> {
      contents_.append(static_cast<const char*>(data), size);
      return {};
    });
    ASSERT_TRUE(ok) << ok.error().to_string();
  }
  Result<code::CodeFile> parse(code::Check check = code::Check::all) {
    return code::parse_code_file({reinterpret_cast<const uint8_t*>(contents_.data()), contents_.size()}, "x.rotor",
                                 check);
  }
  Error error_of(std::string contents, code::Check check = code::Check::all) {
    std::swap(contents, contents_);
    auto file = parse(check);
    std::swap(contents, contents_);
    EXPECT_FALSE(file);
    return file ? Error() : file.error();
  }
  std::string contents_;
  std::vector<uint8_t> module_bytes_;
  code::Compiled compiled_;
  code::CodeFile file_;
};

TEST_F(CodeFileTest, ReadsBackWhatWasWritten) {
  auto file = parse();
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_EQ(file->functions.size(), compiled_.image.functions.size());
  for (size_t i = 0; i < file->functions.size(); ++i)
    EXPECT_EQ(std::memcmp(&file->functions[i], &compiled_.image.functions[i], sizeof(code::FunctionCode)), 0) << i;
  EXPECT_TRUE(std::ranges::equal(file->lines, compiled_.image.lines));
  EXPECT_TRUE(std::ranges::equal(file->text, compiled_.image.text));
  EXPECT_EQ(file->text_file_offset % code::kCodePageBytes, 0u);
  EXPECT_EQ(file->text_file_offset, file->text.data() - reinterpret_cast<const uint8_t*>(contents_.data()));
  EXPECT_EQ(file->cpu_features, compiled_.cpu_features);
  wasm::DecodeOptions options;
  options.bodies_elsewhere = true;
  auto module = wasm::decode_module(file->module_bytes, options);
  ASSERT_TRUE(module) << module.error().to_string();
  EXPECT_EQ(module->funcs.size(), 5u);
  EXPECT_EQ(module->exports.size(), 5u);
}

TEST_F(CodeFileTest, EveryTruncationIsFound) {
  for (size_t size : {size_t{0}, size_t{7}, size_t{50}, size_t{96}, size_t{500}, contents_.size() - 1})
    EXPECT_EQ(error_of(contents_.substr(0, size), code::Check::tables).kind, ErrorKind::corrupt) << size;
}

TEST_F(CodeFileTest, EveryFlippedBitIsFound) {
  for (size_t at = 0; at < contents_.size(); at += 97) {
    std::string damaged = contents_;
    damaged[at] ^= 0x10;
    EXPECT_EQ(error_of(damaged).kind, ErrorKind::corrupt) << at;
  }
}

TEST_F(CodeFileTest, DamagedTablesAreFoundWithoutReadingTheCode) {
  size_t tables_end = contents_.size() - compiled_.image.lines.size();  // an upper bound: behind the header
  tables_end = std::min(tables_end, size_t{112} + 5 * sizeof(code::FunctionCode));
  for (size_t at = 0; at < tables_end; ++at) {
    std::string damaged = contents_;
    damaged[at] ^= 0x10;
    EXPECT_EQ(error_of(damaged, code::Check::tables).kind, ErrorKind::corrupt) << at;
  }
}

TEST_F(CodeFileTest, AnotherCpusFileNamesTheFeature) {
  file_.cpu_features = {"avx", "timetravel"};
  write();
  Error error = error_of(contents_);
  EXPECT_EQ(error.kind, ErrorKind::unsupported);
  EXPECT_NE(error.message.find("timetravel"), std::string::npos);
}

TEST_F(CodeFileTest, WritingEndsAtAnError) {
  int writes = 0;
  auto ok = code::write_code(file_, [&](const void*, size_t) -> Result<void> {
    if (++writes < 3) return {};
    return fail(ErrorKind::io, "full");
  });
  ASSERT_FALSE(ok);
  EXPECT_EQ(ok.error().message, "full");
  EXPECT_EQ(writes, 3);
}

}  // namespace
}  // namespace rotor::jit
