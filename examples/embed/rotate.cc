// Outlives a leak: rotate examples/leaky/leaky.wasm examples/leaky/policy.toml
#include <cstdio>
#include <fstream>
#include <iterator>

#include "rotor/proxy.h"

static rotor::Result<void> run(const char* module_path, const char* policy_path) {
  std::ifstream file(module_path, std::ios::binary);
  std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  ROTOR_TRY(auto engine, rotor::Engine::create());
  ROTOR_TRY(auto module, rotor::Module::compile(engine, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}));
  ROTOR_TRY(auto policy, rotor::Policy::load_toml(policy_path));  // which exports build state
  ROTOR_TRY(auto pre, rotor::Linker(engine).instantiate_pre(module));
  rotor::Limits limits;
  limits.memory.limit_bytes = 8 << 20;
  ROTOR_TRY(auto proxy, rotor::Proxy::create(module, rotor::linked_guests(pre, limits), policy));

  ROTOR_TRY(auto state, proxy.call("build_state", {7}));  // recorded: replayed on each standby
  for (int i = 0; i < 500; i++) {  // each call loses a page; the 127th would trap
    ROTOR_TRY(auto reply, proxy.call("work", {state.handle(), 42}));
    if (i % 100 == 0) std::printf("call %3d: %d\n", i, reply.i32());
  }
  std::printf("500 calls, %d rotations\n", static_cast<int>(proxy.counters().rotations));
  return {};
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto result = run(argv[1], argv[2]);
  if (!result) std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
  return result ? 0 : 1;
}
