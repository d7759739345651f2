#include "runtime/train/ranks.h"

#include "absl/strings/str_cat.h"

#include <algorithm>

namespace weft {

absl::StatusOr<std::unique_ptr<Ranks>> Ranks::Create(const RanksOptions &options) {
  std::unique_ptr<Ranks> ranks(new Ranks(options));
  int size = options.data_parallel * options.pipeline;
  ranks->threads_ = options.threads > 0 ? options.threads : std::max(1, ThreadPool::HardwareThreads() / size);
  absl::StatusOr<std::shared_ptr<const KernelLibrary>> kernels =
      KernelLibrary::Load(*options.artifact, options.cpu);
  if (!kernels.ok()) return kernels.status();
  if (size > 1) {
    absl::StatusOr<std::unique_ptr<LocalMesh>> mesh =
        LocalMesh::Create(options.data_parallel, options.pipeline);
    if (!mesh.ok()) return mesh.status();
    ranks->mesh_ = *std::move(mesh);
  }
  for (int rank = 0; rank < size; ++rank) {
    SessionOptions session;
    session.artifact = options.artifact;
    session.kernels = *kernels;
    session.communicator = ranks->mesh_ ? &ranks->mesh_->communicator(rank) : nullptr;
    session.threads = ranks->threads_;
    absl::StatusOr<std::unique_ptr<Session>> created = Session::Create(std::move(session));
    if (!created.ok()) return created.status();
    ranks->sessions_.push_back(*std::move(created));
  }
  for (int rank = 1; rank < size; ++rank)
    ranks->workers_.emplace_back([r = ranks.get(), rank] { r->Work(rank); });
  return ranks;
}

Ranks::~Ranks() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread &worker : workers_) worker.join();
}

// A rank that fails lets the others know: they may be waiting for it within a collective.
absl::Status Ranks::Call(const std::function<absl::Status(int)> &f, int rank) {
  absl::Status status = f(rank);
  if (!status.ok() && mesh_) mesh_->communicator(rank).Abort(status);
  return status;
}

void Ranks::Work(int rank) {
  int64_t seen = 0;
  for (;;) {
    const std::function<absl::Status(int)> *job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
      job = job_;
    }
    absl::Status status = Call(*job, rank);
    std::lock_guard lock(mutex_);
    if (first_error_.ok()) first_error_ = status;
    if (--pending_ == 0) changed_.notify_all();
  }
}

absl::Status Ranks::ForEach(const std::function<absl::Status(int)> &f) {
  if (size() == 1) return f(0);
  {
    std::lock_guard lock(mutex_);
    job_ = &f;
    pending_ = size();
    first_error_ = absl::OkStatus();
    ++generation_;
  }
  changed_.notify_all();
  absl::Status status = Call(f, 0);
  std::unique_lock lock(mutex_);
  if (first_error_.ok()) first_error_ = status;
  --pending_;
  changed_.wait(lock, [&] { return pending_ == 0; });
  return first_error_;
}

std::vector<VariableView> Ranks::Variables(int rank) {
  std::vector<VariableView> views;
  Session &session = *sessions_[rank];
  if (const auto *variables = session.stage().variables())
    for (const fb::Variable *variable : *variables) views.push_back({variable, session.memory(*variable)});
  return views;
}

std::vector<VariableView> Ranks::CheckpointVariables() {
  std::vector<VariableView> views;
  for (int rank = 0; rank < pipeline(); ++rank)
    for (VariableView &view : Variables(rank)) views.push_back(view);
  return views;
}

std::string ArtifactOption(const fb::Artifact &artifact, absl::string_view key) {
  if (const auto *options = artifact.options())
    for (const fb::Option *option : *options)
      if (option->key() && option->value() &&
          absl::string_view(option->key()->c_str(), option->key()->size()) == key)
        return option->value()->str();
  return "";
}

absl::StatusOr<EntryCall> EntryCall::Make(Session &session, absl::string_view entry) {
  absl::StatusOr<int> index = session.FindEntry(entry);
  if (!index.ok()) return index.status();
  EntryCall call(&session, *index);
  const auto *arguments = session.entry(*index).arguments();
  call.bindings_.resize(arguments ? arguments->size() : 0);
  call.bound_.resize(call.bindings_.size());
  return call;
}

const fb::Argument *EntryCall::Find(absl::string_view name) const {
  absl::StatusOr<int> index = session_->FindArgument(entry_, name);
  return index.ok() ? session_->entry(entry_).arguments()->Get(*index) : nullptr;
}

std::vector<const fb::Argument *> EntryCall::Outputs() const {
  std::vector<const fb::Argument *> outputs;
  if (const auto *arguments = session_->entry(entry_).arguments())
    for (const fb::Argument *argument : *arguments)
      if (argument->kind() == fb::ArgumentKind::output) outputs.push_back(argument);
  return outputs;
}

bool EntryCall::Bind(absl::string_view name, const void *data, int64_t bytes) {
  absl::StatusOr<int> index = session_->FindArgument(entry_, name);
  if (!index.ok()) return false;
  bindings_[*index] = Binding(data, bytes);
  bound_[*index] = true;
  return true;
}

absl::Status EntryCall::Run() {
  for (size_t i = 0; i < bound_.size(); ++i)
    if (!bound_[i])
      return absl::FailedPreconditionError(absl::StrCat(
          "entry '", session_->entry(entry_).name()->str(), "' has an argument '",
          session_->entry(entry_).arguments()->Get(i)->name()->str(), "' that this weft does not know\n",
          "hint: weft and weftc are of different versions; compile the model again with the weftc beside "
          "this weft"));
  return session_->Run(entry_, bindings_);
}

} // namespace weft
