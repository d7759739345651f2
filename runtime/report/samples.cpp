#include "runtime/report/samples.h"

#include "runtime/data/json_depth.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace weft {
namespace {

// At most kMaxBytes of it, and no part of a character.
std::string Shortened(std::string text) {
  if (text.size() <= Samples::kMaxBytes) return text;
  size_t end = Samples::kMaxBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

} // namespace

void Samples::AddLine(std::string_view line) {
  if (JsonNestsDeeper(line)) return;
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return;
  auto step = object.find("step"), prompt = object.find("prompt"), text = object.find("text");
  if (step == object.end() || !step->is_number_unsigned() || step->get<uint64_t>() > uint64_t{1} << 53 ||
      prompt == object.end() || !prompt->is_string() || text == object.end() || !text->is_string())
    return;
  std::string name = Shortened(prompt->get<std::string>());
  auto found =
      std::find_if(prompts_.begin(), prompts_.end(), [&](const Prompt &p) { return p.prompt == name; });
  if (found == prompts_.end()) {
    if (prompts_.size() >= kMaxPrompts) return;
    found = prompts_.insert(prompts_.end(), Prompt{name});
  }
  Prompt &p = *found;
  if (p.last_is_extra) p.texts.pop_back();
  p.last_is_extra = p.seen++ % p.stride != 0;
  p.texts.push_back({step->get<int64_t>(), Shortened(text->get<std::string>())});
  if (p.last_is_extra || p.texts.size() <= kMaxTexts) return;
  std::vector<Text> kept;
  for (size_t i = 0; i < p.texts.size(); i += 2) kept.push_back(std::move(p.texts[i]));
  p.last_is_extra = p.texts.size() % 2 == 0;
  if (p.last_is_extra) kept.push_back(std::move(p.texts.back()));
  p.texts = std::move(kept);
  p.stride *= 2;
}

nlohmann::json Samples::Json() const {
  auto prompts = nlohmann::json::array();
  for (const Prompt &p : prompts_) {
    auto texts = nlohmann::json::array();
    for (const Text &t : p.texts) texts.push_back({{"step", t.step}, {"text", t.text}});
    prompts.push_back({{"prompt", p.prompt}, {"texts", texts}});
  }
  return prompts;
}

} // namespace weft
