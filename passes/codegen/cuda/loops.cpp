// One block a work item (a row, or a block of columns); its threads stride over the columns.
#include "passes/codegen/cuda/loops.h"

#include "passes/codegen/cpu/loops_plan.h"
#include "passes/codegen/cuda/compile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
namespace weft::cuda {

using cpu::Builder;
using cpu::LoopsBody;
constexpr int64_t kWarp = 32, kWarps = kThreads / kWarp;

namespace {

// Buffers and sizes are the function's own arguments: in constant memory, nothing to load.
struct Arguments : cpu::KernelArguments {
  Arguments(Builder &b, LLVM::LLVMFuncOp function, Operation *op)
      : KernelArguments(b, op), function(function) {
    int64_t fixed = int64_t(layout.accesses.size()) + layout.numSlots();
    begin = argument(fixed);
    end = argument(fixed + 1);
  }
  Value argument(int64_t i) { return function.getBody().front().getArgument(i); }
  Value readBuffer(int64_t i) override { return argument(i); }
  Value readSlot(int64_t slot) override { return argument(int64_t(layout.accesses.size()) + slot); }
  LLVM::LLVMFuncOp function;
};

// The block's threads at work on one kernel.loops.
class BlockEmitter {
public:
  BlockEmitter(LoopsBody &body, StringRef kernelName, ModuleOp target)
      : body(body), frame(body.frame), b(body.frame.b), kernelName(kernelName), target(target) {
    thread =
        b.create<arith::ExtUIOp>(b.getI64Type(), b.create<NVVM::ThreadIdXOp>(b.getI32Type()).getResult());
    block = b.create<arith::ExtUIOp>(b.getI64Type(), b.create<NVVM::BlockIdXOp>(b.getI32Type()).getResult());
    blocks = b.create<arith::ExtUIOp>(b.getI64Type(), b.create<NVVM::GridDimXOp>(b.getI32Type()).getResult());
  }

  LogicalResult emit() {
    bool reduces = body.numReducePasses() > 0;
    int64_t blockColumns = reduces ? 0 : body.op.getSchedule()->getBlockN();
    SmallVector<Value> sizes;
    for (int64_t d = 0; d + 1 < body.rank(); ++d) sizes.push_back(frame.size(d));
    if (!reduces) sizes.push_back(cpu::numColumnBlocks(frame, blockColumns));
    auto items = b.create<scf::ForOp>(cpu::addI64(b, frame.begin, block), frame.end, blocks);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(items.getBody());
    SmallVector<Value> digits = decode(items.getInductionVar(), sizes);
    if (failed(body.startRow(ArrayRef(digits).take_front(body.rank() - 1)))) return failure();
    Value first = cpu::constantI64(b, 0), last = frame.size(body.rank() - 1);
    if (!reduces) std::tie(first, last) = cpu::columnBlock(frame, blockColumns, digits.back());
    for (int64_t pass = 0; pass < body.numReducePasses(); ++pass)
      if (failed(emitReducePass(pass, last))) return failure();
    if (failed(emitStorePass(first, last))) return failure();
    // The next item's reductions write the shared memory that this one's have read.
    if (reduces) b.create<NVVM::Barrier0Op>();
    return success();
  }

private:
  SmallVector<Value> decode(Value item, ArrayRef<Value> sizes) {
    SmallVector<Value> digits(sizes.size());
    for (int64_t d = int64_t(sizes.size()) - 1; d > 0; --d) {
      digits[d] = b.create<arith::RemUIOp>(item, sizes[d]);
      item = b.create<arith::DivUIOp>(item, sizes[d]);
    }
    if (!digits.empty()) digits[0] = item;
    return digits;
  }

  // This thread's columns of [first, last), `carried` going around.
  FailureOr<SmallVector<Value>>
  forEachColumn(Value first, Value last, ValueRange carried,
                llvm::function_ref<FailureOr<SmallVector<Value>>(Value, ValueRange)> step) {
    auto loop =
        b.create<scf::ForOp>(cpu::addI64(b, first, thread), last, cpu::constantI64(b, kThreads), carried);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    auto next = step(loop.getInductionVar(), loop.getRegionIterArgs());
    if (failed(next)) return failure();
    if (!carried.empty()) b.create<scf::YieldOp>(*next);
    return SmallVector<Value>(loop.getResults());
  }

  // The value of the lane `distance` away (xor). 64 bits go in halves.
  Value shuffle(Value value, int32_t distance) {
    Type type = value.getType(), i32 = b.getI32Type();
    auto exchange = [&](Value v) -> Value {
      return b.create<NVVM::ShflOp>(v.getType(), cpu::constantI32(b, -1), v, cpu::constantI32(b, distance),
                                    cpu::constantI32(b, 31), NVVM::ShflKind::bfly, UnitAttr());
    };
    if (type.getIntOrFloatBitWidth() == 32) return exchange(value);
    Type i64 = b.getI64Type();
    Value bits = b.create<arith::BitcastOp>(i64, value);
    Value low = exchange(b.create<arith::TruncIOp>(i32, bits));
    Value high = exchange(
        b.create<arith::TruncIOp>(i32, b.create<arith::ShRUIOp>(bits, cpu::constantI64(b, 32)).getResult()));
    Value joined = b.create<arith::ShLIOp>(b.create<arith::ExtUIOp>(i64, high), cpu::constantI64(b, 32));
    joined = b.create<arith::OrIOp>(joined, b.create<arith::ExtUIOp>(i64, low));
    return b.create<arith::BitcastOp>(type, joined);
  }

  Value reduceWarp(kernel::RowReduceKind kind, Value value, int32_t width) {
    for (int32_t distance = width / 2; distance >= 1; distance /= 2)
      value = cpu::combine(b, kind, value, shuffle(value, distance));
    return value;
  }

