#include "jit/compile.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "jit/cpu.h"
#include "wasm/decode_module.h"

namespace rotor::jit {
namespace {

//   (module
//     (func (export "two") (param i32)
//       (if (local.get 0) (then unreachable) (else unreachable)))
//     (func (export "dead") (param i32) (drop (i32.load8_u (local.get 0))))
//     (func (export "zero") (param $p i32) (param $n i32)
//       (loop $l
//         (i32.store (local.get $p) (i32.const 0))
//         (local.set $p (i32.add (local.get $p) (i32.const 4)))
//         (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
//     (func (export "switch") (param i32) (result i32)
//       (block (block (block (block (block (block
//         (br_table 0 1 2 3 4 5 (local.get 0)))
//         (return (i32.const 10))) (return (i32.const 11))) (return (i32.const 12))) (return (i32.const 13)))
//         (return (i32.const 14))) (i32.const 15))
//     (func (export "call_two") (call 0 (i32.const 1)))
//     (memory 1))
constexpr uint8_t kTraps[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x12, 0x04, 0x60, 0x01, 0x7f, 0x00, 0x60, 0x02, 0x7f, 0x7f,
    0x00, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00, 0x03, 0x06, 0x05, 0x00, 0x00, 0x01, 0x02, 0x03, 0x05, 0x03,
    0x01, 0x00, 0x01, 0x07, 0x29, 0x05, 0x03, 0x74, 0x77, 0x6f, 0x00, 0x00, 0x04, 0x64, 0x65, 0x61, 0x64, 0x00, 0x01,
    0x04, 0x7a, 0x65, 0x72, 0x6f, 0x00, 0x02, 0x06, 0x73, 0x77, 0x69, 0x74, 0x63, 0x68, 0x00, 0x03, 0x08, 0x63, 0x61,
    0x6c, 0x6c, 0x5f, 0x74, 0x77, 0x6f, 0x00, 0x04, 0x0a, 0x69, 0x05, 0x0a, 0x00, 0x20, 0x00, 0x04, 0x40, 0x00, 0x05,
    0x00, 0x0b, 0x0b, 0x08, 0x00, 0x20, 0x00, 0x2d, 0x00, 0x00, 0x1a, 0x0b, 0x1c, 0x00, 0x03, 0x40, 0x20, 0x00, 0x41,
    0x00, 0x36, 0x02, 0x00, 0x20, 0x00, 0x41, 0x04, 0x6a, 0x21, 0x00, 0x20, 0x01, 0x41, 0x01, 0x6b, 0x22, 0x01, 0x0d,
    0x00, 0x0b, 0x0b, 0x2f, 0x00, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x20, 0x00,
    0x0e, 0x05, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0b, 0x41, 0x0a, 0x0f, 0x0b, 0x41, 0x0b, 0x0f, 0x0b, 0x41, 0x0c,
    0x0f, 0x0b, 0x41, 0x0d, 0x0f, 0x0b, 0x41, 0x0e, 0x0f, 0x0b, 0x41, 0x0f, 0x0b, 0x06, 0x00, 0x41, 0x01, 0x10, 0x00,
    0x0b, 0x00, 0x18, 0x04, 0x6e, 0x61, 0x6d, 0x65, 0x02, 0x09, 0x01, 0x02, 0x02, 0x00, 0x01, 0x70, 0x01, 0x01, 0x6e,
    0x03, 0x06, 0x01, 0x02, 0x01, 0x00, 0x01, 0x6c,
};

Compiled compile(OptLevel opt, unsigned workers = 1, uint32_t batch = 64) {
  auto module = wasm::decode_module(kTraps, {});
  EXPECT_TRUE(module) << module.error().to_string();
  CompileOptions options;
  options.opt = opt;
  options.workers = workers;
  options.batch_functions = batch;
  auto compiled = compile_module(*module, kTraps, options);
  EXPECT_TRUE(compiled) << compiled.error().to_string();
  return std::move(*compiled);
}

/// Offsets in text of the trap sites of one function.
std::vector<uint32_t> trap_sites(const CodeImage& image, uint32_t function, TrapKind kind) {
  std::vector<uint8_t> site(std::begin(kTrapBytes), std::end(kTrapBytes));
  if (kind == TrapKind::unreachable)
    site.back() = 0;  // no displacement
  else
    site.push_back(static_cast<uint8_t>(kind));
  std::vector<uint32_t> sites;
  for (uint32_t at = image.entries[function]; at + site.size() <= image.ends[function]; ++at)
    if (std::equal(site.begin(), site.end(), image.bytes.begin() + at)) sites.push_back(at);
  return sites;
}

class CompileTest : public testing::TestWithParam<OptLevel> {};
INSTANTIATE_TEST_SUITE_P(Levels, CompileTest, testing::Values(OptLevel::o0, OptLevel::o1),
                         [](const auto& level) { return level.param == OptLevel::o0 ? "o0" : "o1"; });

TEST_P(CompileTest, TrapSitesStayApartAndKnowTheirOffset) {
  CodeImage image = compile(GetParam()).image;
  auto sites = trap_sites(image, 0, TrapKind::unreachable);
  ASSERT_EQ(sites.size(), 2u);
  std::vector<uint64_t> offsets;
  for (uint32_t site : sites) offsets.push_back(module_offset_at(image, 0, site));
  std::sort(offsets.begin(), offsets.end());
  for (uint64_t offset : offsets) EXPECT_EQ(kTraps[offset], 0x00) << "not the opcode of unreachable";
  EXPECT_NE(offsets[0], offsets[1]);
}

TEST_P(CompileTest, DeadLoadsStay) {
  CodeImage image = compile(GetParam()).image;
  bool found = false;  // some instruction of the function belongs to the load at its module offset
  for (uint32_t at = image.entries[1]; at < image.ends[1]; ++at)
    found |= kTraps[module_offset_at(image, 1, at)] == 0x2d;
  EXPECT_TRUE(found);
}

TEST_P(CompileTest, TheSameHoweverItIsSplit) {
  CodeImage one = compile(GetParam(), 1).image;
  EXPECT_EQ(one.bytes, compile(GetParam(), 2).image.bytes);
  CodeImage single = compile(GetParam(), 2, 1).image;
  EXPECT_EQ(single.entries.size(), one.entries.size());
}

TEST_P(CompileTest, SmallLeavesHaveNoStackCheck) {
  CodeImage image = compile(GetParam()).image;
  EXPECT_TRUE(trap_sites(image, 3, TrapKind::stack_overflow).empty());
  EXPECT_EQ(trap_sites(image, 4, TrapKind::stack_overflow).size(), 1u);
}

TEST_P(CompileTest, LoopHeadsOfInterruptibleCodeLookForAStop) {
  // (module (func) (func (loop (br 0))) (func (loop (loop (br 1)))))
  constexpr uint8_t kLoops[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60,
                                0x00, 0x00, 0x03, 0x04, 0x03, 0x00, 0x00, 0x00, 0x0a, 0x17, 0x03, 0x02,
                                0x00, 0x0b, 0x07, 0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b, 0x0a, 0x00,
                                0x03, 0x40, 0x03, 0x40, 0x0c, 0x01, 0x0b, 0x0b, 0x0b};
  auto module = wasm::decode_module(kLoops, {});
  ASSERT_TRUE(module) << module.error().message;
  CompileOptions options;
  options.opt = GetParam();
  for (bool interruptible : {false, true}) {
    options.interruptible = interruptible;
    auto compiled = compile_module(*module, kLoops, options);
    ASSERT_TRUE(compiled) << compiled.error().message;
    for (uint32_t func : {0u, 1u, 2u})
      EXPECT_EQ(trap_sites(compiled->image, func, TrapKind::interrupted).size(), interruptible ? func : 0) << func;
  }
}

/// Whether a function's code holds a relative call straight to another's entry.
bool calls_straight(const CodeImage& image, uint32_t from, uint32_t to) {
  constexpr uint8_t kCallRel32 = 0xe8;
  for (uint32_t at = image.entries[from]; at + 5 <= image.ends[from]; ++at) {
    int32_t distance;
    std::memcpy(&distance, &image.bytes[at + 1], sizeof distance);
    if (image.bytes[at] == kCallRel32 && at + 5 + static_cast<uint32_t>(distance) == image.entries[to]) return true;
  }
  return false;
}

TEST(Compile, TierZeroCallsThroughSlotsAheadOfTimeCodeStraight) {
  EXPECT_FALSE(calls_straight(compile(OptLevel::o0).image, 4, 0));
  EXPECT_TRUE(calls_straight(compile(OptLevel::o1).image, 4, 0));
  // Across batches too.
  EXPECT_TRUE(calls_straight(compile(OptLevel::o1, 1, 1).image, 4, 0));
}

TEST(Compile, FirstBadFunctionIsReported) {
  std::vector<uint8_t> bytes(std::begin(kTraps), std::end(kTraps));
  auto module = wasm::decode_module(bytes, {});
  ASSERT_TRUE(module);
  for (size_t i : {0u, 2u}) bytes[module->bodies[i].end - 1] = 0x01;  // nop instead of end
  CompileOptions options;
  options.batch_functions = 1;
  options.workers = 2;
  auto compiled = compile_module(*module, bytes, options);
  ASSERT_FALSE(compiled);
  ASSERT_TRUE(compiled.error().offset);
  EXPECT_LE(*compiled.error().offset, module->bodies[0].end);
}

TEST(Compile, AModuleWithoutFunctionsHasNoText) {
  constexpr uint8_t kEmpty[] = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};
  auto module = wasm::decode_module(kEmpty, {});
  ASSERT_TRUE(module);
  auto compiled = compile_module(*module, kEmpty, {});
  ASSERT_TRUE(compiled) << compiled.error().to_string();
  EXPECT_EQ(compiled->image.text_bytes, 0u);
}

TEST(Compile, UnknownCpuIsNamed) {
  auto module = wasm::decode_module(kTraps, {});
  CompileOptions options;
  options.cpu = "pentium";
  auto compiled = compile_module(*module, kTraps, options);
  ASSERT_FALSE(compiled);
  EXPECT_NE(compiled.error().message.find("pentium"), std::string::npos);
}

TEST(Compile, CodeOverTheLimitIsAnError) {
  auto module = wasm::decode_module(kTraps, {});
  CompileOptions options;
  options.code_limit_bytes = 4096;
  auto compiled = compile_module(*module, kTraps, options);
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().kind, ErrorKind::limit);
}

class CodeFileTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "rotor_code_file_" + std::to_string(getpid());
    auto module = wasm::decode_module(kTraps, {});
    compiled_ = compile(OptLevel::o1);
    auto ok = write_code_file(path_, compiled_.image, kTraps, *module, compiled_.cpu_features);
    ASSERT_TRUE(ok) << ok.error().to_string();
    std::ifstream in(path_, std::ios::binary);
    contents_.assign(std::istreambuf_iterator<char>(in), {});
  }
  void TearDown() override { std::remove(path_.c_str()); }
  void rewrite(const std::string& contents) { std::ofstream(path_, std::ios::binary) << contents; }
  Error read_error() {
    auto file = read_code_file(path_);
    EXPECT_FALSE(file);
    return file ? Error() : file.error();
  }
  std::string path_, contents_;
  Compiled compiled_;
};

TEST_F(CodeFileTest, ReadsBackWhatWasWritten) {
  auto file = read_code_file(path_);
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->image.entries, compiled_.image.entries);
  EXPECT_EQ(file->image.lines, compiled_.image.lines);
  EXPECT_EQ(file->text_file_offset % CodeImage::kPageBytes, 0u);
  EXPECT_TRUE(std::equal(compiled_.image.bytes.begin(), compiled_.image.bytes.end(),
                         contents_.begin() + static_cast<ptrdiff_t>(file->text_file_offset),
                         [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); }));
  wasm::DecodeOptions options;
  options.bodies_elsewhere = true;
  auto module = wasm::decode_module(file->module_bytes, options);
  ASSERT_TRUE(module) << module.error().to_string();
  EXPECT_EQ(module->funcs.size(), 5u);
  EXPECT_EQ(module->exports.size(), 5u);
}

