#include "runtime/profile/trace.h"
#include "tests/runtime/data/temp_folder.h"
#include "tests/runtime/profile/profiles.h"

#include <nlohmann/json.hpp>

#include <map>

namespace weft {
namespace {

using nlohmann::json;
using testing::Axpy, testing::List, testing::Loop, testing::NowNs, testing::Recorded;

class TraceTest : public ::testing::Test {
protected:
  json Trace(int threads, size_t most_events = 100) {
    session_ = Recorded(960,
                        List(testing::Zero(testing::InArena(0, 480)), Loop(0, 3, List(Axpy(0, 160, 320))),
                             testing::AllReduce(testing::InArena(0, 16), fb::DType::f32, 4, 0)),
                        threads);
    std::vector<std::unique_ptr<Recorder>> recorders;
    recorders.push_back(std::make_unique<Recorder>(*session_, 0, nullptr, most_events));
    std::vector<std::vector<TracedStep>> steps(1);
    recorders[0]->Start();
    for (int step = 0; step < 2; ++step) {
      TracedStep traced;
      traced.start_ns = NowNs(), traced.begin_ns = NowNs(), traced.data_ns = NowNs();
      EXPECT_TRUE(session_->Run(0, {}).ok());
      traced.run_end_ns = NowNs(), traced.end_ns = NowNs();
      steps[0].push_back(traced);
    }
    MemoryTimeline memory;
    memory.points = {{0, 480}, {1500, 960}};
    const std::string path = folder_ / "trace.json";
    absl::Status status = WriteTrace(path, recorders, steps, memory);
    EXPECT_TRUE(status.ok()) << status;
    return json::parse(Slurp(path));
  }
  TempFolder folder_;
  std::unique_ptr<Session> session_;
};

// What the Trace Event Format asks of an event, and Perfetto of a track: slices that nest.
void CheckFormat(const json &trace) {
  ASSERT_TRUE(trace.is_object());
  EXPECT_EQ(trace["displayTimeUnit"], "ms");
  std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> open; // slices by track, as they came
  for (const json &event : trace["traceEvents"]) {
    const std::string phase = event.at("ph");
    ASSERT_TRUE(event.at("name").is_string() && event.at("pid").is_number_integer());
    ASSERT_TRUE(event.at("args").is_object());
    if (phase == "M") continue;
    ASSERT_TRUE(event.at("ts").is_number() && event["ts"] >= 0) << event;
    if (phase == "C") {
      EXPECT_TRUE(event["args"].at("bytes").is_number_integer());
      continue;
    }
    ASSERT_EQ(phase, "X") << event;
    ASSERT_TRUE(event.at("dur").is_number() && event["dur"] > 0) << event;
    ASSERT_TRUE(event.at("cat").is_string() && event.at("tid").is_number_integer());
    const double begin = event["ts"], end = begin + event["dur"].get<double>(), slack = 1e-6;
    auto &track = open[{event["pid"], event["tid"]}];
    while (!track.empty() && track.back().second <= begin + slack) track.pop_back();
    if (!track.empty()) {
      EXPECT_GE(begin + slack, track.back().first) << event;
      EXPECT_LE(end, track.back().second + slack) << event;
    }
    track.emplace_back(begin, end);
  }
}

TEST_F(TraceTest, IsInTheTraceEventFormat) {
  for (int threads : {1, 2}) CheckFormat(Trace(threads));
}

TEST_F(TraceTest, ASliceSaysKernelLineAndIterations) {
  const json trace = Trace(2);
  int launches = 0, threads = 0, steps = 0; // launches: a slice on each thread that was there in time
  std::vector<int> iterations;
  for (const json &event : trace["traceEvents"]) {
    threads += event["name"] == "thread_name";
    steps += event.value("cat", "") == "step";
    if (event.value("cat", "") != "kernel") continue;
    ++launches;
    EXPECT_EQ(event["name"], "axpy");
    EXPECT_EQ(event["args"]["line"], "model.cc:7");
    EXPECT_EQ(event["args"]["module"], "layers.mlp");
    EXPECT_EQ(event["args"]["flops"], 80);
    EXPECT_EQ(event["args"]["bytes"], 480);
    if (event["tid"] == 0) iterations.push_back(event["args"]["iterations"][0]);
  }
  EXPECT_EQ(threads, 3); // two and the phases
  EXPECT_EQ(steps, 2);
  EXPECT_GE(launches, 2 * 3);     // steps, iterations
  EXPECT_LE(launches, 2 * 3 * 2); // threads
  EXPECT_EQ(iterations, (std::vector<int>{0, 1, 2, 0, 1, 2}));
}

TEST_F(TraceTest, EachStepHasTheArenasCourse) {
  std::vector<int64_t> bytes;
  const json trace = Trace(1);
  for (const json &event : trace["traceEvents"])
    if (event["ph"] == "C") bytes.push_back(event["args"]["bytes"]);
  EXPECT_EQ(bytes, (std::vector<int64_t>{480, 960, 480, 960}));
}

TEST_F(TraceTest, EndsWithTheEventsThatWereKept) {
  const json trace = Trace(1, 3);
  CheckFormat(trace);
  int steps = 0;
  for (const json &event : trace["traceEvents"]) steps += event.value("cat", "") == "step";
  EXPECT_EQ(steps, 1);
}

TEST_F(TraceTest, AFileThatCannotBeWrittenIsNamed) {
  std::vector<std::unique_ptr<Recorder>> none;
  EXPECT_NE(
      std::string(WriteTrace("/nothing/trace.json", none, {{}}, {}).message()).find("/nothing/trace.json"),
      std::string::npos);
}

} // namespace
} // namespace weft
