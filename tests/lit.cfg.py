# Each .mlir file under passes/ (what a pass does) and dialects/ (verifiers and canonicalisers) is one test: IR, and RUN
# lines that pipe it through weft-opt and FileCheck. ctest runs all of them as `lit` and gives the parameters
# (CMakeLists.txt): the folders of weft-opt and of LLVM's tools, and one to write to. By hand, for one file: `build/bin/weft-opt FILE --PASS | FileCheck-19 FILE`.
import os

import lit.formats

config.name = "weft"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = lit_config.params["output"]
tools = [lit_config.params["weft_tools"], lit_config.params["llvm_tools"]]
config.environment["PATH"] = os.pathsep.join(tools + [config.environment["PATH"]])
