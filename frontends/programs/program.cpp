#include "frontends/programs/program.h"

#include "frontends/programs/entry.h"

namespace weft {

Tensor declare_input(const InputSpec &spec, bool micro, Caller at) {
  LineGuard guard(at.line);
  return {builder().input(spec.name, spec.dtype, spec.shape, spec.limit, micro), blamed_line(at.line)};
}

void declare_output(const std::string &name, Arg value) {
  LineGuard guard(value.at);
  builder().output(name, value.value());
}

i64 config_integer(const ModelInfo &model, const ConfigMap &config, const std::string &field) {
  i64 result = -1;
  for (const ConfigField &f : model.fields())
    if (f.name == field)
      if (const i64 *value = std::get_if<i64>(&f.value)) result = *value;
  for (const auto &[name, value] : config)
    if (name == field)
      if (const i64 *whole = std::get_if<i64>(&value)) result = *whole;
  return result;
}

std::vector<InputSpec> sequence_inputs(const ModelInfo &model, const ProgramOptions &options) {
  Shape shape = {options.micro_batch, options.seq};
  i64 vocab = config_integer(model, options.config, "vocab");
  return {{"tokens", DType::i32, shape, vocab},
          {"positions", DType::i32, shape, options.seq},
          {"documents", DType::i32, shape},
          {"targets", DType::i32, shape}};
}

Tensor call_model(const ModelInfo &model, const ProgramOptions &options, const Sequence &seq,
                  Tensor head_rows, std::vector<AddedLoss> *losses, CacheForm *cache) {
  i64 vocab = config_integer(model, options.config, "vocab");
  Trace trace{model.file_name, head_rows, seq.tokens, vocab, losses, cache};
  Tensor logits = model.build(Scope(trace), seq, options.config);
  i64 batch = seq.tokens.dim(0), length = head_rows.empty() ? seq.tokens.dim(1) : 1;
  bool good = !logits.empty() && logits.rank() == 3 && is_float(logits.dtype());
  if (good && logits.shape()[0] == batch && logits.shape()[1] == length) {
    if (vocab >= 0 && logits.shape()[2] != vocab)
      fail(logits.line(), std::string("model ") + model.name + " gives logits of " +
                              shape_text(logits.shape()) + " when Config's vocab is " +
                              std::to_string(vocab) + (head_rows.empty() ? "; end it with lm_head" : ""));
    return logits;
  }
  std::string got = logits.empty() ? "nothing" : dtype_name(logits.dtype()),
              want = shape_text({batch, length});
  if (!logits.empty()) got.append(" ").append(shape_text(logits.shape()));
  want.replace(want.size() - 1, 1, ", vocab)");
  fail(model.line,
       std::string("model ") + model.name + " gives " + got + " when it should give logits " + want +
           (head_rows.empty() ? "" : "; end it with lm_head"),
       {{logits.line(), "result made here"}});
}

void build_program(const ModelInfo &model, const ProgramOptions &options) {
  for (const auto &[name, value] : {std::pair{"micro_batch", options.micro_batch},
                                    {"seq", options.seq},
                                    {"generate_batch", options.generate_batch}})
    if (value <= 0)
      throw ModelError(std::string(name) + " is " + std::to_string(value) + " when it should be 1 or more");
  if (options.train) build_train_step(model, options);
  if (options.evaluate) build_eval_step(model, options);
  if (!options.generate) return;
  i64 context = options.context ? options.context : options.seq;
  for (i64 length : options.prefill)
    if (length > 0 && length <= context)
      build_generate_step(model, options, "prefill_" + std::to_string(length), length);
  build_generate_step(model, options, "decode", 1);
}

} // namespace weft
