#include "runtime/report/page.h"

#include "tests/runtime/artifact/builder.h"
#include "tests/runtime/data/temp_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>

namespace weft {
namespace {

using nlohmann::json;

class PageTest : public ::testing::Test {
protected:
  void SetUp() override {
    fb::ArtifactT artifact;
    artifact.model = "tiny </script>";
    for (int64_t bytes : {10, 3000, 200}) {
      auto owner = std::make_unique<fb::PeakOwnerT>();
      owner->what = "owner", owner->bytes = bytes;
      artifact.peak.push_back(std::move(owner));
    }
    for (const char *kind : {"fused", "kept", "fused"}) {
      auto remark = std::make_unique<fb::RemarkT>();
      remark->pass = "fuse", remark->kind = kind;
      artifact.remarks.push_back(std::move(remark));
    }
    bytes_ = SerializeArtifact(artifact);
    artifact_ = fb::GetArtifact(bytes_.data());
  }
  void Append(const char *name, const std::string &text) {
    std::ofstream(folder_ / name, std::ios::app | std::ios::binary) << text;
  }
  // What the page's script reads.
  json Data() {
    std::string html = Slurp(folder_ / "report.html");
    const std::string begin = "id=\"data\">";
    size_t at = html.find(begin) + begin.size();
    return json::parse(html.substr(at, html.find("</script>", at) - at));
  }
  TempFolder folder_;
  std::vector<uint8_t> bytes_;
  const fb::Artifact *artifact_ = nullptr;
};

TEST_F(PageTest, IsWrittenBeforeThereIsAMetric) {
  Page page(folder_.path(), *artifact_);
  absl::Status status = page.Write({});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Data()["state"], "running");
  EXPECT_EQ(Data()["artifact"]["peak"][0]["bytes"], 3000); // the largest first
  EXPECT_EQ(
      Data()["artifact"]["remarks"],
      json::parse(R"([{"pass":"fuse","kind":"fused","count":2},{"pass":"fuse","kind":"kept","count":1}])"));
}

TEST_F(PageTest, ReadsWhatIsAddedAndWhatIsCut) {
  Page page(folder_.path(), *artifact_);
  Append("metrics.jsonl", "{\"step\":1,\"loss\":3}\n{\"step\":2,\"lo");
  ASSERT_TRUE(page.Write({}).ok());
  EXPECT_EQ(Data()["series"]["loss"]["step"], json({1}));
  Append("metrics.jsonl", "ss\":2}\n{\"step\":3,\"loss\":1}\n");
  ASSERT_TRUE(page.Write({}).ok());
  EXPECT_EQ(Data()["series"]["loss"]["mean"], json({3, 2, 1}));
  std::filesystem::resize_file(folder_ / "metrics.jsonl", 20);
  ASSERT_TRUE(page.Write({}).ok());
  EXPECT_EQ(Data()["series"]["loss"]["step"], json({1}));
  Append("metrics.jsonl", "{\"step\":2,\"loss\":7}\n");
  page.Restart();
  ASSERT_TRUE(page.Write({}).ok());
  EXPECT_EQ(Data()["series"]["loss"]["mean"], json({3, 7}));
}

TEST_F(PageTest, HostileTextStaysText) {
  const std::string hostile =
      "</script><script>alert(1)</script><!-- <img onerror=alert(2) src=x> \xff\xfe \u2028";
  Append("samples.jsonl", json({{"step", 1}, {"prompt", "<b>"}, {"text", "</script><!--"}}).dump() + "\n");
  Append("samples.jsonl", "{\"step\":2,\"prompt\":\"<b>\",\"text\":\"\xff\"}\n"); // no UTF-8: passed over
  Page page(folder_.path(), *artifact_);
  PageFacts facts;
  facts.state = "failed";
  facts.message = facts.recipe = hostile;
  facts.facts = {{hostile, hostile}};
  ASSERT_TRUE(page.Write(facts).ok());
  std::string html = Slurp(folder_ / "report.html");
  size_t scripts = 0;
  for (size_t at = 0; (at = html.find("<script", at)) != std::string::npos; ++at) ++scripts;
  EXPECT_EQ(scripts, 2u); // the data and the page's own
  EXPECT_EQ(html.find("<!--", html.find("id=\"data\"")), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(Data()["samples"][0]["texts"][0]["text"], "</script><!--");
  EXPECT_EQ(Data()["message"].get<std::string>().substr(0, 9), "</script>");
}

TEST_F(PageTest, FetchesNothing) {
  std::string html = PageHtml("a run", json::object());
  for (const char *outside : {"src=", "@import", "url(", "<link", "fetch(", "XMLHttpRequest", "https:"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
}

TEST_F(PageTest, TheTitleIsEscaped) {
  std::string html = PageHtml("a<b>&\"\xff", json::object());
  EXPECT_NE(html.find("<title>a&lt;b&gt;&amp;&quot;\xef\xbf\xbd</title>"), std::string::npos);
}

TEST_F(PageTest, AFolderThatCannotBeWrittenIsNamed) {
  Page page(folder_.path() + "/none", *artifact_);
  absl::Status status = page.Write({});
  EXPECT_NE(std::string(status.message()).find(folder_.path() + "/none/report.html.tmp-"), std::string::npos)
      << status;
}

} // namespace
} // namespace weft
