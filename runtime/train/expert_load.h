// What train_step says of its mixtures of experts: how many choices fell on each expert, and the biases that
// balance them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace weft {

class EntryCall;

struct ExpertLoad {
  // A row a layer with experts, in the model's order.
  std::vector<std::vector<float>> choices; // of the global batch, by expert
  std::vector<std::vector<float>> biases;  // as the step used them

  bool empty() const { return choices.empty(); }
  void Append(const ExpertLoad &later);
};

// The outputs "expert_load.…" and "expert_bias.…" of an entry, (layers, experts) or (experts) of f32.
class ExpertLoadOutputs {
public:
  // Binds them; nothing where the entry has none.
  void Bind(EntryCall &call);
  // Of the last run.
  ExpertLoad Read() const;

private:
  struct Output {
    bool is_bias;
    int64_t experts;
    std::vector<float> values;
  };
  std::deque<Output> outputs_; // stays where it is
};

// What one number says of it, by name; none where there are no experts.
//   expert_load_max   the largest of the experts' choices over the mean of their layer
//   routing_entropy   nats of the layers' shares of choices, their mean: ln(experts) where all are equal
//   dropped           choices that fell on no expert, as far as the counts say: 0, since none has a limit
std::vector<std::pair<std::string, double>> ExpertLoadNumbers(const ExpertLoad &load, int64_t tokens);

// As keys of a line of metrics.jsonl, each with a comma before it:
//   expert_load       a list a layer: each expert's choices over their mean
//                     and those of ExpertLoadNumbers
//   expert_bias       a list a layer
std::string ExpertLoadJson(const ExpertLoad &load, int64_t tokens);

} // namespace weft
