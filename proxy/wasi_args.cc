#include "proxy/wasi_args.h"

#include <algorithm>
#include <iterator>

namespace rotor::proxy {
namespace {

struct WasiFunction {
  std::string_view name;
  std::string_view args;  ///< p: a pointer; i: another i32; l: an i64
};
constexpr WasiFunction kWasiFunctions[] = {
    {"args_get", "pp"},
    {"args_sizes_get", "pp"},
    {"clock_res_get", "ip"},
    {"clock_time_get", "ilp"},
    {"environ_get", "pp"},
    {"environ_sizes_get", "pp"},
    {"fd_advise", "illi"},
    {"fd_allocate", "ill"},
    {"fd_close", "i"},
    {"fd_datasync", "i"},
    {"fd_fdstat_get", "ip"},
    {"fd_fdstat_set_flags", "ii"},
    {"fd_fdstat_set_rights", "ill"},
    {"fd_filestat_get", "ip"},
    {"fd_filestat_set_size", "il"},
    {"fd_filestat_set_times", "illi"},
    {"fd_pread", "ipilp"},
    {"fd_prestat_dir_name", "ipi"},
    {"fd_prestat_get", "ip"},
    {"fd_pwrite", "ipilp"},
    {"fd_read", "ipip"},
    {"fd_readdir", "ipilp"},
    {"fd_renumber", "ii"},
    {"fd_seek", "ilip"},
    {"fd_sync", "i"},
    {"fd_tell", "ip"},
    {"fd_write", "ipip"},
    {"path_create_directory", "ipi"},
    {"path_filestat_get", "iipip"},
    {"path_filestat_set_times", "iipilli"},
    {"path_link", "iipiipi"},
    {"path_open", "iipiillip"},
    {"path_readlink", "ipipip"},
    {"path_remove_directory", "ipi"},
    {"path_rename", "ipiipi"},
    {"path_symlink", "piipi"},
    {"path_unlink_file", "ipi"},
    {"poll_oneoff", "ppip"},
    {"proc_exit", "i"},
    {"proc_raise", "i"},
    {"random_get", "pi"},
    {"sched_yield", ""},
    {"sock_accept", "iip"},
    {"sock_recv", "ipiipp"},
    {"sock_send", "ipiip"},
    {"sock_shutdown", "ii"},
};
static_assert(std::size(kWasiFunctions) == 46);
static_assert(std::ranges::is_sorted(kWasiFunctions, {}, &WasiFunction::name));

}  // namespace

std::optional<std::vector<ImportArg>> wasi_args(std::string_view module, std::string_view name, const FuncType& type) {
  if (module != "wasi_snapshot_preview1") return std::nullopt;
  const auto* found = std::ranges::lower_bound(kWasiFunctions, name, {}, &WasiFunction::name);
  if (found == std::end(kWasiFunctions) || found->name != name) return std::nullopt;
  if (type.params.size() != found->args.size()) return std::nullopt;
  std::vector<ImportArg> args;
  for (size_t i = 0; i < found->args.size(); i++) {
    const char kind = found->args[i];
    if (type.params[i] != (kind == 'l' ? ValType::i64 : ValType::i32)) return std::nullopt;
    args.push_back(kind == 'p' ? ImportArg::pointer : ImportArg::scalar);
  }
  return args;
}

}  // namespace rotor::proxy
