// The texts of samples.jsonl, thinned out likewise: of each prompt at most 24, spread over the run, and the
// newest.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

class Samples {
public:
  static constexpr size_t kMaxPrompts = 16, kMaxTexts = 24,
                          kMaxBytes = 4000; // bytes of a text; the rest is left out

  // Takes in a line of samples.jsonl; what is none is passed over.
  void AddLine(std::string_view line);

  // [{"prompt":"…","texts":[{"step":100,"text":"…"}]}]
  nlohmann::json Json() const;

private:
  struct Text {
    int64_t step = 0;
    std::string text;
  };
  struct Prompt {
    std::string prompt;
    int64_t seen = 0, stride = 1;
    std::vector<Text> texts;
    bool last_is_extra = false;
  };
  std::vector<Prompt> prompts_;
};

} // namespace weft
