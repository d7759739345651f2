// profile.json: written whole, and read with everything in it checked, since it may come from anyone.
#include "runtime/data/file_io.h"
#include "runtime/data/unique_json.h"
#include "runtime/profile/profile.h"

#include "absl/strings/str_cat.h"

#include <filesystem>

namespace weft {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 1;
constexpr uint64_t kMostBytes = 256 << 20;
constexpr int64_t kMostCount = int64_t{1} << 53;  // what a double holds
constexpr int64_t kMostStepNs = int64_t{1} << 42; // over an hour
constexpr double kMostNumber = 1e250;
constexpr size_t kMostItems = 1 << 20;

json WorkJson(const Work &work) {
  json out = {{"calls", work.calls},
              {"wall_ns", work.wall_ns},
              {"busy_ns", work.busy_ns},
              {"flops", work.flops},
              {"bytes", work.bytes},
              {"roof_ns", work.roof_ns},
              {"predicted_ns", work.predicted_ns}};
  for (int c = 0; c < kNumCounters; ++c)
    if (work.counters[c] > 0) out[kCounterNames[c]] = work.counters[c];
  return out;
}

json OwnersJson(const std::vector<MemoryOwner> &owners) {
  json out = json::array();
  for (const MemoryOwner &o : owners) out.push_back({{"what", o.what}, {"line", o.line}, {"bytes", o.bytes}});
  return out;
}

// Reads the fields of one object; the first that is wrong is kept as `problem`.
class Fields {
public:
  Fields(const json &object, std::string at, std::string *problem, int64_t *sum)
      : object_(object), at_(std::move(at)), problem_(problem), sum_(sum) {
    if (!object.is_object()) Wrong("", "is not an object");
  }
  // An integer in [least, most].
  template <typename T> void Integer(const char *key, T *to, int64_t least = 0, int64_t most = kMostCount) {
    const json *value = Find(key);
    if (!value) return;
    if (!value->is_number_integer() || (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX))
      return Wrong(key, "is not a whole number");
    const int64_t got = value->get<int64_t>();
    if (got < least || got > most)
      return Wrong(key, absl::StrCat("is ", got, " when it should be between ", least, " and ", most));
    // What is summed anywhere is part of this sum.
    if (got > 0 && __builtin_add_overflow(*sum_, got, sum_))
      return Wrong(key, "is more than 64 bits hold, with all before");
    *to = static_cast<T>(got);
  }
  void Number(const char *key, double *to) {
    const json *value = Find(key);
    if (!value) return;
    if (!value->is_number() || !(value->get<double>() >= 0 && value->get<double>() <= kMostNumber))
      return Wrong(key, "is not a number of 0 or more");
    *to = value->get<double>();
  }
  void Text(const char *key, std::string *to) {
    const json *value = Find(key);
    if (!value) return;
    if (!value->is_string()) return Wrong(key, "is not a text");
    *to = value->get<std::string>();
  }
  // Calls `read(item, where)` on each item of an array.
  template <typename F> void Array(const char *key, const F &read) {
    const json *value = Find(key);
    if (!value) return;
    if (!value->is_array() || value->size() > kMostItems) return Wrong(key, "is not an array");
    for (size_t i = 0; i < value->size() && problem_->empty(); ++i)
      read((*value)[i], absl::StrCat(at_, at_.empty() ? "" : ".", key, "[", i, "]"));
  }
  const json *Find(const char *key) {
    if (!problem_->empty()) return nullptr;
    auto found = object_.find(key);
    if (found == object_.end()) {
      Wrong(key, "is missing");
      return nullptr;
    }
    return &*found;
  }
  bool Has(const char *key) const { return object_.is_object() && object_.contains(key); }
  void Wrong(const std::string &key, const std::string &what) {
    if (problem_->empty())
      *problem_ = absl::StrCat(at_, !at_.empty() && !key.empty() ? "." : "", key,
                               at_.empty() && key.empty() ? "" : " ", what);
  }

private:
  const json &object_;
  std::string at_, *problem_;
  int64_t *sum_;
};

void ReadWork(Fields &fields, const std::string &at, std::string *problem, int64_t *sum, Work *work) {
  const json *value = fields.Find("work");
  if (!value) return;
  Fields f(*value, absl::StrCat(at, ".work"), problem, sum);
  f.Integer("calls", &work->calls);
  f.Integer("wall_ns", &work->wall_ns);
  f.Integer("busy_ns", &work->busy_ns);
  f.Number("flops", &work->flops);
  f.Number("bytes", &work->bytes);
  f.Number("roof_ns", &work->roof_ns);
  f.Number("predicted_ns", &work->predicted_ns);
  for (int c = 0; c < kNumCounters; ++c)
    if (f.Has(kCounterNames[c])) f.Integer(kCounterNames[c], &work->counters[c], 0, INT64_MAX);
}

} // namespace

