#include <algorithm>
#include <array>
#include <string>
#include <type_traits>
#include <utility>

#include "hosts/wasi/functions.h"
#include "rotor/printable.h"
#include "rotor/wasi.h"

namespace rotor::wasi {
namespace {

/// Returns what the guest is given for what a function gave.
uint32_t number_of(const Outcome<void>& outcome) {
  return static_cast<uint32_t>(outcome ? Errno::success : outcome.error());
}
template <class T>
Result<T> number_of(Result<T> result) {
  return result;
}

/// A function as the linker takes it: it finds the guest's memory through the caller, and all else in the environment.
template <auto Function, class Signature = decltype(Function)>
struct Adapter;
template <auto Function, class R, class... Args>
struct Adapter<Function, R (*)(Call&, Args...)> {
  static void define(Linker& linker, std::string_view name, std::shared_ptr<EnvironmentImpl> environment) {
    linker.define(kModuleName, name, [environment = std::move(environment)](Caller& caller, Args... args) {
      Call call(caller, *environment);
      return number_of(Function(call, args...));
    });
  }
};

struct Definition {
  std::string_view name;
  void (*define)(Linker&, std::string_view name, std::shared_ptr<EnvironmentImpl>);
};
#define ROTOR_WASI_FUNCTION(name) \
  Definition { #name, &Adapter<&name>::define }
constexpr std::array kDefinitions = {
    ROTOR_WASI_FUNCTION(args_get),
    ROTOR_WASI_FUNCTION(args_sizes_get),
    ROTOR_WASI_FUNCTION(clock_res_get),
    ROTOR_WASI_FUNCTION(clock_time_get),
    ROTOR_WASI_FUNCTION(environ_get),
    ROTOR_WASI_FUNCTION(environ_sizes_get),
    ROTOR_WASI_FUNCTION(fd_advise),
    ROTOR_WASI_FUNCTION(fd_allocate),
    ROTOR_WASI_FUNCTION(fd_close),
    ROTOR_WASI_FUNCTION(fd_datasync),
    ROTOR_WASI_FUNCTION(fd_fdstat_get),
    ROTOR_WASI_FUNCTION(fd_fdstat_set_flags),
    ROTOR_WASI_FUNCTION(fd_fdstat_set_rights),
    ROTOR_WASI_FUNCTION(fd_filestat_get),
    ROTOR_WASI_FUNCTION(fd_filestat_set_size),
    ROTOR_WASI_FUNCTION(fd_filestat_set_times),
    ROTOR_WASI_FUNCTION(fd_pread),
    ROTOR_WASI_FUNCTION(fd_prestat_dir_name),
    ROTOR_WASI_FUNCTION(fd_prestat_get),
    ROTOR_WASI_FUNCTION(fd_pwrite),
    ROTOR_WASI_FUNCTION(fd_read),
    ROTOR_WASI_FUNCTION(fd_readdir),
    ROTOR_WASI_FUNCTION(fd_renumber),
    ROTOR_WASI_FUNCTION(fd_seek),
    ROTOR_WASI_FUNCTION(fd_sync),
    ROTOR_WASI_FUNCTION(fd_tell),
    ROTOR_WASI_FUNCTION(fd_write),
    ROTOR_WASI_FUNCTION(path_create_directory),
    ROTOR_WASI_FUNCTION(path_filestat_get),
    ROTOR_WASI_FUNCTION(path_filestat_set_times),
    ROTOR_WASI_FUNCTION(path_link),
    ROTOR_WASI_FUNCTION(path_open),
    ROTOR_WASI_FUNCTION(path_readlink),
    ROTOR_WASI_FUNCTION(path_remove_directory),
    ROTOR_WASI_FUNCTION(path_rename),
    ROTOR_WASI_FUNCTION(path_symlink),
    ROTOR_WASI_FUNCTION(path_unlink_file),
    ROTOR_WASI_FUNCTION(poll_oneoff),
    ROTOR_WASI_FUNCTION(proc_exit),
    ROTOR_WASI_FUNCTION(proc_raise),
    ROTOR_WASI_FUNCTION(random_get),
    ROTOR_WASI_FUNCTION(sched_yield),
    ROTOR_WASI_FUNCTION(sock_accept),
    ROTOR_WASI_FUNCTION(sock_recv),
    ROTOR_WASI_FUNCTION(sock_send),
    ROTOR_WASI_FUNCTION(sock_shutdown),
};
#undef ROTOR_WASI_FUNCTION
static_assert(kDefinitions.size() == 46);

}  // namespace

void define(Linker& linker, const Environment& environment) {
  for (const Definition& definition : kDefinitions) definition.define(linker, definition.name, environment.impl_);
}

Result<bool> uses(const Module& module) {
  bool found = false;
  for (const ImportInfo& import : module.imports()) {
    const std::string name = printable_name(import.module) + "." + printable_name(import.name);
    if (import.module == kModuleName) {
      found = true;
      const auto named = [&](const Definition& definition) { return definition.name == import.name; };
      if (std::ranges::none_of(kDefinitions, named))
        return rotor::fail(ErrorKind::unsupported, name + ": WASI preview 1 has no such function");
    } else if (import.module == "wasi_unstable") {
      return rotor::fail(ErrorKind::unsupported,
                         name + ": WASI preview 0, whose types differ: build the module for wasi_snapshot_preview1");
    } else if (import.module.starts_with("wasi:") || import.module.starts_with("wasi_snapshot_preview")) {
      return rotor::fail(ErrorKind::unsupported, name + ": not WASI preview 1, the only one that there is here");
    }
  }
  return found;
}

Result<uint32_t> run_command(const Instance& instance, Environment& environment) {
  ROTOR_TRY(Func start, instance.get_func("_start"));
  environment.clear_exit_code();
  auto ended = start.call();
  if (ended) return 0;
  if (ended.error().kind == ErrorKind::host)
    if (std::optional<uint32_t> code = environment.exit_code()) return *code;
  return std::unexpected(std::move(ended).error());
}

Result<void> initialize_reactor(const Instance& instance) {
  if (!instance.module().export_type("_initialize")) return {};
  ROTOR_TRY(Func initialize, instance.get_func("_initialize"));
  ROTOR_CHECK(initialize.call());
  return {};
}

}  // namespace rotor::wasi
