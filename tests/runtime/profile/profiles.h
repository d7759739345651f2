// Small profiles, machines and recorded sessions.
#pragma once
#include "runtime/profile/account.h"
#include "runtime/profile/profile.h"
#include "runtime/profile/recorder.h"
#include "tests/runtime/executor/session_fixture.h"

#include <chrono>
#include <memory>

namespace weft::testing {

// 100 GFLOP/s a thread, and the rates of small round caches.
inline Calibration Machine(int threads = 2) {
  Calibration machine;
  machine.processor = "a processor", machine.cpu_level = "avx2", machine.threads = threads;
  machine.flops = {{"fma", {1e11, 1e11 * threads}}, {"vdpbf16", {2e11, 2e11 * threads}}};
  machine.levels = {{"L1", 1000, {4e11, 4e11 * threads}},
                    {"L2", 10000, {1e11, 1e11 * threads}},
                    {"memory", INT64_MAX, {1e10, 1.5e10}}};
  machine.launch_ns = 1000;
  machine.measured = "2026-11-26 12:00 UTC";
  return machine;
}

// The axpy kernel over 40 floats, two inputs and a result.
inline InstructionPtr Axpy(int64_t a, int64_t b, int64_t out, int64_t items = 40, int64_t piece = 1) {
  InstructionPtr made =
      Launch(kAxpy, List(InArena(a, 160), InArena(b, 160), InArena(out, 160)), {2}, items, piece);
  made->op.AsLaunch()->flops = 2 * items;
  made->op.AsLaunch()->bytes = 12 * items;
  made->op.AsLaunch()->line = 0;
  return made;
}

// A session of one entry, on two threads, whose kernels have their numbers of inputs, and a model line.
inline std::unique_ptr<Session> Recorded(int64_t arena_bytes, std::vector<InstructionPtr> body,
                                         int threads = 2) {
  fb::ArtifactT artifact = WithKernels();
  artifact.model = "recorded";
  for (auto [kernel, inputs] : {std::pair(kAxpy, 2), std::pair(kAppend, 1), std::pair(kThroughScratch, 1)})
    for (int32_t i = 0; i < artifact.kernels[kernel]->num_buffers; ++i) {
      auto buffer = std::make_unique<fb::KernelBufferT>();
      buffer->use = i < inputs ? fb::BufferUse::input : fb::BufferUse::output;
      artifact.kernels[kernel]->buffers.push_back(std::move(buffer));
    }
  artifact.kernels[kAxpy]->lines = {0};
  artifact.kernels[kAxpy]->reduction = "#kernel.reduction<unit = \"fma\", lanes = 8>";
  auto line = std::make_unique<fb::LineT>();
  line->file = "/somewhere/model.cc", line->line = 7, line->module_path = "layers.mlp";
  artifact.lines.push_back(std::move(line));
  artifact.stages.push_back(Stage(0, {}, List(Entry("run", arena_bytes, {}, std::move(body)))));
  SessionOptions options;
  options.artifact = Load(artifact);
  options.threads = threads;
  auto session = Session::Create(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return session.ok() ? *std::move(session) : nullptr;
}

inline int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// A profile by hand: two kernels, a copy, one rank of two threads, steps of 10 and 12 ms.
inline Profile SmallProfile() {
  Profile p;
  p.model = "llama", p.recipe = "[train]\n", p.made = "2026-11-26", p.weights = "first values";
  p.no_counters = "there are none", p.options = {{"seq", "32"}, {"precision", "f32"}};
  p.machine = Machine();
  p.ranks = 1, p.threads = 2, p.tokens = 256;
  p.step_ns = {10'000'000, 12'000'000}, p.plain_ns = {9'900'000, 11'900'000};
  p.lines = {{"/m/llama.cc", 24, "layers.self_attn"}, {"/m/llama.cc", 30, "layers.mlp"}};
  p.kernels = {{"matmul_0",
                "matmul",
                "#kernel.schedule<tile_m = 12>",
                "#kernel.reduction<unit = \"fma\">",
                "fma",
                {0, 1},
                {}},
               {"loops_0",
                "loops",
                "#kernel.schedule<block_n = 64>",
                "#kernel.reduction<unit = \"fma\">",
                "fma",
                {1},
                {}}};
  auto work = [](int64_t calls, int64_t wall, int64_t flops, int64_t bytes) {
    Work w;
    w.calls = calls, w.wall_ns = wall, w.busy_ns = 2 * wall - 1000, w.flops = flops, w.bytes = bytes;
    w.roof_ns = static_cast<double>(wall) / 2, w.predicted_ns = static_cast<double>(wall) * 0.75;
    return w;
  };
  p.sites = {{"launch", 0, 0, 0, 1, 900'000, 4'000'000, work(8, 12'000'000, 2'000'000'000, 1'000'000)},
             {"launch", 0, 1, 0, 1, 900'000, 1'000'000, work(4, 4'000'000, 600'000'000, 400'000)},
             {"launch", 1, 1, 0, 1, 100'000, 900'000, work(8, 3'000'000, 1'000'000, 40'000'000)},
             {"copy", -1, -1, 0, 0, 500'000, 500'000, work(2, 1'000'000, 0, 2'000'000)}};
  for (const ProfileSite &site : p.sites)
    if (site.kernel >= 0) p.kernels[site.kernel].work.Add(site.work);
  p.host_ns = 1'500'000, p.data_ns = 500'000;
  p.thread_times = {{0, 0, 18'000'000, 900'000, 0, 100'000, 1'000'000, 1'500'000, 500'000},
                    {0, 1, 18'000'000, 900'000, 0, 200'000, 2'900'000, 0, 0}};
  p.memory.arena_bytes = 4096, p.memory.points = {{0, 1000}, {5'000'000, 4000}};
  p.memory.peak_ns = 5'000'000, p.memory.peak_bytes = 4000;
  p.memory.owners = {{"matmul_0", 0, 3000}, {"loops_0", 1, 1000}},
  p.memory.planned = {{"matmul (4, 32)", 0, 3000}};
  return p;
}

} // namespace weft::testing
