// Calls what a reactor exports: it has no main function, and keeps what it made between calls.
//   reactors [--no-cache] quickjs MODULE FOLDER SCRIPT [ARGUMENT...]    runs a script of the folder, the guest's /
//   reactors [--no-cache] graphviz MODULE FORMAT < GRAPH                draws a graph that is written in DOT
// The modules' code is kept in the cache, unless it is said otherwise.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "rotor/rotor.h"
#include "rotor/wasi.h"

namespace {

using rotor::Result;

/// An instance of a reactor, and what it needs to be given text.
class Reactor {
 public:
  static Result<Reactor> make(const std::string& path, bool cached, rotor::wasi::Builder& builder) {
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    std::vector<uint8_t> bytes(in ? static_cast<size_t>(in.tellg()) : 0);
    in.seekg(0).read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    rotor::Config config;
    config.cache.enabled = cached;
    ROTOR_TRY(rotor::Engine engine, rotor::Engine::create(std::move(config)));
    ROTOR_TRY(rotor::Module module, rotor::Module::compile(engine, bytes));
    builder.standard_out(rotor::wasi::Output::inherit()).standard_error(rotor::wasi::Output::inherit());
    ROTOR_TRY(rotor::wasi::Environment environment, builder.build());
    rotor::Linker linker(engine);
    rotor::wasi::define(linker, environment);
    ROTOR_TRY(rotor::Instance instance, linker.instantiate(module));
    if (auto initialize = instance.get_typed<void()>("_initialize")) ROTOR_CHECK((*initialize)());
    ROTOR_TRY(rotor::Memory memory, instance.get_memory("memory"));
    ROTOR_TRY(auto allocate, instance.get_typed<uint32_t(uint32_t)>("malloc"));
    return Reactor(std::move(instance), std::move(memory), std::move(allocate));
  }

  template <class Signature>
  Result<rotor::TypedFunc<Signature>> get(std::string_view name) const {
    return instance_.get_typed<Signature>(name);
  }
  /// Puts bytes into the guest's memory, and returns where.
  Result<uint32_t> put(const void* data, size_t size_bytes) {
    ROTOR_TRY(uint32_t address, allocate_(static_cast<uint32_t>(size_bytes)));
    ROTOR_CHECK(memory_.write(address, {static_cast<const uint8_t*>(data), size_bytes}));
    return address;
  }
  Result<uint32_t> put(const std::string& text) { return put(text.c_str(), text.size() + 1); }
  Result<std::string> read(uint32_t address, size_t size_bytes) const {
    std::string text(size_bytes, '\0');
    ROTOR_CHECK(memory_.read(address, {reinterpret_cast<uint8_t*>(text.data()), text.size()}));
    return text;
  }

 private:
  Reactor(rotor::Instance instance, rotor::Memory memory, rotor::TypedFunc<uint32_t(uint32_t)> allocate)
      : instance_(std::move(instance)), memory_(std::move(memory)), allocate_(std::move(allocate)) {}
  rotor::Instance instance_;
  rotor::Memory memory_;
  rotor::TypedFunc<uint32_t(uint32_t)> allocate_;
};

Result<int> run_script(const std::string& module, bool cached, const std::string& folder,
                       const std::vector<std::string>& args) {
  rotor::wasi::Builder builder;
  builder.folder(folder, "/");
  ROTOR_TRY(Reactor guest, Reactor::make(module, cached, builder));
  std::vector<uint32_t> pointers;
  for (const std::string& arg : args) {
    ROTOR_TRY(uint32_t address, guest.put(arg));
    pointers.push_back(address);
  }
  pointers.push_back(0);
  ROTOR_TRY(uint32_t argv, guest.put(pointers.data(), pointers.size() * sizeof(uint32_t)));
  ROTOR_TRY(auto init, guest.get<int32_t(uint32_t, uint32_t)>("qjs_init_argv"));
  ROTOR_TRY(auto destroy, guest.get<void()>("qjs_destroy"));
  ROTOR_TRY(int32_t status, init(static_cast<uint32_t>(args.size()), argv));
  ROTOR_CHECK(destroy());
  return status == 0 ? 0 : 1;
}

Result<int> draw(const std::string& module, bool cached, const std::string& format, const std::string& graph) {
  rotor::wasi::Builder builder;
  ROTOR_TRY(Reactor guest, Reactor::make(module, cached, builder));
  ROTOR_TRY(uint32_t graph_at, guest.put(graph));
  ROTOR_TRY(uint32_t format_at, guest.put(format));
  ROTOR_TRY(uint32_t engine_at, guest.put("dot"));
  uint32_t size_bytes = 0;
  ROTOR_TRY(uint32_t size_at, guest.put(&size_bytes, sizeof size_bytes));
  ROTOR_TRY(auto render, (guest.get<uint32_t(uint32_t, uint32_t, uint32_t, uint32_t)>("graphviz_render")));
  ROTOR_TRY(uint32_t drawn_at, render(graph_at, format_at, engine_at, size_at));
  if (drawn_at == 0) return rotor::fail(rotor::ErrorKind::invalid_argument, "it can't be drawn");
  ROTOR_TRY(std::string size, guest.read(size_at, sizeof size_bytes));
  std::memcpy(&size_bytes, size.data(), sizeof size_bytes);
  ROTOR_TRY(std::string drawn, guest.read(drawn_at, size_bytes));
  std::fwrite(drawn.data(), 1, drawn.size(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool cached = argc < 2 || std::strcmp(argv[1], "--no-cache") != 0;
  const std::vector<std::string> args(argv + (cached ? 1 : 2), argv + argc);
  Result<int> code = 2;
  if (args.size() >= 4 && args[0] == "quickjs") {
    std::vector<std::string> script_args(args.begin() + 2, args.end());
    script_args[0] = "qjs";
    code = run_script(args[1], cached, args[2], script_args);
  } else if (args.size() == 3 && args[0] == "graphviz") {
    code = draw(args[1], cached, args[2], {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()});
  } else {
    std::fputs(
        "usage: reactors [--no-cache] quickjs MODULE FOLDER SCRIPT [ARGUMENT...] | reactors [--no-cache] graphviz "
        "MODULE FORMAT\n",
        stderr);
  }
  if (!code) std::fprintf(stderr, "%s\n", code.error().to_string().c_str());
  return code ? *code : 1;
}
