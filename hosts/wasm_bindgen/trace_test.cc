// Parsing traces, comparing results, replaying on an executor that is no wasm at all.
#include "hosts/wasm_bindgen/trace.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

#include "hosts/wasm_bindgen/sha256.h"
#include "hosts/wasm_bindgen/trace_replayer.h"

namespace rotor::wasm_bindgen {
namespace {

std::string error_of(std::string_view text, const Trace* before = nullptr) {
  auto trace = parse_trace(text, "t.jsonl", before);
  return trace ? "" : trace.error().message;
}

TEST(Trace, KeepsWhatTheLinesSay) {
  auto trace = parse_trace(R"(["make",[7,-1],"h"]
["use",[{"h":[0,-1]},{"b":"00ff"},{"u":[1,{"h":[0,-1]}]}],"i",-5]
["make",[0.5],"u",3]
)",
                           "t.jsonl");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->names, (std::vector<std::string>{"make", "use"}));
  ASSERT_EQ(trace->calls.size(), 3u);
  EXPECT_EQ(trace->checked, 2u);
  auto args = trace->args_of(trace->calls[1]);
  ASSERT_EQ(args.size(), 3u);
  EXPECT_EQ(args[0].kind, TraceArg::Kind::handle);
  EXPECT_EQ(trace->bytes_of(args[1])[1], 0xff);
  EXPECT_TRUE(trace->elements_of(args[2])[1].is_handle);
  EXPECT_EQ(std::get<TraceNumber>(trace->calls[1].expected), TraceNumber(int64_t{-5}));
  EXPECT_EQ(trace->args_of(trace->calls[2])[0].number, TraceNumber(0.5));
}

// docs/trace-reference.md, whose examples are read here.
TEST(Trace, TheReferencesExamplesAreTraces) {
  std::ifstream in(ROTOR_TRACE_REFERENCE);
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  const size_t begin = page.find("```jsonl\n") + 9;
  const auto trace = parse_trace(std::string_view(page).substr(begin, page.find("```", begin) - begin), "reference");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->calls.size(), 6u);
  // Each argument and each result of the tables: what is left out there is found by its error.
  const std::string arguments = R"(["make",[],"h"]
["list",[],"u",1]
["f",[7,-1,0.5,{"b":"00ff"},{"u":[1,2]},{"h":[0,-1]},{"h":[1,0]},{"x":null}],)";
  for (const char* result : {R"("v"])", R"("i",-5])", R"("h"])", R"("d",[2,"00ff"]])", R"("d",[2]])", R"("u",3])"})
    EXPECT_EQ(error_of(arguments + result), "") << result;
  for (const char* wrong : {R"("v",1])", R"("h",1])", R"("i",[1]])", R"("d",1])", R"("u",[1]])"})
    EXPECT_NE(error_of(arguments + wrong), "") << wrong;
}

TEST(Trace, ErrorsNameTheLine) {
  EXPECT_EQ(error_of("[\"f\",[],\"v\"]\n{"), "t.jsonl:2: column 2: not JSON");
  EXPECT_EQ(error_of("[\"f\",[]]"), "t.jsonl:1: a call is [name, [args], result kind, expected?], not [\"f\",[]]");
  EXPECT_EQ(error_of(R"(["f",[],"q"])"), "t.jsonl:1: no result kind (v, i, h, d, u): \"q\"");
  EXPECT_EQ(error_of(R"(["f",[{"b":"0"}],"v"])"), "t.jsonl:1: bytes with an odd number of hex digits");
  EXPECT_EQ(error_of(R"(["f",[{"b":"0g"}],"v"])"), "t.jsonl:1: bytes that are not hex digits");
  EXPECT_EQ(error_of(R"(["f",[{"h":[0,-1]}],"h"])"), "t.jsonl:1: handle of call 0, which comes later");
  EXPECT_EQ(error_of("[\"f\",[],\"v\"]\n[\"f\",[{\"h\":[0,-1]}],\"v\"]"), "t.jsonl:2: call 0 returns no handle");
  EXPECT_EQ(error_of(R"(["f",[],"d",5])"), "t.jsonl:1: an expected result that does not fit its kind: 5");
  EXPECT_EQ(error_of(R"(["f",[[]],"v"])"), "t.jsonl:1: no argument: []");
  EXPECT_EQ(error_of("[\"f\",[],\"v\"]\n\n[\"f\",[],\"v\"]"), "t.jsonl:2: column 1: not JSON");
}

TEST(Trace, DeepValuesAreAnErrorNotAStackOverflow) {
  const std::string open(1'000'000, '['), close(1'000'000, ']');
  EXPECT_EQ(error_of(open + close), "t.jsonl:1: values nested more than 64 deep");
  EXPECT_EQ(error_of("[\"f\",[{\"x\":" + open + close + "}],\"v\"]"), "t.jsonl:1: values nested more than 64 deep");
}

TEST(Trace, AnotherTraceGoesOnCounting) {
  auto setup = parse_trace(R"(["make",[],"h"])", "setup.jsonl");
  ASSERT_TRUE(setup);
  auto load = parse_trace(R"(["use",[{"h":[0,-1]}],"v"])", "load.jsonl", &*setup);
  ASSERT_TRUE(load) << load.error().message;
  EXPECT_EQ(load->first_call, 1u);
}

