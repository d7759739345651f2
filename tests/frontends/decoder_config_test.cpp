// config.json of decoders, both ways: what is read, what is refused and how, and the rotary positions that it
// asks for.
#include "frontends/layers/decoder_config.h"

#include <gtest/gtest.h>

#include <functional>

namespace weft {
namespace {

// A small Llama with `more` keys, which win over these.
std::string config(const std::string &more = "", const std::string &without = "") {
  std::vector<std::pair<std::string, std::string>> keys = {{"vocab_size", "300"},
                                                           {"hidden_size", "32"},
                                                           {"intermediate_size", "48"},
                                                           {"num_hidden_layers", "2"},
                                                           {"num_attention_heads", "4"}};
  std::string text = "{" + more;
  for (const auto &[key, value] : keys)
    if (key != without && more.find("\"" + key + "\"") == more.npos)
      text += std::string(text.size() > 1 ? "," : "") + "\"" + key + "\":" + value;
  return text + "}";
}

DecoderConfig read(const std::string &text) { return read_decoder_config(HuggingFaceConfig::parse(text)); }

std::string error_of(const std::string &text) {
  try {
    read(text);
  } catch (const ModelError &e) {
    return e.what();
  }
  return "";
}

TEST(DecoderConfig, TakesTransformersDefaultsForWhatIsLeftOut) {
  DecoderConfig d = read(config());
  EXPECT_EQ(d.kv_heads, 4);
  EXPECT_EQ(d.head_dim, 8);
  EXPECT_EQ(d.context, 2048);
  EXPECT_EQ(d.norm_eps, 1e-6);
  EXPECT_FALSE(d.tied);
  EXPECT_EQ(d.rope.type, "default");
  EXPECT_EQ(d.rope.theta, 10000);
  DecoderConfig null = read(config("\"num_key_value_heads\":null,\"head_dim\":null,\"rope_scaling\":null"));
  EXPECT_EQ(null.kv_heads, 4);
  EXPECT_EQ(null.head_dim, 8);
}

TEST(DecoderConfig, ReadsRotaryPositionsOfBothFormats) {
  std::string inside = "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                       "\"original_max_position_embeddings\":8192";
  for (const std::string &text :
       {"\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\"," + inside + "}",
        "\"rope_theta\":500000.0,\"rope_scaling\":{\"type\":\"llama3\"," + inside + "}",
        "\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"llama3\"," + inside + "}"}) {
    RotaryOptions rope = read(config(text)).rope;
    EXPECT_EQ(rope.type, "llama3") << text;
    EXPECT_EQ(rope.theta, 500000);
    EXPECT_EQ(rope.factor, 8);
    EXPECT_EQ(rope.original_context, 8192);
  }
  RotaryOptions yarn =
      read(config("\"max_position_embeddings\":163840,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":40,"
                  "\"original_max_position_embeddings\":4096,\"mscale\":1.0,\"mscale_all_dim\":1.0,"
                  "\"beta_fast\":32,\"beta_slow\":1}"))
          .rope;
  EXPECT_EQ(yarn.attention_factor, 1);
  EXPECT_NEAR(rotary_score_factor(yarn), 1.3688879454113936 * 1.3688879454113936, 1e-12);
  EXPECT_EQ(read(config("\"max_position_embeddings\":4096,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2}"))
                .rope.original_context,
            4096);
}

TEST(DecoderConfig, RefusesByNameWhatTheLayersDoNotHave) {
  const std::pair<const char *, const char *> cases[] = {
      {R"("hidden_act":"gelu")", R"(hidden_act is "gelu" when only "silu" is supported)"},
      {R"("attention_bias":true)", "attention_bias is true when biases of attention's projections"},
      {R"("mlp_bias":true)", "mlp_bias is true"},
      {R"("quantization_config":{"quant_method":"gptq","bits":4})",
       R"(quantization_config is {"quant_method":"gptq","bits":4} when)"},
      {R"("quantization_config":{"quant_method":"fp8","fmt":"e5m2"})", R"(or fp8 of the format e4m3)"},
      {R"("partial_rotary_factor":0.5)", "partial_rotary_factor is 0.5 when only rotating all"},
      {R"("rope_parameters":{"partial_rotary_factor":0.25})",
       "rope_parameters.partial_rotary_factor is 0.25"},
      {R"("rope_scaling":{"type":"dynamic","factor":2})",
       R"(rope_scaling.type is "dynamic" when default, linear, llama3 and yarn are supported)"},
      {R"("rope_scaling":{"rope_type":"longrope","short_factor":[1],"long_factor":[1]})",
       R"(rope_scaling.rope_type is "longrope")"},
      {R"("rope_scaling":{"rope_type":"default","mrope_section":[16,24,24]})",
       "rope_scaling.mrope_section is [16,24,24] when no such setting is known"},
      {R"("rope_scaling":{"rope_type":"linear"})",
       "rope_scaling.factor is missing when it should be a number"},
      {R"("rope_scaling":{"rope_type":"linear","factor":-1})", "rope_scaling.factor is -1 when"},
      {R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4})",
       "rope_scaling.high_freq_factor is 4 when it should be more than low_freq_factor"},
      {R"("rope_theta":1)", "rope_theta is 1 when it should be more than 1"},
      {R"("use_sliding_window":true,"sliding_window":4096,"max_window_layers":1)", "sliding_window is 4096"},
      {R"("layer_types":["full_attention","sliding_attention"])", "layer_types is [\"full_attention\""},
      {R"("num_key_value_heads":3)", "num_key_value_heads is 3 when num_attention_heads, 4, should be"},
      {R"("num_attention_heads":0)", "num_attention_heads is 0 when it should be 1 or more"},
      {R"("num_hidden_layers":100000)", "num_hidden_layers is 100000 when at most 65536"},
      {R"("head_dim":1073741824)", "head_dim is 1073741824 when at most 65536 is supported"},
      {R"("head_dim":7)", "head_dim is 7 when it should be even"},
      {R"("hidden_size":36)", "hidden_size is 36 when a head's share of it should be even"},
      {R"("vocab_size":3.5)", "vocab_size is 3.5 when it should be a whole number from 0 to 2147483647"},
      {R"("vocab_size":-1)", "vocab_size is -1 when"},
      {R"("vocab_size":99999999999999999999999)", "vocab_size is 9.99999"},
      {R"("vocab_size":"300")", R"(vocab_size is "300" when)"},
      {R"("rms_norm_eps":"small")", R"(rms_norm_eps is "small" when it should be a number)"},
      {R"("tie_word_embeddings":1)", "tie_word_embeddings is 1 when it should be true or false"},
      {R"("rope_scaling":3)", "rope_scaling is 3 when it should be an object"},
      {R"("layer_types":"all")", R"(layer_types is "all" when it should be a list of texts)"},
  };
  for (const auto &[more, error] : cases) {
    std::string got = error_of(config(more));
    EXPECT_EQ(got.rfind("config.json: ", 0), 0u) << more << ": " << got;
    EXPECT_NE(got.find(error), got.npos) << more << ": " << got;
  }
  EXPECT_EQ(error_of(config("", "hidden_size")),
            "config.json: hidden_size is missing when it should be a whole number from 0 to 2147483647");
  EXPECT_EQ(error_of("[]"), "config.json is not a JSON object");
  EXPECT_EQ(error_of("{\"a\":"), "config.json is not a JSON object");
  EXPECT_EQ(error_of("{\"a\":1,\"a\":2}"), "config.json names a twice");
  EXPECT_EQ(error_of("{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"),
            "config.json nests deeper than 64 levels");
}

