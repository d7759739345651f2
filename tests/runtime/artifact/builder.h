// Short ways to write an artifact by hand, for the runtime's tests.
#pragma once
#include "runtime/artifact/artifact_generated.h"
#include "runtime/artifact/writer.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weft::testing {

using RefPtr = std::unique_ptr<fb::RefT>;
using InstructionPtr = std::unique_ptr<fb::InstructionT>;

inline RefPtr MakeRef(fb::Space space, int index, int64_t offset, int64_t extent,
                      std::vector<std::pair<int, int64_t>> strides = {}) {
  auto ref = std::make_unique<fb::RefT>();
  ref->space = space;
  ref->index = index;
  ref->offset = offset;
  ref->extent = extent;
  for (auto [depth, stride] : strides) ref->strides.push_back(fb::LoopStride(depth, 0, stride));
  return ref;
}
inline RefPtr InArena(int64_t offset, int64_t extent, std::vector<std::pair<int, int64_t>> strides = {}) {
  return MakeRef(fb::Space::arena, 0, offset, extent, std::move(strides));
}
inline RefPtr Persistent(int64_t offset, int64_t extent, std::vector<std::pair<int, int64_t>> strides = {}) {
  return MakeRef(fb::Space::persistent, 0, offset, extent, std::move(strides));
}
inline RefPtr Arg(int index, int64_t offset, int64_t extent,
                  std::vector<std::pair<int, int64_t>> strides = {}) {
  return MakeRef(fb::Space::argument, index, offset, extent, std::move(strides));
}

template <typename T> InstructionPtr Wrap(T op) {
  auto instruction = std::make_unique<fb::InstructionT>();
  instruction->op.Set(std::move(op));
  return instruction;
}

template <typename T, typename... Rest> std::vector<T> List(T first, Rest... rest) {
  std::vector<T> list;
  list.push_back(std::move(first));
  (list.push_back(std::move(rest)), ...);
  return list;
}

inline InstructionPtr Launch(int kernel, std::vector<RefPtr> buffers, std::vector<int64_t> sizes,
                             int64_t items, int64_t piece = 1) {
  fb::LaunchT launch;
  launch.kernel = kernel;
  launch.buffers = std::move(buffers);
  launch.sizes = std::move(sizes);
  launch.items = items;
  launch.piece = piece;
  launch.line = -1;
  return Wrap(std::move(launch));
}
inline InstructionPtr Loop(int64_t begin, int64_t end, std::vector<InstructionPtr> body,
                           bool reverse = false) {
  fb::LoopT loop;
  loop.begin = begin;
  loop.end = end;
  loop.reverse = reverse;
  loop.body = std::move(body);
  return Wrap(std::move(loop));
}
inline InstructionPtr RunTimeLoop(int count_argument, std::vector<InstructionPtr> body, int part = 0,
                                  int parts = 1, bool reverse = false) {
  fb::LoopT loop;
  loop.count_argument = count_argument;
  loop.part = part;
  loop.parts = parts;
  loop.reverse = reverse;
  loop.body = std::move(body);
  return Wrap(std::move(loop));
}
inline InstructionPtr Copy(RefPtr from, RefPtr to) {
  fb::CopyT copy;
  copy.from = std::move(from);
  copy.to = std::move(to);
  return Wrap(std::move(copy));
}
inline InstructionPtr Zero(RefPtr to) {
  fb::ZeroT zero;
  zero.to = std::move(to);
  return Wrap(std::move(zero));
}
inline InstructionPtr AllReduce(RefPtr buffer, fb::DType dtype, int64_t elements, int axis) {
  fb::AllReduceT reduce;
  reduce.buffer = std::move(buffer);
  reduce.dtype = dtype;
  reduce.elements = elements;
  reduce.axis = axis;
  return Wrap(std::move(reduce));
}
template <typename T> InstructionPtr Message(RefPtr buffer, int axis, int peer, int tag) {
  T message; // fb::SendT or fb::ReceiveT
  message.buffer = std::move(buffer);
  message.axis = axis;
  message.peer = peer;
  message.tag = tag;
  return Wrap(std::move(message));
}

