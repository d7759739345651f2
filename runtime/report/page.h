// report.html: a run on one page, which fetches nothing. Written again and again while the run goes on.
#pragma once

#include "runtime/artifact/artifact_generated.h"
#include "runtime/report/curves.h"
#include "runtime/report/samples.h"

#include "absl/status/status.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

struct PageFacts {
  std::string state = "running"; // "finished", "stopped early", "interrupted", "failed"
  std::string message;           // why; "" when there is nothing to say
  int64_t step = 0, steps = 0;
  std::vector<std::pair<std::string, std::string>> facts; // "batch", "64 rows of 256 tokens"
  std::string recipe;                                     // TOML
};

class Page {
public:
  // Of the run directory `folder`, with its metrics.jsonl and samples.jsonl; neither must be there.
  // `artifact` must outlive the page.
  Page(std::string folder, const fb::Artifact &artifact) : folder_(std::move(folder)), artifact_(&artifact) {}

  // Writes folder/report.html under another name and renames it. Reads what has been added to the files since
  // the last time, and all of a file that has become shorter. Errors name the file and the system's reason.
  absl::Status Write(const PageFacts &facts);
  // The files were cut and have grown since.
  void Restart();

private:
  // Calls `add` with each whole line of `path` from *offset on, which moves behind them.
  absl::Status ReadLines(const std::string &path, uint64_t *offset, const std::function<void()> &restart,
                         const std::function<void(std::string_view)> &add);
  std::string folder_;
  const fb::Artifact *artifact_;
  Curves curves_;
  Samples samples_;
  uint64_t metrics_read_ = 0, samples_read_ = 0; // bytes
};

// The page with `data` (JSON) in it.
std::string PageHtml(std::string_view title, const nlohmann::json &data);
// Memory by owner, and the compiler's remarks counted by pass and kind.
nlohmann::json ArtifactJson(const fb::Artifact &artifact);

} // namespace weft
