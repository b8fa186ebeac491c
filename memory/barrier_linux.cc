#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory/barrier.h"

namespace rotor::memory {

namespace {

bool membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

bool barrier_in_all_threads() {
#ifdef __SANITIZE_THREAD__
  return false;
#endif
  // The process registers the first time, and it may have to in a child of one that did.
  return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) ||
         (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}

}  // namespace rotor::memory
