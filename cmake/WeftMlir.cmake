# MLIR and LLVM 19 as Debian packages them: the shared libraries, never mixed with static ones.

find_package(MLIR 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# MLIR's headers, which are most of the time of a file that includes them. Built like every target that uses them: with the same flags and include folders.
weft_shared_headers(weft_mlir_headers
  <mlir/Bytecode/BytecodeOpInterface.h> <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Func/IR/FuncOps.h> <mlir/Dialect/LLVMIR/LLVMDialect.h>
  <mlir/Dialect/Math/IR/Math.h> <mlir/Dialect/SCF/IR/SCF.h> <mlir/Dialect/Vector/IR/VectorOps.h> <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h>
  <mlir/IR/DialectImplementation.h> <mlir/IR/IRMapping.h> <mlir/IR/OpImplementation.h> <mlir/IR/PatternMatch.h>
  <mlir/Interfaces/InferTypeOpInterface.h> <mlir/Interfaces/SideEffectInterfaces.h> <mlir/Pass/PassManager.h>
  <llvm/ADT/MapVector.h> <llvm/ADT/StringMap.h> <llvm/ADT/TypeSwitch.h>)
target_include_directories(weft_mlir_headers SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})

# weft_mlir_sources(TARGET): a target whose sources include MLIR.
function(weft_mlir_sources name)
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  weft_use_headers(${name} weft_mlir_headers)
endfunction()

# weft_mlir_library(NAME SOURCES... DEPS...): a library that may include MLIR.
function(weft_mlir_library name)
  weft_library(${name} ${ARGN})
  weft_mlir_sources(${name})
  target_link_libraries(${name} PUBLIC MLIR LLVM)
endfunction()

# weft_mlir_tests(PREFIX DEPS...): a test program PREFIX_NAME for each NAME.cpp of the folder that ends in _test.
function(weft_mlir_tests prefix)
  file(GLOB tests CONFIGURE_DEPENDS *_test.cpp)
  foreach(test ${tests})
    get_filename_component(name ${test} NAME_WE)
    weft_test(${prefix}_${name} SOURCES ${name}.cpp DEPS ${ARGN})
    weft_mlir_sources(${prefix}_${name})
  endforeach()
endfunction()
