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

if(ROTOR_PERTURB)
  add_compile_definitions(ROTOR_PERTURB)
endif()

# The library's folders throw nothing.
add_library(rotor_library_flags INTERFACE)
target_link_libraries(rotor_library_flags INTERFACE rotor_flags)
target_compile_options(rotor_library_flags INTERFACE -fno-exceptions)