std::string ProfileJson(const Profile &p) {
  json lines = json::array(), kernels = json::array(), sites = json::array(), threads = json::array(),
       options = json::object(), points = json::array();
  for (const auto &[key, value] : p.options) options[key] = value;
  for (const ProfileLine &l : p.lines)
    lines.push_back({{"file", l.file}, {"line", l.line}, {"module", l.module}});
  for (const ProfileKernel &k : p.kernels)
    kernels.push_back({{"name", k.name},
                       {"family", k.family},
                       {"schedule", k.schedule},
                       {"reduction", k.reduction},
                       {"unit", k.unit},
                       {"lines", k.lines},
                       {"work", WorkJson(k.work)}});
  for (const ProfileSite &s : p.sites)
    sites.push_back({{"kind", s.kind},
                     {"kernel", s.kernel},
                     {"line", s.line},
                     {"stage", s.stage},
                     {"loops", s.loops},
                     {"least_ns", s.least_ns},
                     {"most_ns", s.most_ns},
                     {"work", WorkJson(s.work)}});
  for (const ThreadTime &t : p.thread_times)
    threads.push_back({{"rank", t.rank},
                       {"thread", t.thread},
                       {"kernels_ns", t.kernels_ns},
                       {"moves_ns", t.moves_ns},
                       {"communication_ns", t.communication_ns},
                       {"launch_ns", t.launch_ns},
                       {"waiting_ns", t.waiting_ns},
                       {"host_ns", t.host_ns},
                       {"data_ns", t.data_ns}});
  for (const auto &[ns, bytes] : p.memory.points) points.push_back({ns, bytes});
  json root = {{"format_version", kFormatVersion},
               {"model", p.model},
               {"recipe", p.recipe},
               {"options", options},
               {"machine", json::parse(CalibrationJson(p.machine))},
               {"made", p.made},
               {"weights", p.weights},
               {"no_counters", p.no_counters},
               {"ranks", p.ranks},
               {"threads", p.threads},
               {"tokens", p.tokens},
               {"step_ns", p.step_ns},
               {"plain_ns", p.plain_ns},
               {"preemptions", p.preemptions},
               {"lines", lines},
               {"kernels", kernels},
               {"sites", sites},
               {"host_ns", p.host_ns},
               {"data_ns", p.data_ns},
               {"other_ranks_ns", p.other_ranks_ns},
               {"thread_times", threads},
               {"memory",
                {{"arena_bytes", p.memory.arena_bytes},
                 {"points", points},
                 {"peak_ns", p.memory.peak_ns},
                 {"peak_bytes", p.memory.peak_bytes},
                 {"owners", OwnersJson(p.memory.owners)},
                 {"planned", OwnersJson(p.memory.planned)}}}};
  return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<Profile> ParseProfile(std::string_view text, const std::string &name) {
  std::string problem;
  auto wrong = [&] { return absl::InvalidArgumentError(absl::StrCat(name, ": ", problem)); };
  const json root = ParseUniqueObject<json>(text, &problem);
  if (!problem.empty()) return wrong();
  auto wrong_at = [&](const std::string &at, const char *what) {
    if (problem.empty()) problem = absl::StrCat(at, " ", what);
  };
  Profile p;
  int64_t sum = 0;
  Fields f(root, "", &problem, &sum);
  int64_t version = 0;
  f.Integer("format_version", &version);
  if (problem.empty() && version != kFormatVersion)
    return absl::FailedPreconditionError(absl::StrCat(name, ": is a profile of format ", version,
                                                      " when this weft reads ", kFormatVersion,
                                                      "\nhint: make the profile again"));
  f.Text("model", &p.model);
  f.Text("recipe", &p.recipe);
  f.Text("made", &p.made);
  f.Text("weights", &p.weights);
  f.Text("no_counters", &p.no_counters);
  f.Integer("ranks", &p.ranks, 1, 1 << 20);
  f.Integer("threads", &p.threads, 1, 1 << 20);
  f.Integer("tokens", &p.tokens);
  f.Integer("preemptions", &p.preemptions);
  f.Integer("host_ns", &p.host_ns);
  f.Integer("data_ns", &p.data_ns);
  f.Integer("other_ranks_ns", &p.other_ranks_ns);
  if (const json *options = f.Find("options")) {
    if (!options->is_object()) f.Wrong("options", "is not an object");
    for (const auto &[key, value] : options->items()) {
      if (!value.is_string()) f.Wrong("options." + key, "is not a text");
      if (problem.empty()) p.options.emplace_back(key, value.get<std::string>());
    }
  }
  for (auto [key, list] : {std::pair("step_ns", &p.step_ns), std::pair("plain_ns", &p.plain_ns)})
    f.Array(key, [&](const json &item, const std::string &at) {
      if (!item.is_number_integer() || item < 0 || item > kMostStepNs)
        wrong_at(at, "is not a time");
      else
        list->push_back(item.get<int64_t>());
    });
  if (problem.empty() && p.step_ns.empty()) f.Wrong("step_ns", "has no step");
  int64_t total = 0;
  for (int64_t ns : p.step_ns) total += ns; // of at most 2^20 steps of 2^42 ns
  if (__builtin_mul_overflow(total, p.ranks, &total)) f.Wrong("step_ns", "adds up to more than 64 bits hold");
  if (const json *machine = f.Find("machine")) {
    absl::StatusOr<Calibration> read =
        ParseCalibration(machine->dump(-1, ' ', false, json::error_handler_t::replace), name + ": machine");
    if (!read.ok()) return read.status();
    p.machine = *std::move(read);
  }
  f.Array("lines", [&](const json &item, const std::string &at) {
    ProfileLine &line = p.lines.emplace_back();
    Fields of(item, at, &problem, &sum);
    of.Text("file", &line.file);
    of.Integer("line", &line.line, INT32_MIN, INT32_MAX);
    of.Text("module", &line.module);
  });
  const int64_t last_line = static_cast<int64_t>(p.lines.size()) - 1;
  f.Array("kernels", [&](const json &item, const std::string &at) {
    ProfileKernel &kernel = p.kernels.emplace_back();
    Fields of(item, at, &problem, &sum);
    of.Text("name", &kernel.name);
    of.Text("family", &kernel.family);
    of.Text("schedule", &kernel.schedule);
    of.Text("reduction", &kernel.reduction);
    of.Text("unit", &kernel.unit);
    of.Array("lines", [&](const json &line, const std::string &where) {
      if (!line.is_number_integer() || line < -1 || line > last_line)
        wrong_at(where, "is not a line's number");
      else
        kernel.lines.push_back(line.get<int32_t>());
    });
    ReadWork(of, at, &problem, &sum, &kernel.work);
  });
  const int64_t last_kernel = static_cast<int64_t>(p.kernels.size()) - 1;
  f.Array("sites", [&](const json &item, const std::string &at) {
    ProfileSite &site = p.sites.emplace_back();
    Fields of(item, at, &problem, &sum);
    of.Text("kind", &site.kind);
    of.Integer("kernel", &site.kernel, -1, last_kernel);
    of.Integer("line", &site.line, -1, last_line);
    of.Integer("stage", &site.stage, 0, INT32_MAX);
    of.Integer("loops", &site.loops, 0, INT32_MAX);
    of.Integer("least_ns", &site.least_ns);
    of.Integer("most_ns", &site.most_ns);
    ReadWork(of, at, &problem, &sum, &site.work);
  });
  f.Array("thread_times", [&](const json &item, const std::string &at) {
    ThreadTime &t = p.thread_times.emplace_back();
    Fields of(item, at, &problem, &sum);
    of.Integer("rank", &t.rank, 0, INT32_MAX);
    of.Integer("thread", &t.thread, 0, INT32_MAX);
    for (auto [key, field] : {std::pair("kernels_ns", &t.kernels_ns), std::pair("moves_ns", &t.moves_ns),
                              std::pair("communication_ns", &t.communication_ns),
                              std::pair("launch_ns", &t.launch_ns), std::pair("waiting_ns", &t.waiting_ns),
                              std::pair("host_ns", &t.host_ns), std::pair("data_ns", &t.data_ns)})
      of.Integer(key, field);
  });
  if (const json *memory = f.Find("memory")) {
    Fields of(*memory, "memory", &problem, &sum);
    of.Integer("arena_bytes", &p.memory.arena_bytes);
    of.Integer("peak_ns", &p.memory.peak_ns);
    of.Integer("peak_bytes", &p.memory.peak_bytes);
    of.Array("points", [&](const json &item, const std::string &at) {
      if (!item.is_array() || item.size() != 2 || !item[0].is_number_integer() ||
          !item[1].is_number_integer())
        wrong_at(at, "is not a pair of whole numbers");
      else
        p.memory.points.emplace_back(item[0].get<int64_t>(), item[1].get<int64_t>());
    });
    for (auto [key, owners] :
         {std::pair("owners", &p.memory.owners), std::pair("planned", &p.memory.planned)})
      of.Array(key, [&](const json &item, const std::string &at) {
        MemoryOwner &owner = owners->emplace_back();
        Fields fields(item, at, &problem, &sum);
        fields.Text("what", &owner.what);
        fields.Integer("line", &owner.line, -1, last_line);
        fields.Integer("bytes", &owner.bytes);
      });
  }
  if (!problem.empty()) return wrong();
  return p;
}

absl::StatusOr<Profile> ReadProfile(const std::string &path) {
  std::error_code error;
  const std::string file = std::filesystem::is_directory(path, error) ? path + "/profile.json" : path;
  absl::StatusOr<std::string> text = ReadFile(file, kMostBytes);
  if (absl::IsNotFound(text.status()))
    return absl::NotFoundError(
        absl::StrCat("there is no profile ", file, "\nhint: weft profile RECIPE.toml -o DIR makes one"));
  if (!text.ok()) return text.status();
  return ParseProfile(*text, file);
}

} // namespace weft
