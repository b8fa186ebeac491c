# What Rotor is built with: Debian packages, found, never downloaded.
find_package(LLVM 22.1 CONFIG REQUIRED HINTS /usr/lib/llvm-22/lib/cmake/llvm)  # asking for 22 is refused
find_package(fmt REQUIRED)
# fmt as headers only asks nothing of those who link the library. Its compiled form takes a third of the time off a source
# that formats, so that is what builds for tests use.
option(ROTOR_FMT_LIBRARY "Link fmt's shared library; the installed library would then need it, too" OFF)
add_library(rotor_fmt INTERFACE)
if(ROTOR_FMT_LIBRARY)
  target_link_libraries(rotor_fmt INTERFACE fmt::fmt)
else()
  target_link_libraries(rotor_fmt INTERFACE fmt::fmt-header-only)
endif()
find_package(Threads REQUIRED)
find_library(XXHASH_LIBRARY NAMES xxhash REQUIRED)

# toml++ as headers only: Debian's shared library is built with exceptions, which is another ABI than ours.
find_path(ROTOR_TOML_INCLUDE_DIR toml++/toml.h REQUIRED)
add_library(rotor_toml INTERFACE)
target_include_directories(rotor_toml SYSTEM INTERFACE $<BUILD_INTERFACE:${ROTOR_TOML_INCLUDE_DIR}>)
target_compile_definitions(rotor_toml INTERFACE TOML_HEADER_ONLY=1)

if(ROTOR_DEVELOPER_MODE)
  find_package(mimalloc REQUIRED)  # of the tool
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)
  find_package(ZLIB REQUIRED)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  include(GoogleTest)
endif()
