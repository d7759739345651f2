// What a person reads of a run: sample texts and report.html. Neither can end it.
#include "runtime/train/run.h"

#include "absl/strings/str_format.h"

namespace weft {

absl::Status Run::PrepareSamples() {
  if (recipe_.run.sample_prompts.empty() || !options_.make_sampler) return absl::OkStatus();
  absl::StatusOr<SampleTexts> sample = options_.make_sampler(recipe_, *ranks_, data_->tokenizer,
                                                             [this](const std::string &text) { Say(text); });
  if (!sample.ok()) return sample.status();
  sample_ = *std::move(sample);
  return absl::OkStatus();
}

void Run::Samples(int64_t step) {
  absl::StatusOr<std::vector<std::string>> texts = sample_();
  if (!texts.ok()) {
    Say(absl::StrCat("warning: no samples at step ", step, ": ", std::string(texts.status().message())));
    return;
  }
  for (size_t i = 0; i < texts->size(); ++i)
    recorder_->AddSample(step, recipe_.run.sample_prompts[i], (*texts)[i]);
}

void Run::Report(const std::string &state, const std::string &message) {
  PageFacts facts;
  facts.state = state;
  facts.message = message;
  facts.step = done_;
  facts.steps = recipe_.train.steps;
  double parameters = 0;
  for (const VariableView &view : ranks_->CheckpointVariables())
    if (view.variable->kind() == fb::VariableKind::parameter)
      parameters += static_cast<double>(view.memory.size()) / 4; // f32
  facts.facts = {{"parameters", CountText(parameters)},
                 {"rows × tokens a step", absl::StrCat(recipe_.train.batch, " × ", recipe_.train.seq)}};
  facts.recipe = RecipeText(recipe_);
  absl::Status status = page_->Write(facts);
  if (page_failing_ == !status.ok()) return;
  page_failing_ = !status.ok();
  if (page_failing_)
    Say(absl::StrCat("warning: ", std::string(status.message()), " (report.html is not up to date)"));
}

} // namespace weft
