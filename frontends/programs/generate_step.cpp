// Generation: a prompt, or one token, through the key-value cache.
#include "frontends/losses/cross_entropy.h"
#include "frontends/programs/entry.h"

namespace weft {

void build_generate_step(const ModelInfo &model, const ProgramOptions &options, const std::string &entry,
                         i64 length) {
  i64 batch = options.generate_batch, context = options.context ? options.context : options.seq;
  if (length > context)
    throw ModelError(entry + " takes " + std::to_string(length) + " tokens, more than the context of " +
                     std::to_string(context));
  builder().begin_entry(entry, /*frozen=*/true);
  Shape shape = {batch, length};
  Tensor tokens =
      declare_input({"tokens", DType::i32, shape, config_integer(model, options.config, "vocab")});
  Tensor positions = declare_input({"positions", DType::i32, shape, context});
  Tensor last = length > 1 ? declare_input({"last", DType::i32, {batch}, length}) : Tensor();
  Tensor documents = full(shape, 0, DType::i32); // one a sequence

  CacheForm cache{options.absorbed};
  Tensor logits = call_model(model, options, make_sequence(tokens, positions, documents, context), last,
                             /*losses=*/nullptr, &cache);
  if (options.absorbed && !cache.has_latents)
    throw ModelError(std::string("absorbed: model ") + model.name +
                     " has no latent attention whose cache could hold latents");
  declare_output("logits", reshape(logits, {batch, logits.dim(2)}));
  declare_output("lse", reshape(log_sum_exp(logits), {batch}));
  builder().end_entry();
}

} // namespace weft
