// What --tune keeps of a kernel, in the user's cache folder.
#include "compiler/tuning_cache.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  TunedSchedule loops{"code generator x\nkernel @k {\n}\n",
                      {0, 0, 32, 64, 0, 0},
                      {0, 0, 0, 64, 0, 0},
                      0.25,
                      0.5,
                      24,
                      "2026-11-26 12:00 UTC"};
  TunedSchedule matmul{"", {12, 32, 96, 64, 128, 0}, {8, 48, 96, 96, 64, 0}, 1e-3, 17, 28, ""};
  return {tunedScheduleJson(loops), tunedScheduleJson(matmul)};
}

std::vector<std::string> Words() {
  return {"\"tile_m\":",
          "\"schedule\":",
          "\"own\":",
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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  absl::StatusOr<TunedSchedule> tuned =
      parseTunedSchedule(std::string_view(reinterpret_cast<const char *>(data), size), "f");
  if (!tuned.ok()) {
    fuzz::Outcome(std::string(tuned.status().message()));
    return 0;
  }
  const std::string written = tunedScheduleJson(*tuned);
  absl::StatusOr<TunedSchedule> again = parseTunedSchedule(written, "f");
  fuzz::Require(again.ok() && tunedScheduleJson(*again) == written, "it is read as it was written");
  for (int64_t field : tuned->schedule)
    fuzz::Require(field >= 0 && field <= 1 << 20, "its fields are bounded");
  fuzz::Require(tuned->ms > 0 && tuned->ownMs > 0, "its times are positive");
  return 0;
}
