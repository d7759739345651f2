// What an intact file may not say: each wrong field gives an error that names it, what was found and what was
// expected.
#include "runtime/artifact/reader.h"
#include "tests/runtime/artifact/builder.h"

#include "absl/strings/str_cat.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace weft {
namespace {

using testing::InArena, testing::Arg, testing::List, testing::Persistent;

// The sample with one thing changed.
std::string ErrorAfter(const std::function<void(fb::ArtifactT &)> &change) {
  fb::ArtifactT artifact = testing::Sample();
  change(artifact);
  absl::Status status = LoadArtifactFromMemory(SerializeArtifact(artifact), "f.weft").status();
  EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

// The sample whose entry runs just `body`.
std::string ErrorOf(std::vector<testing::InstructionPtr> body) {
  return ErrorAfter([&](fb::ArtifactT &a) {
    a.stages[0]->entries[0]->body = std::move(body);
    a.stages[0]->entries[0]->arguments[0]->dynamic = false;
  });
}

fb::EntryT &Entry(fb::ArtifactT &a) { return *a.stages[0]->entries[0]; }
fb::VariableT &Variable(fb::ArtifactT &a, int i) { return *a.stages[0]->variables[i]; }

TEST(ArtifactCheck, AcceptsTheSample) {
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &) {}), "");
}

TEST(ArtifactCheck, ReferencesStayInTheirSpace) {
  EXPECT_EQ(ErrorOf(List(testing::Zero(InArena(0, 80)))), "");
  EXPECT_EQ(ErrorOf(List(testing::Zero(InArena(1, 80)))),
            "f.weft: stages[0].entries[0].body[0].to: bytes [1, 81) are touched when the arena has 80");
  EXPECT_EQ(ErrorOf(List(testing::Zero(Persistent(120, 9)))),
            "f.weft: stages[0].entries[0].body[0].to: bytes [120, 129) are touched when the persistent space "
            "has 128");
  EXPECT_EQ(ErrorOf(List(testing::Zero(Arg(2, 0, 5)))),
            "f.weft: stages[0].entries[0].body[0].to: bytes [0, 5) are touched when argument 'loss' has 4");
  EXPECT_EQ(ErrorOf(List(testing::Zero(Arg(3, 0, 4)))),
            "f.weft: stages[0].entries[0].body[0].to: argument index is 3 when the entry has 3 arguments");
  EXPECT_EQ(ErrorOf(List(testing::Zero(InArena(-8, 16)))),
            "f.weft: stages[0].entries[0].body[0].to: bytes [-8, 8) are touched when the arena has 80");
  EXPECT_EQ(ErrorOf(List(testing::Zero(InArena(0, -1)))),
            "f.weft: stages[0].entries[0].body[0].to: extent is -1 when it should not be negative");
  EXPECT_EQ(ErrorOf(List(testing::Zero(nullptr))), "f.weft: stages[0].entries[0].body[0].to: is missing");
}

TEST(ArtifactCheck, StridesAreTakenAtTheirWorst) {
  auto loop = [](int64_t begin, int64_t end, int64_t offset, int64_t stride, int depth = 0) {
    return ErrorOf(
        List(testing::Loop(begin, end, List(testing::Zero(InArena(offset, 8, {{depth, stride}}))))));
  };
  EXPECT_EQ(loop(0, 10, 0, 8), "");
  EXPECT_EQ(
      loop(0, 11, 0, 8),
      "f.weft: stages[0].entries[0].body[0].body[0].to: bytes [0, 88) are touched when the arena has 80");
  EXPECT_EQ(loop(0, 10, 72, -8), "");
  EXPECT_EQ(
      loop(0, 11, 72, -8),
      "f.weft: stages[0].entries[0].body[0].body[0].to: bytes [-8, 80) are touched when the arena has 80");
  EXPECT_EQ(loop(2, 4, -16, 8), "");
  EXPECT_EQ(loop(0, 2, 0, 8, 1),
            "f.weft: stages[0].entries[0].body[0].body[0].to: strides[0].depth is 1 when 1 loops enclose it");
  EXPECT_EQ(loop(0, 4, 0, int64_t{1} << 62),
            "f.weft: stages[0].entries[0].body[0].body[0].to: offset, strides and extent overflow 64 bits");
  EXPECT_EQ(loop(0, 2, std::numeric_limits<int64_t>::max(), 0),
            "f.weft: stages[0].entries[0].body[0].body[0].to: offset, strides and extent overflow 64 bits");
  EXPECT_EQ(loop(3, 2, 0, 0), "f.weft: stages[0].entries[0].body[0]: begin 3 lies after end 2");
}

