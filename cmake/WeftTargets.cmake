# Flags shared by every target, and the helper that makes one of Weft's libraries.

find_package(absl REQUIRED)
find_package(Threads REQUIRED)
find_package(GTest REQUIRED)

# The last line: false alarms of g++ 12 (bugs 105651, 105329), and what LLVM's Expected asks for.
set(WEFT_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
  -Wno-restrict -Wno-stringop-overflow -Wno-redundant-move)

# weft_library(NAME SOURCES... DEPS...): a static library with the project's root as its include folder.
function(weft_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE ${WEFT_WARNINGS})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

# weft_test(NAME SOURCES... DEPS... [LABEL fast|slow]): a GoogleTest program, one ctest test per program.
function(weft_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE ${WEFT_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  if(NOT ARG_LABEL)
    set(ARG_LABEL fast)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 600)
endfunction()
