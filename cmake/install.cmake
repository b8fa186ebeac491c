# What a consumer gets: static libraries, headers, `find_package(rotor)` and pkg-config. Nothing of ours leaks into it:
# no flags, no header-only helper that the library was built with, no path of the tree.
include(GNUInstallDirs)

set(ROTOR_LIBRARIES "")
foreach(library wasi proxy runtime jit no_compiler code memory text wasm)  # in the order of static linking
  if(TARGET rotor_${library})
    list(APPEND ROTOR_LIBRARIES rotor_${library})
  endif()
endforeach()

# rotor::rotor is everything; rotor::rotor-runtime is all but the compiler, and needs no LLVM.
set(full ${ROTOR_LIBRARIES})
list(REMOVE_ITEM full rotor_no_compiler)
set(compilerless ${ROTOR_LIBRARIES})
list(REMOVE_ITEM compilerless rotor_jit)
add_library(rotor INTERFACE)
target_link_libraries(rotor INTERFACE ${full})
add_library(rotor-runtime INTERFACE)
target_link_libraries(rotor-runtime INTERFACE ${compilerless})
foreach(library rotor rotor-runtime)
  add_library(rotor::${library} ALIAS ${library})
  target_compile_features(${library} INTERFACE cxx_std_23)
endforeach()

if(NOT ROTOR_INSTALL)
  return()
endif()

set(ROTOR_BUILD_ONLY "rotor_flags|rotor_library_flags|rotor_toml|rotor_fmt|tomlplusplus|nlohmann_json")
foreach(library ${ROTOR_LIBRARIES})
  string(REPLACE "rotor_" "" export_name ${library})
  get_target_property(links ${library} INTERFACE_LINK_LIBRARIES)
  if(links)
    list(FILTER links EXCLUDE REGEX ${ROTOR_BUILD_ONLY})
    string(REPLACE "${XXHASH_LIBRARY}" "xxhash" links "${links}")
  else()
    set(links "")
  endif()
  if(ROTOR_FMT_LIBRARY)
    list(APPEND links fmt)
  endif()
  set_target_properties(${library} PROPERTIES
    EXPORT_NAME ${export_name}
    INTERFACE_LINK_LIBRARIES "${links}"
    INTERFACE_INCLUDE_DIRECTORIES "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR};${PROJECT_SOURCE_DIR}/include>")
endforeach()

# The libraries of others that static linking needs, each once, users before what they use; as the linker takes them.
function(rotor_collect_links target)
  get_property(seen GLOBAL PROPERTY ROTOR_LINKS_SEEN)
  if(target IN_LIST seen)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY ROTOR_LINKS_SEEN ${target})
  if(target MATCHES "^\\$<LINK_ONLY:(.*)>$")
    rotor_collect_links(${CMAKE_MATCH_1})
    return()
  endif()
  if(TARGET ${target})
    get_target_property(links ${target} INTERFACE_LINK_LIBRARIES)
    if(links)
      foreach(link ${links})
        rotor_collect_links("${link}")
      endforeach()
    endif()
    get_target_property(type ${target} TYPE)
    if(target IN_LIST ROTOR_LIBRARIES OR type STREQUAL INTERFACE_LIBRARY)
      return()
    endif()
    if(target MATCHES "^LLVM")
      set(flag "-l${target}")
    else()
      get_target_property(file ${target} LOCATION)
      get_filename_component(name ${file} NAME)
      string(REGEX REPLACE "^lib(.*)\\.(so|a)[.0-9]*$" "-l\\1" flag ${name})
    endif()
  elseif(target MATCHES "^/.*/lib([^/]*)\\.(so|a)$")
    set(flag "-l${CMAKE_MATCH_1}")
  elseif(target MATCHES "^-")
    set(flag ${target})
  else()
    set(flag "-l${target}")
  endif()
  set_property(GLOBAL APPEND PROPERTY ROTOR_LINK_FLAGS ${flag})
endfunction()

foreach(library ${ROTOR_LIBRARIES})
  rotor_collect_links(${library})
endforeach()
get_property(flags GLOBAL PROPERTY ROTOR_LINK_FLAGS)
list(REVERSE flags)  # collected after what they use
list(REMOVE_DUPLICATES flags)
list(GET LLVM_LIBRARY_DIRS 0 llvm_folder)
function(rotor_pkg_config name description libraries)
  list(TRANSFORM libraries PREPEND "-l")
  list(JOIN libraries " " ROTOR_PC_OWN_LIBS)
  list(JOIN ARGN " " ROTOR_PC_LIBS)
  set(ROTOR_PC_NAME ${name})
  set(ROTOR_PC_DESCRIPTION ${description})
  configure_file(cmake/rotor.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
endfunction()
rotor_pkg_config(rotor "WebAssembly runtime that rotates instances which leak (C++23)" "${full}"
                 -L${llvm_folder} ${flags})
list(FILTER flags EXCLUDE REGEX LLVM)
rotor_pkg_config(rotor-runtime "Rotor without its compiler: runs code files (C++23)" "${compilerless}" ${flags})

include(CMakePackageConfigHelpers)
set(ROTOR_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/rotor)
configure_package_config_file(cmake/rotor-config.cmake.in ${PROJECT_BINARY_DIR}/rotor-config.cmake
                              INSTALL_DESTINATION ${ROTOR_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rotor-config-version.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS rotor rotor-runtime ${ROTOR_LIBRARIES} EXPORT rotor-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT rotor-targets NAMESPACE rotor:: DESTINATION ${ROTOR_CMAKE_DIR} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/rotor-config.cmake ${PROJECT_BINARY_DIR}/rotor-config-version.cmake
        DESTINATION ${ROTOR_CMAKE_DIR} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/rotor.pc ${PROJECT_BINARY_DIR}/rotor-runtime.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)

# The tool, its compiler where code/plugin.h looks for it, and the man page: `--component tool`. Their targets are made
# later, so the files are named.
if(ROTOR_DEVELOPER_MODE)
  install(PROGRAMS ${PROJECT_BINARY_DIR}/tools/rotor/rotor DESTINATION bin COMPONENT tool)
  install(FILES ${PROJECT_BINARY_DIR}/tools/rotor/librotor-compiler.so DESTINATION lib/rotor COMPONENT tool)
  install(FILES docs/rotor.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
endif()
