#include "passes/fuse/fuse_products.h"
#include "passes/fuse/product_epilogue.h"

using namespace mlir;
namespace weft {
namespace {

class ProductFuser {
public:
  explicit ProductFuser(FusedBlock &fused) : fused(fused) {}

  void emit(graph::MatmulOp op) {
    auto lhsShape = graph::shapeOf(op.getLhs()), rhsShape = graph::shapeOf(op.getRhs()),
         out = graph::shapeOf(op.getResult());
    bool rows = rhsShape.size() == 2 && lhsShape.size() > 2;
    Value lhs = op.getLhs();
    int64_t m = out[out.size() - 2], n = out.back(),
            k = op.getTransposeLhs() ? lhsShape[lhsShape.size() - 2] : lhsShape.back(), batch = 1;
    Value packed = packedRhs(op);
    StridedView a = fused.view(lhs), w = fused.view(packed ? packed : op.getRhs());
    auto make = [&](const StridedView &v, int64_t bs, int64_t s0, int64_t s1) {
      return kernel::AccessAttr::get(op.getContext(), v.offset, ArrayRef<int64_t>{bs, s0, s1}, -1, 0, 0);
    };
    // Leading dimensions to one batch stride; `rows`: to one row stride. Where strides do not allow it the
    // value is copied first (findRoots keeps views simple).
    auto collapse = [&](const StridedView &v, ArrayRef<int64_t> shape,
                        int64_t count) -> std::optional<int64_t> {
      int64_t stride = 0, extent = 1;
      for (int64_t i = count - 1; i >= 0; --i) {
        if (shape[i] == 1) continue;
        if (extent == 1)
          stride = v.strides[i];
        else if (v.strides[i] != stride * extent)
          return std::nullopt;
        extent *= shape[i];
      }
      return stride;
    };
    int64_t lr = lhsShape.size(), rr = rhsShape.size();
    kernel::AccessAttr la, ra, oa;
    auto stride2 = [](const StridedView &v, int64_t d, int64_t size) { return size == 1 ? 0 : v.strides[d]; };
    if (rows) {
      for (int64_t d : out.drop_back()) batch *= d;
      m = batch;
      batch = 1;
      la = make(a, 0, *collapse(a, lhsShape, lr - 1), stride2(a, lr - 1, k));
    } else {
      for (int64_t d : out.drop_back(2)) batch *= d;
      int64_t mDim = op.getTransposeLhs() ? lr - 1 : lr - 2, kDim = op.getTransposeLhs() ? lr - 2 : lr - 1;
      la = make(a, *collapse(a, lhsShape, lr - 2), stride2(a, mDim, m), stride2(a, kDim, k));
    }
    int64_t kDim = op.getTransposeRhs() ? rr - 1 : rr - 2, nDim = op.getTransposeRhs() ? rr - 2 : rr - 1;
    if (packed)
      ra = make(w, batch == 1 ? 0 : matrixElements(packed, rr - 2), n, 1);
    else
      ra = make(w, rr > 2 ? *collapse(w, rhsShape, rr - 2) : 0, stride2(w, kDim, k), stride2(w, nDim, n));
    oa = make({Value(), 0, {}}, batch == 1 ? 0 : m * n, m == 1 ? 0 : n, n == 1 ? 0 : 1);
    emitProduct(op, {a.base, w.base}, op.getAcc(), {batch, m, n, k}, {la, ra, oa},
                [&](kernel::MatmulOp product) { product.setPackedRhs(bool(packed)); });
  }

  // Rows of each group of lhs (R, K) times the group's matrix.
  void emit(graph::GroupedMatmulOp op) {
    auto lhs = shapeOf(op.getLhs()), rhs = shapeOf(op.getRhs());
    int64_t experts = rhs[0], k = lhs[1], n = shapeOf(op.getResult())[1];
    Value packed = packedRhs(op);
    auto matrix = packed                 ? access3(matrixElements(packed, 1), n, 1)
                  : op.getTransposeRhs() ? access3(n * k, 1, k)
                                         : access3(n * k, n, 1);
    grouped(op, op.getLhs(), packed ? packed : op.getRhs(), {}, {experts, lhs[0], n, k},
            {access3(0, k, 1), matrix, access3(0, n, 1)}, op.getOffsets(), kernel::GroupedBy::m,
            bool(packed));
  }
  // lhsᵀ rhs over each group's rows.
  void emit(graph::GroupedOuterOp op) {
    int64_t rows = shapeOf(op.getLhs())[0], m = shapeOf(op.getLhs())[1], n = shapeOf(op.getRhs())[1],
            groups = shapeOf(op.getResult())[0];
    grouped(op, op.getLhs(), op.getRhs(), op.getAcc(), {groups, m, n, rows},
            {access3(0, 1, m), access3(0, n, 1), access3(m * n, n, 1)}, op.getOffsets(),
            kernel::GroupedBy::k);
  }

private:
  void grouped(Operation *op, Value lhs, Value rhs, Value acc, ArrayRef<int64_t> sizes,
               ArrayRef<kernel::AccessAttr> accesses, Value offsets, kernel::GroupedBy by,
               bool packedRhs = false) {
    Value bounds = fused.contiguousValue(offsets), rows;
    SmallVector<kernel::AccessAttr> own(accesses);
    std::array<Value, 2> factors{lhs, rhs};
    std::array<graph::GatherOp, 2> gathers;
    for (unsigned i : {0, 1}) {
      auto gather = gatheredFactor(op, i);
      if (gather && !fused.clusters.isRoot(gather.getResult())) {
        factors[i] = gather.getTable();
        rows = gather.getIndices();
        gathers[i] = gather;
      }
      factors[i] = fused.contiguousValue(factors[i]);
    }
    StridedView table;
    if (rows) table = fused.view(rows);
    emitProduct(op, factors, acc, sizes, accesses, [&](kernel::MatmulOp product) {
      auto flat = [&](int64_t stride) {
        return kernel::AccessAttr::get(op->getContext(), 0, ArrayRef<int64_t>{stride}, -1, 0, 0);
      };
      product.getGroupsMutable().assign(bounds);
      product.setGrouped(by);
      product.setPackedRhs(packedRhs);
      product.setGroupAccessAttr(flat((shapeOf(offsets)[0] - 1) / sizes[0]));
      if (!rows) return;
      product.getRowsMutable().assign(table.base);
      product.setRowAccessAttr(fused.access(table, {0}));
      if (gathers[0])
        product.setLhsAccessAttr(lookedUp(product, gathers[0], by == kernel::GroupedBy::m ? 2 : 1));
      if (gathers[1]) product.setRhsAccessAttr(lookedUp(product, gathers[1], 2));
      emitRemark(product.getLoc()) << "looks its rows up: those of "
                                   << graph::tensorType((gathers[0] ? gathers[0] : gathers[1]).getResult())
                                   << " are packed from where they lie, and not gathered into memory";
    });
  }
  // Of a factor whose rows the product looks up: their elements lie along dimension `along` of the access.
  kernel::AccessAttr lookedUp(kernel::MatmulOp product, graph::GatherOp gather, int64_t along) const {
    auto table = shapeOf(gather.getTable());
    SmallVector<int64_t> strides(3, 0);
    strides[along] = 1;
    return kernel::AccessAttr::get(product.getContext(), 0, strides, product.rowsNumber(), table[1],
                                   table[0]);
  }

