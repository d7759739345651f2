# Flags shared by every target, and the helper that makes one of Weft's libraries.

find_package(absl REQUIRED)
find_package(Threads REQUIRED)
find_package(GTest REQUIRED)

# False alarms: clang++ of std::stable_sort in g++ 12's library, which uses what it deprecates; g++'s bugs 105651
# and 105329, and what LLVM's Expected asks for.
set(WEFT_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow> $<$<CXX_COMPILER_ID:GNU>:-Wno-redundant-move>)
# What ccache needs to keep what is made with precompiled headers.
set(WEFT_CCACHE_HEADERS $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess> "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")

# Headers that many files include, parsed once: those of libraries, of tests, and MLIR's (WeftMlir.cmake). A file includes what it uses all
# the same; the address sanitizer's build goes without them and says so where one does not.
# weft_shared_headers(NAME HEADERS...) makes a set; weft_use_headers(TARGET NAME) has a target use it, whose flags have to be like it. A
# second use replaces the first.
function(weft_shared_headers name)
  add_library(${name} OBJECT ${CMAKE_SOURCE_DIR}/cmake/shared_headers.cpp)
  target_compile_options(${name} PRIVATE ${WEFT_WARNINGS} ${WEFT_CCACHE_HEADERS})
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()
function(weft_use_headers name from)
  target_compile_options(${name} PRIVATE ${WEFT_CCACHE_HEADERS})
  get_target_property(type ${name} TYPE)
  if(type STREQUAL EXECUTABLE) # CMake would say -fPIE, and the headers are -fPIC
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${name} REUSE_FROM ${from})
endfunction()
set(WEFT_COMMON_HEADERS <absl/status/statusor.h> <absl/strings/str_cat.h> <nlohmann/json.hpp>
  <algorithm> <filesystem> <functional> <map> <memory> <optional> <string> <vector>)
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang) # g++ 12 would warn of its own library's headers
  weft_shared_headers(weft_library_headers ${WEFT_COMMON_HEADERS})
endif()
if(WEFT_TESTS)
  weft_shared_headers(weft_test_headers <gtest/gtest.h> ${WEFT_COMMON_HEADERS})
  target_link_libraries(weft_test_headers PRIVATE GTest::gtest)
endif()

# weft_library(NAME SOURCES... DEPS...): a static library with the project's root as its include folder.
function(weft_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE ${WEFT_WARNINGS})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    weft_use_headers(${name} weft_library_headers)
  endif()
endfunction()

# weft_test(NAME SOURCES... DEPS... [LABEL fast|slow]): a GoogleTest program, one ctest test per program. The libraries it
# tests are compiled as users get them; its own code with little optimisation, which with the shared headers saves a third of
# its time (four tests measured, docs/LOG.md).
function(weft_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE ${WEFT_WARNINGS} $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest_main)
  weft_use_headers(${name} weft_test_headers)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  if(NOT ARG_LABEL)
    set(ARG_LABEL fast)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 600)
endfunction()
