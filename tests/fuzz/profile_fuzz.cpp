// profile.json and the kept calibration of a machine: whatever they hold, what is read can be compared, shown
// and written again.
#include "runtime/profile/diff.h"
#include "runtime/report/profile_page.h"
#include "tests/fuzz/fuzz_target.h"

#include "absl/strings/str_cat.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace weft::fuzz {
namespace {

Profile Small() {
  Profile p;
  p.model = "llama", p.recipe = "[train]\n", p.made = "2026-11-26", p.weights = "first values";
  p.options = {{"seq", "32"}};
  p.machine.processor = "a processor", p.machine.cpu_level = "avx2",
  p.machine.measured = "2026-11-26 12:00 UTC";
  p.machine.flops = {{"fma", {1e11, 2e11}}};
  p.machine.levels = {{"L1", 32768, {4e11, 8e11}}, {"memory", INT64_MAX, {1e10, 2e10}}};
  p.threads = 2, p.tokens = 256, p.step_ns = {9'000'000}, p.plain_ns = {8'900'000};
  p.lines = {{"llama.cc", 24, "layers.self_attn"}, {"llama.cc", 30, "layers.mlp"}};
  Work work;
  work.calls = 4, work.wall_ns = 8'000'000, work.flops = 1e9, work.bytes = 1e6, work.roof_ns = 5e6,
  work.predicted_ns = 7e6;
  p.kernels = {{"matmul_0",
                "matmul",
                "#kernel.schedule<tile_m = 12>",
                "#kernel.reduction<unit = \"fma\">",
                "fma",
                {0, 1},
                work}};
  p.sites = {{"launch", 0, 0, 0, 1, 1000, 3'000'000, work}, {"copy", -1, -1, 0, 0, 10, 20, {}}};
  p.host_ns = 900'000, p.data_ns = 100'000;
  p.thread_times = {{0, 0, 8'000'000, 0, 0, 0, 0, 900'000, 100'000}};
  p.memory.arena_bytes = 4096, p.memory.points = {{0, 1}, {5, 4000}},
  p.memory.owners = {{"matmul_0", 0, 3000}};
  return p;
}

} // namespace

std::vector<std::string> Seeds() { return {ProfileJson(Small()), CalibrationJson(Small().machine)}; }

std::vector<std::string> Words() {
  return {"\"wall_ns\":",
          "\"calls\":",
          "\"line\":",
          "\"kernel\":",
          "\"lines\":[",
          "\"step_ns\":[",
          "\"ranks\":",
          "\"one\":",
          "\"all\":",
          "9007199254740992",
          "-1",
          "1e300",
          "null",
          "[[",
          "]",
          "{}",
          "18446744073709551615",
          "</script>",
          "<!--",
          "\\u0000",
          "\xff"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  if (absl::StatusOr<Calibration> machine = ParseCalibration(text, "f"); machine.ok()) {
    absl::StatusOr<Calibration> again = ParseCalibration(CalibrationJson(*machine), "f");
    fuzz::Require(again.ok() && CalibrationJson(*again) == CalibrationJson(*machine),
                  "a calibration is read as it was written");
    fuzz::Require(machine->memory_bytes_per_s() > 0 && machine->FlopsOf("").all > 0,
                  "its rates are positive");
  }
  absl::StatusOr<Profile> profile = ParseProfile(text, "f");
  if (!profile.ok()) {
    fuzz::Outcome(std::string(profile.status().message()));
    return 0;
  }
  const std::string written = ProfileJson(*profile);
  absl::StatusOr<Profile> again = ParseProfile(written, "f");
  fuzz::Require(again.ok() && ProfileJson(*again) == written, "a profile is read as it was written");
  const Profile small = fuzz::Small();
  double before = 0, after = 0;
  const ProfileDiff diff = CompareProfiles(small, *profile);
  for (const DiffRow &row : diff.rows) before += row.before_ms, after += row.after_ms;
  fuzz::Require(std::isfinite(after) && std::fabs(before - diff.before_ms) < 1e-6,
                "a comparison loses no time");
  fuzz::Outcome(
      absl::StrCat(diff.rows.size(), " ", RowsByKernel(*profile).size(), " ", RowsByLine(*profile).size()));
  const std::string html = ProfilePageHtml(profile->model, written);
  const std::string begin = "id=\"data\">";
  const size_t at = html.find(begin) + begin.size();
  fuzz::Require(
      !nlohmann::json::parse(html.substr(at, html.find("</script>", at) - at), nullptr, false).is_discarded(),
      "the page's script can read the data");
  return 0;
}
