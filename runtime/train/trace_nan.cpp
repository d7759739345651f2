#include "runtime/train/trace_nan.h"
#include "runtime/artifact/dtype.h"
#include "runtime/data/file_io.h"
#include "runtime/train/compile.h"
#include "runtime/train/non_finite.h"
#include "runtime/train/safetensors.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include <cmath>
#include <filesystem>

namespace weft {
namespace {

namespace fs = std::filesystem;

std::string LineText(const fb::Artifact &artifact, int32_t number) {
  if (number < 0 || !artifact.lines()) return "";
  const fb::Line &line = *artifact.lines()->Get(number);
  std::string file = line.file() ? line.file()->str() : "",
              path = line.module_path() ? line.module_path()->str() : "";
  return absl::StrCat(file.substr(file.rfind('/') + 1), ":", line.line(),
                      path.empty() ? "" : absl::StrCat(" (", path, ")"));
}

std::string IndexText(const FloatScan &scan) {
  if (scan.at.empty()) return absl::StrCat("element ", scan.first);
  return absl::StrCat(
      "[",
      absl::StrJoin(scan.at, ", ", [](std::string *out, const auto &at) { absl::StrAppend(out, at.second); }),
      "]");
}

std::string RangeText(const FloatScan &scan) {
  if (!scan.finite())
    return absl::StrCat(scan.nans, " NaN and ", scan.infinities, " infinite of ", scan.elements, " elements");
  if (scan.elements == 1) return absl::StrFormat("%.6g", scan.most);
  return absl::StrFormat("%d elements from %.6g to %.6g", scan.elements, scan.least, scan.most);
}

std::string LaunchText(Session &session, const NonFiniteLaunch &l) {
  std::string where = LineText(session.artifact(), l.launch->line());
  std::string text =
      absl::StrCat("kernel ", l.kernel->name()->str(), where.empty() ? "" : absl::StrCat(" at ", where),
                   ", in ", session.entry(l.entry).name()->str());
  if (!l.loops.empty())
    absl::StrAppend(&text, ", iteration ", absl::StrJoin(l.loops, ", "), " of the loops around it");
  absl::StrAppend(&text, "\n  buffer ", l.buffer, " (", l.buffer_names[l.buffer], ") at ",
                  IndexText(l.result), " is ", l.result.value, "; ", l.result.nans, " NaN and ",
                  l.result.infinities, " infinite of ", l.result.elements, " elements");
  for (size_t i = 0; i < l.inputs.size(); ++i) {
    if (l.inputs[i].elements == 0) continue;
    absl::StrAppend(&text, "\n  input ", i, " (", l.buffer_names[i], "): ", RangeText(l.inputs[i]));
    if (l.inputs_there[i].elements > 0 && l.inputs_there[i].elements < l.inputs[i].elements)
      absl::StrAppend(&text, "; there: ", RangeText(l.inputs_there[i]));
  }
  return text;
}

// What is not finite before the step has begun.
std::string AlreadyThere(Ranks &ranks) {
  for (int rank = 0; rank < ranks.size(); ++rank)
    for (const VariableView &view : ranks.Variables(rank)) {
      const fb::Variable &v = *view.variable;
      if (!IsFloat(v.dtype()) || v.kind() == fb::VariableKind::derived) continue;
      const int64_t size = ByteSize(v.dtype());
      for (int64_t i = 0; i < static_cast<int64_t>(v.bytes()) / size; ++i)
        if (double value = FloatAt(v.dtype(), view.memory.data() + i * size); !std::isfinite(value))
          return absl::StrCat(
              v.kind() == fb::VariableKind::parameter ? "parameter " : "variable ", v.name()->str(), " is ",
              value, " at element ", i,
              " before the step has begun: what the run started from, or the update of a step before");
    }
  return "";
}

// Writes what the launch read and lets weftc follow the kernel's ops. What it said, or why it could not.
std::string FollowOps(Session &session, const NonFiniteLaunch &l, const std::vector<std::string> &inputs,
                      const std::string &artifact_path, const std::string &folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::StrCat("cannot make ", folder, ": ", error.message());
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].empty())
      tensors.push_back(
          {absl::StrCat("buffer.", i), fb::DType::boolean, {static_cast<int64_t>(inputs[i].size())}});
  std::map<std::string, std::string> facts = {
      {"kernel", l.kernel->name()->str()},
      {"buffer", absl::StrCat(l.buffer)},
      {"sizes", absl::StrJoin(l.launch->sizes()->begin(), l.launch->sizes()->end(), " ")},
      {"index", absl::StrJoin(l.result.at, " ", [](std::string *out, const auto &at) {
         absl::StrAppend(out, at.first, ":", at.second);
       })}};
  std::string path = absl::StrCat(folder, "/inputs.safetensors"), answer = absl::StrCat(folder, "/ops.txt");
  absl::StatusOr<SafetensorsWriter> writer = SafetensorsWriter::Create(path, tensors, facts);
  absl::Status status = writer.status();
  for (const std::string &input : inputs)
    if (status.ok() && !input.empty()) status = writer->Append(input);
  if (status.ok()) status = writer->Finish();
  if (!status.ok()) {
    fs::remove(path, error);
    return std::string(status.message());
  }
  absl::StatusOr<int> exit =
      RunCompiler({"follow-ops", artifact_path, path, "-o", answer}, /*output_to_stderr=*/true);
  if (!exit.ok()) return std::string(exit.status().message());
  if (*exit != 0) return "weftc could not follow the kernel's ops";
  absl::StatusOr<std::string> said = ReadFile(answer, 1 << 20);
  return said.ok() ? *said : std::string(said.status().message());
}

} // namespace

