#include "frontends/cli/new_files.h"

namespace weft {

const char kNewModel[] =
    R"(// @NAME@: a small decoder. Change it as you like; `weft train recipe.toml` compiles it again.
#include <weft/weft.h>
using namespace weft;

struct Config {
  i64 vocab = 2048, dim = 128, ffn = 352, layers = 4, heads = 4, kv_heads = 2;
  WEFT_FIELDS(vocab, dim, ffn, layers, heads, kv_heads) // read from the recipe's [model] by name
};

// A pre-norm block: attention, then a SwiGLU feed-forward.                                   x: (batch, seq, dim)
Tensor block(Scope s, Tensor x, const Sequence &seq, const Config &c) {
  x = x + attention(s / "self_attn", rms_norm(s / "input_layernorm", x), seq, {.heads = c.heads, .kv_heads = c.kv_heads});
  auto h = rms_norm(s / "post_attention_layernorm", x);
  auto m = s / "mlp";
  return x + linear(m / "down_proj", silu(linear(m / "gate_proj", h, c.ffn)) * linear(m / "up_proj", h, c.ffn), c.dim);
}

// seq: tokens, positions and documents, and the key-value state where there is one.       returns (batch, seq, vocab)
Tensor @NAME@(Scope s, const Sequence &seq, const Config &c) {
  auto x = embedding(s / "embed_tokens", seq.tokens, c.vocab, c.dim);
  x = repeat(s / "layers", {0, c.layers}, x, [&](Scope s, Tensor x) { return block(s, x, seq, c); });
  return lm_head(s / "lm_head", rms_norm(s / "norm", x), c.vocab);
}
WEFT_MODEL(@NAME@)
)";

const char kNewRecipe[] =
    R"(# weft train recipe.toml          Every key, with default and unit: weft train --help-keys

[model]
file = "model.cc"
# Any field of the model's Config:
layers = 4

[data]
# Text files of your own, or patterns of them. These licences are on every Debian machine: enough to see it work.
train = ["/usr/share/common-licenses/*-[0-9]*"]
validation = 0.05
tokenizer = "train:2048"

[train]
steps = 200
batch = 16
seq = 128
eval_every = 50

[optimizer]
lr = 3e-3

[run]
dir = "run"
checkpoint_every = 100
)";

const char kNewReadme[] = R"(# @NAME@

A language model in Weft: `model.cc` describes it, `recipe.toml` says how it is trained.

```
weft train recipe.toml                                       # compile, tokenise, train into run/
weft train recipe.toml --resume train.steps=400              # go on after Ctrl-C, or for longer
weft generate run --prompt "You may copy and distribute"     # ask it
weft eval run --data "/usr/share/common-licenses/Artistic"   # its loss on another text
weft inspect run --kernels                                   # what it was compiled into
```

Set `data.train` to texts of your own to make it yours.
)";

const char kNewIgnore[] = "run/\n";

} // namespace weft
