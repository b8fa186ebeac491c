// The hash of every table whose keys a guest chooses: names and types of modules, numbers in them. With a key that no
// guest knows, none can choose them so that they collide; a fixed hash let 40,000 names of 16 bytes take 5 s.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace rotor::wasm {

/// SipHash-1-3 (Aumasson and Bernstein) of words, one after another: a keyed function of which nothing is known from
/// its results, which a fast hash with a secret seed is not. A word takes a nanosecond.
class KeyedHasher {
 public:
  struct Key {
    uint64_t k0, k1;
  };
  /// Returns the process's random key, drawn when it is first asked for.
  static const Key& process_key();

  explicit KeyedHasher(const Key& key = process_key())
      : v0_(key.k0 ^ 0x736f6d6570736575),
        v1_(key.k1 ^ 0x646f72616e646f6d),
        v2_(key.k0 ^ 0x6c7967656e657261),
        v3_(key.k1 ^ 0x7465646279746573) {}

  void add(uint64_t word) {
    length_ += sizeof word;
    compress(word);
  }
  /// Adds the last bytes: nothing may be added after them, since they may end within a word.
  void add_last(std::string_view bytes);
  /// Pre: add_last was called once at most.
  uint64_t finish();

 private:
  void round() {
    v0_ += v1_, v2_ += v3_;
    v1_ = std::rotl(v1_, 13) ^ v0_, v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v1_, v0_ += v3_;
    v1_ = std::rotl(v1_, 17) ^ v2_, v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ = std::rotl(v2_, 32);
  }
  void compress(uint64_t word) {
    v3_ ^= word;
    round();
    v0_ ^= word;
  }

  uint64_t v0_, v1_, v2_, v3_;
  uint64_t length_ = 0;  ///< in bytes
  uint64_t tail_ = 0;    ///< bytes that fill no word
};

/// The hash function of the standard library's tables; one with string keys can be searched by a string_view.
struct KeyedHash {
  using is_transparent = void;
  size_t operator()(std::string_view bytes) const {
    KeyedHasher hasher;
    hasher.add_last(bytes);
    return hasher.finish();
  }
  size_t operator()(uint64_t number) const {
    KeyedHasher hasher;
    hasher.add(number);
    return hasher.finish();
  }
};

template <class Key, class Value>
using KeyedMap = std::unordered_map<Key, Value, KeyedHash, std::equal_to<>>;
template <class Key>
using KeyedSet = std::unordered_set<Key, KeyedHash, std::equal_to<>>;

}  // namespace rotor::wasm
