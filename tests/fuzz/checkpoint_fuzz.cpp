// The reader of checkpoints: one input is its three files, as they are, and with the sizes and checksums in
// weft-state.json made right.
#include "runtime/data/json_depth.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/file_hash.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/runtime/data/temp_folder.h"

#include "absl/strings/str_replace.h"

#include <nlohmann/json.hpp>

namespace weft::fuzz {
namespace {

using nlohmann::json;

constexpr std::string_view kSeparator = "\n--- next file ---\n";
constexpr const char *kFiles[] = {kStateJson, kModelFile, kStateFile};

// A folder in memory where there is such a file system.
const TempFolder &Folder() {
  static const bool chosen = access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 1) == 0;
  static const TempFolder folder;
  return (void)chosen, folder;
}

void Write(const char *name, std::string_view content) {
  FILE *file = std::fopen((Folder() / name).c_str(), "wb");
  bool written = file && std::fwrite(content.data(), 1, content.size(), file) == content.size();
  Require(std::fclose(file) == 0 && written, "a file can be written");
}

// Two variables, a stack of layers and an optimiser's, with their memory.
struct Model {
  flatbuffers::FlatBufferBuilder builders[2];
  std::vector<char> memory[2] = {std::vector<char>(2 * 3 * 4, 1), std::vector<char>(5 * 4, 2)};
  std::vector<VariableView> views;

  Model() {
    fb::VariableT weight, state;
    weight.name = "layers.w", weight.file_name = "model.layers.{}.w", weight.shape = {2, 3},
    weight.layers = 2;
    state.name = "adamw.m.w", state.kind = fb::VariableKind::optimizer, state.shape = {5};
    int number = 0;
    for (const fb::VariableT *variable : {&weight, &state}) {
      builders[number].Finish(fb::Variable::Pack(builders[number], variable));
      views.push_back({flatbuffers::GetRoot<fb::Variable>(builders[number].GetBufferPointer()),
                       absl::MakeSpan(memory[number])});
      ++number;
    }
  }
};

void Read() {
  static Model model;
  auto state = VerifyCheckpoint(Folder().path());
  auto tell = [](const absl::Status &status) { // the folder has another name each time
    Outcome(absl::StrReplaceAll(status.message(), {{Folder().path(), ""}}));
  };
  tell(state.status());
  tell(ReadCheckpoint(Folder().path(), model.views, true));
}

// What weft-state.json says of the other files, and its own checksum.
std::string WithSums(const std::string &text, const std::string_view (&files)[3]) {
  json root = JsonNestsDeeper(text) ? json() : json::parse(text, nullptr, false);
  if (!root.is_object()) return text;
  for (int i : {1, 2})
    if (root.contains("files") && root["files"].is_object() && root["files"].contains(kFiles[i]))
      root["files"][kFiles[i]] = {{"bytes", files[i].size()},
                                  {"xxh3", HashName(HashText({files[i].data(), files[i].size()}))}};
  root.erase("checksum");
  root["checksum"] = HashName(HashText(root.dump()));
  return root.dump();
}

} // namespace

std::vector<std::string> Seeds() {
  TempFolder folder;
  Model model;
  CheckpointContents contents;
  contents.state = {
      .step = 7, .epoch = 1, .row = 3, .seed = ~uint64_t{0}, .data_hash = "0123", .cpu_level = "avx2"};
  contents.state.options = {{"dot_unit", "f32"}};
  contents.state.monitor = {{5, 2.5, 1}, {3, {1, 2}, {0.5, 0.25}, {4, 6}}, 5};
  contents.variables = model.views;
  auto path = WriteCheckpoint(folder.path(), contents, 0);
  Require(path.ok(), "the seed is written");
  std::string seed;
  for (const char *name : kFiles) {
    if (!seed.empty()) seed += kSeparator;
    seed += Slurp(*path + "/" + name);
  }
  return {seed};
}

std::vector<std::string> Words() {
  return {std::string(kSeparator),
          "\"files\": {",
          "\"bytes\": ",
          "\"xxh3\": \"",
          "\"step\": ",
          "\"options\": {",
          "\"monitor\": {",
          "\"losses\": [",
          "\"..\"",
          "\"\"",
          "{",
          "}",
          "[",
          "]",
          "\"",
          "null",
          "-1",
          "4611686018427387905",
          "18446744073709551615",
          "1e300",
          "\\u0000",
          "\"shape\":[",
          "\"data_offsets\":[",
          "\"F32\"",
          "\"format_version\": ",
          kModelFile,
          kStateFile};
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft::fuzz;
  std::string_view rest(reinterpret_cast<const char *>(data), size), files[3];
  for (std::string_view &file : files) {
    file = rest.substr(0, rest.find(kSeparator));
    rest.remove_prefix(std::min(rest.size(), file.size() + kSeparator.size()));
  }
  for (int i = 0; i < 3; ++i) Write(kFiles[i], files[i]);
  Read();
  Write(kFiles[0], WithSums(std::string(files[0]), files));
  Read();
  return 0;
}
