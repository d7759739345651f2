#include "frontends/cli/ask_options.h"

namespace weft {

std::vector<Option> WithAskOptions(std::vector<Option> own) {
  static const std::vector<Option> shared = {
      {"--max-tokens", "N", "most tokens to add", "256"},
      {"--temperature", "T", "of sampling; 0 = always the likeliest token", "0.8"},
      {"--top-k", "K", "draw from the K likeliest tokens only; 0 = all", "0"},
      {"--top-p", "P", "draw from the likeliest tokens that have the probability P together; 1 = all", "1"},
      {"--seed", "S", "of sampling: the same seed gives the same text", "1"},
      {"--stop", "TEXT", "end before this text; may be given several times", "", true},
      {"--threads", "N", "threads; 0 = all processors", "0"},
      {"--cpu-level", "LEVEL", "avx2, avx512, avx512bf16 or amx", "the best of the machine"},
      {"--absorbed", "",
       "latent attention (deepseek_v3) in its absorbed form: a cache many times smaller, the same "
       "probabilities within a tolerance; compiled the first time"},
      {"--artifact", "F.weft", "the compiled model", "that of the run, compiled if need be"}};
  own.insert(own.end(), shared.begin(), shared.end());
  return own;
}

void ReadAskOptions(Args &args, GenerateOptions &options, OpenModelOptions &open_options) {
  options.max_tokens = args.Integer("--max-tokens", 256, 0);
  options.sampling.temperature = args.Number("--temperature", 0.8, 0, 1e6);
  options.sampling.top_k = args.Integer("--top-k", 0, 0);
  options.sampling.top_p = args.Number("--top-p", 1, 0, 1);
  options.sampling.seed = args.Integer("--seed", 1, 0);
  options.stop = args.All("--stop");
  open_options.artifact = args.Text("--artifact");
  open_options.threads = static_cast<int>(args.Integer("--threads", 0, 0, 4096));
  open_options.cpu_level = args.Text("--cpu-level");
  open_options.absorbed = args.Has("--absorbed");
}

} // namespace weft
