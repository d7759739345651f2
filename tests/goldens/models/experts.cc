// A model of a user's own that is imported: every expert sees every token, and all are one parameter, of
// which a Hugging Face folder has a tensor an expert.
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 300, dim = 8, ffn = 6, layers = 2, experts = 3;
  WEFT_FIELDS(vocab, dim, ffn, layers, experts)

  static constexpr const char *hugging_face_architecture = "ExpertsForCausalLM";
  static Config from_hugging_face(const HuggingFaceConfig &h) {
    Config c;
    c.vocab = h.integer("vocab_size"), c.dim = h.integer("hidden_size"), c.ffn = h.integer("ffn");
    c.layers = h.integer("num_hidden_layers"), c.experts = h.integer("num_experts");
    h.require_off("shared_expert", "there is none");
    h.skip({"eos_token_id"});
    return c;
  }
  std::string hugging_face_config() const {
    JsonObject config;
    config.add_list("architectures", hugging_face_architecture).add("vocab_size", vocab);
    config.add("hidden_size", dim).add("ffn", ffn).add("num_hidden_layers", layers);
    return config.add("num_experts", experts).text();
  }
  static std::string hugging_face_name(const std::string &path) {
    std::string name = default_file_name(path);
    if (size_t at = name.find("experts."); at != name.npos) name.insert(at + 8, "{}.");
    return name;
  }
  WeightMap hugging_face_weights() const { return {{"model.layers." + std::to_string(layers) + ".*"}, {}}; }
};

Tensor experts(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim); // (batch, seq, dim)
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) {
    Scope e = s / "mlp" / "experts";
    Tensor up = parameter(e / "up_proj", "weight", {c.experts, c.ffn, c.dim}, normal(0.02), true);
    Tensor down = parameter(e / "down_proj", "weight", {c.experts, c.dim, c.ffn}, normal(0.02), true);
    Tensor h = silu(matmul(x, reshape(up, {c.experts * c.ffn, c.dim}), {.transpose_rhs = true}));
    return x + matmul(h, reshape(transpose(down, {0, 2, 1}), {c.experts * c.ffn, c.dim}));
  });
  return lm_head(s / "lm_head", x, c.vocab);
}
WEFT_MODEL(experts)
