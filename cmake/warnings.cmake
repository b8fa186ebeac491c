# Our own flags, never leaked to consumers: link `rotor_flags` PRIVATE.
option(ROTOR_WERROR "Warnings are errors (CI)" OFF)
option(ROTOR_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(ROTOR_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

option(ROTOR_PERTURB "Delays where threads let go of what others free (memory/perturb.h)" OFF)

add_library(rotor_flags INTERFACE)
target_compile_options(rotor_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -fno-omit-frame-pointer
  $<$<BOOL:${ROTOR_WERROR}>:-Werror>)
target_include_directories(rotor_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                           $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
if(ROTOR_SANITIZE)
  # g++ 12 sees uninitialised variables in instrumented code that are none; the dev build warns.
  add_compile_options(-fsanitize=${ROTOR_SANITIZE} -fno-sanitize-recover=all
                      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_link_options(-fsanitize=${ROTOR_SANITIZE})
endif()

# The tests are many programs, with the compiler in most of them: lld links one in a third of the time.
option(ROTOR_LLD "Link by lld, if there is one" OFF)
if(ROTOR_LLD)
  find_program(ROTOR_LLD_PROGRAM NAMES ld.lld-22 ld.lld)
  if(ROTOR_LLD_PROGRAM)
    # g++ knows it by this name only.
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/linker)
    file(CREATE_LINK ${ROTOR_LLD_PROGRAM} ${PROJECT_BINARY_DIR}/linker/ld.lld SYMBOLIC)
    add_link_options(-fuse-ld=lld -B${PROJECT_BINARY_DIR}/linker)
  endif()
endif()

# The builds for tests only: that of a release, which scripts/nightly.sh makes, finds an include that is missing.
option(ROTOR_PRECOMPILED_HEADERS "Precompile what most sources of a folder include" OFF)
# rotor_precompile(target HEADERS...)
function(rotor_precompile target)
  if(ROTOR_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

if(ROTOR_PERTURB)
  add_compile_definitions(ROTOR_PERTURB)
endif()

# The library's folders throw nothing.
add_library(rotor_library_flags INTERFACE)
target_link_libraries(rotor_library_flags INTERFACE rotor_flags)
target_compile_options(rotor_library_flags INTERFACE -fno-exceptions)