TEST(Trace, MissingAndDamagedFiles) { EXPECT_EQ(load_trace("no such file").error().kind, ErrorKind::io); }

TEST(Sha256, KnownAnswers) {
  auto hex = [](std::string_view text) {
    auto digest = sha256({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    return to_hex(digest);
  };
  EXPECT_EQ(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // 56 bytes: the length needs a block of its own.
  EXPECT_EQ(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/// Answers from a script and keeps what it was asked.
struct FakeExecutor : TraceExecutor {
  std::vector<std::string> names;
  uint32_t next_handle = 100;
  std::vector<std::string> log;

  Result<void> prepare(std::span<const std::string> wanted) override {
    names.assign(wanted.begin(), wanted.end());
    return {};
  }
  Result<void> call(uint32_t name, std::span<const ReplayArg> args, TraceResult, ReplayReply& reply) override {
    std::string line = names[name];
    for (const ReplayArg& arg : args) {
      if (arg.kind == ReplayArg::Kind::number) line += " " + to_text(arg.number);
      if (arg.kind == ReplayArg::Kind::handle) line += " h" + std::to_string(arg.handle);
      for (uint32_t element : arg.elements) line += " e" + std::to_string(element);
    }
    log.push_back(line);
    if (names[name] == "fail") return fail(ErrorKind::host, "as told");
    reply.handle = next_handle++;
    reply.handles = {next_handle++, next_handle++};
    reply.number = int64_t{4};
    reply.data.assign(100, 0);
    return {};
  }
};

TEST(TraceReplayer, TranslatesHandlesAndCompares) {
  auto trace = parse_trace(R"(["one",[],"h"]
["two",[{"h":[0,-1]}],"u",2]
["three",[{"u":[{"h":[1,0]},{"h":[1,1]},7]}],"i",4]
["four",[],"i",5]
["five",[],"d",[100,"cd00e292c5970d3c5e2f0ffa5171e555"]]
)",
                           "t.jsonl");
  ASSERT_TRUE(trace) << trace.error().message;
  FakeExecutor executor;
  TraceReplayer replayer(executor);
  ReplayReport report;
  auto done = replayer.run(*trace, report);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(executor.log[1], "two h100");
  EXPECT_EQ(executor.log[2], "three e104 e105 e7");
  EXPECT_EQ(report.calls, 5u);
  EXPECT_EQ(report.checked, 4u);
  EXPECT_EQ(report.equal, 3u);
  ASSERT_EQ(report.mismatches.size(), 1u);
  EXPECT_EQ(report.mismatches[0].line, 4u);
  EXPECT_EQ(report.mismatches[0].expected, "5");
  EXPECT_EQ(report.mismatches[0].actual, "4");
  EXPECT_EQ(report.mismatches[0].file, "t.jsonl");
  EXPECT_EQ(report.mismatches[0].run, 0u);
  EXPECT_EQ(report.mismatches[0].times, 1u);
}

TEST(TraceReplayer, ALineIsToldOfOnceWithACount) {
  const auto fine = parse_trace("[\"one\",[],\"v\"]\n", "fine.jsonl");
  const auto wrong = parse_trace("[\"one\",[],\"i\",-7]\n[\"two\",[],\"i\",-8]\n", "wrong.jsonl", &*fine);
  ASSERT_TRUE(wrong) << wrong.error().message;
  FakeExecutor executor;
  TraceReplayer replayer(executor);
  ReplayReport report;
  ASSERT_TRUE(replayer.run(*fine, report));
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(replayer.run(*wrong, report));
  EXPECT_EQ(report.checked - report.equal, 600u);
  ASSERT_EQ(report.mismatches.size(), 2u);
  EXPECT_EQ(report.mismatches[1].file, "wrong.jsonl");
  EXPECT_EQ(report.mismatches[1].line, 2u);
  EXPECT_EQ(report.mismatches[1].run, 1u);
  EXPECT_EQ(report.mismatches[1].times, 300u);
}

TEST(TraceReplayer, OfDataThatVariesOnlyTheSizeIsCompared) {
  auto trace = parse_trace("[\"d\",[],\"d\",[100]]\n[\"d\",[],\"d\",[99]]\n", "t.jsonl");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->checked, 2u);
  EXPECT_EQ(trace->varying, 2u);
  FakeExecutor executor;
  TraceReplayer replayer(executor);
  ReplayReport report;
  ASSERT_TRUE(replayer.run(*trace, report));
  EXPECT_EQ(report.equal, 1u);
  ASSERT_EQ(report.mismatches.size(), 1u);
  EXPECT_EQ(report.mismatches[0].expected, "[99]");
}

TEST(TraceReplayer, AFailureNamesItsLine) {
  auto trace = parse_trace("[\"one\",[],\"v\"]\n[\"fail\",[],\"v\"]\n", "t.jsonl");
  ASSERT_TRUE(trace);
  FakeExecutor executor;
  TraceReplayer replayer(executor);
  ReplayReport report;
  auto done = replayer.run(*trace, report);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "t.jsonl:2: fail: as told");
  EXPECT_EQ(report.calls, 1u);
}

}  // namespace
}  // namespace rotor::wasm_bindgen