TEST(DecoderConfig, AcceptsWhatIsSwitchedOff) {
  for (const char *more :
       {R"("use_sliding_window":false,"sliding_window":4096,"max_window_layers":1)",
        R"("sliding_window":4096)",
        R"("use_sliding_window":true,"sliding_window":4096,"max_window_layers":2)",
        R"("attention_bias":null)", R"("quantization_config":null,"partial_rotary_factor":1.0)",
        R"("layer_types":["full_attention"])",
        R"("rope_scaling":{"rope_type":"default"},"attention_bias":false,"hidden_act":"swish")"})
    EXPECT_EQ(error_of(config(more)), "") << more;
}

TEST(DecoderConfig, TellsWhichKeysNobodyHasRead) {
  HuggingFaceConfig h = HuggingFaceConfig::parse(config(R"("use_cache":true,"logit_scale":2.0,"mup":null)"));
  read_decoder_config(h);
  EXPECT_EQ(h.unread(), std::vector<std::string>{"logit_scale"});
}

TEST(DecoderConfig, IsReadAsItWasWritten) {
  DecoderConfig d = {"LlamaForCausalLM", "llama", 300, 32, 48, 2, 4, 2, 10, 128, 1e-5, true, {}};
  RotaryOptions linear, llama3, yarn;
  linear.type = "linear", linear.factor = 2.5, linear.theta = 5e5;
  llama3.type = "llama3", llama3.factor = 8, llama3.low_frequency = 2, llama3.high_frequency = 3;
  llama3.original_context = 64;
  yarn.type = "yarn", yarn.factor = 4, yarn.beta_fast = 16, yarn.beta_slow = 0.5, yarn.truncate = false;
  yarn.mscale_all_dim = 0.707;
  yarn.original_context = 32;
  for (const RotaryOptions &rope : {RotaryOptions(), linear, llama3, yarn}) {
    d.rope = rope;
    DecoderConfig r = read(decoder_config_json(d).text());
    EXPECT_EQ(std::tie(r.vocab, r.dim, r.ffn, r.layers, r.heads, r.kv_heads, r.head_dim, r.context,
                       r.norm_eps, r.tied),
              std::tie(d.vocab, d.dim, d.ffn, d.layers, d.heads, d.kv_heads, d.head_dim, d.context,
                       d.norm_eps, d.tied));
    EXPECT_EQ(r.rope.type, rope.type);
    EXPECT_EQ(rotary_frequencies(10, r.rope), rotary_frequencies(10, rope)) << rope.type;
    EXPECT_EQ(rotary_attention_factor(r.rope), rotary_attention_factor(rope));
    EXPECT_EQ(rotary_score_factor(r.rope), rotary_score_factor(rope));
  }
}