  static ArrayRef<int64_t> shapeOf(Value v) { return graph::shapeOf(v); }
  // Elements behind the first `outer` dimensions.
  static int64_t matrixElements(Value v, int64_t outer) {
    int64_t count = 1;
    for (int64_t d : shapeOf(v).drop_front(outer)) count *= d;
    return count;
  }
  kernel::AccessAttr access3(int64_t s0, int64_t s1, int64_t s2) const {
    return kernel::AccessAttr::get(fused.block.getParentOp()->getContext(), 0, ArrayRef<int64_t>{s0, s1, s2},
                                   -1, 0, 0);
  }

  // A product's kernel, with its epilogue. `accesses`: lhs, rhs, result.
  void emitProduct(Operation *op, std::array<Value, 2> factors, Value acc, ArrayRef<int64_t> sizes,
                   ArrayRef<kernel::AccessAttr> accesses, llvm::function_ref<void(kernel::MatmulOp)> more) {
    OpBuilder at(op);
    Value product = op->getResult(0);
    SmallVector<Value> outputs;
    std::optional<ProductEpilogue> epilogue;
    if (const Cluster *cluster = fused.clusters.epilogueOf(product)) {
      for (Value root : cluster->roots)
        if (!llvm::all_of(root.getUsers(),
                          [&](Operation *user) { return fused.computedInside(user, *cluster); }))
          outputs.push_back(root);
      epilogue = productEpilogue(fused.clusters, *cluster, outputs);
    } else {
      outputs.push_back(product);
    }
    SmallVector<Location> places{op->getLoc()};
    if (epilogue) llvm::append_range(places, epilogue->locations);
    SmallVector<Type> types(ValueRange(outputs).getTypes());
    auto kernelOp = at.create<kernel::MatmulOp>(
        FusedLoc::get(op->getContext(), places), types, factors[0], factors[1],
        acc ? fused.contiguousValue(acc) : Value(), epilogue ? ValueRange(epilogue->extras) : ValueRange(),
        Value(), Value(), at.getDenseI64ArrayAttr(sizes), accesses[0], accesses[1],
        at.getArrayAttr(epilogue ? epilogue->extraAccess : SmallVector<Attribute>()),
        at.getArrayAttr(epilogue ? epilogue->outputAccess : SmallVector<Attribute>{accesses[2]}),
        kernel::GroupedByAttr(), kernel::AccessAttr(), kernel::AccessAttr(), UnitAttr(),
        kernel::ReductionAttr(), kernel::ScheduleAttr());
    more(kernelOp);
    if (epilogue) {
      size_t operations = epilogue->body->getOperations().size() - 1;
      kernelOp.getBody().push_back(epilogue->body.release());
      emitRemark(kernelOp.getLoc()) << "fused into the product's kernel: " << operations << " operations, "
                                    << epilogue->extras.size() << " inputs, " << outputs.size() << " results";
    } else {
      Block *body = at.createBlock(&kernelOp.getBody(), {}, {graph::tensorType(product).getElementType()},
                                   {op->getLoc()});
      at.create<kernel::YieldOp>(op->getLoc(), body->getArgument(0));
    }
    for (auto [from, to] : llvm::zip(outputs, kernelOp.getResults())) fused.replace(from, to);
  }

  FusedBlock &fused;
};

} // namespace

void fuseProduct(FusedBlock &fused, Operation *op) {
  ProductFuser fuser(fused);
  if (auto m = dyn_cast<graph::MatmulOp>(op)) return fuser.emit(m);
  if (auto m = dyn_cast<graph::GroupedMatmulOp>(op)) return fuser.emit(m);
  fuser.emit(cast<graph::GroupedOuterOp>(op));
}

} // namespace weft
