// The numbers of metrics.jsonl, thinned out so that a page of bounded size can draw runs of any length.
//
// A number by step goes into buckets of 2^k steps, each with its mean, least and most; k grows when there are
// too many: a run of a million steps has at most 1024 buckets of 1024 steps. A list, or a list of lists
// (layers of experts), is a map: of these every 2^k-th is kept, in blocks of cells where it has very many.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

class Curves {
public:
  static constexpr size_t kMaxBuckets = 1024, kMaxSeries = 128, kMaxMaps = 16, kMaxFrames = 48,
                          kMaxEvents = 300;
  static constexpr int64_t kMaxRows = 96,
                           kMaxColumns = 256; // of a map, cells; beyond them blocks are averaged

  // Takes in a line of metrics.jsonl. What is no such line, or no number, is passed over.
  void AddLine(std::string_view line);

  // {"series":{"loss":{"width":4,"step":[…],"mean":[…],"least":[…],"most":[…]}},
  //  "maps":{"expert_load":{"rows":4,"columns":8,"steps":[…],"low":0,"high":0.5,"frames":["base64 of a byte a
  //  cell"]}}, "events":[{"step":3,"event":"skip","why":"…"}],"num_events":1,"last":{"step":9,"loss":2.5}}
  nlohmann::json Json() const;

private:
  struct Bucket {
    double sum = 0, least = 0, most = 0;
    int64_t count = 0, step = 0; // of the last value
  };
  struct Series {
    int64_t width = 1; // steps of a bucket
    std::map<int64_t, Bucket> buckets;
  };
  struct Frame {
    int64_t step = 0;
    std::vector<float> cells; // (rows, columns)
  };
  struct Map {
    int64_t rows = 0, columns = 0;   // as drawn
    int64_t layers = 0, experts = 0; // as given
    int64_t seen = 0, stride = 1;
    std::vector<Frame> frames;
    bool last_is_extra = false; // the newest, kept though it is none of the stride's
  };
  struct Event {
    int64_t step = 0;
    std::string name, why;
  };
  void AddNumber(const std::string &name, int64_t step, double value);
  void AddMap(const std::string &name, int64_t step, const nlohmann::json &value);

  std::map<std::string, Series> series_;
  std::map<std::string, Map> maps_;
  std::map<std::string, double> last_;
  std::deque<Event> events_;
  int64_t num_events_ = 0;
};

// A value in five significant digits, which print short.
double Rounded(double value);

} // namespace weft
