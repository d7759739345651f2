// The readers of metrics.jsonl and samples.jsonl behind report.html: whatever the lines hold, the page stays
// bounded, and a run that goes on keeps whole lines.
#include "runtime/data/json_depth.h"
#include "runtime/report/page.h"
#include "runtime/train/metrics.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_file.h"

#include <nlohmann/json.hpp>

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  return {R"({"step":1,"loss":7.6,"lr":0.00015,"grad_norm":1.28,"tokens_per_second":1334.9,"step_ms":1534.228}
{"step":1,"eval_loss":6.9969875488113447,"eval_targets":3410}
{"step":2,"event":"skip","why":"the loss is 9","batch":1,"spike_loss":9,"spike_grad_norm":null}
{"step":2,"loss":7.5,"expert_load":[[0.25,0.75],[0.5,0.5]],"usage":[1,2,3]}
{"step":3,"loss":null,"expert_load":[[0.25,0.75],[0.5,0.5]]}
)",
          R"({"step":100,"prompt":"The ","text":"old </script> <!-- window\n"}
{"step":200,"prompt":"The ","text":"\u00e4 \ud83d\ude00"}
)"};
}

std::vector<std::string> Words() {
  return {"{\"step\":",
          "\"loss\":",
          "\"event\":\"",
          "\"why\":",
          "[[",
          "]]",
          "]",
          "[",
          ",",
          "null",
          "1e308",
          "-1e308",
          "9007199254740992",
          "18446744073709551615",
          "\"prompt\":\"",
          "\"text\":\"",
          "\\u0000",
          "\n",
          "</script>",
          "<!--",
          "\xff"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  Curves curves;
  Samples samples;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    curves.AddLine(line);
    samples.AddLine(line);
  }
  nlohmann::json page = curves.Json();
  page["samples"] = samples.Json();
  const std::string html = PageHtml("fuzz", page);
  fuzz::Require(html.size() < (32 << 20), "the page is bounded");
  const std::string begin = "id=\"data\">";
  const size_t at = html.find(begin) + begin.size();
  nlohmann::json read =
      nlohmann::json::parse(html.substr(at, html.find("</script>", at) - at), nullptr, false);
  fuzz::Require(!read.is_discarded() && read.contains("series"), "its script can read the data");
  fuzz::Outcome(html.size() < 40000 ? read["last"].dump() : "large");

  static fuzz::MemoryFile file;
  file.Set(text);
  auto lines = EventLines(file.path(), "skip", 2);
  fuzz::Require(lines.ok(), "the events can be read");
  auto opened = OpenStepLines(file.path(), 2);
  fuzz::Require(opened.ok(), "the file can be gone on with");
  return 0;
}
