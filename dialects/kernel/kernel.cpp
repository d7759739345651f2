#include "dialects/kernel/kernel.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

// Sizes as text: `?` is kDynamic. Found by the generated parsers through the types of what they parse into.
static void printSize(mlir::AsmPrinter &printer, int64_t size) {
  if (size == weft::kernel::kDynamic)
    printer << '?';
  else
    printer << size;
}
static mlir::ParseResult parseSize(mlir::AsmParser &parser, int64_t &size) {
  size = weft::kernel::kDynamic;
  return succeeded(parser.parseOptionalQuestion()) ? mlir::success() : parser.parseInteger(size);
}
static void printSizes(mlir::AsmPrinter &printer, llvm::ArrayRef<int64_t> sizes) {
  llvm::interleaveComma(sizes, printer, [&](int64_t size) { printSize(printer, size); });
}
static mlir::ParseResult parseSizes(mlir::AsmParser &parser, llvm::SmallVector<int64_t> &sizes) {
  return parser.parseCommaSeparatedList([&] { return parseSize(parser, sizes.emplace_back()); });
}
static void printSizeList(mlir::OpAsmPrinter &printer, mlir::Operation *, mlir::DenseI64ArrayAttr sizes) {
  printer << '[';
  printSizes(printer, sizes.asArrayRef());
  printer << ']';
}
static mlir::ParseResult parseSizeList(mlir::OpAsmParser &parser, mlir::DenseI64ArrayAttr &sizes) {
  llvm::SmallVector<int64_t> list;
  if (parser.parseCommaSeparatedList(mlir::AsmParser::Delimiter::Square,
                                     [&] { return parseSize(parser, list.emplace_back()); }))
    return mlir::failure();
  sizes = parser.getBuilder().getDenseI64ArrayAttr(list);
  return mlir::success();
}

#include "dialects/kernel/kernel_dialect.cpp.inc"
#include "dialects/kernel/kernel_enums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/kernel/kernel_attrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/kernel/kernel_ops.cpp.inc"

namespace weft::kernel {

constexpr int64_t kPackedRows =
    512; // of lhs, that rhs is packed for at the least: a few percent of their time
constexpr int64_t kSumColumns = 256; // of f32: a kilobyte of each row that is read

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/kernel/kernel_attrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/kernel/kernel_ops.cpp.inc"
      >();
}

SizeLayout::SizeLayout(mlir::Operation *op) {
  auto take = [&](mlir::ArrayAttr list) {
    for (mlir::Attribute a : list) accesses.push_back(mlir::cast<AccessAttr>(a));
  };
  if (auto loops = mlir::dyn_cast<LoopsOp>(op)) {
    numDims = loops.getDomain().size();
    take(loops.getInputAccess());
    numInputs = accesses.size();
    take(loops.getOutputAccess());
  } else if (auto matmul = mlir::dyn_cast<MatmulOp>(op)) {
    numDims = 4;
    accesses = {matmul.getLhsAccess(), matmul.getRhsAccess()};
    take(matmul.getExtraAccess());
    if (matmul.getGroups()) accesses.push_back(*matmul.getGroupAccess());
    if (matmul.getRows()) accesses.push_back(*matmul.getRowAccess());
    numInputs = accesses.size();
    take(matmul.getOutputAccess());
  } else if (auto sort = mlir::dyn_cast<SortOp>(op)) {
    numDims = 4;
    take(sort.getInputAccess());
    numInputs = accesses.size();
    take(sort.getOutputAccess());
  } else {
    auto attention = mlir::cast<AttentionOp>(op);
    numDims = 7;
    take(attention.getInputAccess());
    numInputs = accesses.size();
    take(attention.getOutputAccess());
  }
  slots = numDims;
  for (AccessAttr a : accesses) {
    bases.push_back(slots);
    slots += a.getStrides().size() + 2;
  }
}

bool isKernel(mlir::Operation *op) { return mlir::isa<LoopsOp, MatmulOp, AttentionOp, SortOp>(op); }

llvm::ArrayRef<int64_t> sizesOf(mlir::Operation *op) {
  if (auto loops = mlir::dyn_cast<LoopsOp>(op)) return loops.getDomain();
  if (auto matmul = mlir::dyn_cast<MatmulOp>(op)) return matmul.getSizes();
  if (auto sort = mlir::dyn_cast<SortOp>(op)) return sort.getSizes();
  return mlir::cast<AttentionOp>(op).getSizes();
}

mlir::Value accessedValue(mlir::Operation *op, int64_t i) {
  SizeLayout layout(op);
  if (i >= layout.numInputs) {
    int64_t out = i - layout.numInputs;
    if (auto loops = mlir::dyn_cast<LoopsOp>(op)) out = loops.getYieldResult()[out];
    return op->getResult(out);
  }
  if (auto loops = mlir::dyn_cast<LoopsOp>(op)) return loops.getInputs()[i];
  auto matmul = mlir::dyn_cast<MatmulOp>(op);
  if (!matmul || i < 2) return op->getOperand(i);
  if (i == matmul.groupsNumber()) return matmul.getGroups();
  if (i == matmul.rowsNumber()) return matmul.getRows();
  return matmul.getExtras()[i - 2];
}

