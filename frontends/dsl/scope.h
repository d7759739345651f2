// Module paths, the parameters that live under them, and the guard that a layer opens.
#pragma once
#include "frontends/dsl/contract.h"

namespace weft {

// How a parameter starts. normal: standard deviation; uniform: half width; constant: the value.
struct Init {
  InitKind kind = InitKind::zeros;
  double scale = 0;
};
inline Init normal(double deviation) { return {InitKind::normal, deviation}; }
inline Init uniform(double half_width) { return {InitKind::uniform, half_width}; }
inline Init constant_init(double value) { return {InitKind::constant, value}; }

// A loss that a model adds to the one of its logits: losses/added_loss.h.
struct AddedLoss {
  std::string name;
  Tensor values; // (batch, …) f32, nats
  double weight;
};

// What the caches of the entries that generate hold.
struct CacheForm {
  bool absorbed = false;    // latent attention caches latents, which all heads share (layers/mla.h)
  bool has_latents = false; // set by a layer that does so
};

// What a program asks of a model while it is traced; carried by the scopes.
struct Trace {
  // The name of a variable in a Hugging Face folder, from its path with {} for a layer's number; null:
  // default_file_name.
  std::string (*file_name)(const std::string &) = nullptr;
  // (batch) i32: the head computes only this row of each sequence, and gives (batch, 1, vocab). Empty: all
  // rows.
  Tensor head_rows;
  // The sequence's tokens, which lie in [0, vocab): their embedding needs a row for each. -1: not known.
  Tensor tokens;
  i64 vocab = -1;
  // Where added losses go; null but in training.
  std::vector<AddedLoss> *losses = nullptr;
  // Of the entries that generate; null in training and evaluation.
  CacheForm *cache = nullptr;
};

// Hugging Face's naming of decoders: everything is under "model." but the head:
// "model.layers.{}.mlp.up_proj.weight", "lm_head.weight".
std::string default_file_name(const std::string &path);

// [begin, end) of a repeat's iterations, which are layers.
struct Range {
  i64 begin = 0, end = 0;
};

// A path in which every layer has the same name, whichever range it is in: "layers[3:61].norm.weight" is
// "layers.norm.weight".
std::string path_without_range(const std::string &path);

// A module path: s / "mlp" / "up_proj" is "mlp.up_proj". Parameters take their path from it.
class Scope {
public:
  Scope() = default;
  explicit Scope(const Trace &trace) : trace_(&trace) {}

  Scope operator/(std::string_view name) const;
  // The scope inside a repeat of this one's layers: "layers" in the path, "layers.{}" in the file. Ranges
  // that do not begin at 0 are said in the path, so that two repeats under one name do not share parameters:
  // "layers[3:61]".
  Scope repeated(Range range) const;

  // The scope of parameters whose first dimension the file has as tensors of their own, numbered: "experts"
  // in the path, "experts.{}" in the file.
  Scope each() const;

  const std::string &path() const { return path_; }
  std::string path(std::string_view name) const; // of a variable under this scope
  std::string file_name(std::string_view name) const;
  const Trace *trace() const { return trace_; }

private:
  std::string path_, file_;
  const Trace *trace_ = nullptr;
};

// Names the module of what is recorded while it lives, in remarks and profiles.
class PathGuard {
public:
  explicit PathGuard(const Scope &s);
  ~PathGuard();
  PathGuard(const PathGuard &) = delete;
  PathGuard &operator=(const PathGuard &) = delete;

private:
  std::string path_;
  const std::string *previous_;
};

// Opened by a layer of a library: blames its caller's line and names its module.
class LayerGuard {
public:
  LayerGuard(const Scope &s, const SourceLine &caller) : line_(caller), path_(s) {}

private:
  LineGuard line_;
  PathGuard path_;
};

// The parameter `name` under s, of one layer inside a repeat. `decay`: weight decay applies. Asking for a
// path again gives the same parameter.
Tensor parameter(const Scope &s, std::string_view name, const Shape &shape, Init init, bool decay,
                 Caller at = {});
// One that starts at zero and balances: its gradient is no slope but a load, against whose difference from
// the mean over the last dimension a step moves it by `rate` (optimisers/balance.h).
Tensor balance_bias(const Scope &s, std::string_view name, const Shape &shape, double rate, Caller at = {});

} // namespace weft
