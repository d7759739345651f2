// The index of a Hugging Face folder's weights.
#include "runtime/hugging_face/weight_index.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  std::string first = "model-00001-of-00002.safetensors", second = "model-00002-of-00002.safetensors";
  return {WeightIndexText({}, 0), WeightIndexText({{"lm_head.weight", first}}, 64),
          WeightIndexText({{"lm_head.weight", first}, {"model.norm.weight", second}}, 1 << 20),
          R"({"weight_map":{"a":"b.safetensors"},"metadata":{"total_size":1e9,"format":"pt"}})"};
}

std::vector<std::string> Words() {
  return {"\"weight_map\":{",
          ".safetensors\"",
          "\"../",
          "/",
          "..",
          ".",
          "\\u0000",
          "\\ud800",
          "{",
          "}",
          "[",
          "]",
          "\"",
          ":",
          ",",
          "null",
          "1e400",
          "\"metadata\""};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  auto files = ParseWeightIndex({reinterpret_cast<const char *>(data), size});
  fuzz::Outcome(std::string(files.status().message()));
  if (!files.ok()) return 0;
  for (const auto &[tensor, file] : *files)
    fuzz::Require(file.find('/') == std::string::npos && file[0] != '.' &&
                      file.size() == std::string(file.c_str()).size(),
                  "a file is in the folder of its index");
  // What is no UTF-8 is replaced when it is written.
  auto again = ParseWeightIndex(WeightIndexText(*files, 0));
  fuzz::Require(again.ok() && again->size() <= files->size(), "written and read again it is the same");
  return 0;
}
