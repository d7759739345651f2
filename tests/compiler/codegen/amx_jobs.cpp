#include "tests/compiler/codegen/amx_jobs.h"

#include "llvm/Support/JSON.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace mlir;
namespace weft::cpu_test {

constexpr const char *kVariable = "WEFT_AMX_JOBS";
constexpr int kFlushDenormals = 0x9fc0; // MXCSR as runtime/device/denormals.h has it, all exceptions masked

static void writeFile(const std::string &path, const Bytes &bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), std::streamsize(bytes.size()));
  ASSERT_TRUE(file.flush()) << "cannot write " << path;
}

bool AmxJobs::wanted() { return std::getenv(kVariable) != nullptr; }

AmxJobs::AmxJobs(ModuleOp kernels) : folder(std::string(std::getenv(kVariable)) + "/") {
  for (int i = 0; stem.empty() || std::filesystem::exists(folder + stem + ".so"); ++i)
    stem = std::to_string(i);
  auto image = cpu::compileKernels(kernels, cpu::amxLevel());
  if (failed(image)) {
    ADD_FAILURE() << "compiling for AMX";
    return;
  }
  writeFile(folder + stem + ".so", Bytes(image->begin(), image->end()));
}

void AmxJobs::add(const AmxJob &job) {
  std::string name = stem + "_" + job.symbol;
  for (bool cut : {false, true}) {
    llvm::json::Array buffers;
    for (auto [i, buffer] : llvm::enumerate(job.buffers)) {
      std::string file = name + "_" + std::to_string(i);
      llvm::json::Object entry{{"name", "buffer " + std::to_string(i)},
                               {"file", file + ".bin"},
                               {"offset", buffer.offset},
                               {"align", buffer.elementBytes},
                               {"guard", cut ? "before" : "after"}};
      if (!cut) writeFile(folder + file + ".bin", buffer.content);
      if (buffer.expected) {
        entry["expected"] = file + "_expected.bin";
        if (!cut) writeFile(folder + file + "_expected.bin", *buffer.expected);
      }
      buffers.push_back(std::move(entry));
    }
    llvm::json::Array cuts;
    if (cut) cuts = llvm::json::Array{job.items / 3, job.items * 2 / 3};
    llvm::json::Object root{
        {"object", stem + ".so"},      {"symbol", job.symbol},    {"buffers", std::move(buffers)},
        {"sizes", job.sizes},          {"end", job.items},        {"cuts", std::move(cuts)},
        {"scratch", job.scratchBytes}, {"mxcsr", kFlushDenormals}};
    std::ofstream file(folder + name + (cut ? "_cut.json" : ".json"));
    file << llvm::formatv("{0:2}\n", llvm::json::Value(std::move(root))).str();
    ASSERT_TRUE(file.flush()) << "cannot write " << name;
  }
}

} // namespace weft::cpu_test
