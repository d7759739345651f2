// Verifiers: accesses fit the iteration space, and static ones stay inside their tensors.
#include "dialects/kernel/kernel.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
namespace weft::kernel {

// The largest address an access reaches, or nothing where a size is dynamic.
static std::optional<int64_t> lastAddress(AccessAttr a, ArrayRef<int64_t> sizes) {
  int64_t last = a.getOffset();
  for (auto [stride, size] : llvm::zip(a.getStrides(), sizes)) {
    if (stride == kDynamic || size == kDynamic) return std::nullopt;
    if (size == 0) return -1;
    if (stride > 0) last += stride * (size - 1);
  }
  if (a.getIndex() >= 0) last += (a.getIndexLimit() - 1) * a.getIndexStride();
  return last;
}

static LogicalResult checkAccess(Operation *op, StringRef what, size_t i, AccessAttr a,
                                 ArrayRef<int64_t> sizes, Type type) {
  if (a.getStrides().size() != sizes.size())
    return op->emitOpError() << what << " access " << i << " has " << a.getStrides().size()
                             << " strides when the iteration space has " << sizes.size() << " dimensions";
  auto tensor = cast<RankedTensorType>(type);
  auto last = lastAddress(a, sizes);
  if (last && tensor.hasStaticShape() && *last >= tensor.getNumElements())
    return op->emitOpError() << what << " access " << i << " reaches element " << *last << " of "
                             << tensor.getNumElements();
  return success();
}

static LogicalResult checkAccesses(Operation *op, StringRef what, ArrayAttr list, ArrayRef<int64_t> sizes,
                                   ArrayRef<Type> types) {
  if (list.size() != types.size())
    return op->emitOpError() << "has " << list.size() << " " << what << " accesses when it should have "
                             << types.size();
  for (auto [i, pair] : llvm::enumerate(llvm::zip(list, types)))
    if (failed(checkAccess(op, what, i, cast<AccessAttr>(std::get<0>(pair)), sizes, std::get<1>(pair))))
      return failure();
  return success();
}

// Inputs that nothing reads go, and what is read twice in the same way is read once.
LogicalResult LoopsOp::canonicalize(LoopsOp op, PatternRewriter &rewriter) {
  Block &body = op.getBody().front();
  // Accesses through indices name inputs by number.
  for (ArrayAttr list : {op.getInputAccess(), op.getOutputAccess()})
    if (llvm::any_of(list.getAsRange<AccessAttr>(), [](AccessAttr a) { return a.getIndex() >= 0; }))
      return failure();
  SmallVector<Attribute> accesses(op.getInputAccess().begin(), op.getInputAccess().end());
  for (size_t i = 0; i < accesses.size(); ++i) {
    BlockArgument arg = body.getArgument(i);
    for (size_t j = 0; j < i && !arg.use_empty(); ++j)
      if (op.getInputs()[j] == op.getInputs()[i] && accesses[j] == accesses[i])
        rewriter.replaceAllUsesWith(arg, body.getArgument(j));
    if (!arg.use_empty()) continue;
    accesses.erase(accesses.begin() + i);
    rewriter.modifyOpInPlace(op, [&] {
      body.eraseArgument(i);
      op.getInputsMutable().erase(i);
      op.setInputAccessAttr(rewriter.getArrayAttr(accesses));
    });
    return success();
  }
  return failure();
}

LogicalResult LoopsOp::verify() {
  auto domain = getDomain();
  if (domain.empty()) return emitOpError("has an empty domain; the last dimension is the column");
  if (int64_t(getReduceDims()) < 0 || getReduceDims() >= domain.size())
    return emitOpError() << "reduces " << getReduceDims() << " of " << domain.size()
                         << " dimensions; the column stays";
  SmallVector<Type> inputs(getInputs().getTypes());
  if (failed(checkAccesses(*this, "input", getInputAccess(), domain, inputs))) return failure();
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  if (yield.getNumOperands() != getYieldResult().size())
    return emitOpError() << "yields " << yield.getNumOperands() << " values when yield_result names "
                         << getYieldResult().size();
  SmallVector<Type> outputs;
  for (int64_t r : getYieldResult()) {
    if (r < 0 || r >= int64_t(getNumResults()))
      return emitOpError() << "yield_result " << r << " of " << getNumResults() << " results";
    outputs.push_back(getResult(r).getType());
  }
  if (failed(checkAccesses(*this, "output", getOutputAccess(), domain, outputs))) return failure();
  if (getBody().getNumArguments() != getInputs().size())
    return emitOpError() << "region has " << getBody().getNumArguments() << " arguments when there are "
                         << getInputs().size() << " inputs";
  for (auto [arg, in] : llvm::zip(getBody().getArguments(), inputs))
    if (arg.getType() != cast<RankedTensorType>(in).getElementType())
      return emitOpError() << "region argument " << arg.getArgNumber() << " is " << arg.getType()
                           << " when the input holds " << cast<RankedTensorType>(in).getElementType();
  for (auto [value, out] : llvm::zip(yield.getOperands(), outputs))
    if (value.getType() != cast<RankedTensorType>(out).getElementType())
      return emitOpError() << "yields " << value.getType() << " into a result of "
                           << cast<RankedTensorType>(out).getElementType();
  if (getReduceDims() > 0 && hasRowReduction(*this))
    return emitOpError("has both a row reduction and reduce_dims");
  if (getInitResult().size() != getInits().size())
    return emitOpError() << "init_result names " << getInitResult().size() << " results when there are "
                         << getInits().size() << " inits";
  for (auto [init, r] : llvm::zip(getInits(), getInitResult())) {
    if (r < 0 || r >= int64_t(getNumResults()))
      return emitOpError() << "init_result " << r << " of " << getNumResults() << " results";
    if (init.getType() != getResult(r).getType())
      return emitOpError() << "init is " << init.getType() << " when result " << r << " is "
                           << getResult(r).getType();
  }
  return success();
}

// The table of rows and the accesses that it is for.
static LogicalResult checkRows(MatmulOp op) {
  bool byRows = op.getGroups() && op.getGrouped() == GroupedBy::m;
  if (bool(op.getRows()) != op.getRowAccess().has_value() || (op.getRows() && !op.getGroups()))
    return op.emitOpError("has rows without row_access or groups, or row_access without rows");
  ArrayRef<int64_t> s = op.getSizes();
  if (op.getRows() && (failed(checkAccess(op, "row", 0, *op.getRowAccess(), {byRows ? s[1] : s[3]},
                                          op.getRows().getType())) ||
                       !cast<RankedTensorType>(op.getRows().getType()).getElementType().isInteger(32)))
    return op.emitOpError() << "has rows of " << op.getRows().getType() << " when they should be i32";
  bool indexed = false;
  auto check = [&](StringRef what, AccessAttr a, ArrayRef<int64_t> strides) -> LogicalResult {
    if (a.getIndex() < 0) return success();
    indexed = true;
    if (a.getIndex() != op.rowsNumber() || strides.empty())
      return op.emitOpError() << what << " is indexed by buffer " << a.getIndex() << "; "
                              << (strides.empty() || !op.getRows() ? "there are no rows for it"
                                                                   : "only rows may index it");
    if (a.getStrides() != strides)
      return op.emitOpError() << "has an indexed " << what << " with strides " << a.getStrides()
                              << " when they should be " << strides;
    return success();
  };
  using Strides = ArrayRef<int64_t>;
  if (failed(check("lhs", op.getLhsAccess(), byRows ? Strides{0, 0, 1} : Strides{0, 1, 0})) ||
      failed(check("rhs", op.getRhsAccess(), byRows ? Strides() : Strides{0, 0, 1})))
    return failure();
  if (op.getRows() && !indexed) return op.emitOpError("has rows that index nothing");
  return success();
}

LogicalResult MatmulOp::verify() {
  auto s = getSizes();
  if (s.size() != 4)
    return emitOpError() << "has " << s.size() << " sizes when it should have 4: batch, m, n, k";
  if (failed(checkAccess(*this, "lhs", 0, getLhsAccess(), {s[0], s[1], s[3]}, getLhs().getType())) ||
      failed(checkAccess(*this, "rhs", 0, getRhsAccess(), {s[0], s[3], s[2]}, getRhs().getType())))
    return failure();
  if (getPackedRhs()) {
    auto type = cast<RankedTensorType>(getRhs().getType());
    if (!type.getElementType().isBF16())
      return emitOpError() << "has a packed rhs of " << type << " when it should be bf16";
    bool known = llvm::none_of(ArrayRef<int64_t>{s[0], s[2], s[3]}, [](int64_t x) { return x == kDynamic; });
    if (known && type.hasStaticShape() && s[0] > 0 && s[2] > 0 && s[3] > 0) {
      auto access = getRhsAccess();
      uint64_t end = llvm::SaturatingMultiply<uint64_t>(llvm::alignTo(s[2], kPanelColumns),
                                                        llvm::alignTo(s[3], kPanelDepth));
      end = llvm::SaturatingMultiplyAdd<uint64_t>(s[0] - 1, access.getStrides()[0], end);
      if (llvm::SaturatingAdd<uint64_t>(end, access.getOffset()) > uint64_t(type.getNumElements()))
        return emitOpError() << "has a packed rhs of " << type << ", too small for panels of n " << s[2]
                             << " and k " << s[3] << ", each filled up to a multiple of 32";
    }
    auto strides = getRhsAccess().getStrides();
    bool whole = (strides[1] == s[2] || strides[1] == kDynamic) && (strides[2] == 1 || s[2] == 1);
    if (!whole || getRhsAccess().getIndex() >= 0)
      return emitOpError() << "has a packed rhs with strides " << strides[1] << " and " << strides[2]
                           << " when they should be n and 1";
  }
  if (bool(getGroups()) != getGrouped().has_value() || bool(getGroups()) != getGroupAccess().has_value())
    return emitOpError("has groups without grouped or group_access, or the other way round");
  if (getGroups() && (failed(checkAccess(*this, "group", 0, *getGroupAccess(),
                                         {s[0] == kDynamic ? kDynamic : s[0] + 1}, getGroups().getType())) ||
                      !cast<RankedTensorType>(getGroups().getType()).getElementType().isInteger(32)))
    return emitOpError() << "has groups of " << getGroups().getType() << " when they should be i32";
  if (getGroups() && getGrouped() == GroupedBy::k && getPackedRhs())
    return emitOpError("has a packed rhs, whose k its groups would cut");
  if (failed(checkRows(*this))) return failure();
  SmallVector<Type> extras(getExtras().getTypes()), outputs(getResultTypes());
  if (failed(checkAccesses(*this, "extra", getExtraAccess(), {s[0], s[1], s[2]}, extras)) ||
      failed(checkAccesses(*this, "output", getOutputAccess(), {s[0], s[1], s[2]}, outputs)))
    return failure();
  for (auto [i, a] : llvm::enumerate(getExtraAccess().getAsRange<AccessAttr>())) {
    if (a.getIndex() < 0) continue;
    int64_t from = a.getIndex() - 2;
    bool known = from >= 0 && from < int64_t(getExtras().size());
    auto access = known ? cast<AccessAttr>(getExtraAccess()[from]) : AccessAttr();
    if (!known || access.getIndex() >= 0 || access.getStrides()[2] != 0 ||
        !cast<RankedTensorType>(extras[from]).getElementType().isInteger(32))
      return emitOpError() << "extra access " << i << " is indexed by buffer " << a.getIndex()
                           << ", which should be an extra of i32 that is the same in all of a row";
  }
  for (AccessAttr a : getOutputAccess().getAsRange<AccessAttr>())
    if (a.getIndex() >= 0) return emitOpError("has an indexed result");
  if (getBody().getNumArguments() != 1 + getExtras().size())
    return emitOpError() << "region has " << getBody().getNumArguments() << " arguments when it should have "
                         << 1 + getExtras().size();
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  if (yield.getNumOperands() != getNumResults())
    return emitOpError() << "yields " << yield.getNumOperands() << " values for " << getNumResults()
                         << " results";
  return success();
}

LogicalResult SortOp::verify() {
  if (getSizes().size() != 4)
    return emitOpError() << "has " << getSizes().size()
                         << " sizes when it should have 4: N, k, experts, segments";
  ArrayRef<int64_t> s = getSizes();
  if (!llvm::is_contained(s, kDynamic)) {
    if (s[0] < 0 || s[1] < 0 || s[2] < 1 || s[3] < 1 || s[0] % s[3])
      return emitOpError()
             << "sorts " << s[0] << " tokens of " << s[1] << " choices among " << s[2] << " experts in "
             << s[3] << " segments when experts and segments should be 1 or more, and segments divide tokens";
    int64_t choices = s[0] * s[1], bounds = s[2] * s[3] + 1;
    for (auto [v, want] :
         llvm::zip(SmallVector<Value>{getKeys(), getOrder(), getToken(), getPlace(), getOffsets()},
                   SmallVector<int64_t>{choices, choices, choices, choices, bounds}))
      if (cast<RankedTensorType>(v.getType()).getNumElements() != want)
        return emitOpError() << "has " << v.getType() << " when it should hold " << want << " elements";
  }
  if (getInputAccess().size() != 1 || getOutputAccess().size() != 4)
    return emitOpError("needs an access for each input and result");
  for (Type t : getOperation()->getResultTypes())
    if (!cast<RankedTensorType>(t).getElementType().isInteger(32))
      return emitOpError() << "has a result of " << t << " when all should be i32";
  return success();
}

LogicalResult AttentionOp::verify() {
  if (getSizes().size() != 7)
    return emitOpError() << "has " << getSizes().size()
                         << " sizes when it should have 7: B, T, S, H, G, D, E";
  bool forward = getKind() == AttentionKind::forward;
  if (getInputs().size() != (forward ? 5u : 8u))
    return emitOpError() << "has " << getInputs().size() << " inputs when it should have "
                         << (forward ? 5 : 8);
  unsigned results = getKind() == AttentionKind::grad_query ? 1
                     : getKind() == AttentionKind::backward ? 3
                                                            : 2;
  if (getNumResults() != results)
    return emitOpError() << "has " << getNumResults() << " results when it should have " << results;
  if (getInputAccess().size() != getInputs().size() || getOutputAccess().size() != results)
    return emitOpError("needs an access for each input and result");
  return success();
}

} // namespace weft::kernel
