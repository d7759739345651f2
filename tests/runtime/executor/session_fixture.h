// Artifacts with the test kernels, loaded into sessions.
#pragma once
#include "runtime/executor/executor.h"
#include "tests/runtime/artifact/builder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace weft::testing {

enum Kernel { kAxpy, kAppend, kThroughScratch, kRanges };

inline fb::ArtifactT WithKernels() {
  fb::ArtifactT artifact;
  AddKernel(artifact, "axpy", 3, 1);
  AddKernel(artifact, "append", 2, 0);
  AddKernel(artifact, "through_scratch", 2, 1, 4 * 100);
  AddKernel(artifact, "ranges", 1, 0);
  std::ifstream file(KERNELS_PATH, std::ios::binary);
  AddObject(artifact, "avx2", {std::istreambuf_iterator<char>(file), {}});
  return artifact;
}

inline std::shared_ptr<const LoadedArtifact> Load(fb::ArtifactT &artifact) {
  auto loaded = LoadArtifactFromMemory(SerializeArtifact(artifact), "f.weft");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? *loaded : nullptr;
}

// One stage, one entry "run", one rank.
inline std::unique_ptr<Session> OneEntry(int64_t arena_bytes,
                                         std::vector<std::unique_ptr<fb::ArgumentT>> arguments,
                                         std::vector<InstructionPtr> body, int threads = 1,
                                         int64_t persistent_bytes = 0,
                                         std::vector<std::unique_ptr<fb::VariableT>> variables = {}) {
  fb::ArtifactT artifact = WithKernels();
  artifact.stages.push_back(Stage(persistent_bytes, std::move(variables),
                                  List(Entry("run", arena_bytes, std::move(arguments), std::move(body)))));
  SessionOptions options;
  options.artifact = Load(artifact);
  options.threads = threads;
  auto session = Session::Create(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return session.ok() ? *std::move(session) : nullptr;
}

template <typename T> Binding Bound(const std::vector<T> &values) {
  return Binding(values.data(), static_cast<int64_t>(values.size() * sizeof(T)));
}

} // namespace weft::testing
