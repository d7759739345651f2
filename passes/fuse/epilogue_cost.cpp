#include "passes/fuse/epilogue_cost.h"
#include "passes/program/kernel_work.h"
#include <algorithm>

using namespace mlir;
namespace weft {

// Where everything comes from the cache up to its size, and from memory from half as much again on: what is
// streamed through a cache a little too small is not found there again.
static double fromMemory(double bytes, double cacheBytes) {
  return std::clamp((bytes / cacheBytes - 1) * 2, 0.0, 1.0);
}

double bytesOf(Value v, double points) {
  auto type = cast<RankedTensorType>(v.getType());
  return std::min(points, double(type.getNumElements())) *
         std::max<unsigned>(1, type.getElementTypeBitWidth() / 8);
}

EpilogueCode::EpilogueCode(const ProductEpilogue &epilogue, double points)
    : instructions(double(instructionsOf(*epilogue.body))) {
  for (Value extra : epilogue.extras) bytes += bytesOf(extra, points);
}

EpilogueCost epilogueCost(const EpilogueChoice &c, const FusionMachine &machine) {
  const double all = c.given + c.alone.bytes + c.result, memory = fromMemory(all, machine.cacheBytes);
  const double perInstruction = c.points / machine.lanesPerNs;
  EpilogueCost cost;
  cost.behindNs = (c.with.instructions - c.before.instructions) * perInstruction +
                  memory * (c.result + c.with.bytes - c.before.bytes - c.spared) / machine.productRate;
  cost.apartNs =
      machine.launchNs + std::max(c.alone.instructions * perInstruction,
                                  memory * all / machine.memoryRate + (1 - memory) * all / machine.cacheRate);
  return cost;
}

} // namespace weft
