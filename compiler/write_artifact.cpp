#include "compiler/write_artifact.h"
#include "compiler/kernels/kernel_ir.h"
#include "dialects/graph/graph.h"
#include "dialects/kernel/kernel.h"
#include "dialects/program/program.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/emit.h"
#include "runtime/artifact/reader.h"
#include "runtime/train/file_hash.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
namespace weft {
namespace {

// The model's lines, each once.
class Lines {
public:
  explicit Lines(fb::ArtifactT &artifact) : artifact(artifact) {}

  // The first line of a location, -1 for none.
  int32_t number(Location loc) {
    SmallVector<int32_t> all;
    collect(loc, "", all);
    return all.empty() ? -1 : all.front();
  }
  std::vector<int32_t> numbers(Location loc) {
    SmallVector<int32_t> all;
    collect(loc, "", all);
    std::vector<int32_t> unique;
    for (int32_t n : all)
      if (!llvm::is_contained(unique, n)) unique.push_back(n);
    return unique;
  }

private:
  void collect(Location loc, StringRef path, SmallVectorImpl<int32_t> &out) {
    if (auto named = dyn_cast<NameLoc>(loc)) return collect(named.getChildLoc(), named.getName(), out);
    if (auto fused = dyn_cast<FusedLoc>(loc)) {
      for (Location l : fused.getLocations()) collect(l, path, out);
      return;
    }
    auto file = dyn_cast<FileLineColLoc>(loc);
    if (!file) return;
    std::string key = (file.getFilename().getValue() + ":" + std::to_string(file.getLine()) + ":" +
                       std::to_string(file.getColumn()) + ":" + path)
                          .str();
    auto [it, fresh] = known.try_emplace(key, artifact.lines.size());
    if (fresh) {
      auto line = std::make_unique<fb::LineT>();
      line->file = file.getFilename().str();
      line->line = file.getLine();
      line->column = file.getColumn();
      line->module_path = path.str();
      artifact.lines.push_back(std::move(line));
    }
    out.push_back(it->second);
  }
  fb::ArtifactT &artifact;
  llvm::StringMap<int32_t> known;
};

class StageWriter {
public:
  StageWriter(Lines &lines, const llvm::StringMap<int32_t> &kernels) : lines(lines), kernels(kernels) {}

  std::unique_ptr<fb::StageT> write(ModuleOp module) {
    auto stage = std::make_unique<fb::StageT>();
    for (auto v : module.getOps<graph::VariableOp>()) {
      std::unique_ptr<fb::VariableT> out = describeVariable(v);
      out->offset = v->getAttrOfType<IntegerAttr>("weft.offset").getInt();
      out->init = fb::InitKind(v.getInit());
      out->init_scale = v.getInitScale().convertToDouble();
      out->line = lines.number(v.getLoc());
      stage->persistent_bytes =
          std::max<int64_t>(stage->persistent_bytes, (out->offset + out->bytes + 63) / 64 * 64);
      stage->variables.push_back(std::move(out));
    }
    for (auto entry : module.getOps<program::EntryOp>()) {
      auto out = std::make_unique<fb::EntryT>();
      out->name = entry.getSymName().str();
      out->arena_bytes = entry.getArenaBytes();
      for (Attribute a : entry.getArguments()) out->arguments.push_back(argument(cast<DictionaryAttr>(a)));
      out->body = body(entry.getBody().front());
      stage->entries.push_back(std::move(out));
    }
    return stage;
  }

private:
  std::unique_ptr<fb::ArgumentT> argument(DictionaryAttr d) {
    auto out = std::make_unique<fb::ArgumentT>();
    auto type = cast<RankedTensorType>(cast<TypeAttr>(d.get("type")).getValue());
    out->name = cast<StringAttr>(d.get("name")).str();
    out->kind =
        cast<BoolAttr>(d.get("output")).getValue() ? fb::ArgumentKind::output : fb::ArgumentKind::input;
    out->dtype = dtypeOf(type.getElementType());
    out->shape.assign(type.getShape().begin(), type.getShape().end());
    out->dynamic = cast<BoolAttr>(d.get("dynamic")).getValue();
    out->bytes =
        type.getNumElements() * (type.getElementType().isInteger(1) ? 1 : type.getElementTypeBitWidth() / 8);
    if (auto limit = dyn_cast_or_null<IntegerAttr>(d.get("limit"))) out->limit = limit.getInt();
    return out;
  }

  template <typename T> std::unique_ptr<fb::InstructionT> instruction(T op) {
    auto out = std::make_unique<fb::InstructionT>();
    out->op.Set(std::move(op));
    return out;
  }

