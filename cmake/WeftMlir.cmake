# MLIR and LLVM 19 as Debian packages them: the shared libraries, never mixed with static ones.

find_package(MLIR 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# MLIR's headers, parsed once: they are most of the time of a file that includes them. Every target of weft_mlir_library and
# weft_mlir_sources is compiled with the same flags, which is what sharing them needs.
set(weft_mlir_flags ${WEFT_WARNINGS} -fpch-preprocess)
add_library(weft_mlir_headers OBJECT ${CMAKE_SOURCE_DIR}/cmake/mlir_headers.cpp)
target_include_directories(weft_mlir_headers SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_compile_options(weft_mlir_headers PRIVATE ${weft_mlir_flags})
target_precompile_headers(weft_mlir_headers PRIVATE
  <mlir/Bytecode/BytecodeOpInterface.h> <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Func/IR/FuncOps.h> <mlir/Dialect/LLVMIR/LLVMDialect.h>
  <mlir/Dialect/Math/IR/Math.h> <mlir/Dialect/SCF/IR/SCF.h> <mlir/Dialect/Vector/IR/VectorOps.h> <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h>
  <mlir/IR/DialectImplementation.h> <mlir/IR/IRMapping.h> <mlir/IR/OpImplementation.h> <mlir/IR/PatternMatch.h>
  <mlir/Interfaces/InferTypeOpInterface.h> <mlir/Interfaces/SideEffectInterfaces.h> <mlir/Pass/PassManager.h>
  <llvm/ADT/MapVector.h> <llvm/ADT/StringMap.h> <llvm/ADT/TypeSwitch.h>)

# weft_mlir_sources(TARGET): a target whose sources include MLIR.
function(weft_mlir_sources name)
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_options(${name} PRIVATE -fpch-preprocess)
  get_target_property(type ${name} TYPE)
  if(type STREQUAL EXECUTABLE) # CMake would say -fPIE, and the headers are -fPIC
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${name} REUSE_FROM weft_mlir_headers)
endfunction()

# weft_mlir_library(NAME SOURCES... DEPS...): a library that may include MLIR.
function(weft_mlir_library name)
  weft_library(${name} ${ARGN})
  weft_mlir_sources(${name})
  target_link_libraries(${name} PUBLIC MLIR LLVM)
endfunction()
