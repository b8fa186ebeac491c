// A large module cut down to some of its functions, so that a test can compile and call just those: other bodies become
// `unreachable`, and functions and globals that the module keeps to itself are exported. Indices stay as they are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "wasm/decode_body.h"
#include "wasm/decode_module.h"
#include "wasm/encode.h"

namespace rotor::runtime::test {

/// What a function's code says of it; code that can't be reached says nothing.
struct FunctionSummary {
  uint32_t multiplications = 0;   ///< i64.mul
  uint32_t below = 0;             ///< i32 and i64, lt_u and gt_u
  bool calls = false;             ///< in any way
  std::vector<uint32_t> callees;  ///< by name, imported ones among them
};

class LargeModule {
 public:
  static Result<LargeModule> decode(std::vector<uint8_t> bytes) {
    LargeModule large;
    large.bytes_ = std::move(bytes);
    ROTOR_TRY(large.module_, wasm::decode_module(large.bytes_, {.features = {}, .bodies_elsewhere = false}));
    Summariser sink;
    wasm::BodyDecoder<Summariser> decoder(large.module_, large.bytes_, Features());
    for (uint32_t i = 0; i < large.module_.bodies.size(); ++i) {
      sink.summary = &large.summaries_.emplace_back();
      ROTOR_CHECK(decoder.decode(wasm::FuncIndex{i + large.module_.imported_funcs}, sink));
    }
    return large;
  }

  const wasm::Module& module() const { return module_; }
  std::span<const uint8_t> bytes() const { return bytes_; }
  uint32_t functions() const { return static_cast<uint32_t>(module_.funcs.size()); }
  bool is_imported(uint32_t func) const { return func < module_.imported_funcs; }
  const FunctionSummary& summary(uint32_t func) const { return summaries_[func - module_.imported_funcs]; }

  /// It multiplies, or calls a short function that does, by name.
  bool multiplies(uint32_t func) const {
    constexpr uint64_t kShortBytes = 1024;
    auto is_short = [&](uint32_t callee) {
      const wasm::FunctionBody& body = module_.bodies[callee - module_.imported_funcs];
      return body.end - body.begin <= kShortBytes;
    };
    return summary(func).multiplications || std::ranges::any_of(summary(func).callees, [&](uint32_t callee) {
             return !is_imported(callee) && summary(callee).multiplications && is_short(callee);
           });
  }

  /// These, and what they call by name, and so on.
  std::set<uint32_t> with_callees(std::span<const uint32_t> funcs) const {
    std::set<uint32_t> reached;
    std::vector<uint32_t> open(funcs.begin(), funcs.end());
    while (!open.empty()) {
      uint32_t func = open.back();
      open.pop_back();
      if (is_imported(func) || !reached.insert(func).second) continue;
      open.insert(open.end(), summary(func).callees.begin(), summary(func).callees.end());
    }
    return reached;
  }

  /// The module with the bodies of `kept` only. Exports on top of its own: "func N" of each of `exported`, "global N"
  /// of each mutable global that it defines.
  std::vector<uint8_t> pruned(const std::set<uint32_t>& kept, std::span<const uint32_t> exported) const {
    wasm::ByteWriter out;
    out.bytes(std::span(bytes_).first(kHeaderBytes));
    for (const wasm::Section& section : module_.sections) {
      if (section.id == wasm::SectionId::custom) continue;
      wasm::ByteWriter contents;
      if (section.id == wasm::SectionId::export_)
        write_exports(contents, exported);
      else if (section.id == wasm::SectionId::code)
        write_code(contents, kept);
      else
        contents.bytes(std::span(bytes_).subspan(section.begin, section.end - section.begin));
      out.u8(std::to_underlying(section.id));
      out.u64(contents.size());
      out.bytes(contents.view());
    }
    return out.take();
  }

  static std::string func_name(uint32_t func) { return "func " + std::to_string(func); }
  static std::string global_name(uint32_t global) { return "global " + std::to_string(global); }

 private:
  static constexpr size_t kHeaderBytes = 8;

  struct Summariser : wasm::EmptySink {
    FunctionSummary* summary = nullptr;

    Value numeric(wasm::NumericOp op, std::span<const Value>) {
      using enum wasm::NumericOp;
      summary->multiplications += op == I64Mul;
      summary->below += op == I64LtU || op == I64GtU || op == I32LtU || op == I32GtU;
      return {};
    }
    void call(wasm::FuncIndex func, const FuncType&, std::span<const Value>, std::span<Value>) {
      summary->calls = true;
      summary->callees.push_back(raw(func));
    }
    void call_indirect(wasm::TableIndex, wasm::TypeIndex, const FuncType&, Value, std::span<const Value>,
                       std::span<Value>) {
      summary->calls = true;
    }
    void call_ref(const FuncType&, ValType, Value, std::span<const Value>, std::span<Value>) { summary->calls = true; }
    void return_call(wasm::FuncIndex func, const FuncType&, std::span<const Value>) {
      summary->calls = true;
      summary->callees.push_back(raw(func));
    }
    void return_call_indirect(wasm::TableIndex, wasm::TypeIndex, const FuncType&, Value, std::span<const Value>) {
      summary->calls = true;
    }
    void return_call_ref(const FuncType&, ValType, Value, std::span<const Value>) { summary->calls = true; }
  };

  void write_exports(wasm::ByteWriter& out, std::span<const uint32_t> exported) const {
    std::vector<wasm::Export> exports = module_.exports;
    for (uint32_t func : exported) exports.push_back({func_name(func), wasm::ExternKind::func, func});
    for (auto i = module_.imported_globals; i < module_.globals.size(); ++i)
      if (module_.globals[i].type.is_mutable) exports.push_back({global_name(i), wasm::ExternKind::global, i});
    out.u64(exports.size());
    for (const wasm::Export& item : exports) {
      out.string(item.name);
      out.u8(static_cast<uint8_t>(item.kind));
      out.u32(item.index);
    }
  }

  void write_code(wasm::ByteWriter& out, const std::set<uint32_t>& kept) const {
    static constexpr uint8_t kUnreachable[] = {0 /* locals */, 0x00, 0x0b};
    out.u64(module_.bodies.size());
    for (uint32_t i = 0; i < module_.bodies.size(); ++i) {
      std::span<const uint8_t> body(kUnreachable);
      if (kept.contains(i + module_.imported_funcs))
        body = std::span(bytes_).subspan(module_.bodies[i].begin, module_.bodies[i].end - module_.bodies[i].begin);
      out.u64(body.size());
      out.bytes(body);
    }
  }

  std::vector<uint8_t> bytes_;
  wasm::Module module_;
  std::vector<FunctionSummary> summaries_;
};

}  // namespace rotor::runtime::test
