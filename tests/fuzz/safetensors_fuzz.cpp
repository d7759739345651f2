// The reader of safetensors files.
#include "runtime/train/safetensors.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_file.h"

namespace weft::fuzz {
namespace {

std::string Written(const std::vector<SafetensorsWriter::Tensor> &tensors) {
  MemoryFile file;
  auto writer = SafetensorsWriter::Create(file.path(), tensors, {{"format", "pt"}});
  Require(writer.ok(), "a seed is written");
  for (const auto &tensor : tensors) {
    size_t bytes = ByteSize(tensor.dtype);
    for (int64_t size : tensor.shape) bytes *= size;
    Require(writer->Append(std::string(bytes, '\1')).ok(), "a seed's tensor is written");
  }
  Require(writer->Finish().ok(), "a seed is finished");
  return file.Get();
}

} // namespace

std::vector<std::string> Seeds() {
  using enum fb::DType;
  std::string foreign = R"({"a":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}})", length(8, '\0');
  length[0] = static_cast<char>(foreign.size());
  return {Written({}), Written({{"model.norm.weight", f32, {6}}, {"steps", i64, {}}, {"none", f32, {0, 4}}}),
          Written({{"a", f64, {2, 3}}, {"b", boolean, {5}}, {"c", i32, {1, 1, 2}}}),
          length + foreign + "123456"};
}

std::vector<std::string> Words() {
  return {"\"dtype\":",
          "\"shape\":[",
          "\"data_offsets\":[",
          "__metadata__",
          "\"F32\"",
          "\"BF16\"",
          "\"I64\"",
          "\"BOOL\"",
          "\"F8_E5M2\"",
          "{",
          "}",
          "[",
          "]",
          "\"",
          "72057594037927936",
          "18446744073709551615",
          "-1",
          "1e400",
          "null",
          "\\u0000"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  static fuzz::MemoryFile file;
  file.Set({reinterpret_cast<const char *>(data), size});
  auto reader = SafetensorsReader::Open(file.path());
  fuzz::Outcome(std::string(reader.status().message()));
  if (!reader.ok()) return 0;
  for (const auto &[name, tensor] : reader->tensors()) {
    fuzz::Require(tensor.bytes <= size && tensor.offset <= size - tensor.bytes, "a tensor lies in the file");
    for (fb::DType dtype :
         {fb::DType::f32, fb::DType::f64, fb::DType::i32, fb::DType::i64, fb::DType::boolean}) {
      if (SafetensorsName(dtype) != tensor.dtype) continue;
      std::string memory(tensor.bytes, '\0');
      absl::Status status = reader->Read(name, dtype, tensor.shape, absl::MakeSpan(memory));
      fuzz::Require(status.ok(), "a tensor that is listed can be read");
    }
  }
  (void)reader->Read("model.norm.weight", fb::DType::f32, {6}, {});
  return 0;
}
