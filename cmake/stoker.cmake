# Build rules shared by every folder: one folder under src/ is one static library and one test program.

find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(GTest REQUIRED)
find_package(Threads REQUIRED)
find_program(CCACHE ccache)
find_program(MOLD mold)
include(GoogleTest)

if(CCACHE)
  # The precompiled header needs this sloppiness, or nothing is ever found in the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${CCACHE})
endif()
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(STOKER_SANITIZE "" CACHE STRING "address,undefined or thread")
if(STOKER_SANITIZE)
  add_compile_options(-fsanitize=${STOKER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${STOKER_SANITIZE})
endif()

add_library(stoker_flags INTERFACE)
target_include_directories(stoker_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
target_compile_options(stoker_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror -Wnon-virtual-dtor
  -Woverloaded-virtual -Wno-missing-field-initializers>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # False positives of GCC 12 at -O2 inside libstdc++ and fmt.
  target_compile_options(stoker_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess -Wno-restrict
    -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds -Wno-dangling-pointer
    -Wno-free-nonheap-object>)
endif()
target_link_libraries(stoker_flags INTERFACE Threads::Threads)

# One precompiled header (standard library only), built once and reused by every target.
file(WRITE ${CMAKE_BINARY_DIR}/pch_anchor.cc "")
add_library(stoker_pch STATIC ${CMAKE_BINARY_DIR}/pch_anchor.cc)
target_link_libraries(stoker_pch PRIVATE stoker_flags)
target_precompile_headers(stoker_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

function(stoker_target target)
  target_link_libraries(${target} PRIVATE stoker_flags)
  target_precompile_headers(${target} REUSE_FROM stoker_pch)
endfunction()

add_custom_target(unit_tests)  # all programs of tests beside the sources

# stoker_library(NAME [DEPS folders...] [LIBS external...]): src/NAME/**.cc -> stoker_NAME, *_test.cc -> NAME_test.
function(stoker_library name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$|/supervisor/")
  if(NOT sources)
    set(sources ${CMAKE_BINARY_DIR}/pch_anchor.cc)
  endif()
  add_library(stoker_${name} STATIC ${sources} ${${name}_GENERATED})
  stoker_target(stoker_${name})
  foreach(dep ${ARG_DEPS})
    target_link_libraries(stoker_${name} PUBLIC stoker_${dep})
  endforeach()
  target_link_libraries(stoker_${name} PUBLIC ${ARG_LIBS})
  if(tests)
    add_executable(${name}_test ${tests})
    stoker_target(${name}_test)
    target_link_libraries(${name}_test PRIVATE stoker_${name} GTest::gtest GTest::gtest_main)
    add_dependencies(unit_tests ${name}_test)
    gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST PROPERTIES LABELS unit TIMEOUT 300)
  endif()
endfunction()
