#include "compiler/cost/memory_trial.h"
#include "dialects/graph/graph.h"
#include "dialects/program/program.h"
#include "runtime/train/byte_size.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
namespace weft {

StageMemory memoryOf(ModuleOp module) {
  StageMemory memory;
  for (auto v : module.getOps<graph::VariableOp>())
    if (auto offset = v->getAttrOfType<IntegerAttr>("weft.offset");
        offset && v.getKind() != graph::VariableKind::derived) {
      auto type = cast<RankedTensorType>(v.getType());
      int64_t bytes = (type.getNumElements() * type.getElementTypeBitWidth() + 7) / 8;
      memory.persistent = std::max(memory.persistent, offset.getInt() + (bytes + 63) / 64 * 64);
    }
  for (auto entry : module.getOps<program::EntryOp>()) {
    int64_t &arena = entry.getSymName() == "train_step" ? memory.training : memory.others;
    arena = std::max<int64_t>(arena, entry.getArenaBytes());
  }
  return memory;
}

std::vector<KeptOp> takeKept(ModuleOp module, const Calibration &machine, const std::string &bf16Unit) {
  std::vector<KeptOp> out;
  auto list = module->getAttrOfType<ArrayAttr>("weft.kept");
  if (!list) return out;
  module->removeAttr("weft.kept");
  for (auto op : list.getAsRange<DictionaryAttr>()) {
    auto number = [&](StringRef name) { return double(op.getAs<IntegerAttr>(name).getInt()); };
    const double rate = op.getAs<BoolAttr>("product").getValue() ? machine.FlopsOf(bf16Unit).all
                                                                 : machine.FlopsOf("fma").all / 2;
    const double seconds = number("flops") / rate + number("bytes") / machine.memory_bytes_per_s();
    out.push_back({{op.getAs<StringAttr>("op").str(), int64_t(number("bytes")), seconds * 1e9},
                   op.getAs<StringAttr>("what").str(),
                   op.getAs<LocationAttr>("where")});
  }
  return out;
}

std::string remarkOf(const RecomputedValue &value, const KeptOp &op, double stepNs) {
  const std::string cost = llvm::formatv("{0:f0} us ({1}{2:f2} % of a step)", value.ns / 1e3,
                                         value.ns < 0 ? "" : "+", stepNs > 0 ? value.ns / stepNs * 100 : 0.0);
  const std::string saved = op.what + " saved for backward: ";
  if (!value.compared)
    return saved + ByteText(value.bytes) + "; computing it again has operations for about " + cost;
  const std::string peak =
      "takes " + (value.bytes > 0 ? ByteText(value.bytes) : "nothing") + " off the peak, predicted to cost ";
  if (value.again) return op.what + " computed again in backward: " + peak + cost;
  return saved + "computing it again " + peak + cost;
}

} // namespace weft
