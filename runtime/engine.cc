#include "runtime/engine.h"

#include <thread>

namespace rotor::runtime {

namespace {

/// Added to the niceness of threads that compile in the background.
constexpr int kBackgroundNice = 10;

unsigned compile_threads(const Config& config) {
  return config.compile_workers ? config.compile_workers : std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

// The background gets half of the threads, since the guest runs meanwhile.
EngineImpl::EngineImpl(Config c, const std::array<const void*, code::kLibcallCount>& addresses)
    : config(std::move(c)),
      libcalls(addresses),
      settings(code::CodeSettings::of(config)),
      compile_memory(std::make_shared<code::CompileMemory>(config.compile_memory_bytes)),
      foreground(compile_threads(config), 0),
      background((compile_threads(config) + 1) / 2, kBackgroundNice) {}

}  // namespace rotor::runtime
