// Exceptions as values (exnref): blocks that a group's guests refer to by address. Most exceptions never become one: a
// clause that takes no reference takes what they carry out of code::Activation::thrown.
//
// What is referred to is found by a scan. Between calls it is exact: tables, globals and the host's handles are all
// there is. Within a call the guest's stack is looked through, too, for any word that is the address of an exception:
// compiled code says nothing of where its references are, and a word that only looks like one keeps an exception a
// while longer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/store/tag.h"

namespace rotor::runtime {

class LinkGroup;

/// What it carries follows it, code::kResultStride bytes a value.
struct alignas(16) ExceptionObject {
  std::shared_ptr<const TagImpl> tag;
  LinkGroup* group;                ///< the one that it was made in (LinkGroup::root leads on)
  std::atomic<uint32_t> holds{0};  ///< handles of the host's, which let go on any thread
  uint32_t words = 0;              ///< of what it carries
  bool marked = false;

  uint64_t* payload() { return reinterpret_cast<uint64_t*>(this + 1); }
  uint64_t bits() const { return reinterpret_cast<uint64_t>(this); }
  static ExceptionObject* of(uint64_t bits) { return reinterpret_cast<ExceptionObject*>(bits); }
};

/// The words of what an exception of a type carries.
uint32_t payload_words(const CanonicalType& tag_type);

/// The exceptions of a group that are values. Not thread-safe: who uses it is inside the group.
class ExceptionHeap {
 public:
  /// Marks what the words that are addresses of exceptions refer to, and what those carry.
  class Marker {
   public:
    explicit Marker(ExceptionHeap& heap) : heap_(heap) {}
    void word(uint64_t bits);
    /// Marks by each aligned word of a part of the stack.
    void stack(uintptr_t low, uintptr_t high);

   private:
    ExceptionHeap& heap_;
  };

  ExceptionHeap() = default;
  ~ExceptionHeap();
  ExceptionHeap(const ExceptionHeap&) = delete;

  /// Makes a value of an exception. nullptr: the system has no memory.
  ExceptionObject* add(std::shared_ptr<const TagImpl> tag, LinkGroup* group, const uint64_t* payload);
  /// Returns whether the bits are those of an exception that is there.
  bool has(uint64_t bits);
  /// Frees all that `mark_roots` does not lead to and the host does not hold: the following three, one after another.
  void collect(const std::function<void(Marker&)>& mark_roots);
  /// Marks what `mark_roots` leads to and the host holds.
  void mark(const std::function<void(Marker&)>& mark_roots);
  /// Marks what marked exceptions carry, and calls `visit` with each of them, once.
  void drain(const std::function<void(ExceptionObject&)>& visit);
  /// Frees all that is not marked.
  void sweep();
  /// Takes over the exceptions of another heap.
  void absorb(ExceptionHeap& other);
  /// Calls `visit` with each exception, referred to or not.
  void for_each(const std::function<void(ExceptionObject&)>& visit) {
    for (ExceptionObject* object : objects_) visit(*object);
  }

  size_t count() const { return objects_.size(); }
  uint64_t bytes() const { return bytes_; }
  /// Returns whether so much was made since the last collection that another one within a call is worth its time.
  bool is_due() const { return objects_.size() >= due_at_; }
  /// Returns how many were made since the last collection.
  size_t made() const { return objects_.size() - kept_; }

  uint64_t calls_put_off = 0;  ///< calls that ended since the last collection, and what they made is still there

  /// What the host threw last: tag and values live until the clause that takes them has.
  std::shared_ptr<const void> host_thrown;
  std::vector<uint64_t> host_payload;

 private:
  static constexpr size_t kLeastDue = 1024;
  void sort();
  void free(ExceptionObject* object);

  std::vector<ExceptionObject*> objects_;
  std::vector<ExceptionObject*> pending_;  ///< marked, and what they carry is not yet
  bool sorted_ = true;                     ///< `objects_` ascends
  uint64_t bytes_ = 0;
  size_t kept_ = 0;  ///< by the last collection
  size_t due_at_ = kLeastDue;
};

}  // namespace rotor::runtime
