#include "proxy/log_call.h"

namespace rotor::proxy {
namespace {

void append(std::string& to, const void* bytes, size_t count) { to.append(static_cast<const char*>(bytes), count); }

}  // namespace

uint64_t HostAnswer::size_bytes() const {
  uint64_t bytes =
      sizeof *this + (args.size() + results.size()) * sizeof(Slot) + result_symbols.size() * sizeof(Symbol);
  for (const HostEffect& effect : effects)
    bytes += sizeof effect + effect.bytes.size() + effect.name.size() + effect.args.size() * sizeof(Value);
  return bytes;
}

uint64_t LogCall::size_bytes() const {
  uint64_t bytes =
      sizeof *this + data.size() + (args.size() + scalars.size()) * sizeof(Slot) + made.size() * sizeof(HandleId);
  for (const HostAnswer& answer : answers) bytes += answer.size_bytes();
  return bytes;
}

std::string LogCall::identity() const {
  std::string text;
  append(text, &export_index, sizeof export_index);
  append(text, args.data(), args.size() * sizeof(Slot));
  append(text, data.data(), data.size());
  return text;
}

std::string LogCall::key(const ExportPlan& plan) const {
  std::string text;
  append(text, &export_index, sizeof export_index);
  for (uint32_t wanted : *plan.key) {
    size_t at = 0;
    for (size_t i = 0; i < wanted; i++)
      if (takes_data(plan.args[i])) at += args[i];
    append(text, &args[wanted], sizeof(Slot));
    if (takes_data(plan.args[wanted])) append(text, data.data() + at, args[wanted]);
  }
  return text;
}

uint64_t hash_bytes(uint64_t seed, std::span<const uint8_t> bytes) {
  // FNV-1a over words: it detects a replay that diverged, not an attacker.
  uint64_t hash = seed ^ 0xcbf29ce484222325;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, &bytes[at], 8);
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 29;
  }
  for (; at < bytes.size(); at++) hash = (hash ^ bytes[at]) * 0x100000001b3;
  return (hash ^ bytes.size()) * 0x9e3779b97f4a7c15;
}

}  // namespace rotor::proxy
