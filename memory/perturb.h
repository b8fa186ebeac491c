// Delays at the places where one thread lets go of something that another may then free or use again, so that tests
// meet, in seconds, orders that a scheduler gives once in a million. A build without ROTOR_PERTURB has no such delays.
#pragma once

#ifdef ROTOR_PERTURB

#include <cstdint>

namespace rotor::memory {

/// Delays the calling thread now and then, by random numbers of its own.
void perturb();
/// Makes threads delay by this seed from now on; 0, the initial value: not at all. Threads count in the order of their
/// first delay.
void set_perturb_seed(uint64_t seed);

}  // namespace rotor::memory

#define ROTOR_PERTURB_POINT() ::rotor::memory::perturb()

#else

#define ROTOR_PERTURB_POINT() static_cast<void>(0)

#endif
