#include "runtime/generate/text_sampler.h"
#include "runtime/generate/open_model.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/compile.h"

#include "absl/strings/str_cat.h"

#include <cstring>
#include <map>

namespace weft {

absl::StatusOr<std::unique_ptr<TextSampler>>
TextSampler::Create(const Recipe &recipe, Ranks &ranks, const Tokenizer &tokenizer,
                    const std::function<void(const std::string &)> &say) {
  std::unique_ptr<TextSampler> sampler(new TextSampler(ranks, tokenizer));
  if (ranks.size() > 1 || recipe.run.generate_batch != 1) {
    absl::StatusOr<std::shared_ptr<const LoadedArtifact>> artifact =
        EnsureArtifactForOneRank(recipe.run.dir + "/recipe.toml", recipe.run.dir, say);
    if (!artifact.ok()) return artifact.status();
    RanksOptions options;
    options.artifact = *artifact;
    options.cpu = CpuOptionsFromEnvironment();
    options.cpu.level = ranks.session(0).cpu_level();
    options.threads = static_cast<int>(recipe.run.threads);
    absl::StatusOr<std::unique_ptr<Ranks>> single = Ranks::Create(options);
    if (!single.ok()) return single.status();
    sampler->single_ = *std::move(single);
  }
  Ranks &asked = sampler->single_ ? *sampler->single_ : ranks;
  absl::StatusOr<std::unique_ptr<SessionModel>> model = SessionModel::Create(asked.session(0));
  if (!model.ok()) return model.status();
  sampler->model_ = *std::move(model);
  sampler->options_.max_tokens = recipe.run.sample_tokens;
  sampler->options_.sampling.temperature = recipe.run.sample_temperature;
  sampler->options_.sampling.seed = static_cast<uint64_t>(recipe.train.seed);
  for (const std::string &prompt : recipe.run.sample_prompts) {
    std::vector<int32_t> ids = EncodePrompt(tokenizer, prompt);
    const int64_t context = sampler->model_->context();
    if (ids.empty() || static_cast<int64_t>(ids.size()) > context)
      return absl::InvalidArgumentError(
          absl::StrCat("a prompt of run.sample_prompts has ", ids.size(), " tokens when it should have 1 to ",
                       context, ", the model's context: ", TomlQuoted(prompt.substr(0, 60))));
    sampler->prompts_.push_back(std::move(ids));
  }
  return sampler;
}

// Layer by layer, under the names that checkpoints have: the stages of the run hold parts of the stacks.
absl::Status TextSampler::CopyWeights() {
  std::map<std::string, absl::Span<char>> from;
  for (const VariableView &view : ranks_.CheckpointVariables())
    if (view.variable->kind() == fb::VariableKind::parameter)
      for (CheckpointTensor &tensor : CheckpointTensors(view)) from[tensor.name] = tensor.memory;
  for (const VariableView &view : single_->Variables(0)) {
    if (view.variable->kind() != fb::VariableKind::parameter) continue;
    for (const CheckpointTensor &tensor : CheckpointTensors(view)) {
      auto found = from.find(tensor.name);
      if (found == from.end() || found->second.size() != tensor.memory.size())
        return absl::InternalError(
            absl::StrCat("the ranks hold no ", tensor.name, " of ", tensor.memory.size(), " bytes"));
      memcpy(tensor.memory.data(), found->second.data(), tensor.memory.size());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> TextSampler::Sample() {
  if (single_)
    if (absl::Status status = CopyWeights(); !status.ok()) return status;
  if (absl::Status status = model_->DeriveWeights(); !status.ok()) return status;
  std::vector<std::string> texts;
  for (const std::vector<int32_t> &prompt : prompts_) {
    absl::StatusOr<GenerateResult> result =
        Generate(*model_, tokenizer_, prompt, options_, [](const std::string &) { return true; });
    if (!result.ok()) return result.status();
    texts.push_back(std::move(result->text));
  }
  return texts;
}

} // namespace weft