TEST_F(CodeFileTest, EveryTruncationIsFound) {
  for (size_t size : {size_t{0}, size_t{7}, size_t{50}, size_t{96}, size_t{500}, contents_.size() - 1}) {
    rewrite(contents_.substr(0, size));
    EXPECT_EQ(read_error().kind, ErrorKind::corrupt) << size;
  }
}

TEST_F(CodeFileTest, EveryFlippedBitIsFound) {
  for (size_t at = 0; at < contents_.size(); at += 97) {
    std::string damaged = contents_;
    damaged[at] ^= 0x10;
    rewrite(damaged);
    EXPECT_EQ(read_error().kind, ErrorKind::corrupt) << at;
  }
}

TEST_F(CodeFileTest, AnotherCpusFileNamesTheFeature) {
  auto module = wasm::decode_module(kTraps, {});
  ASSERT_TRUE(write_code_file(path_, compiled_.image, kTraps, *module, {"avx", "timetravel"}));
  Error error = read_error();
  EXPECT_EQ(error.kind, ErrorKind::unsupported);
  EXPECT_NE(error.message.find("timetravel"), std::string::npos);
}

TEST_F(CodeFileTest, FailedWritesLeaveNothing) {
  auto module = wasm::decode_module(kTraps, {});
  auto ok = write_code_file("/nonexistent/folder/x.rotor", compiled_.image, kTraps, *module, {});
  ASSERT_FALSE(ok);
  EXPECT_EQ(ok.error().kind, ErrorKind::io);
  EXPECT_NE(ok.error().message.find("/nonexistent/folder/x.rotor"), std::string::npos);
}

TEST_F(CodeFileTest, MissingFileIsNamed) {
  auto file = read_code_file(path_ + ".none");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::io);
  EXPECT_NE(file.error().message.find(".none"), std::string::npos);
}

}  // namespace
}  // namespace rotor::jit
