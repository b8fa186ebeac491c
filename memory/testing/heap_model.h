// A heap beside a model of it: a map of objects and what each holds. For tests and for fuzz/heap.cc.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "memory/heap.h"

namespace rotor::memory::test {

/// Does what some bytes say to a heap and to the model, and compares them after each collection: what lives, what it
/// holds, that nothing else is found by any word, and the bytes that live.
class HeapModel final : public HeapRoots {
 public:
  /// The first bytes choose the heap's limits and whether it is stressed.
  explicit HeapModel(std::span<const uint8_t> script);
  /// Returns what differs; empty: nothing.
  std::string run();
  const HeapCounters& total() const { return total_; }

 private:
  struct Object {
    uint32_t type;
    uint32_t length;
    std::vector<uint32_t> words;  ///< all behind the header
  };
  using Objects = std::map<HeapRef, Object>;
  static constexpr size_t kRoots = 12;
  /// What a program holds.
  struct State {
    Objects objects;  ///< that were allocated and not yet collected
    std::array<HeapRef, kRoots> exact{};
    std::array<uint64_t, 4> ambiguous{};
  };

  void visit_ambiguous(AmbiguousRoots& roots) override;
  void visit_exact(ExactRoots& roots) override;

  uint8_t next();
  uint32_t next_wide() { return next() | static_cast<uint32_t>(next()) << 8 | static_cast<uint32_t>(next()) << 16; }
  HeapRef& root() { return state_.exact[next() % kRoots]; }
  void differ(const std::string& what) {
    if (difference_.empty()) difference_ = what + " (step " + std::to_string(steps_) + ")";
  }
  void make_heap(std::shared_ptr<const Image> image);
  void step();
  void allocate();
  void allocated(HeapRef object, uint32_t type, uint32_t length, uint64_t bytes);
  void store();
  void load();
  void write();
  void keep_ambiguous();
  void resolve();
  void seal();
  void restore();
  /// Returns the object whose cell an offset lies in; 0: none.
  HeapRef find(uint64_t offset) const;
  HeapRef find_address(uint64_t address) const { return find(address - reinterpret_cast<uintptr_t>(heap_->base())); }
  std::vector<HeapRef> references(const Object& object) const;
  std::set<HeapRef> reachable() const;
  /// Does to the model what a collection did to the heap, and compares. `fresh`: what was allocated since, or 0; it may
  /// lie where an object was freed.
  void collected(HeapRef fresh);
  void compare(HeapRef object, const Object& model);

  std::span<const uint8_t> script_;
  size_t at_ = 0;
  uint64_t steps_ = 0;
  std::string difference_;
  HeapOptions options_;
  std::unique_ptr<Heap> heap_;
  State state_;
  uint64_t collections_ = 0;  ///< that the model knows of
  std::shared_ptr<const Image> image_;
  State imaged_;
  HeapCounters total_;  ///< of all heaps that there were
};

}  // namespace rotor::memory::test
