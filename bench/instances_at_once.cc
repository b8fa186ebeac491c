// Measures what an idle instance takes, and how many there can be at once:
// instances_at_once [COUNT] [PAGES] [image|reservation|slab].
// COUNT instances (20,000) of a module, each called once, then PAGES (0) of its pages written; RSS and page tables as
// the kernel counts them, divided by the instances, and the mappings of the process. The module has 64 MiB of memory,
// 16 MiB of it data (`image`), or 64 KiB that may grow to 128, in a reservation of its own or on a slab
// (Config::slab_memories).
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "bench/must.h"
#include "rotor/rotor.h"
#include "rotor/wat.h"

namespace {

/// Returns a line of /proc/self/status, in KiB.
uint64_t status_kib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10);
  die("/proc/self/status has no " + name);
}

uint64_t mappings() {
  std::ifstream maps("/proc/self/maps");
  return static_cast<uint64_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

constexpr size_t kDataBytes = size_t{16} << 20;

std::string module_text(bool small) {
  const std::string memory =
      small ? "(memory 1 2)" : "(memory 1024) (data (i32.const 0) \"" + std::string(kDataBytes, 'r') + "\")";
  return "(module " + memory + R"(
    (func (export "run") (result i32) (i32.load (i32.const 1024)))
    (func (export "dirty") (param $pages i32) (local $p i32)
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $pages)))
        (i32.store (local.get $p) (i32.const 1))
        (local.set $p (i32.add (local.get $p) (i32.const 4096)))
        (local.set $pages (i32.sub (local.get $pages) (i32.const 1)))
        (br $next)))))
  )";
}

}  // namespace

int main(int argc, char** argv) {
  const auto count = static_cast<size_t>(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20'000);
  const int32_t pages = argc > 2 ? std::atoi(argv[2]) : 0;
  const std::string kind = argc > 3 ? argv[3] : "image";
  const bool known = kind == "image" || kind == "reservation" || kind == "slab";
  if (count == 0 || pages < 0 || argc > 4 || !known) die("instances_at_once [COUNT] [PAGES] [image|reservation|slab]");
  rotor::Config config;
  config.slab_memories = kind == "slab";
  const rotor::Engine engine = must(rotor::Engine::create(config));
  const std::string text = module_text(kind != "image");
  const rotor::Module module = must(rotor::Module::compile(engine, must(rotor::wat_to_wasm(text))));
  const rotor::InstancePre pre = must(rotor::Linker(engine).instantiate_pre(module));
  std::vector<rotor::Instance> instances;
  instances.reserve(count);
  const auto add = [&] {
    rotor::Instance instance = must(pre.instantiate());
    must(must(instance.get_typed<int32_t()>("run"))());
    if (pages) must(must(instance.get_typed<void(int32_t)>("dirty"))(pages));
    instances.push_back(std::move(instance));
  };
  add();  // and what the first call compiles
  const std::string counted[] = {"RssAnon", "RssShmem", "VmPTE"};
  uint64_t before[3];
  for (size_t i = 0; i < 3; ++i) before[i] = status_kib(counted[i]);
  while (instances.size() < count) add();
  const double others = static_cast<double>(count) - 1;
  double sum = 0;
  std::printf("%zu instances, %d pages written in each; KiB an instance:", count, pages);
  for (size_t i = 0; i < 3; ++i) {
    const double each = static_cast<double>(status_kib(counted[i]) - before[i]) / others;
    std::printf(" %s %.2f", counted[i].c_str(), each);
    if (counted[i] != "RssShmem") sum += each;
  }
  std::printf("; own in sum %.2f; %llu mappings\n", sum, static_cast<unsigned long long>(mappings()));
}
