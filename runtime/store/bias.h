// Biased groups: what a thread that enters the same group again and again leaves open behind it, so that it comes in
// without an exchange on the bus. See LinkGroup.
#pragma once

#include <atomic>

namespace rotor::runtime {

class LinkGroup;

/// What other threads may know of a thread that biased groups belong to. Its memory is never freed: who finds it named
/// in a group may read it at any time. That of a thread that ended is a later thread's.
struct alignas(64) BiasSeat {
  /// The group that the thread is inside of, or about to be, by its bias alone.
  std::atomic<LinkGroup*> inside{nullptr};
  /// A group whose last owner went while the thread was inside; it is freed by who takes it from here.
  std::atomic<LinkGroup*> unowned{nullptr};
  BiasSeat* next_free = nullptr;
};

/// Returns a seat for the calling thread, or null where groups can't be biased: the system refuses membarrier.
BiasSeat* take_bias_seat();
/// Takes a seat back. One that is inside a group, because its thread ended there, stays so for ever.
void give_bias_seat_back(BiasSeat& seat);

/// Has every other thread pass a memory barrier (memory/barrier.h), as who takes a bias away needs it.
void barrier_of_revoker();

}  // namespace rotor::runtime