absl::StatusOr<TracedNonFinite> TraceNonFinite(Ranks &ranks, const std::function<absl::Status()> &step,
                                               const std::string &folder) {
  TracedNonFinite out;
  if (out.text = AlreadyThere(ranks); !out.text.empty()) return out;
  const fb::Artifact &artifact = ranks.artifact();
  if (artifact.kernels()->size() > 0 && !artifact.kernels()->Get(0)->buffers()) {
    out.text = "the artifact does not say which buffers its kernels write\nhint: compile the model again "
               "with the weftc beside this weft";
    return out;
  }
  std::vector<std::unique_ptr<LaunchObserver>> observers;
  auto again = [&] {
    for (int rank = 0; rank < ranks.size(); ++rank) ranks.session(rank).set_observer(observers[rank].get());
    absl::Status status = step();
    for (int rank = 0; rank < ranks.size(); ++rank) ranks.session(rank).set_observer(nullptr);
    return status;
  };
  for (int rank = 0; rank < ranks.size(); ++rank)
    observers.push_back(std::make_unique<NonFiniteFinder>(ranks.session(rank)));
  if (absl::Status status = again(); !status.ok()) return status;
  // An infinity made of finite numbers is the cause of the NaN behind it.
  int rank = -1;
  std::optional<NonFiniteLaunch> found, later;
  for (int r = 0; r < ranks.size(); ++r) {
    const auto &finder = static_cast<const NonFiniteFinder &>(*observers[r]);
    const std::optional<NonFiniteLaunch> &first = finder.infinity() ? finder.infinity() : finder.nan();
    if (!first || (found && found->ordinal <= first->ordinal)) continue;
    found = first;
    later = finder.infinity() && finder.nan() ? finder.nan() : std::nullopt;
    rank = r;
  }
  if (!found) {
    out.text = "made again, no launch gave a NaN or an infinity of finite numbers: it came about in a sum "
               "over ranks, or the loss's own inputs have it";
    return out;
  }
  Session &session = ranks.session(rank);
  out.text = absl::StrCat("the first to make it", ranks.size() > 1 ? absl::StrCat(", on rank ", rank) : "",
                          ": ", LaunchText(session, *found));
  if (later)
    absl::StrAppend(&out.text, "\nthe first NaN after that: kernel ", later->kernel->name()->str(), " at ",
                    LineText(artifact, later->launch->line()));
  observers.clear();
  for (int r = 0; r < ranks.size(); ++r)
    observers.push_back(std::make_unique<InputKeeper>(r == rank ? found->ordinal : -2));
  if (absl::Status status = again(); !status.ok()) return status;
  const auto &inputs = static_cast<const InputKeeper &>(*observers[rank]).inputs();
  out.folder = folder;
  std::string ops = FollowOps(session, *found, inputs, ranks.artifact_path(), folder);
  while (!ops.empty() && ops.back() == '\n') ops.pop_back();
  absl::StrAppend(&out.text, "\n", ops);
  return out;
}

} // namespace weft