llvm::SmallVector<int64_t> accessSpace(mlir::Operation *op, int64_t i) {
  auto s = sizesOf(op);
  if (mlir::isa<LoopsOp>(op)) return llvm::to_vector(s);
  if (auto matmul = mlir::dyn_cast<MatmulOp>(op)) {
    if (i == 0) return {s[0], s[1], s[3]};
    if (i == 1) return {s[0], s[3], s[2]};
    if (i == matmul.groupsNumber()) return {s[0] + 1};
    if (i == matmul.rowsNumber()) return {matmul.getGrouped() == GroupedBy::m ? s[1] : s[3]};
    return {s[0], s[1], s[2]};
  }
  if (mlir::isa<SortOp>(op)) return {i == 4 ? s[2] * s[3] + 1 : s[0] * s[1]};
  auto attention = mlir::cast<AttentionOp>(op);
  llvm::SmallVector<int64_t> q{s[0], s[1], s[3], s[5]}, k{s[0], s[2], s[4], s[5]}, v{s[0], s[2], s[4], s[6]},
      range{s[0], s[1]}, row{s[0], s[1], s[3]}, out{s[0], s[1], s[3], s[6]};
  int64_t numInputs = attention.getInputs().size();
  if (i < numInputs) return std::array{q, k, v, range, range, row, row, out}[i];
  switch (attention.getKind()) {
  case AttentionKind::forward:
    return std::array{out, row}[i - numInputs];
  case AttentionKind::backward:
    return std::array{q, k, v}[i - numInputs];
  case AttentionKind::grad_query:
    return q;
  case AttentionKind::grad_key_value:
    return std::array{k, v}[i - numInputs];
  }
  llvm_unreachable("attention kind");
}

bool hasRowReduction(LoopsOp op) { return !op.getBody().getOps<ReduceOp>().empty(); }

int64_t numWorkItems(mlir::Operation *op, llvm::ArrayRef<int64_t> sizes) {
  auto product = [](llvm::ArrayRef<int64_t> dims) {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    return n;
  };
  if (auto loops = mlir::dyn_cast<LoopsOp>(op)) {
    int64_t outer = product(sizes.drop_front(loops.getReduceDims()).drop_back());
    if (hasRowReduction(loops)) return outer;
    return outer * llvm::divideCeil(sizes.back(), loops.getSchedule()->getBlockN());
  }
  if (auto matmul = mlir::dyn_cast<MatmulOp>(op)) {
    ScheduleAttr s = *matmul.getSchedule();
    int64_t batch = matmul.getGroups() ? 1 : sizes[0];
    return batch * llvm::divideCeil(sizes[2], s.getBlockN()) * llvm::divideCeil(sizes[1], s.getBlockM());
  }
  if (mlir::isa<SortOp>(op)) return 1;
  auto attention = mlir::cast<AttentionOp>(op);
  if (attention.getKind() == AttentionKind::backward) return sizes[0] * sizes[4];
  if (attention.getKind() == AttentionKind::grad_key_value)
    return sizes[0] * sizes[4] *
           llvm::divideCeil(sizes[2], std::max<int64_t>(attention.getSchedule()->getTileN(), 1));
  return sizes[0] * sizes[3] * llvm::divideCeil(sizes[1], attention.getSchedule()->getTileM());
}

int64_t itemsTogether(mlir::Operation *op, llvm::ArrayRef<int64_t> sizes) {
  if (auto loops = mlir::dyn_cast<LoopsOp>(op)) {
    // Sums that keep nothing but the columns, scatters among them: a call goes over all rows once.
    const int64_t reduced = loops.getReduceDims();
    if (reduced == 0 || reduced + 1 != int64_t(sizes.size())) return 1;
    return llvm::divideCeil(kSumColumns, std::max<int64_t>(loops.getSchedule()->getBlockN(), 1));
  }
  auto matmul = mlir::dyn_cast<MatmulOp>(op);
  if (!matmul || matmul.getPackedRhs()) return 1;
  const int64_t block = matmul.getSchedule()->getBlockM(), run = llvm::divideCeil(sizes[1], block);
  // bf16 is multiplied faster than it is packed.
  if (mlir::cast<mlir::RankedTensorType>(matmul.getLhs().getType()).getElementType().isBF16())
    return std::max<int64_t>(run, 1);
  return std::clamp<int64_t>(llvm::divideCeil(kPackedRows, block), 1, std::max<int64_t>(run, 1));
}

} // namespace weft::kernel
