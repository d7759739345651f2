// The artifact's reader and checker: bytes as they are, and with their checksum made right, since a mutation
// that only the checksum notices tests nothing behind it.
#include "runtime/artifact/dtype.h"
#include "runtime/artifact/reader.h"
#include "runtime/train/checkpoint_files.h"
#include "tests/fuzz/artifact_walk.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/runtime/artifact/builder.h"

namespace weft::fuzz {
namespace {

void Load(absl::Span<const uint8_t> bytes) {
  auto loaded = LoadArtifactFromMemory(bytes, "fuzz");
  Outcome(std::string(loaded.status().message()));
  if (!loaded.ok()) return;
  WalkArtifact(*(*loaded)->root);
  for (const fb::Stage *stage : *(*loaded)->root->stages()) {
    if (!stage->variables() || stage->persistent_bytes() > 1 << 20) continue;
    std::string memory(stage->persistent_bytes(), '\0');
    for (const fb::Variable *variable : *stage->variables()) {
      VariableView view{variable, absl::MakeSpan(memory).subspan(variable->offset(), variable->bytes())};
      size_t bytes_of_tensors = 0;
      for (const CheckpointTensor &tensor : CheckpointTensors(view)) bytes_of_tensors += tensor.memory.size();
      Require(bytes_of_tensors == view.memory.size(), "a variable's tensors have all its bytes");
    }
  }
}

std::string Serialized(fb::ArtifactT artifact) {
  std::vector<uint8_t> bytes = SerializeArtifact(artifact);
  return {bytes.begin(), bytes.end()};
}

} // namespace

std::vector<std::string> Seeds() {
  using namespace weft::testing;
  fb::ArtifactT empty = Sample(), deep = Sample();
  empty.stages[0]->entries[0]->body.clear();
  empty.stages[0]->entries[0]->arguments.clear();
  auto body = List(Zero(InArena(0, 8, {{0, 0}, {3, 8}})));
  for (int depth = 0; depth < kMaxLoopDepth; ++depth)
    body = List(Loop(depth == kMaxLoopDepth - 4 ? 1 : 0, depth % 3 + 1, std::move(body), depth % 2 == 1));
  deep.stages[0]->entries[0]->body = std::move(body);
  deep.stages[0]->entries[0]->arguments.clear();
  return {Serialized(Sample()), Serialized(std::move(empty)), Serialized(std::move(deep))};
}

std::vector<std::string> Words() { return {"WEFT", "{}", std::string("\0\0\0\0", 4)}; }

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  weft::fuzz::Load(bytes);
  if (weft::PatchChecksum(absl::MakeSpan(bytes))) weft::fuzz::Load(bytes);
  return 0;
}
