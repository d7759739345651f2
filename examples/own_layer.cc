// A model with a layer and an operator of its own: a GPT-like decoder with LayerNorm and GELU. What is written in the DSL is differentiated.
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 4096, dim = 256, layers = 4, heads = 4;
  double norm_eps = 1e-5;
  WEFT_FIELDS(vocab, dim, layers, heads, norm_eps)
};

// An operator is a function. It takes Tensor, so errors and profiles name these lines.
Tensor gelu(Tensor x) { return 0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x * x * x))); }

// A layer takes Arg and opens a LayerGuard: errors and profiles name the line that calls it, as with the library's layers.   x: (…, dim)
Tensor layer_norm(Scope s, Arg x, double eps) {
  LayerGuard guard(s, x.at);
  Tensor centred = x - mean(x, {-1}, true);
  Tensor y = centred * rsqrt(mean(centred * centred, {-1}, true) + eps);
  return y * parameter(s, "weight", {x.dim(-1)}, {InitKind::ones}, false) + parameter(s, "bias", {x.dim(-1)}, {}, false);
}

Tensor block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  x = x + attention(s / "self_attn", layer_norm(s / "norm1", x, c.norm_eps), seq, {.heads = c.heads, .bias = true});
  Tensor h = gelu(linear(s / "fc", layer_norm(s / "norm2", x, c.norm_eps), 4 * c.dim, {.bias = true}));
  return x + linear(s / "proj", h, c.dim, {.bias = true, .init = normal(residual_scale(c.layers))});
}

Tensor gpt(Scope s, const Sequence &seq, const Config &c) {
  Tensor x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return block(s, x, seq, c); });
  return lm_head(s / "embed_tokens", layer_norm(s / "norm", x, c.norm_eps), c.vocab); // tied: the embedding's own table
}
WEFT_MODEL(gpt)
