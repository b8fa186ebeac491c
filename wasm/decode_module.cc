#include "wasm/decode_module.h"

#include "wasm/decode_body.h"
#include "wasm/limits.h"
#include "wasm/module_decoder.h"

namespace rotor::wasm {

bool ModuleDecoder::custom_section(Section& section) {
  if (!reader_.name(section.name)) return false;
  section.begin = reader_.offset();
  reader_.seek(section.end);
  return true;
}

bool ModuleDecoder::section() {
  uint64_t start = reader_.offset();
  Section section;
  uint32_t size = 0;
  if (!reader_.section_id(section.id)) return false;
  if (!pass_section(section.id, sections_passed_)) return reader_.fail(Message::content_after_last_section, start);
  if (!reader_.length(size)) return false;
  section.begin = reader_.offset();
  section.end = section.begin + size;
  reader_.set_end(section.end);
  bool ok = section.id == SectionId::custom ? custom_section(section) : contents(section.id, start);
  if (!ok) return false;
  if (!reader_.at_end()) return reader_.fail(Message::section_size_mismatch, reader_.offset());
  reader_.set_end(bytes_.size());
  module_.sections.push_back(std::move(section));
  return true;
}

bool ModuleDecoder::check_lengths() {
  uint32_t defined = module_.defined_funcs();
  bool bodies_missing = !has_code_ && options_.bodies_elsewhere;
  if (!bodies_missing && defined != module_.bodies.size()) {
    return reader_.fail(Message::code_length_mismatch, bytes_.size());
  }
  if (module_.data_count && *module_.data_count != module_.data.size()) {
    return reader_.fail(Message::data_length_mismatch, bytes_.size());
  }
  return true;
}

bool ModuleDecoder::decode() {
  if (bytes_.size() > kMaxModuleBytes) {
    return reader_.fail_limit(Message::limit_module_size, 0, bytes_.size(), kMaxModuleBytes);
  }
  if (!reader_.module_header()) return false;
  while (!reader_.at_end()) {
    if (!section()) return false;
  }
  return check_lengths() && validate_module(reader_, module_, offsets_);
}

Result<Module> decode_module(std::span<const uint8_t> bytes, const DecodeOptions& options) {
  ModuleDecoder decoder(bytes, options);
  if (!decoder.decode()) return std::unexpected(decoder.take_error());
  return decoder.take_module();
}

Result<void> validate_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features) {
  return validate_bodies(module, bytes, features, 0, static_cast<uint32_t>(module.bodies.size()));
}

namespace {
struct CallSink : EmptySink {
  DirectCalls* calls = nullptr;
  void call(FuncIndex func, const FuncType&, std::span<const Value>, std::span<Value>) {
    if (calls) calls->targets.push_back(raw(func));
  }
  void return_call(FuncIndex func, const FuncType&, std::span<const Value>) {
    if (calls) calls->targets.push_back(raw(func));
  }
};
}  // namespace

Result<void> validate_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features,
                             uint32_t first, uint32_t last, DirectCalls* calls) {
  BodyDecoder<CallSink> decoder(module, bytes, features);
  CallSink sink;
  sink.calls = calls;
  for (uint32_t i = first; i < last; ++i) {
    ROTOR_CHECK(decoder.decode(FuncIndex(module.imported_funcs + i), sink));
    if (calls) calls->ends.push_back(static_cast<uint32_t>(calls->targets.size()));
  }
  if (!calls) return {};
  calls->uses_floats |= decoder.uses_floats();
  calls->used_features |= decoder.used_features();
  return {};
}

uint32_t features_of_bodies(const Module& module, std::span<const uint8_t> bytes, const Features& features) {
  BodyDecoder<CallSink> decoder(module, bytes, features);
  CallSink sink;
  for (uint32_t i = 0; i < module.bodies.size(); ++i) {
    if (!decoder.decode(FuncIndex(module.imported_funcs + i), sink)) break;
  }
  return decoder.used_features();
}

}  // namespace rotor::wasm
