#include "passes/fuse/epilogue_cost.h"
#include "dialects/graph/graph.h"
#include "passes/program/kernel_work.h"

using namespace mlir;
namespace weft {

// Of what `points` points read or write.
static double bytesOf(Value v, double points) {
  auto type = cast<RankedTensorType>(v.getType());
  return std::min(points, double(type.getNumElements())) *
         std::max<unsigned>(1, type.getElementTypeBitWidth() / 8);
}

EpilogueCost epilogueCost(const ProductEpilogue &alone, const ProductEpilogue *before,
                          const ProductEpilogue &with, Value root, ArrayRef<Value> read,
                          ArrayRef<Value> stored, const FusionMachine &machine) {
  const double points = double(graph::tensorType(root).getNumElements());
  auto sum = [&](ArrayRef<Value> values) {
    double bytes = 0;
    for (Value v : values) bytes += bytesOf(v, points);
    return bytes;
  };
  auto arithmetic = [&](const ProductEpilogue *e) {
    return e ? points * double(instructionsOf(*e->body)) / machine.lanesPerNs : 0;
  };
  const double result = bytesOf(root, points), given = sum(read), bytes = given + sum(alone.extras) + result;
  const double more = result + sum(with.extras) - (before ? sum(before->extras) : 0) - given + sum(stored);
  const bool cached = bytes <= machine.cacheBytes;
  EpilogueCost cost;
  cost.behindNs = arithmetic(&with) - arithmetic(before) + (cached ? 0 : more / machine.threadMemoryRate);
  cost.apartNs = machine.launchNs +
                 std::max(arithmetic(&alone), bytes / (cached ? machine.cacheRate : machine.memoryRate));
  return cost;
}

} // namespace weft
