# Our own flags, never leaked to consumers: link `rotor_flags` PRIVATE.
option(ROTOR_WERROR "Warnings are errors (CI)" OFF)
set(ROTOR_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them")

add_library(rotor_flags INTERFACE)
target_compile_options(rotor_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -fno-omit-frame-pointer
  $<$<BOOL:${ROTOR_WERROR}>:-Werror>)
target_include_directories(rotor_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
if(ROTOR_SANITIZE)
  add_compile_options(-fsanitize=${ROTOR_SANITIZE})
  add_link_options(-fsanitize=${ROTOR_SANITIZE})
endif()

# The library's folders throw nothing.
add_library(rotor_library_flags INTERFACE)
target_link_libraries(rotor_library_flags INTERFACE rotor_flags)
target_compile_options(rotor_library_flags INTERFACE -fno-exceptions)

# rotor_test(name SOURCES... LIBS...): a GoogleTest binary whose tests are ctests.
function(rotor_test name)
  if(NOT ROTOR_DEVELOPER_MODE)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE rotor_flags ${ARG_LIBS} GTest::gtest GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()
