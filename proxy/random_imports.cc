#include "proxy/random_imports.h"

#include <algorithm>
#include <iterator>

#include "proxy/policy_names.h"

namespace rotor::proxy {
namespace {

/// Globs over `module.name`. Hosts give the modules of wasm-bindgen and Emscripten other names, so those are `*`; the
/// names that wasm-bindgen makes end with a hash.
constexpr std::string_view kRandomImports[] = {
    // WASI
    "wasi_snapshot_preview1.random_get",
    "wasi_unstable.random_get",
    "wasi:random/random*",
    "wasi:random/insecure*",
    // wasm-bindgen: Web Crypto, node:crypto, Math.random
    "*.__wbg_getRandomValues*",
    "*.__wbg_randomFillSync*",
    "*.__wbg_random_*",
    "*.__wbg_randomUUID*",
    // C libraries and Emscripten, with and without the name's underscore
    "*.getentropy",
    "*._getentropy",
    "*.getrandom",
    "*.random_get",
    "*.arc4random*",
    "*.emscripten_random",
    "*.__syscall_getrandom",
    "*.__getentropy",
    // Go, AssemblyScript
    "*.runtime.getRandomData",
    "env.seed",
};

}  // namespace

bool is_random_import(std::string_view name) {
  return std::ranges::any_of(kRandomImports, [&](std::string_view glob) { return glob_matches(glob, name); });
}

}  // namespace rotor::proxy
