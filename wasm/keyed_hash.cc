#include "wasm/keyed_hash.h"

#include <sys/auxv.h>
#include <sys/random.h>

#include <atomic>
#include <cstring>
#include <memory>

#include "rotor/detail/made_once.h"

namespace rotor::wasm {

const KeyedHasher::Key& KeyedHasher::process_key() {
  static constinit std::atomic<Key*> drawn_key{nullptr};
  return detail::made_once(drawn_key, [] {
    auto drawn = std::make_unique<Key>();
    // getrandom never returns fewer than so few bytes. Where the call is forbidden, the 16 bytes that the kernel drew
    // for this process are used.
    if (getrandom(drawn.get(), sizeof(Key), 0) == sizeof(Key)) return drawn;
    if (const auto* bytes = reinterpret_cast<const void*>(getauxval(AT_RANDOM)))
      std::memcpy(drawn.get(), bytes, sizeof(Key));
    return drawn;
  });
}

void KeyedHasher::add_last(std::string_view bytes) {
  length_ += bytes.size();
  for (; bytes.size() >= sizeof tail_; bytes.remove_prefix(sizeof tail_)) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    compress(word);
  }
  if (!bytes.empty()) std::memcpy(&tail_, bytes.data(), bytes.size());
}

uint64_t KeyedHasher::finish() {
  compress(length_ << 56 | tail_);
  v2_ ^= 0xff;
  for (int i = 0; i < 3; ++i) round();
  return v0_ ^ v1_ ^ v2_ ^ v3_;
}

}  // namespace rotor::wasm
