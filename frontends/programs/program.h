// The entries of a program, built from one model: train_step, eval_step, prefill_N and decode. The compiler
// calls build_program with its builder installed; the graphs of all entries share the model's variables. docs
// of each entry's inputs and outputs are with its function.
#pragma once
#include "frontends/dsl/model_info.h"

namespace weft {

// Fixed at compile time; the learning rate is an input.
struct OptimizerOptions {
  std::string name = "adamw"; // or "sgd"
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double momentum = 0.9;      // sgd's
  double weight_decay = 0.1;  // of parameters with `decay`: matrices and embeddings, not norms and biases
  double clip = 1.0;          // largest global gradient norm; 0: no clipping
  DType moments = DType::f32; // or bf16: what adamw's means and sgd's momentum are kept in
};

struct ProgramOptions {
  ConfigMap config; // of the model

  bool train = true, evaluate = true, generate = true; // which entries
  i64 micro_batch = 1; // sequences of train_step's micro-batch, and of eval_step
  i64 seq = 256;       // tokens of a training sequence
  OptimizerOptions optimizer;

  i64 generate_batch = 1; // sequences generated together
  i64 context = 0;        // rows of the key-value cache; 0: seq
  bool absorbed = false;  // latent attention generates from cached latents: other last bits than evaluation's
  std::vector<i64> prefill = {
      16, 64, 256}; // prompt lengths that have an entry; those beyond the context are left out
};

// Builds every entry that the options ask for, into builder(). Throws ModelError: what the model or the
// options have wrong.
void build_program(const ModelInfo &model, const ProgramOptions &options);

// train_step: a loop over micro-batches, then clipping and the optimiser.
//   inputs a micro-batch   tokens, positions, documents, targets (micro_batch, seq) i32; a target of -1 is
//   none inputs, f32 scalars    lr; step (from 1); inverse_targets = 1 / number of valid targets of the
//   global batch;
//                          loss_limit, grad_norm_limit: a step beyond one of them, or with a NaN, leaves
//                          every variable as it was
//   outputs, f32 scalars   loss (nats a target of the global batch), grad_norm (before clipping); and a loss
//   each that the
//                          model has added (losses/added_loss.h), without its weight
//   outputs, f32           expert_load.PATH, expert_bias.PATH (…, experts) of each balance_bias
void build_train_step(const ModelInfo &model, const ProgramOptions &options);

// eval_step: inputs tokens, positions, documents, targets (micro_batch, seq) i32;
//   outputs loss_sum and num_targets (f32 scalars), logprobs (micro_batch, seq) f32, 0 where there is no
//   target
void build_eval_step(const ModelInfo &model, const ProgramOptions &options);

// prefill_N, decode (N = 1): N tokens of each sequence through the cache.
//   inputs   tokens, positions (generate_batch, N) i32; prefill also last (generate_batch) i32, the index of
//   the prompt's last token: what is behind it
//            repeats that token and its position
//   outputs  logits (generate_batch, vocab) f32 of that token's successor, and lse (generate_batch) f32,
//   their log-sum-exp
void build_generate_step(const ModelInfo &model, const ProgramOptions &options, const std::string &entry,
                         i64 length);

} // namespace weft
