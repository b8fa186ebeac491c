// Memory barriers that one thread has all others pass, so that these need none on their own way.
#pragma once

namespace rotor::memory {

/// Has every other thread of the process pass a memory barrier: it sees what this thread stored before, and what it
/// stored is seen. Takes microseconds. Returns false if the system refuses (membarrier: Linux 4.14, a seccomp filter),
/// which it may do once it has not, and in a build for ThreadSanitizer, which does not know such barriers.
bool barrier_in_all_threads();

}  // namespace rotor::memory
