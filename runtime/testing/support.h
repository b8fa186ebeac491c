// What the runtime's tests share.
#pragma once

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>

#include <functional>
#include <span>

#include "rotor/rotor.h"
#include "runtime/testing/modules.h"

namespace rotor::runtime::test {

/// The value, or the end of the test program with the error.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Makes an engine that compiles ahead of time, so that a test knows what code it runs.
inline Engine engine() {
  Config config;
  config.mode = CompileMode::aot;
  return must(Engine::create(config));
}

inline Module compile(const Engine& engine, std::span<const uint8_t> bytes) {
  return must(Module::compile(engine, bytes));
}

inline Instance instantiate(const Linker& linker, const Module& module, const InstanceOptions& options = {}) {
  return must(linker.instantiate(module, options));
}

template <class Signature>
auto typed(const Instance& instance, std::string_view name) {
  return must(instance.get_typed<Signature>(name));
}

/// The kind of the error; internal if there is none (no test wants that one).
template <class T>
ErrorKind kind_of(const Result<T>& result) {
  return result ? ErrorKind::internal : result.error().kind;
}

/// Expects a trap of that kind.
template <class T>
void expect_trap(const Result<T>& result, TrapKind kind) {
  ASSERT_FALSE(result);
  ASSERT_EQ(result.error().kind, ErrorKind::trap) << result.error().to_string();
  ASSERT_TRUE(result.error().trap);
  EXPECT_EQ(to_string(result.error().trap->kind), std::string(to_string(kind)));
  EXPECT_EQ(result.error().message, to_string(kind));
}

/// Runs `body` on a thread whose stack is [low, low + bytes).
inline void on_stack(void* low, size_t bytes, std::function<void()> body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstack(&attributes, low, bytes), 0);
  pthread_t thread;
  auto run = [](void* arg) -> void* {
    (*static_cast<std::function<void()>*>(arg))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &body), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

/// Runs `body` on a thread with a stack of that size. Not one of the C library's: it may hand out a larger one.
inline void on_small_stack(size_t bytes, std::function<void()> body) {
#ifdef __SANITIZE_THREAD__
  return;  // ThreadSanitizer wants a megabyte of every stack
#endif
  constexpr size_t kGuard = 64 << 10;
  void* mapping = mmap(nullptr, kGuard + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapping, MAP_FAILED);
  ASSERT_EQ(mprotect(mapping, kGuard, PROT_NONE), 0);
  on_stack(static_cast<char*>(mapping) + kGuard, bytes, std::move(body));
  munmap(mapping, kGuard + bytes);
}

}  // namespace rotor::runtime::test
