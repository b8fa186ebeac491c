#include "hosts/wasi/functions.h"

namespace rotor::wasi {
namespace {

Outcome<void> get_strings(Call& call, const Strings& strings, uint32_t pointers, uint32_t bytes) {
  ROTOR_TRY(auto places, call.edit(pointers, uint64_t{4} * strings.all.size()));
  ROTOR_TRY(auto contents, call.edit(bytes, strings.bytes));
  uint32_t at = 0;
  for (size_t i = 0; i < strings.all.size(); ++i) {
    const std::string& string = strings.all[i];
    const uint32_t address = bytes + at;
    std::memcpy(places.data() + 4 * i, &address, 4);
    std::memcpy(contents.data() + at, string.c_str(), string.size() + 1);
    at += static_cast<uint32_t>(string.size() + 1);
  }
  call.caller().edited(pointers, places.size());
  call.caller().edited(bytes, contents.size());
  return {};
}

Outcome<void> get_sizes(Call& call, const Strings& strings, uint32_t count, uint32_t size) {
  ROTOR_CHECK(call.store(count, static_cast<uint32_t>(strings.all.size())));
  return call.store(size, static_cast<uint32_t>(strings.bytes));
}

}  // namespace

Outcome<void> args_get(Call& call, uint32_t pointers, uint32_t bytes) {
  return get_strings(call, call.environment().args, pointers, bytes);
}

Outcome<void> args_sizes_get(Call& call, uint32_t count, uint32_t size) {
  return get_sizes(call, call.environment().args, count, size);
}

Outcome<void> environ_get(Call& call, uint32_t pointers, uint32_t bytes) {
  return get_strings(call, call.environment().variables, pointers, bytes);
}

Outcome<void> environ_sizes_get(Call& call, uint32_t count, uint32_t size) {
  return get_sizes(call, call.environment().variables, count, size);
}

}  // namespace rotor::wasi
