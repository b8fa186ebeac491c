# How tests are added. Labels are one word, so that `ctest -L` finds each part: "unit:memory", "unit:jit:kimchi".

# The first part of the current folder's path: memory, tools, …
function(rotor_folder result)
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX REPLACE "/.*" "" path "${path}")
  set(${result} ${path} PARENT_SCOPE)
endfunction()

# rotor_test(name SOURCES... LIBS... [LABELS...]): a GoogleTest binary whose tests are ctests.
function(rotor_test name)
  if(NOT ROTOR_DEVELOPER_MODE)
    return()
  endif()
  if(ROTOR_PRECOMPILED_HEADERS AND NOT TARGET rotor_test_headers)
    file(WRITE ${PROJECT_BINARY_DIR}/test_headers.cc "")
    add_library(rotor_test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cc)
    target_link_libraries(rotor_test_headers PRIVATE rotor_flags GTest::gtest)
    # With the flags of a program, or they are of no use to one.
    set_target_properties(rotor_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(rotor_test_headers PRIVATE $<$<CONFIG:Debug>:-O0> -fPIE)
    target_precompile_headers(rotor_test_headers PRIVATE <gtest/gtest.h> <algorithm> <chrono> <expected> <filesystem>
                              <fstream> <functional> <future> <map> <memory> <mutex> <optional> <random> <span> <string>
                              <thread> <unordered_map> <vector>)
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;LABELS" ${ARGN})
  rotor_folder(folder)
  # The preset `tsan` runs no others, so they need not be built.
  if(ROTOR_THREADS_ONLY AND NOT folder MATCHES "^(memory|runtime|proxy|examples)$" AND
     NOT threads IN_LIST ARG_LABELS)
    return()
  endif()
  list(JOIN ARG_LABELS ":" labels)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE rotor_flags ${ARG_LIBS} GTest::gtest GTest::gtest_main)
  # Compiling the tests would take twice the time otherwise, and running them takes no longer: the library is optimised.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Debug>:-O0>)
  if(ROTOR_PRECOMPILED_HEADERS)
    target_precompile_headers(${name} REUSE_FROM rotor_test_headers)
  endif()
  # PRE_TEST: a build runs nothing.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 300 LABELS "unit:${folder}:${labels}")
endfunction()

# rotor_command_test(name COMMAND... [NEEDS VARIABLE...] [LABELS...] [TIMEOUT seconds]): a command that must exit with 0.
# It is skipped, by name, if an environment variable in NEEDS is empty when the tests run, or a `program:NAME` in it is
# not installed.
function(rotor_command_test name)
  if(NOT ROTOR_DEVELOPER_MODE)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;NEEDS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  rotor_folder(folder)
  list(JOIN ARG_LABELS ":" labels)
  add_test(NAME ${name} COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/run_test.py ${ARG_NEEDS} --
                                ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77 LABELS "command:${folder}:${labels}")
endfunction()

# rotor_cli_tests(prefix FILES... [LABELS...]): tests of the command line tool, as tools/rotor/test/run_cli_test.py reads
# them, each named after its file.
function(rotor_cli_tests prefix)
  if(NOT ROTOR_DEVELOPER_MODE)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "FILES;LABELS" ${ARGN})
  rotor_folder(folder)
  list(JOIN ARG_LABELS ":" labels)
  foreach(test ${ARG_FILES})
    get_filename_component(name ${test} NAME_WE)
    add_test(NAME ${prefix}_${name} COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/rotor/test/run_cli_test.py
                                            $<TARGET_FILE:rotor_cli> ${test})
    set_tests_properties(${prefix}_${name} PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77 LABELS "command:${folder}:${labels}")
  endforeach()
endfunction()