inline std::unique_ptr<fb::ArgumentT> Argument(std::string name, fb::ArgumentKind kind, fb::DType dtype,
                                               std::vector<int64_t> shape, bool dynamic = false,
                                               int64_t limit = -1) {
  auto argument = std::make_unique<fb::ArgumentT>();
  argument->name = std::move(name);
  argument->kind = kind;
  argument->dtype = dtype;
  argument->dynamic = dynamic;
  argument->limit = limit;
  argument->bytes = dtype == fb::DType::boolean                          ? 1
                    : dtype == fb::DType::f32 || dtype == fb::DType::i32 ? 4
                                                                         : 8;
  for (int64_t dim : shape) argument->bytes *= dim;
  argument->shape = std::move(shape);
  return argument;
}
inline std::unique_ptr<fb::VariableT> Variable(std::string name, std::vector<int64_t> shape, int64_t offset,
                                               fb::InitKind init = fb::InitKind::zeros, double scale = 0,
                                               int64_t layers = 0, int64_t layer_begin = 0) {
  auto variable = std::make_unique<fb::VariableT>();
  variable->name = std::move(name);
  variable->dtype = fb::DType::f32;
  variable->bytes = 4;
  for (int64_t dim : shape) variable->bytes *= dim;
  variable->shape = std::move(shape);
  variable->offset = offset;
  variable->init = init;
  variable->init_scale = scale;
  variable->layers = layers;
  variable->layer_begin = layer_begin;
  return variable;
}
inline std::unique_ptr<fb::EntryT> Entry(std::string name, int64_t arena_bytes,
                                         std::vector<std::unique_ptr<fb::ArgumentT>> arguments,
                                         std::vector<InstructionPtr> body) {
  auto entry = std::make_unique<fb::EntryT>();
  entry->name = std::move(name);
  entry->arena_bytes = arena_bytes;
  entry->arguments = std::move(arguments);
  entry->body = std::move(body);
  return entry;
}
inline std::unique_ptr<fb::StageT> Stage(int64_t persistent_bytes,
                                         std::vector<std::unique_ptr<fb::VariableT>> variables,
                                         std::vector<std::unique_ptr<fb::EntryT>> entries) {
  auto stage = std::make_unique<fb::StageT>();
  stage->persistent_bytes = persistent_bytes;
  stage->variables = std::move(variables);
  stage->entries = std::move(entries);
  return stage;
}
inline void AddKernel(fb::ArtifactT &artifact, std::string name, int buffers, int sizes,
                      int64_t scratch_bytes = 0) {
  auto kernel = std::make_unique<fb::KernelT>();
  kernel->name = std::move(name);
  kernel->num_buffers = buffers;
  kernel->num_sizes = sizes;
  kernel->scratch_bytes = scratch_bytes;
  artifact.kernels.push_back(std::move(kernel));
}
inline void AddObject(fb::ArtifactT &artifact, std::string level, std::vector<uint8_t> image) {
  auto object = std::make_unique<fb::ObjectT>();
  object->level = std::move(level);
  object->image = std::move(image);
  artifact.objects.push_back(std::move(object));
}

// A small artifact with one of everything: two kernels, nested loops, a dynamic argument, variables,
// collectives.
inline fb::ArtifactT Sample() {
  fb::ArtifactT artifact;
  artifact.model = "sample";
  artifact.config_json = "{}";
  AddKernel(artifact, "first", 2, 1, 64);
  AddKernel(artifact, "second", 1, 0);
  AddObject(artifact, "avx2", {1, 2, 3, 4});
  auto line = std::make_unique<fb::LineT>();
  line->file = "model.cc";
  line->line = 7;
  artifact.lines.push_back(std::move(line));

  auto inner = List(Launch(0, List(InArena(0, 16, {{1, 16}}), Persistent(0, 16, {{1, 16}})), {4}, 4));
  auto outer = List(Copy(Arg(0, 0, 16, {{0, 16}}), InArena(64, 16)), Loop(0, 4, std::move(inner), true));
  auto body = List(Zero(InArena(0, 80)), RunTimeLoop(1, std::move(outer)),
                   Launch(1, List(Arg(2, 0, 4)), {}, 1), AllReduce(InArena(0, 64), fb::DType::f32, 16, 0),
                   Message<fb::SendT>(InArena(0, 8), 1, 1, 3), Message<fb::ReceiveT>(InArena(8, 8), 1, 0, 3));
  using fb::ArgumentKind, fb::DType;
  auto arguments = List(Argument("tokens", ArgumentKind::input, DType::i32, {4}, true, 100),
                        Argument("count", ArgumentKind::input, DType::i64, {}),
                        Argument("loss", ArgumentKind::output, DType::f32, {}));
  artifact.stages.push_back(Stage(
      128, List(Variable("layers.w", {4, 4}, 0, fb::InitKind::normal, 0.02, 4), Variable("norm.w", {8}, 64)),
      List(Entry("step", 80, std::move(arguments), std::move(body)))));
  artifact.stages[0]->variables[0]->file_name = "model.layers.{}.w";
  return artifact;
}

} // namespace weft::testing
