// A guest that is nothing but WASI's functions and a memory, so that tests in C++ call them as a guest would. And a
// folder to do so in.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hosts/wasi/limits.h"
#include "hosts/wasi/rights.h"
#include "hosts/wasi/types.h"
#include "rotor/rotor.h"
#include "rotor/wasi.h"
#include "wasm/testing/assemble.h"

namespace rotor::wasi::test {

/// Ends the program of a test that can't go on.
inline void must(bool ok, const std::string& what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

/// Each function with its parameters: i is an i32, I an i64.
inline constexpr std::pair<const char*, const char*> kFunctions[] = {
    {"args_get", "ii"},
    {"args_sizes_get", "ii"},
    {"clock_res_get", "ii"},
    {"clock_time_get", "iIi"},
    {"environ_get", "ii"},
    {"environ_sizes_get", "ii"},
    {"fd_advise", "iIIi"},
    {"fd_allocate", "iII"},
    {"fd_close", "i"},
    {"fd_datasync", "i"},
    {"fd_fdstat_get", "ii"},
    {"fd_fdstat_set_flags", "ii"},
    {"fd_fdstat_set_rights", "iII"},
    {"fd_filestat_get", "ii"},
    {"fd_filestat_set_size", "iI"},
    {"fd_filestat_set_times", "iIIi"},
    {"fd_pread", "iiiIi"},
    {"fd_prestat_dir_name", "iii"},
    {"fd_prestat_get", "ii"},
    {"fd_pwrite", "iiiIi"},
    {"fd_read", "iiii"},
    {"fd_readdir", "iiiIi"},
    {"fd_renumber", "ii"},
    {"fd_seek", "iIii"},
    {"fd_sync", "i"},
    {"fd_tell", "ii"},
    {"fd_write", "iiii"},
    {"path_create_directory", "iii"},
    {"path_filestat_get", "iiiii"},
    {"path_filestat_set_times", "iiiiIIi"},
    {"path_link", "iiiiiii"},
    {"path_open", "iiiiiIIii"},
    {"path_readlink", "iiiiii"},
    {"path_remove_directory", "iii"},
    {"path_rename", "iiiiii"},
    {"path_symlink", "iiiii"},
    {"path_unlink_file", "iii"},
    {"poll_oneoff", "iiii"},
    {"proc_raise", "i"},
    {"random_get", "ii"},
    {"sched_yield", ""},
    {"sock_accept", "iii"},
    {"sock_recv", "iiiiii"},
    {"sock_send", "iiiii"},
    {"sock_shutdown", "ii"},
};

/// Returns the text of a module that imports all functions and exports them, with a memory of `kPages`.
inline std::string module_text() {
  std::string imports, exports;
  auto add = [&](std::string_view name, std::string_view params, const char* result) {
    std::string types;
    for (char param : params) types += param == 'I' ? " i64" : " i32";
    const std::string text(name);
    imports += "(import \"wasi_snapshot_preview1\" \"" + text + "\" (func $" + text + " (param" + types + ")" + result +
               "))\n";
    exports += "(export \"" + text + "\" (func $" + text + "))\n";
  };
  for (auto [name, params] : kFunctions) add(name, params, " (result i32)");
  add("proc_exit", "i", "");
  return "(module\n" + imports + exports + "(memory (export \"memory\") 4))";
}

/// The module, compiled once.
struct Compiled {
  Engine engine = [] {
    Config config;
    config.interruptible = true;
    config.mode = CompileMode::eager;
    return Engine::create(config).value();
  }();
  Module module = Module::compile(engine, wasm::test::assemble(module_text())).value();
  static const Compiled& get() {
    static const Compiled compiled;
    return compiled;
  }
};

class Guest {
 public:
  /// Several guests may share an environment.
  explicit Guest(const Environment& environment) {
    const Compiled& compiled = Compiled::get();
    Linker linker(compiled.engine);
    define(linker, environment);
    instance_ = linker.instantiate(compiled.module).value();
    memory_ = instance_.get_memory("memory").value().pinned();
  }
  explicit Guest(Builder& builder) : Guest(builder.build().value()) {}

  Instance& instance() { return instance_; }
  const Memory& memory() const { return memory_; }

  /// Calls a function, and returns its errno.
  template <class... Args>
  Errno operator()(const char* name, Args... args) {
    auto results = try_call(name, args...);
    must(results.has_value(), std::string(name) + (results ? "" : ": " + results.error().to_string()));
    return static_cast<Errno>(results->at(0).i32());
  }
  template <class... Args>
  Result<std::vector<Value>> try_call(const char* name, Args... args) {
    auto found = instance_.get_func(name);
    if (!found) return std::unexpected(found.error());
    const FuncType type = found->type();
    std::vector<Value> values;
    size_t i = 0;
    auto add = [&](auto value) {
      values.push_back(Value::from_bits(type.params.at(i++), static_cast<uint64_t>(value)));
    };
    (add(args), ...);
    return found->call(values);
  }

  // Memory. The first kResult bytes are for results; what `put` puts comes after.
  static constexpr uint32_t kResult = 16, kBuffer = 65536, kBufferBytes = 65536, kPieces = 512;
  uint32_t put(std::string_view bytes) {
    if (next_ + bytes.size() > kBuffer) next_ = 1024;
    const uint32_t address = next_;
    if (!bytes.empty()) std::memcpy(memory_.data() + address, bytes.data(), bytes.size());
    next_ += static_cast<uint32_t>(bytes.size() + 8) & ~7u;
    return address;
  }
  template <class T>
  void store(uint32_t address, const T& value) {
    std::memcpy(memory_.data() + address, &value, sizeof value);
  }
  template <class T>
  T load(uint32_t address) const {
    T value;
    std::memcpy(&value, memory_.data() + address, sizeof value);
    return value;
  }
  uint32_t result() const { return load<uint32_t>(kResult); }
  std::string bytes(uint32_t address, size_t size) const {
    return std::string(reinterpret_cast<const char*>(memory_.data()) + address, size);
  }

  // Calls with what they need in memory.
  Errno path(const char* name, uint32_t fd, std::string_view path) { return (*this)(name, fd, put(path), path.size()); }
  /// Opens; the descriptor's number is `result()`.
  Errno open(uint32_t fd, std::string_view path, uint32_t open_flags = 0, Rights rights = kFdRead,
             Rights inheriting = ~Rights{0}, uint32_t lookup = kSymlinkFollow, uint32_t fd_flags = 0) {
    return (*this)("path_open", fd, lookup, put(path), path.size(), open_flags, rights, inheriting, fd_flags, kResult);
  }
  /// Reads; the bytes are `bytes(kBuffer, result())`.
  Errno read(uint32_t fd, uint32_t size = 4096) {
    store(kPieces, GuestIovec{kBuffer, size});
    return (*this)("fd_read", fd, kPieces, 1, kResult);
  }
  std::string text() const { return bytes(kBuffer, result()); }
  Errno write(uint32_t fd, std::string_view bytes) {
    store(kPieces, GuestIovec{put(bytes), static_cast<uint32_t>(bytes.size())});
    return (*this)("fd_write", fd, kPieces, 1, kResult);
  }
  Errno stat(uint32_t fd, std::string_view path, uint32_t lookup = kSymlinkFollow) {
    return (*this)("path_filestat_get", fd, lookup, put(path), path.size(), kBuffer);
  }
  Errno rename(uint32_t from_fd, std::string_view from, uint32_t to_fd, std::string_view to) {
    const uint32_t a = put(from);
    return (*this)("path_rename", from_fd, a, from.size(), to_fd, put(to), to.size());
  }
  Errno link(uint32_t from_fd, std::string_view from, uint32_t to_fd, std::string_view to, uint32_t lookup = 0) {
    const uint32_t a = put(from);
    return (*this)("path_link", from_fd, lookup, a, from.size(), to_fd, put(to), to.size());
  }
  Errno symlink(std::string_view target, uint32_t fd, std::string_view name) {
    const uint32_t a = put(target);
    return (*this)("path_symlink", a, target.size(), fd, put(name), name.size());
  }
  /// Takes rights off a descriptor.
  void drop_rights(uint32_t fd, Rights rights, Rights inheriting) {
    must((*this)("fd_fdstat_get", fd, kBuffer) == Errno::success, "no such descriptor");
    const auto stat = load<FdStat>(kBuffer);
    must((*this)("fd_fdstat_set_rights", fd, stat.rights & ~rights, stat.inheriting & ~inheriting) == Errno::success,
         "rights can't be given up");
  }

 private:
  Instance instance_;
  Memory memory_;
  uint32_t next_ = 1024;
};

/// A folder of a test's own, removed with all that is in it.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "rotor_wasi_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  ~Folder() {
    std::error_code failed;
    std::filesystem::remove_all(path_, failed);
  }
  std::string path(std::string_view name = {}) const { return name.empty() ? path_.string() : (path_ / name).string(); }
  void file(std::string_view name, std::string_view contents) const {
    std::ofstream(path(name), std::ios::binary) << contents;
  }
  void folder(std::string_view name) const { std::filesystem::create_directories(path(name)); }
  void link(std::string_view target, std::string_view name) const {
    must(::symlink(std::string(target).c_str(), path(name).c_str()) == 0, "no link can be made");
  }
  std::string contents(std::string_view name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool exists(std::string_view name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(path(name)));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace rotor::wasi::test
