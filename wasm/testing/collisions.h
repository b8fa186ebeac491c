// Names that a guest may choose to flood a hash table: different ones, which libstdc++'s std::hash makes one number of.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace rotor::wasm::test {

/// `count` names of 16 ASCII characters. std::hash is MurmurHash64A with a fixed seed, each step of which can be
/// undone: the first eight characters are random, the others lead to the same hash.
inline std::vector<std::string> colliding_names(size_t count) {
  constexpr uint64_t kMultiplier = 0xc6a4a7935bd1e995, kSeed = 0xc70f6907, kHash = 0x123456789abcdef1;
  uint64_t inverse = kMultiplier;
  for (int i = 0; i < 6; ++i) inverse *= 2 - kMultiplier * inverse;
  auto mix = [&](uint64_t word) {
    word *= kMultiplier;
    word ^= word >> 47;
    return word * kMultiplier;
  };
  auto unmix = [&](uint64_t word) {
    word *= inverse;
    word ^= word >> 47;
    return word * inverse;
  };
  const uint64_t start = kSeed ^ (16 * kMultiplier);
  std::mt19937_64 random(1);
  std::set<std::string> names;
  while (names.size() < count) {
    char name[16];
    for (int i = 0; i < 8; ++i) name[i] = static_cast<char>('a' + random() % 26);
    uint64_t first;
    std::memcpy(&first, name, sizeof first);
    const uint64_t second = unmix(kHash ^ ((start ^ mix(first)) * kMultiplier));
    std::memcpy(name + 8, &second, sizeof second);
    // UTF-8, as names have to be.
    if (!(second & 0x8080808080808080) && std::memchr(name, 0, sizeof name) == nullptr)
      names.emplace(name, sizeof name);
  }
  return {names.begin(), names.end()};
}

}  // namespace rotor::wasm::test