TEST(ArtifactCheck, DynamicArgumentsGoByWholeIterations) {
  auto read = [](testing::RefPtr from) {
    return ErrorAfter([&](fb::ArtifactT &a) {
      auto inner = List(testing::Copy(std::move(from), InArena(0, 8)));
      Entry(a).body = List(testing::RunTimeLoop(1, List(testing::Loop(0, 2, std::move(inner)))));
    });
  };
  std::string at = "f.weft: stages[0].entries[0].body[0].body[0].body[0].from: ";
  EXPECT_EQ(read(Arg(0, 0, 8, {{0, 16}, {1, 8}})), "");
  EXPECT_EQ(read(Arg(0, 0, 8, {{0, 8}})),
            at + "strides[0].stride is 8 when one iteration of argument 'tokens' has 16 bytes");
  EXPECT_EQ(read(Arg(0, 8, 8, {{0, 16}, {1, 8}})),
            at + "bytes [8, 24) are touched when argument 'tokens' has 16 an iteration");
  EXPECT_EQ(read(Arg(0, 0, 8)),
            at + "strides over 0 run-time loops when argument 'tokens', which is dynamic, needs exactly one");
  EXPECT_EQ(read(InArena(0, 8, {{0, 8}})), at + "strides over a loop whose trip count is known at run time "
                                                "only, into the arena, which has a fixed size");
}

TEST(ArtifactCheck, RunTimeLoopsNeedACount) {
  auto loop = [](int count, int part, int parts) {
    return ErrorOf(List(testing::RunTimeLoop(count, List(testing::Zero(InArena(0, 8))), part, parts)));
  };
  EXPECT_EQ(loop(1, 3, 4), "");
  EXPECT_EQ(loop(1, 4, 4), "f.weft: stages[0].entries[0].body[0]: part 4 of 4 parts does not exist");
  EXPECT_EQ(loop(7, 0, 1),
            "f.weft: stages[0].entries[0].body[0]: count_argument is 7 when the entry has 3 arguments");
  EXPECT_EQ(loop(2, 0, 1), "f.weft: stages[0].entries[0].body[0]: count_argument 'loss' should be an i64 "
                           "scalar input that is not dynamic");
  EXPECT_EQ(loop(-1, 1, 2), "f.weft: stages[0].entries[0].body[0]: is part 1 of 2 when only a run-time trip "
                            "count can be cut into parts");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Entry(a).body.clear(); }),
            "f.weft: stages[0].entries[0]: has dynamic arguments but no loop with a count_argument that "
            "would give their size");
}

TEST(ArtifactCheck, LaunchesFitTheirKernel) {
  EXPECT_EQ(ErrorOf(List(testing::Launch(2, {}, {}, 1))),
            "f.weft: stages[0].entries[0].body[0]: kernel is 2 when there are 2 kernels");
  EXPECT_EQ(ErrorOf(List(testing::Launch(1, {}, {}, 1))),
            "f.weft: stages[0].entries[0].body[0]: has 0 buffers when kernel 'second' takes 1");
  EXPECT_EQ(ErrorOf(List(testing::Launch(1, List(InArena(0, 4)), {5}, 1))),
            "f.weft: stages[0].entries[0].body[0]: has 1 sizes when kernel 'second' takes 0");
  EXPECT_EQ(ErrorOf(List(testing::Launch(1, List(InArena(0, 4)), {}, -1))),
            "f.weft: stages[0].entries[0].body[0]: items is -1 when it should not be negative");
  EXPECT_EQ(ErrorOf(List(testing::Launch(1, List(InArena(0, 4)), {}, 1, 0))),
            "f.weft: stages[0].entries[0].body[0]: piece is 0 when it should be at least 1");
  EXPECT_EQ(
      ErrorOf(List(testing::Launch(1, List(InArena(80, 4)), {}, 1))),
      "f.weft: stages[0].entries[0].body[0].buffers[0]: bytes [80, 84) are touched when the arena has 80");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Entry(a).body[2]->op.AsLaunch()->line = 1; }),
            "f.weft: stages[0].entries[0].body[2]: line is 1 when there are 1 lines");
}

