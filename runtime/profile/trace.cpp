#include "runtime/profile/trace.h"
#include "runtime/data/file_io.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace weft {
namespace {

using nlohmann::json;

std::string Quoted(const std::string &text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

class Writer {
public:
  Writer(AtomicFile file, int64_t zero_ns) : file_(std::move(file)), zero_ns_(zero_ns) {}

  void Name(const char *what, int pid, int tid, const std::string &name) {
    Add(absl::StrFormat(R"({"ph":"M","name":"%s","pid":%d,"tid":%d,"args":{"name":%s}})", what, pid, tid,
                        Quoted(name)));
    Add(absl::StrFormat(R"({"ph":"M","name":"%s","pid":%d,"tid":%d,"args":{"sort_index":%d}})",
                        std::string(what) == "process_name" ? "process_sort_index" : "thread_sort_index", pid,
                        tid, std::string(what) == "process_name" ? pid : tid));
  }
  // A slice of a track; `rest` is what follows the times: names, category, arguments.
  void Slice(int pid, int tid, int64_t start_ns, int64_t end_ns, const std::string &rest) {
    if (end_ns <= start_ns) return;
    Add(absl::StrFormat(R"({"ph":"X","pid":%d,"tid":%d,"ts":%s,"dur":%s,%s})", pid, tid,
                        Us(start_ns - zero_ns_), Us(end_ns - start_ns), rest));
  }
  void Counter(int pid, int64_t ns, const char *name, int64_t value) {
    Add(absl::StrFormat(R"({"ph":"C","pid":%d,"ts":%s,"name":"%s","args":{"bytes":%d}})", pid, Us(ns), name,
                        value));
  }
  absl::Status Finish() {
    Flush("\n]}\n");
    return status_.ok() ? file_.Commit() : status_;
  }
  void Begin() { buffer_ = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"; }

private:
  static std::string Us(int64_t ns) { return absl::StrFormat("%d.%03d", ns / 1000, ns % 1000); }
  void Add(const std::string &event) {
    absl::StrAppend(&buffer_, first_ ? "" : ",\n", event);
    first_ = false;
    if (buffer_.size() > 1 << 20) Flush("");
  }
  void Flush(const char *end) {
    buffer_ += end;
    if (status_.ok()) status_ = file_.Append(buffer_.data(), buffer_.size());
    buffer_.clear();
  }
  AtomicFile file_;
  int64_t zero_ns_;
  std::string buffer_;
  bool first_ = true;
  absl::Status status_;
};

// What all slices of one step of a program say: name, category, and the arguments but for the iterations.
std::string Describe(const Recorder &recorder, int32_t step) {
  const Program &program = recorder.program();
  const fb::Artifact &artifact = recorder.session().artifact();
  const fb::Instruction &source = *program.sources[step];
  const fb::Launch *launch = source.op_as_Launch();
  if (!launch) {
    std::string kind = fb::EnumNameOp(source.op_type());
    return absl::StrCat(R"("name":)", Quoted(kind), R"(,"cat":"move","args":{"kind":)", Quoted(kind));
  }
  const fb::Kernel &kernel = *artifact.kernels()->Get(launch->kernel());
  std::string out =
      absl::StrCat(R"("name":)", Quoted(kernel.name()->str()), R"(,"cat":"kernel","args":{"family":)",
                   Quoted(kernel.family() ? kernel.family()->str() : ""), R"(,"flops":)", launch->flops(),
                   R"(,"bytes":)", launch->bytes());
  if (launch->line() >= 0 && artifact.lines() &&
      launch->line() < static_cast<int32_t>(artifact.lines()->size())) {
    const fb::Line &line = *artifact.lines()->Get(launch->line());
    std::string file = line.file() ? line.file()->str() : "";
    absl::StrAppend(&out, R"(,"line":)",
                    Quoted(absl::StrCat(file.substr(file.rfind('/') + 1), ":", line.line())), R"(,"module":)",
                    Quoted(line.module_path() ? line.module_path()->str() : ""));
  }
  return out;
}

void WriteRank(Writer &writer, const Recorder &recorder, int rank, const std::vector<TracedStep> &steps,
               const MemoryTimeline &memory) {
  const int phases = recorder.threads();
  writer.Name("process_name", rank, 0, absl::StrCat("rank ", rank));
  for (int t = 0; t < recorder.threads(); ++t)
    writer.Name("thread_name", rank, t, absl::StrCat("thread ", t));
  writer.Name("thread_name", rank, phases, "phases of a step");
  const int64_t last = recorder.events().empty() ? 0 : recorder.events().back().end_ns;
  for (size_t s = 0; s < steps.size() && steps[s].start_ns < last; ++s) {
    const TracedStep &step = steps[s];
    writer.Slice(rank, phases, step.start_ns, step.end_ns,
                 absl::StrCat(R"("name":"step )", s + 1, R"(","cat":"step","args":{})"));
    writer.Slice(rank, phases, step.begin_ns, step.data_ns, R"("name":"data","cat":"phase","args":{})");
    writer.Slice(rank, phases, step.data_ns, step.run_end_ns,
                 R"("name":"train_step","cat":"phase","args":{})");
    // Every step uses the arena alike: the first one's course, at each one's pace.
    const double pace = double(step.end_ns - step.start_ns) /
                        double(std::max<int64_t>(steps[0].end_ns - steps[0].start_ns, 1));
    for (const auto &[ns, bytes] : memory.points)
      writer.Counter(rank, step.start_ns - steps[0].start_ns + int64_t(double(ns) * pace), "arena in use",
                     bytes);
  }
  std::vector<std::string> described(recorder.program().steps.size());
  for (size_t e = 0; e < recorder.events().size(); ++e) {
    const TracedEvent &event = recorder.events()[e];
    std::string &text = described[event.step];
    if (text.empty()) text = Describe(recorder, event.step);
    const int64_t *counters = recorder.event_counters(e);
    const std::string rest =
        absl::StrCat(text, R"(,"iterations":[)",
                     absl::StrJoin(counters, counters + recorder.depth(event.step), ","), "]}");
    bool shared = false;
    for (int t = 0; t < recorder.threads(); ++t) {
      const int64_t *share = recorder.event_share(e, t);
      if (share[1] == 0) continue;
      shared = true;
      writer.Slice(rank, t, share[0], share[1], rest);
      writer.Slice(rank, t, share[1], event.end_ns, R"("name":"waiting","cat":"wait","args":{})");
    }
    if (!shared) writer.Slice(rank, 0, event.start_ns, event.end_ns, rest);
  }
}

} // namespace

absl::Status WriteTrace(const std::string &path, const std::vector<std::unique_ptr<Recorder>> &recorders,
                        const std::vector<std::vector<TracedStep>> &steps, const MemoryTimeline &memory) {
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  Writer writer(*std::move(file), steps[0].empty() ? 0 : steps[0][0].start_ns);
  writer.Begin();
  for (size_t rank = 0; rank < recorders.size(); ++rank)
    WriteRank(writer, *recorders[rank], static_cast<int>(rank), steps[rank],
              rank == 0 ? memory : MemoryTimeline());
  return writer.Finish();
}

} // namespace weft
