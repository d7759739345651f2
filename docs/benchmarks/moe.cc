// The mixture of experts of the PyTorch peer: a pre-norm decoder with softmax routing and no balancing.
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 256, dim = 256, ffn = 256, layers = 6, heads = 4, experts = 8, top_k = 2;
  WEFT_FIELDS(vocab, dim, ffn, layers, heads, experts, top_k)
};

Tensor block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  x = x + attention(s / "self_attn", rms_norm(s / "input_layernorm", x), seq,
                    {.heads = c.heads, .kv_heads = c.heads});
  MoeOptions o{.experts = c.experts, .top_k = c.top_k, .ffn = c.ffn, .scoring = "softmax", .bias_rate = 0};
  return x + moe(s / "mlp", rms_norm(s / "post_attention_layernorm", x), o).out;
}

Tensor bench_moe(Scope s, const Sequence &seq, const Config &c) {
  auto x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return block(s, x, seq, c); });
  return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(bench_moe)
