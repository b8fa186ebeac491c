#include "jit/compile_thread.h"

#include <cstring>
#include <string>

#include "code/compiler.h"
#include "code/threads.h"

namespace rotor::jit {

Result<void> run_on_compile_threads(unsigned count, const std::function<void()>& work) {
  int failed;
  const std::vector<pthread_t> threads = code::start_threads(count, work, failed, code::kCompileStackBytes);
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  if (threads.empty()) return fail(ErrorKind::io, std::string("no thread to compile on: ") + std::strerror(failed));
  return {};
}

}  // namespace rotor::jit
