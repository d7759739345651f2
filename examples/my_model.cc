// A Llama-like decoder. Compile it with `weft compile examples/my_model.cc -o my_model.weft`.
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 32000, dim = 512, ffn = 1408, layers = 8, heads = 8, kv_heads = 4;
  WEFT_FIELDS(vocab, dim, ffn, layers, heads, kv_heads)      // read from TOML by name; unknown keys are errors
};

// A pre-norm decoder block: attention, then a SwiGLU feed-forward.                      x: (batch, seq, dim)
Tensor block(Scope s, Tensor x, const Sequence& seq, const Config& c) {
  x = x + attention(s / "self_attn", rms_norm(s / "input_layernorm", x), seq, {.heads = c.heads, .kv_heads = c.kv_heads});
  auto h = rms_norm(s / "post_attention_layernorm", x);
  auto m = s / "mlp";
  return x + linear(m / "down_proj", silu(linear(m / "gate_proj", h, c.ffn)) * linear(m / "up_proj", h, c.ffn), c.dim);
}

// seq: tokens, positions, document ids, and the KV state where there is one.                 returns what the head gives
Tensor my_llama(Scope s, const Sequence& seq, const Config& c) {
  auto x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return block(s, x, seq, c); });
  return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(my_llama)                                         // its name on the command line
