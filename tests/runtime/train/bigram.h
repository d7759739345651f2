// An artifact of a bigram model, with every entry that training and generation use.
#pragma once
#include "tests/runtime/artifact/builder.h"

#include <fstream>
#include <iterator>

namespace weft::testing {

struct BigramOptions {
  int64_t vocab = 300, micro_batch = 2, seq = 16, context = 32;
  int data_parallel = 1;
  double init_scale = 0.02;
  std::string dot_unit = "f32-chain";
  bool derived = false; // generating reads a copy of the weights, which an entry "derive" makes
};

inline void AddOption(fb::ArtifactT &artifact, std::string key, std::string value) {
  auto option = std::make_unique<fb::OptionT>();
  option->key = std::move(key);
  option->value = std::move(value);
  artifact.options.push_back(std::move(option));
}

// `kernels`: path of the shared object made from bigram_kernels.c.
inline fb::ArtifactT Bigram(const BigramOptions &o, const std::string &kernels) {
  using fb::ArgumentKind, fb::DType;
  enum { kAccumulate, kUpdate, kNorm, kEvaluate, kPredict };
  fb::ArtifactT artifact;
  artifact.model = "bigram";
  artifact.config_json = "{\"model_type\": \"bigram\"}";
  AddOption(artifact, "micro_batch", std::to_string(o.micro_batch));
  AddOption(artifact, "seq", std::to_string(o.seq));
  AddOption(artifact, "context", std::to_string(o.context));
  AddOption(artifact, "data_parallel", std::to_string(o.data_parallel));
  AddOption(artifact, "dot_unit", o.dot_unit);
  AddKernel(artifact, "accumulate", 6, 2);
  AddKernel(artifact, "update", 8, 0);
  AddKernel(artifact, "norm", 2, 1);
  AddKernel(artifact, "evaluate", 5, 2);
  AddKernel(artifact, "predict", 5, 1);
  std::ifstream file(kernels, std::ios::binary);
  AddObject(artifact, "avx2", {std::istreambuf_iterator<char>(file), {}});

  // Persistent: w, momentum, a zero. Arena: gradient, loss.
  const int64_t w = o.vocab * o.vocab * 4, rows = o.micro_batch * o.seq, bytes = rows * 4;
  auto weights = [&] { return Persistent(0, w); };
  auto gradient = [&] { return InArena(0, w); };
  auto loss = [&] { return InArena(w, 4); };
  auto sequence = [&](int64_t n, int64_t seq, bool dynamic) {
    return List(Argument("tokens", ArgumentKind::input, DType::i32, {n, seq}, dynamic, o.vocab),
                Argument("positions", ArgumentKind::input, DType::i32, {n, seq}, dynamic, o.context),
                Argument("documents", ArgumentKind::input, DType::i32, {n, seq}, dynamic),
                Argument("targets", ArgumentKind::input, DType::i32, {n, seq}, dynamic));
  };
  auto scalar = [](const char *name, ArgumentKind kind, DType dtype = DType::f32) {
    return Argument(name, kind, dtype, {});
  };

  std::vector<std::unique_ptr<fb::EntryT>> entries;
  auto arguments = sequence(o.micro_batch, o.seq, true);
  for (const char *name : {"lr", "step", "inverse_targets"})
    arguments.push_back(scalar(name, ArgumentKind::input));
  arguments.push_back(scalar("micro_batches", ArgumentKind::input, DType::i64));
  arguments.push_back(scalar("loss", ArgumentKind::output));
  arguments.push_back(scalar("grad_norm", ArgumentKind::output));
  for (const char *name : {"loss_limit", "grad_norm_limit"})
    arguments.push_back(scalar(name, ArgumentKind::input));
  auto body =
      List(Zero(InArena(0, w + 4)),
           RunTimeLoop(7, List(Launch(kAccumulate,
                                      List(Arg(0, 0, bytes, {{0, bytes}}), Arg(3, 0, bytes, {{0, bytes}}),
                                           Arg(6, 0, 4), weights(), gradient(), loss()),
                                      {rows, o.vocab}, 1))),
           AllReduce(InArena(0, w + 4), DType::f32, w / 4 + 1, 0),
           Launch(kNorm, List(gradient(), Arg(9, 0, 4)), {w / 4}, 1),
           Launch(kUpdate,
                  List(weights(), Persistent(w, w), gradient(), Arg(4, 0, 4), loss(), Arg(10, 0, 4),
                       Arg(9, 0, 4), Arg(11, 0, 4)),
                  {}, w / 4, 16),
           Copy(loss(), Arg(8, 0, 4)));
  entries.push_back(Entry("train_step", w + 4, std::move(arguments), std::move(body)));

  arguments = sequence(o.micro_batch, o.seq, false);
  arguments.push_back(scalar("loss_sum", ArgumentKind::output));
  arguments.push_back(Argument("logprobs", ArgumentKind::output, DType::f32, {o.micro_batch, o.seq}));
  entries.push_back(
      Entry("eval_step", 0, std::move(arguments),
            List(Launch(kEvaluate,
                        List(Arg(0, 0, bytes), Arg(3, 0, bytes), weights(), Arg(5, 0, bytes), Arg(4, 0, 4)),
                        {rows, o.vocab}, 1))));

  const int64_t copied = (2 * w + 4 + 63) / 64 * 64;
  if (o.derived) entries.push_back(Entry("derive", 0, {}, List(Copy(weights(), Persistent(copied, w)))));
  for (int64_t n : {1, 4, 16}) {
    arguments = List(Argument("tokens", ArgumentKind::input, DType::i32, {1, n}, false, o.vocab),
                     Argument("positions", ArgumentKind::input, DType::i32, {1, n}, false, o.context),
                     Argument("logits", ArgumentKind::output, DType::f32, {1, o.vocab}),
                     Argument("lse", ArgumentKind::output, DType::f32, {1}));
    if (n > 1) arguments.push_back(Argument("last", ArgumentKind::input, DType::i32, {1}, false, n));
    auto last = n > 1 ? Arg(4, 0, 4) : Persistent(2 * w, 4);
    entries.push_back(Entry(
        n == 1 ? "decode" : "prefill_" + std::to_string(n), 0, std::move(arguments),
        List(Launch(kPredict,
                    List(Arg(0, 0, n * 4), std::move(last), o.derived ? Persistent(copied, w) : weights(),
                         Arg(2, 0, o.vocab * 4), Arg(3, 0, 4)),
                    {o.vocab}, 1))));
  }

  auto variables =
      List(Variable("bigram.weight", {o.vocab, o.vocab}, 0, fb::InitKind::normal, o.init_scale),
           Variable("sgd.momentum.bigram.weight", {o.vocab, o.vocab}, w), Variable("zero", {1}, 2 * w));
  variables[0]->file_name = "model.bigram.weight";
  variables[1]->kind = fb::VariableKind::optimizer;
  variables[2]->kind = fb::VariableKind::cache;
  if (o.derived) {
    variables.push_back(Variable("bigram.weight.derived", {o.vocab, o.vocab}, copied));
    variables[3]->kind = fb::VariableKind::derived;
  }
  artifact.stages.push_back(
      Stage(o.derived ? copied + w : 2 * w + 4, std::move(variables), std::move(entries)));
  return artifact;
}

} // namespace weft::testing
