// Shared by the entries: their inputs, and the call of the model.
#pragma once
#include "frontends/programs/program.h"

namespace weft {

struct InputSpec {
  std::string name;
  DType dtype = DType::i32;
  Shape shape;
  i64 limit = -1; // integers lie in [0, limit); -1: any
};

// Declares an input of the entry being built. micro: one a micro-batch; the shape is that of one.
Tensor declare_input(const InputSpec &spec, bool micro = false, Caller at = {});
void declare_output(const std::string &name, Arg value);

// The config's integer `field`, with the model's default; -1 when the model has no such field.
i64 config_integer(const ModelInfo &model, const ConfigMap &config, const std::string &field);

// tokens, positions, documents, targets of whole sequences, for training and evaluation.
std::vector<InputSpec> sequence_inputs(const ModelInfo &model, const ProgramOptions &options);

// The model's logits: (batch, seq, vocab), or (batch, 1, vocab) with head_rows; checked. In training,
// `losses` gets what it adds; in generation `cache` says what its caches hold.
Tensor call_model(const ModelInfo &model, const ProgramOptions &options, const Sequence &seq,
                  Tensor head_rows = {}, std::vector<AddedLoss> *losses = nullptr,
                  CacheForm *cache = nullptr);

} // namespace weft
