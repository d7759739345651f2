#include "frontends/layers/moe.h"

#include "frontends/dsl/gradient.h"
#include "frontends/dsl/record.h"
#include "frontends/dsl/routing.h"

#include <limits>

namespace weft {
namespace {

void check(const Arg &x, const MoeOptions &o) {
  auto wrong = [&](const std::string &what) { fail(x.at, "moe " + what, {{x.line(), "operand made here"}}); };
  auto text = [](i64 v) { return std::to_string(v); };
  if (x.rank() != 3) wrong("of " + shape_text(x.shape()) + ": should be (batch, seq, dim)");
  if (o.experts < 1 || o.ffn < 1 || o.shared < 0)
    wrong("with " + text(o.experts) + " experts of width " + text(o.ffn) + " and " + text(o.shared) +
          " shared ones: should be 1, 1 and 0 or more");
  if (o.groups < 1 || o.experts % o.groups || o.top_groups < 1 || o.top_groups > o.groups)
    wrong("with " + text(o.experts) + " experts in " + text(o.groups) + " groups, of which " +
          text(o.top_groups) + " are kept: the groups should divide the experts, and some be kept");
  if (o.top_k < 1 || o.top_k > o.experts / o.groups * o.top_groups)
    wrong("with the " + text(o.top_k) + " best of " + text(o.experts / o.groups * o.top_groups) +
          " experts: should be 1 or more, and at most those");
  if (o.scoring != "sigmoid" && o.scoring != "softmax")
    wrong("with scoring '" + o.scoring + "': should be sigmoid or softmax");
}

Tensor softmax(Tensor x) {
  Tensor e = exp(x - stop_gradient(max_along(x, {-1}, true)));
  return e / sum(e, {-1}, true);
}

// What is not in a token's best groups, out of reach. choice: (n, experts)
Tensor limit_to_groups(const Tensor &choice, const MoeOptions &o) {
  i64 n = choice.dim(0), size = o.experts / o.groups;
  Tensor grouped = reshape(choice, {n, o.groups, size});
  Tensor group_scores = sum(top_k(grouped, std::min<i64>(2, size)).values, {-1}); // (n, groups)
  Tensor best = top_k(group_scores, o.top_groups).indices;                        // (n, top_groups)
  Shape wide = {n, o.top_groups, o.groups};
  Tensor hits = where(iota(wide, 2, best.dtype()) == reshape(best, {n, o.top_groups, 1}), full(wide, 1), 0.0);
  Tensor kept = sum(hits, {1}) > 0.0; // (n, groups)
  return reshape(where(broadcast_to(reshape(kept, {n, o.groups, 1}), grouped.shape()), grouped,
                       -std::numeric_limits<double>::infinity()),
                 choice.shape());
}

// How many choices fell on each expert, (experts).   indices: (n, k)
Tensor load_of(const Tensor &indices, i64 experts) {
  Shape wide = {indices.dim(0), indices.dim(1), experts};
  Tensor here = iota(wide, 2, indices.dtype()) == reshape(indices, {indices.dim(0), indices.dim(1), 1});
  return sum(where(here, full(wide, 1), 0.0), {0, 1});
}

// gates, through which `bias` gets its expert's load for a gradient: what the step's balancing goes by.
Tensor report_load(const Tensor &gates, const Tensor &bias, const Tensor &load) {
  return custom_gradient(
      {gates, bias, load}, [](const std::vector<Tensor> &x) { return x[0]; },
      [](const std::vector<Tensor> &x, Tensor, Tensor dy) {
        return std::vector<Tensor>{dy, x[2], full(x[2].shape(), 0)};
      });
}

// f_i: how often expert i is among a token's best by score alone, over the mean of all; P_i: the mean of its
// share of the scores. scores: (n, experts)  ->  (batch, 1)
Tensor sequence_balance(const Tensor &scores, i64 batch, const MoeOptions &o) {
  i64 length = scores.dim(0) / batch;
  Tensor best = top_k(stop_gradient(scores), o.top_k).indices; // (n, k)
  Shape wide = {batch, length * o.top_k, o.experts};
  Tensor here = iota(wide, 2, best.dtype()) == reshape(best, {batch, length * o.top_k, 1});
  Tensor often = sum(where(here, full(wide, 1), 0.0), {1}) *
                 (static_cast<double>(o.experts) / static_cast<double>(o.top_k * length));
  Tensor share = reshape(scores / sum(scores, {-1}, true), {batch, length, o.experts});
  return sum(often * mean(share, {1}), {1}, true);
}

} // namespace

MoeResult moe(Scope s, Arg x, const MoeOptions &o) {
  LayerGuard guard(s, x.at);
  check(x, o);
  i64 dim = x.dim(2), n = x.dim(0) * x.dim(1);
  Tensor rows = reshape(x, {n, dim});

  Tensor router = parameter(s / "gate", "weight", {o.experts, dim}, o.init, true);
  Tensor logits = matmul(rows, router, {.transpose_rhs = true, .full_precision = true});
  Tensor scores = o.scoring == "sigmoid" ? sigmoid(logits) : softmax(logits);
  Tensor choice = stop_gradient(scores), bias;
  if (o.bias_rate > 0) {
    bias = balance_bias(s / "gate", "e_score_correction_bias", {o.experts}, o.bias_rate);
    choice = choice + stop_gradient(bias);
  }
  if (o.groups > 1) choice = limit_to_groups(choice, o);
  Tensor chosen = top_k(choice, o.top_k).indices; // (n, top_k)
  Tensor gates = take_along(scores, chosen);
  if (o.normalise) gates = gates / (sum(gates, {-1}, true) + 1e-20);
  gates = gates * o.scale;
  if (o.bias_rate > 0) gates = report_load(gates, bias, load_of(chosen, o.experts));

  ExpertOrder order = sort_by_expert(chosen, o.experts);
  Scope e = (s / "experts").each();
  Tensor gate_proj = parameter(e / "gate_proj", "weight", {o.experts, o.ffn, dim}, o.init, true);
  Tensor up_proj = parameter(e / "up_proj", "weight", {o.experts, o.ffn, dim}, o.init, true);
  Tensor down_proj = parameter(e / "down_proj", "weight", {o.experts, dim, o.ffn}, o.output_init, true);
  Tensor in = dispatch(rows, order); // (n top_k, dim), sorted by expert
  Tensor inside = silu(grouped_linear(in, gate_proj, order)) * grouped_linear(in, up_proj, order);
  // The gate before the last product: it is linear.
  inside = inside * reshape(dispatch_choices(gates, order), {n * o.top_k, 1});
  Tensor y = reshape(collect(grouped_linear(inside, down_proj, order), order), x.shape());
  if (o.shared)
    y = y + swiglu(s / "shared_experts", x, o.shared * o.ffn, {.init = o.init, .output_init = o.output_init});
  return {y, sequence_balance(scores, x.dim(0), o)};
}

} // namespace weft
