// config.json of a Hugging Face folder, as a decoder reads it.
#include "frontends/layers/decoder_config.h"
#include "tests/fuzz/fuzz_target.h"

#include <algorithm>
#include <cmath>

namespace weft::fuzz {
namespace {

std::string Seed(const std::string &rope, bool tied) {
  DecoderConfig d = {"LlamaForCausalLM", "llama", 300, 32, 48, 2, 4, 2, 8, 128, 1e-5, tied, {}};
  d.rope.type = rope;
  if (rope != "default") d.rope.factor = 4;
  return decoder_config_json(d).text();
}

} // namespace

std::vector<std::string> Seeds() {
  std::string parameters = R"({"vocab_size":300,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,
    "num_attention_heads":4,"rope_parameters":{"rope_type":"yarn","rope_theta":10000.0,"factor":8.0,"mscale":1.0,
    "mscale_all_dim":0.5,"original_max_position_embeddings":8,"beta_fast":16,"beta_slow":2,"truncate":false},
    "layer_types":["full_attention"],"use_sliding_window":true,"sliding_window":8,"max_window_layers":2})";
  return {Seed("default", true), Seed("linear", false), Seed("llama3", false), Seed("yarn", true),
          parameters};
}

std::vector<std::string> Words() {
  return {"\"rope_scaling\":{",
          "\"rope_parameters\":{",
          "\"factor\":",
          "\"rope_type\":\"dynamic\"",
          "\"quantization_config\":{",
          "\"head_dim\":",
          "\"hidden_act\":",
          "\"partial_rotary_factor\":",
          "\"attention_factor\":",
          "\"beta_fast\":0",
          "2147483647",
          "2147483648",
          "-1",
          "1e308",
          "1e-308",
          "0.5",
          "null",
          "true",
          "\"full_attention\"",
          "{",
          "}",
          "[",
          "]",
          ":"};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  try {
    HuggingFaceConfig h = HuggingFaceConfig::parse({reinterpret_cast<const char *>(data), size});
    DecoderConfig d = read_decoder_config(h);
    (void)h.unread();
    fuzz::Require(d.vocab > 0 && d.dim > 0 && d.heads % d.kv_heads == 0 && d.head_dim % 2 == 0,
                  "what is accepted makes a model");
    for (double f : rotary_frequencies(std::min<i64>(d.head_dim, 256), d.rope))
      fuzz::Require(std::isfinite(f), "frequencies are finite");
    auto written = [](DecoderConfig c) {
      c.architecture = "LlamaForCausalLM", c.model_type = "llama";
      return decoder_config_json(c).text();
    };
    std::string text = written(d);
    fuzz::Require(written(read_decoder_config(HuggingFaceConfig::parse(text))) == text,
                  "written and read again it is the same");
  } catch (const ModelError &e) {
    fuzz::Outcome(e.what());
  }
  return 0;
}