TEST(ArtifactCheck, BuffersOfAKernelLieInItsSizes) {
  auto error = [](auto change) {
    return ErrorAfter([&](fb::ArtifactT &a) {
      for (int i = 0; i < 2; ++i) a.kernels[0]->buffers.push_back(std::make_unique<fb::KernelBufferT>());
      a.kernels[0]->buffers[1]->dims = {0};
      change(*a.kernels[0]);
    });
  };
  EXPECT_EQ(error([](fb::KernelT &) {}), "");
  EXPECT_EQ(error([](fb::KernelT &k) { k.buffers.pop_back(); }),
            "f.weft: kernels[0]: has 1 buffers when num_buffers is 2");
  EXPECT_EQ(error([](fb::KernelT &k) { k.buffers[1]->dims = {1}; }),
            "f.weft: kernels[0].buffers[1]: dims[0] is 1 when num_sizes is 1");
  EXPECT_EQ(error([](fb::KernelT &k) { k.buffers[1]->dims = {-1}; }),
            "f.weft: kernels[0].buffers[1]: dims[0] is -1 when num_sizes is 1");
  EXPECT_EQ(error([](fb::KernelT &k) { k.buffers[1]->slot = 1; }),
            "f.weft: kernels[0].buffers[1]: has strides at sizes 1 to 2 when num_sizes is 1");
  EXPECT_EQ(error([](fb::KernelT &k) { k.buffers[0]->dtype = static_cast<fb::DType>(9); }),
            "f.weft: kernels[0].buffers[0]: dtype is 9 when it should be 0 to 5");
  EXPECT_EQ(error([](fb::KernelT &k) { k.buffers[0]->use = static_cast<fb::BufferUse>(3); }),
            "f.weft: kernels[0].buffers[0]: use is 3 when it should be 0 to 2");
}

TEST(ArtifactCheck, MovesAndCollectivesFitTheirBuffers) {
  std::string at = "f.weft: stages[0].entries[0].body[0]";
  EXPECT_EQ(ErrorOf(List(testing::Copy(InArena(0, 4), InArena(8, 8)))), at + ": copies 4 bytes to 8");
  EXPECT_EQ(ErrorOf(List(testing::Zero(Arg(0, 0, 4)))),
            at + ".to: writes to argument 'tokens', which is an input");
  EXPECT_EQ(ErrorOf(List(testing::AllReduce(InArena(0, 16), fb::DType::f32, 5, 0))),
            at + ": elements is 5 of 4 bytes when the buffer's extent is 16");
  EXPECT_EQ(ErrorOf(List(testing::AllReduce(InArena(2, 16), fb::DType::f32, 4, 0))),
            at + ": offset and strides should be multiples of 4");
  EXPECT_EQ(ErrorOf(List(testing::AllReduce(InArena(0, 4), fb::DType::boolean, 4, 0))),
            at + ": dtype is 4 when it should be f32, f64, i32 or i64");
  EXPECT_EQ(ErrorOf(List(testing::AllReduce(InArena(0, 16), fb::DType::f32, 4, 2))),
            at + ": axis is 2 when it should be 0 (data) or 1 (pipeline)");
  EXPECT_EQ(ErrorOf(List(testing::Message<fb::SendT>(InArena(0, 8), 1, -1, 0))),
            at + ": peer is -1 when it should not be negative");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Entry(a).body[0]->op.Reset(); }), at + ": op is missing");
}