  std::vector<std::unique_ptr<fb::InstructionT>> body(Block &block) {
    std::vector<std::unique_ptr<fb::InstructionT>> out;
    for (Operation &op : block) {
      if (auto launch = dyn_cast<program::LaunchOp>(op)) {
        fb::LaunchT t = describeLaunch(launch);
        t.kernel = kernels.lookup(launch.getKernel());
        t.line = lines.number(op.getLoc());
        out.push_back(instruction(std::move(t)));
      } else if (auto loop = dyn_cast<program::LoopOp>(op)) {
        fb::LoopT t;
        t.begin = loop.getBegin();
        t.end = loop.getEnd();
        t.reverse = loop.getReverse();
        t.count_argument = int64_t(loop.getCountArgument());
        t.part = loop.getPart();
        t.parts = loop.getParts();
        t.body = body(loop.getBody().front());
        out.push_back(instruction(std::move(t)));
      } else if (auto copy = dyn_cast<program::CopyOp>(op)) {
        fb::CopyT t;
        t.from = describeBuffer(copy.getFrom());
        t.to = describeBuffer(copy.getTo());
        out.push_back(instruction(std::move(t)));
      } else if (auto zero = dyn_cast<program::ZeroOp>(op)) {
        fb::ZeroT t;
        t.to = describeBuffer(zero.getBuffer());
        out.push_back(instruction(std::move(t)));
      } else if (auto reduce = dyn_cast<program::AllReduceOp>(op)) {
        fb::AllReduceT t;
        t.buffer = describeBuffer(reduce.getBuffer());
        t.dtype = fb::DType(reduce.getDtype());
        t.elements = reduce.getElements();
        t.axis = reduce.getAxis();
        out.push_back(instruction(std::move(t)));
      } else if (auto send = dyn_cast<program::SendOp>(op)) {
        fb::SendT t;
        t.buffer = describeBuffer(send.getBuffer());
        t.axis = send.getAxis();
        t.peer = send.getPeer();
        t.tag = send.getTag();
        out.push_back(instruction(std::move(t)));
      } else if (auto receive = dyn_cast<program::ReceiveOp>(op)) {
        fb::ReceiveT t;
        t.buffer = describeBuffer(receive.getBuffer());
        t.axis = receive.getAxis();
        t.peer = receive.getPeer();
        t.tag = receive.getTag();
        out.push_back(instruction(std::move(t)));
      }
    }
    return out;
  }

