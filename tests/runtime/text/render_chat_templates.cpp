// Renders chat templates for a comparison with other engines: a JSON object a line on the standard input,
//   {"template": "…", "variables": {…}, "now": 1700000000}       (seconds since 1970, UTC)
// and a line for each on the standard output: {"text": "…"} or {"error": "…"}.
#include "runtime/text/chat_template.h"

#include <iostream>

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto job = nlohmann::ordered_json::parse(line);
    const std::time_t seconds = job.value("now", std::time_t{0});
    std::tm now{};
    gmtime_r(&seconds, &now);
    auto parsed = weft::ChatTemplate::Parse(job["template"].get<std::string>(), "template");
    auto text = parsed.ok() ? parsed->Render(job["variables"], now) : parsed.status();
    nlohmann::ordered_json answer;
    if (text.ok())
      answer["text"] = *text;
    else
      answer["error"] = std::string(text.status().message());
    std::cout << answer.dump() << "\n" << std::flush;
  }
}
