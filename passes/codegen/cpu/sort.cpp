// A counting sort in two passes over the choices. The offsets' own buffer counts, and then says where each
// group's next choice goes, so that there is no scratch whatever the number of groups.
#include "passes/codegen/cpu/sort.h"
#include "passes/codegen/cpu/matmul_control.h"

using namespace mlir;
namespace weft::cpu {

LogicalResult emitSort(kernel::SortOp op, KernelFrame &frame) {
  Builder &b = frame.b;
  Type key = cast<RankedTensorType>(op.getKeys().getType()).getElementType(), i32 = b.getI32Type();
  if (!key.isInteger(32) && !key.isInteger(64))
    return op.emitOpError() << "sorts keys of " << key << " when they should be i32 or i64";
  Value tokens = frame.size(0), k = frame.size(1), experts = frame.size(2), segments = frame.size(3);
  Value groups = mulI64(b, experts, segments), zero = constantI64(b, 0), one = constantI64(b, 1);
  enum { keys, order, token, place, offsets };
  auto at = [&](int64_t buffer, Value index) {
    return elementAddress(b, frame.buffer(buffer), index, buffer == keys ? key : i32);
  };
  auto load = [&](Value index) { return loadScalar(b, at(offsets, index), i32); };
  auto narrow = [&](Value v) -> Value { return b.create<arith::TruncIOp>(i32, v); };
  auto store = [&](int64_t buffer, Value index, Value v) { storeScalar(b, at(buffer, index), v); };
  // Calls f(token, choice, group) for every choice in order.
  auto forChoices = [&](auto &&f) {
    Value run = maxI64(b, divI64(b, tokens, segments), one);
    forLoop(b, 0, tokens, 1, [&](Value n) {
      Value segment = divI64(b, n, run), first = mulI64(b, n, k);
      forLoop(b, 0, k, 1, [&](Value j) {
        Value choice = addI64(b, first, j), expert = loadScalar(b, at(keys, choice), key);
        if (key.isInteger(32)) expert = b.create<arith::ExtSIOp>(b.getI64Type(), expert);
        expert = maxI64(b, minI64(b, expert, subI64(b, experts, one)), zero);
        f(n, choice, addI64(b, mulI64(b, expert, segments), segment));
      });
    });
  };
  ifThen(b, lessThan(b, frame.begin, frame.end), [&] {
    forLoop(b, 0, addI64(b, groups, 1), 1, [&](Value g) { store(offsets, g, constantI32(b, 0)); });
    forChoices([&](Value, Value, Value group) {
      Value next = addI64(b, group, 1);
      store(offsets, next, b.create<arith::AddIOp>(load(next), constantI32(b, 1)));
    });
    forLoop(b, 0, groups, 1, [&](Value g) {
      Value next = addI64(b, g, 1);
      store(offsets, next, b.create<arith::AddIOp>(load(next), load(g)));
    });
    forChoices([&](Value n, Value choice, Value group) {
      Value to = load(group), wide = b.create<arith::ExtSIOp>(b.getI64Type(), to);
      store(offsets, group, b.create<arith::AddIOp>(to, constantI32(b, 1)));
      store(order, wide, narrow(choice));
      store(token, wide, narrow(n));
      store(place, choice, to);
    });
    // Each group's entry is its end by now, which is the next one's begin.
    forLoop(b, 0, groups, 1, [&](Value i) {
      Value g = subI64(b, groups, i);
      store(offsets, g, load(subI64(b, g, one)));
    });
    store(offsets, zero, constantI32(b, 0));
  });
  return success();
}

} // namespace weft::cpu
