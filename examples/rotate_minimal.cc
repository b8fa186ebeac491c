// Outlives a leak, with the policy in C++: rotate_minimal examples/leaky/leaky.wasm
#include <cstdio>
#include <fstream>
#include <iterator>

#include "rotor/proxy.h"

static rotor::Result<int> run(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  ROTOR_TRY(auto engine, rotor::Engine::create());
  ROTOR_TRY(auto module, rotor::Module::compile(engine, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
  ROTOR_TRY(auto pre, rotor::Linker(engine).instantiate_pre(module));
  rotor::Limits limits;
  limits.memory.limit_bytes = 8 << 20;
  rotor::Policy policy;
  policy.mode = rotor::RotationMode::checkpoint;
  policy.allow = {{.name = "work", .results = rotor::Returned::value}};  // leaves nothing lasting behind; all else does
  ROTOR_TRY(auto proxy, rotor::Proxy::create(module, rotor::linked_guests(pre, limits), policy));

  ROTOR_TRY(auto state, proxy.call("build_state", {7}));  // in the checkpoint, which the next call is followed by
  int right = 0;
  for (int i = 0; i < 500; i++) {  // each call loses a page; the 127th would trap
    ROTOR_TRY(auto reply, proxy.call("work", {state.handle(), 42}));
    right += reply.i32() == -443658602;  // always the same: the state came along
  }
  std::printf("%d of 500 calls right, %d rotations\n", right, static_cast<int>(proxy.counters().rotations));
  return right;
}

int main(int argc, char** argv) {
  auto right = argc == 2 ? run(argv[1]) : rotor::fail(rotor::ErrorKind::invalid_argument, "usage: rotate_minimal FILE");
  if (!right) std::fprintf(stderr, "%s\n", right.error().to_string().c_str());
  return right && *right == 500 ? 0 : 1;
}