  Lines &lines;
  const llvm::StringMap<int32_t> &kernels;
};

template <typename T> std::string printed(T attr) {
  std::string text;
  if (attr) llvm::raw_string_ostream(text) << attr;
  return text;
}

} // namespace

std::unique_ptr<fb::RefT> describeBuffer(Value v) {
  auto out = std::make_unique<fb::RefT>();
  auto view = v.getDefiningOp<program::ViewOp>();
  auto buffer = (view ? view.getSource() : v).getDefiningOp<program::BufferOp>();
  out->space = fb::Space(buffer.getSpace());
  out->index = buffer.getIndex();
  out->offset = buffer.getOffset() + (view ? int64_t(view.getOffset()) : 0);
  out->extent = view ? int64_t(view.getBytes()) : int64_t(buffer.getBytes());
  if (view)
    for (auto [depth, stride] : llvm::enumerate(view.getStrides()))
      if (stride) out->strides.push_back(fb::LoopStride(depth, 0, stride));
  return out;
}

std::unique_ptr<fb::VariableT> describeVariable(graph::VariableOp v) {
  auto out = std::make_unique<fb::VariableT>();
  auto type = cast<RankedTensorType>(v.getType());
  out->name = v.getSymName().str();
  out->file_name = v.getFileName().str();
  out->kind = fb::VariableKind(v.getKind());
  out->dtype = dtypeOf(type.getElementType());
  out->shape.assign(type.getShape().begin(), type.getShape().end());
  out->layers = v.getLayers();
  out->layer_begin = v.getLayerBegin();
  out->bytes =
      type.getNumElements() * (type.getElementType().isInteger(1) ? 1 : type.getElementTypeBitWidth() / 8);
  return out;
}

fb::LaunchT describeLaunch(program::LaunchOp launch) {
  fb::LaunchT t;
  for (Value v : launch.getBuffers()) t.buffers.push_back(describeBuffer(v));
  t.sizes.assign(launch.getSizes().begin(), launch.getSizes().end());
  t.items = launch.getItems();
  t.piece = launch.getPiece();
  t.flops = launch.getFlops();
  t.vector_ops = launch.getVectorOps();
  t.bytes = launch.getBytes();
  return t;
}

FailureOr<fb::ArtifactT> makeArtifact(ArrayRef<ModuleOp> stages, const ArtifactInputs &inputs) {
  fb::ArtifactT artifact;
  artifact.format_version = kArtifactFormatVersion;
  artifact.model = inputs.model;
  artifact.config_json = inputs.configJson;
  for (auto &[key, value] : inputs.options) {
    auto option = std::make_unique<fb::OptionT>();
    option->key = key;
    option->value = value;
    artifact.options.push_back(std::move(option));
  }
  Lines lines(artifact);
  // Kernels of all stages: the first module holds them all (lower-to-program outlines into it).
  ModuleOp first = stages.front();
  llvm::StringMap<int32_t> kernels;
  for (auto k : first.getOps<program::KernelOp>()) {
    kernels[k.getSymName()] = artifact.kernels.size();
    auto out = std::make_unique<fb::KernelT>();
    Operation *op = cpu::kernelOpOf(k);
    out->name = k.getSymName().str();
    out->family = op->getName().getStringRef().drop_front(strlen("kernel.")).str();
    out->schedule = printed(op->getAttr("schedule"));
    out->reduction = printed(op->getAttr("reduction"));
    kernel::SizeLayout layout(op);
    out->num_buffers = layout.accesses.size();
    out->num_sizes = layout.numSlots();
    out->scratch_bytes = cpu::scratchBytes(k);
    out->lines = lines.numbers(k.getLoc());
    out->buffers = kernelBuffers(op);
    out->makes_infinity = makesInfinity(op);
    if (auto it = inputs.substituted.find(k.getSymName()); it != inputs.substituted.end())
      out->substituted = it->second.what;
    if (auto it = inputs.tuned.find(k.getSymName()); it != inputs.tuned.end()) out->tuned = it->second;
    artifact.kernels.push_back(std::move(out));
  }
  PackedKernels ir = packKernels(first);
  artifact.kernel_ir.assign(ir.deflated.begin(), ir.deflated.end());
  artifact.kernel_ir_bytes = ir.bytes;
  for (const std::string &name : inputs.levels) {
    llvm::StringMap<std::string> replaced;
    for (auto &entry : inputs.substituted)
      if (auto it = entry.second.objects.find(name); it != entry.second.objects.end())
        replaced[entry.first()] = it->second;
    cpu::CompileOptions options;
    options.replaced = &replaced;
    options.cache = inputs.objects;
    auto image = cpu::compileKernels(first, *cpu::findCpuLevel(name), options);
    if (failed(image)) return failure();
    auto object = std::make_unique<fb::ObjectT>();
    object->level = name;
    object->image.assign(image->begin(), image->end());
    artifact.objects.push_back(std::move(object));
  }
  for (ModuleOp module : stages) artifact.stages.push_back(StageWriter(lines, kernels).write(module));
  // Of the entry that needs the most memory.
  program::EntryOp largest;
  for (ModuleOp module : stages)
    for (auto entry : module.getOps<program::EntryOp>())
      if (!largest || entry.getArenaBytes() > largest.getArenaBytes()) largest = entry;
  if (auto peak = largest ? largest->getAttrOfType<ArrayAttr>("weft.peak") : ArrayAttr())
    for (auto owner : peak.getAsRange<DictionaryAttr>()) {
      auto out = std::make_unique<fb::PeakOwnerT>();
      out->what = owner.getAs<StringAttr>("what").str();
      out->bytes = owner.getAs<IntegerAttr>("bytes").getInt();
      out->line = lines.number(cast<LocationAttr>(owner.get("where")));
      artifact.peak.push_back(std::move(out));
    }
  for (const Remark &r : inputs.remarks) {
    auto out = std::make_unique<fb::RemarkT>();
    out->pass = r.pass;
    out->kind = r.kind;
    out->message = r.message;
    out->line = lines.number(r.location);
    artifact.remarks.push_back(std::move(out));
  }
  llvm::StringSet<> files;
  for (auto &line : artifact.lines)
    if (files.insert(line->file).second) {
      auto source = std::make_unique<fb::SourceFileT>();
      source->file = line->file;
      if (auto hash = HashFile(line->file); hash.ok()) source->hash = hash->hash;
      artifact.sources.push_back(std::move(source));
    }
  return artifact;
}

} // namespace weft