// Of transformers 5.24 (modeling_rope_utils), which computes them in f32.
TEST(Rotary, FrequenciesAreThoseOfTransformers) {
  auto expect = [](const RotaryOptions &o, double factor, const std::vector<double> &golden) {
    std::vector<double> got = rotary_frequencies(16, o);
    ASSERT_EQ(got.size(), golden.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i] / golden[i], 1, 1e-6) << o.type << " " << i;
    EXPECT_NEAR(rotary_attention_factor(o), factor, 1e-12);
  };
  RotaryOptions o;
  o.type = "llama3", o.theta = 500000, o.factor = 8;
  expect(o, 1,
         {1.0, 0.193922758102417, 0.03760603070259094, 0.00729266507551074, 0.0005248460220173001,
          3.428102354519069e-05, 6.647869668086059e-06, 1.289173155782919e-06});
  o = RotaryOptions();
  o.type = "linear", o.factor = 2.5;
  expect(o, 1,
         {0.4000000059604645, 0.12649109959602356, 0.03999999910593033, 0.012649111449718475,
          0.003999999724328518, 0.0012649111449718475, 0.0004000000189989805, 0.0001264911115868017});
  o = RotaryOptions();
  o.type = "yarn", o.factor = 40, o.original_context = 4096;
  expect(o, 1.3688879454113936,
         {1.0, 0.3162277638912201, 0.10000000149011612, 0.023914724588394165, 0.005124999675899744,
          0.0008498621755279601, 2.499999936844688e-05, 7.905694474175107e-06});
  o.beta_fast = 16, o.beta_slow = 2, o.truncate = false, o.attention_factor = 1.0857263992561355;
  expect(o, 1.0857263992561355,
         {1.0, 0.3162277638912201, 0.10000000149011612, 0.03162277862429619, 0.005790104623883963,
          0.00012395245721563697, 2.499999936844688e-05, 7.905694474175107e-06});
}

TEST(Rotary, OptionsThatGiveNoFrequenciesAreErrors) {
  auto error = [](const std::function<void(RotaryOptions &)> &change) -> std::string {
    RotaryOptions o;
    change(o);
    try {
      rotary_frequencies(8, o);
    } catch (const ModelError &e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(error([](auto &o) { o.type = "ntk"; }),
            "rotary positions: the type is \"ntk\" when it should be default, linear, llama3 or yarn");
  EXPECT_NE(error([](auto &o) { o.factor = 8; }).find("name linear, llama3 or yarn"), std::string::npos);
  EXPECT_NE(error([](auto &o) { o.theta = 0; }).find("theta is 0"), std::string::npos);
  EXPECT_NE(error([](auto &o) { o.type = "linear", o.factor = 0; }).find("factor is 0"), std::string::npos);
  EXPECT_NE(error([](auto &o) { o.type = "yarn", o.beta_slow = 0; }).find("beta_slow"), std::string::npos);
  EXPECT_NE(error([](auto &o) { o.original_context = 0; }).find("0 tokens"), std::string::npos);
}

} // namespace
} // namespace weft