  // A slot of shared memory for each warp.
  Value sharedMemory(Type type) {
    auto array = LLVM::LLVMArrayType::get(type, kWarps);
    LLVM::GlobalOp global;
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(target.getBody());
      std::string name = (kernelName + "_shared_" + llvm::Twine(numShared++)).str();
      global = b.create<LLVM::GlobalOp>(array, /*isConstant=*/false, LLVM::Linkage::Internal, name,
                                        Attribute(), /*alignment=*/8, /*addrSpace=*/3);
    }
    return b.create<LLVM::AddressOfOp>(global);
  }

  // The whole block's reduction, known to every thread.
  Value reduceBlock(kernel::RowReduceKind kind, Value value) {
    Type type = value.getType();
    value = reduceWarp(kind, value, kWarp);
    Value shared = sharedMemory(type);
    Value lane = b.create<arith::AndIOp>(thread, cpu::constantI64(b, kWarp - 1));
    Value warp = b.create<arith::ShRUIOp>(thread, cpu::constantI64(b, 5));
    Value isFirst = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, lane, cpu::constantI64(b, 0));
    auto once = b.create<scf::IfOp>(isFirst, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(once.thenBlock());
      cpu::storeScalar(b, cpu::elementAddress(b, shared, warp, type), value);
    }
    b.create<NVVM::Barrier0Op>();
    // Every warp combines the warps' values, several lanes the same one.
    Value mine = b.create<arith::AndIOp>(lane, cpu::constantI64(b, kWarps - 1));
    return reduceWarp(kind, cpu::loadScalar(b, cpu::elementAddress(b, shared, mine, type), type), kWarps);
  }

  LogicalResult emitReducePass(int64_t pass, Value columns) {
    SmallVector<kernel::ReduceOp> reductions = body.reductions(pass);
    SmallVector<Value> wanted, start;
    for (auto reduce : reductions) {
      wanted.push_back(reduce.getValue());
      start.push_back(cpu::reductionIdentity(b, reduce.getKind(), reduce.getValue().getType()));
    }
    auto sums = forEachColumn(cpu::constantI64(b, 0), columns, start,
                              [&](Value column, ValueRange carried) -> FailureOr<SmallVector<Value>> {
                                auto values = body.emitScalars(wanted, column);
                                if (failed(values)) return failure();
                                SmallVector<Value> next;
                                for (auto [reduce, sum, value] : llvm::zip(reductions, carried, *values))
                                  next.push_back(cpu::combine(b, reduce.getKind(), sum, value));
                                return next;
                              });
    if (failed(sums)) return failure();
    for (auto [reduce, sum] : llvm::zip(reductions, *sums))
      body.setReduction(reduce, reduceBlock(reduce.getKind(), sum));
    return body.finishPass(pass);
  }

  LogicalResult emitStorePass(Value first, Value last) {
    SmallVector<int64_t> ofRow, ofColumns;
    SmallVector<Value> wanted;
    for (size_t i = 0; i < body.yields().size(); ++i) {
      bool once = frame.strideIs(body.outputAccess(i), body.rank() - 1, 0) && !body.varies(body.yields()[i]);
      (once ? ofRow : ofColumns).push_back(i);
      if (!once) wanted.push_back(body.yields()[i]);
    }
    if (!ofColumns.empty()) {
      auto done =
          forEachColumn(first, last, {}, [&](Value column, ValueRange) -> FailureOr<SmallVector<Value>> {
            auto values = body.emitScalars(wanted, column);
            if (failed(values)) return failure();
            for (auto [i, value] : llvm::zip(ofColumns, *values))
              cpu::storeScalar(b, body.outputAddress(i, column), value);
            return SmallVector<Value>();
          });
      if (failed(done)) return failure();
    }
    if (ofRow.empty()) return success();
    // All threads have read the row before its result may lie over it.
    b.create<NVVM::Barrier0Op>();
    Value leads = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, cpu::addI64(b, first, thread),
                                          cpu::constantI64(b, 0));
    auto once = b.create<scf::IfOp>(leads, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(once.thenBlock());
    for (int64_t i : ofRow)
      cpu::storeScalar(b, body.outputAddress(i, cpu::constantI64(b, 0)), body.rowValue(body.yields()[i]));
    return success();
  }

  LoopsBody &body;
  cpu::KernelArguments &frame;
  Builder &b;
  StringRef kernelName;
  ModuleOp target;
  Value thread, block, blocks; // i64
  int64_t numShared = 0;
};

} // namespace

LogicalResult emitLoops(kernel::LoopsOp op, StringRef name, ModuleOp target) {
  if (op.getReduceDims() > 0)
    return op.emitOpError()
           << "with reduce_dims has no CUDA code yet: only elementwise code and row reductions have";
  Builder b(op.getLoc(), target.getContext());
  b.setInsertionPointToEnd(target.getBody());
  kernel::SizeLayout layout(op);
  SmallVector<Type> types(layout.accesses.size(), LLVM::LLVMPointerType::get(b.getContext()));
  types.append(layout.numSlots() + 2, b.getI64Type());
  auto function = b.create<LLVM::LLVMFuncOp>(
      name, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types));
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(), b.getDenseI32ArrayAttr({int32_t(kThreads)}));
  b.setInsertionPointToEnd(function.addEntryBlock(b));
  Arguments arguments(b, function, op);
  LoopsBody body(op, arguments);
  if (failed(body.check())) return failure();
  if (failed(BlockEmitter(body, name, target).emit())) return failure();
  b.setInsertionPointToEnd(&function.getBody().back());
  b.create<LLVM::ReturnOp>(ValueRange());
  return success();
}

} // namespace weft::cuda