TEST(ArtifactCheck, WhatIsDerivedHasAnEntryThatMakesIt) {
  std::string at = "f.weft: stages[0].";
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).kind = fb::VariableKind::derived; }),
            at + "variables[1]: is derived when there is no entry derive");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Entry(a).name = "derive"; }),
            at + "entries[0]: derive has 3 arguments when it should have none");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) {
              Variable(a, 1).dtype = fb::DType::bf16;
              Variable(a, 1).shape = {16};
            }),
            at + "variables[1]: is bf16 when only caches, what is derived and an optimiser's state may be");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) {
              Variable(a, 1).dtype = fb::DType::bf16;
              Variable(a, 1).shape = {16};
              Variable(a, 1).kind = fb::VariableKind::cache;
              Variable(a, 1).init = fb::InitKind::constant;
            }),
            at + "variables[1]: is bf16 and should start as zeros");
  auto moment = [](fb::ArtifactT &a) {
    Variable(a, 1).dtype = fb::DType::bf16;
    Variable(a, 1).shape = {16};
    Variable(a, 1).kind = fb::VariableKind::optimizer;
    Variable(a, 1).init = fb::InitKind::zeros;
  };
  EXPECT_EQ(ErrorAfter(moment), "");
  EXPECT_EQ(ErrorAfter([&](fb::ArtifactT &a) { moment(a), Variable(a, 1).init = fb::InitKind::ones; }),
            at + "variables[1]: is bf16 and should start as zeros");
}

TEST(ArtifactCheck, VariablesHaveTheirOwnPlace) {
  std::string at = "f.weft: stages[0].variables";
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).offset = 60; }),
            at + "[1]: 'norm.w' overlaps 'layers.w'");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).offset = 100; }),
            at + "[1]: offset 100 and 32 bytes leave the persistent space of 128");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).offset = 66; }),
            at + "[1]: offset 66 is not a multiple of the element size");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).bytes = 31; }),
            at + "[1]: bytes is 31 when shape (8) of f32 takes 32");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).shape = {-8}; }),
            at + "[1]: shape (-8) has a negative dimension or too many elements");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) {
              Variable(a, 1).shape = {int64_t{1} << 40, int64_t{1} << 40};
            }),
            at + "[1]: shape (1099511627776, 1099511627776) has a negative dimension or too many elements");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 0).layers = 3; }),
            at + "[0]: layers is 3 when the shape is (4, 4)");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 0).file_name = "w"; }),
            at + "[0]: file_name 'w' should have a {} as layers is 4");
  // Each further {} is an index of the next dimension, which has to be there.
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 0).file_name = "{}.{}"; }), "");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 0).file_name = "{}.{}.{}"; }),
            at + "[0]: file_name '{}.{}.{}' names too many tensors of the shape (4, 4)");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).name = "layers.w"; }),
            at + "[1]: the name 'layers.w' is taken by another variable");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Variable(a, 1).dtype = static_cast<fb::DType>(9); }),
            at + "[1]: dtype is 9 when it should be 0 to 5");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) {
              Variable(a, 1).init_scale = std::numeric_limits<double>::infinity();
            }),
            at + "[1]: init_scale is not finite");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) {
              Variable(a, 1).dtype = fb::DType::i32;
              Variable(a, 1).init = fb::InitKind::normal;
            }),
            at + "[1]: has a random initialiser when its type is i32");
}

TEST(ArtifactCheck, TheRestIsWhole) {
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { a.stages.clear(); }),
            "f.weft: stages is empty: the artifact holds no program");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { a.kernels[1]->scratch_bytes = -1; }),
            "f.weft: kernels[1]: scratch_bytes is -1 when it should be 0 to 70368744177664");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { testing::AddObject(a, "avx2", {1}); }),
            "f.weft: objects[1]: the level 'avx2' is there twice");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Entry(a).arguments[2]->bytes = 8; }),
            "f.weft: stages[0].entries[0].arguments[2]: bytes is 8 when shape () of f32 takes 4");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Entry(a).arguments[2]->limit = 8; }),
            "f.weft: stages[0].entries[0].arguments[2]: has a limit when its type is f32");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { Entry(a).arena_bytes = -1; }),
            "f.weft: stages[0].entries[0]: arena_bytes is -1 when it should be 0 to 70368744177664");
  EXPECT_EQ(ErrorAfter([](fb::ArtifactT &a) { a.stages[0]->persistent_bytes = -1; }),
            "f.weft: stages[0]: persistent_bytes is -1 when it should be 0 to 70368744177664");
  EXPECT_EQ(ErrorOf([] {
              auto body = List(testing::Zero(InArena(0, 8)));
              for (int i = 0; i < kMaxLoopDepth + 1; ++i) body = List(testing::Loop(0, 1, std::move(body)));
              return body;
            }())
                    .find("loops are nested deeper than 16") == std::string::npos,
            false);
}

} // namespace
} // namespace weft
