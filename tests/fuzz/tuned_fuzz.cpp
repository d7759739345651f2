// What --tune keeps of a kernel, and of what is computed behind a product, in the user's cache folder.
#include "compiler/tune/tuning_cache.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  TunedSchedule loops{{"code generator x\nkernel @k {\n}\n", 0.25, 0.5, 24, "2026-11-26 12:00 UTC"},
                      {0, 0, 32, 64, 0},
                      {0, 0, 0, 64, 0}};
  TunedSchedule matmul{{"", 1e-3, 17, 28, ""}, {12, 32, 96, 64, 128}, {8, 48, 96, 96, 64}};
  TunedFusion fusion{{"fusing passes x\n", 12, 13, 4, "2026-11-27 18:00 UTC"}, {12, 0, 1 << 20}, {15}};
  return {tunedJson(loops), tunedJson(matmul), tunedJson(fusion)};
}

std::vector<std::string> Words() {
  return {"\"tile_m\":",
          "\"schedule\":",
          "\"own\":",
          "\"behind\":",
          "\"apart\":",
          "\"ms\":",
          "\"own_ms\":",
          "\"key\":",
          "\"format\":",
          "1048576",
          "1048577",
          "-1",
          "1e300",
          "null",
          "true",
          "{}",
          "[[",
          "18446744073709551615",
          "9007199254740993",
          "\\u0000",
          "\xff"};
}

} // namespace weft::fuzz

template <typename Tuned>
static absl::StatusOr<Tuned> Parsed(absl::StatusOr<Tuned> (*parse)(std::string_view, const std::string &),
                                    const std::string &text) {
  using namespace weft;
  absl::StatusOr<Tuned> tuned = parse(text, "f");
  if (!tuned.ok()) {
    fuzz::Outcome(std::string(tuned.status().message()));
    return tuned;
  }
  const std::string written = tunedJson(*tuned);
  absl::StatusOr<Tuned> again = parse(written, "f");
  fuzz::Require(again.ok() && tunedJson(*again) == written, "it is read as it was written");
  fuzz::Require(tuned->ms > 0 && tuned->ownMs > 0, "its times are positive");
  return tuned;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  const std::string text(reinterpret_cast<const char *>(data), size);
  if (auto tuned = Parsed(parseTunedSchedule, text); tuned.ok())
    for (int64_t field : tuned->schedule)
      fuzz::Require(field >= 0 && field <= 1 << 20, "its fields are bounded");
  if (auto tuned = Parsed(parseTunedFusion, text); tuned.ok())
    for (const std::vector<int64_t> &values : {tuned->behind, tuned->apart}) {
      fuzz::Require(values.size() <= 64, "it names few values");
      for (int64_t value : values) fuzz::Require(value >= 0 && value <= 1 << 20, "its numbers are bounded");
    }
  return 0;
}
