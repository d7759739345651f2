#include "runtime/report/page.h"

#include "runtime/data/file_io.h"
#include "runtime/report/page_parts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <unistd.h>

namespace weft {
namespace {

using nlohmann::json;

constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kMostLine = 64 << 20; // a longer line is passed over
constexpr size_t kMostRecipe = 1 << 20;

std::string HtmlEscaped(std::string_view text) {
  return absl::StrReplaceAll(absl::string_view(text.data(), text.size()),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

} // namespace

absl::Status Page::ReadLines(const std::string &path, uint64_t *offset, const std::function<void()> &restart,
                             const std::function<void(std::string_view)> &add) {
  std::unique_ptr<FILE, int (*)(FILE *)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) {
    if (errno != ENOENT) return FileError("open", path, errno);
    if (*offset > 0) restart();
    return absl::OkStatus();
  }
  std::error_code error;
  uint64_t size = std::filesystem::file_size(path, error);
  if (!error && size < *offset) restart();
  if (fseeko(file.get(), static_cast<off_t>(*offset), SEEK_SET) != 0) return FileError("read", path, errno);
  std::string waiting, piece(kPieceBytes, '\0');
  bool too_long = false;
  while (size_t n = std::fread(piece.data(), 1, piece.size(), file.get())) {
    std::string_view rest(piece.data(), n);
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      waiting += rest.substr(0, end);
      if (!too_long) add(waiting);
      *offset += waiting.size() + 1;
      waiting.clear();
      too_long = false;
    }
    waiting += rest;
    if (waiting.size() > kMostLine) {
      *offset += waiting.size();
      waiting.clear();
      too_long = true;
    }
  }
  return std::ferror(file.get()) ? FileError("read", path, EIO) : absl::OkStatus();
}

void Page::Restart() {
  curves_ = {};
  samples_ = {};
  metrics_read_ = samples_read_ = 0;
}

absl::Status Page::Write(const PageFacts &facts) {
  absl::Status metrics = ReadLines(
      folder_ + "/metrics.jsonl", &metrics_read_, [this] { curves_ = {}, metrics_read_ = 0; },
      [this](std::string_view line) { curves_.AddLine(line); });
  if (!metrics.ok()) return metrics;
  absl::Status samples = ReadLines(
      folder_ + "/samples.jsonl", &samples_read_, [this] { samples_ = {}, samples_read_ = 0; },
      [this](std::string_view line) { samples_.AddLine(line); });
  if (!samples.ok()) return samples;
  json data = curves_.Json();
  data["samples"] = samples_.Json();
  data["artifact"] = ArtifactJson(*artifact_);
  data["state"] = facts.state;
  data["message"] = facts.message;
  data["step"] = facts.step;
  data["steps"] = facts.steps;
  data["facts"] = facts.facts;
  data["recipe"] = facts.recipe.substr(0, kMostRecipe);
  data["folder"] = folder_;
  data["written"] = absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::Now(), absl::UTCTimeZone());
  const std::string title = std::filesystem::path(folder_).filename().string();
  const std::string path = folder_ + "/report.html", temporary = absl::StrCat(path, ".tmp-", getpid());
  // Not synced: the next one comes soon, and nothing depends on it.
  if (absl::StatusOr<UnsyncedFile> file = WriteUnsynced(temporary, PageHtml(title, data)); !file.ok()) {
    unlink(temporary.c_str());
    return file.status();
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    absl::Status status = FileError("rename", temporary, errno);
    unlink(temporary.c_str());
    return status;
  }
  return absl::OkStatus();
}

std::string FillPage(std::string_view page, std::string_view title, const std::string &style,
                     const std::string &data, const std::string &script) {
  // Invalid UTF-8 in a folder's name is dropped by the same way.
  std::string name = json(std::string(title)).dump(-1, ' ', false, json::error_handler_t::replace);
  name = json::parse(name).get<std::string>();
  std::string out;
  const std::pair<std::string_view, std::string> parts[] = {
      {"<!--title-->", HtmlEscaped(name)},
      {"/*style*/", style},
      {"<!--title-->", HtmlEscaped(name)},
      // Within a script element the text ends at "</script"; "<!--" would change how it is read.
      {"/*data*/", absl::StrReplaceAll(data, {{"<", "\\u003c"}})},
      {"/*script*/", script}};
  for (const auto &[mark, part] : parts) {
    const size_t at = page.find(mark);
    absl::StrAppend(&out, std::string(page.substr(0, at)), part);
    page.remove_prefix(at + mark.size());
  }
  return out + std::string(page);
}

std::string PageHtml(std::string_view title, const json &data) {
  return FillPage(page_html, title, std::string(page_css),
                  data.dump(-1, ' ', false, json::error_handler_t::replace),
                  absl::StrCat(std::string(charts_js), std::string(heat_map_js), std::string(page_js)));
}

} // namespace weft
