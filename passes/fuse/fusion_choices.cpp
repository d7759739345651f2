#include "passes/fuse/fusion_choices.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
namespace weft {
namespace {

// Null: there is none.
Operation *numberedOp(func::FuncOp function, StringRef number) {
  uint64_t n = 0;
  if (number.getAsInteger(10, n)) return nullptr;
  Block &block = function.getBody().front();
  for (Operation &op : block)
    if (n-- == 0) return &op;
  return nullptr;
}

std::string hashOf(func::FuncOp function) {
  std::string text;
  llvm::raw_string_ostream out(text);
  function.print(out, OpPrintingFlags().useLocalScope());
  // Neither its name nor who may call it changes its kernels.
  StringRef content = StringRef(text).substr(text.find('('));
  llvm::XXH128_hash_t hash = llvm::xxh3_128bits(llvm::arrayRefFromStringRef(content));
  return llvm::utohexstr(hash.high64, true, 16) + llvm::utohexstr(hash.low64, true, 16);
}

std::string textOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream out(text);
  op->print(out, OpPrintingFlags().useLocalScope());
  return text;
}

} // namespace

FailureOr<FusionChoices> readFusionChoices(ModuleOp module, ArrayRef<std::string> behind,
                                           ArrayRef<std::string> apart) {
  FusionChoices choices;
  for (auto [names, way] : {std::pair(behind, true), std::pair(apart, false)})
    for (StringRef name : names) {
      auto [place, number] = name.rsplit(':');
      auto [functionName, productNumber] = place.rsplit(':');
      auto function = module.lookupSymbol<func::FuncOp>(functionName);
      const bool body = function && !function.isExternal();
      Operation *product = body ? numberedOp(function, productNumber) : nullptr,
                *value = body ? numberedOp(function, number) : nullptr;
      if (!isa_and_nonnull<graph::MatmulOp, graph::GroupedMatmulOp>(product) || !isPointwise(value))
        return module.emitError() << name
                                  << " names no product and no value that could be computed behind it";
      choices[{product, value->getResult(0)}] = way;
    }
  return choices;
}

SmallVector<Attribute> listFusionChoices(func::FuncOp function, const Clusters &clusters) {
  SmallVector<Attribute> list;
  if (clusters.choices().empty()) return list;
  Builder b(function.getContext());
  llvm::DenseMap<Operation *, int64_t> numbers;
  for (auto [i, op] : llvm::enumerate(function.getBody().front())) numbers[&op] = int64_t(i);
  const std::string hash = hashOf(function);
  for (const FusionChoice &c : clusters.choices()) {
    Operation *value = c.value.getDefiningOp();
    list.push_back(b.getDictionaryAttr({
        b.getNamedAttr("product", b.getStringAttr(function.getSymName() + ":" + Twine(numbers[c.product]))),
        b.getNamedAttr("value", b.getI64IntegerAttr(numbers[value])),
        b.getNamedAttr("behind", b.getBoolAttr(c.behind)),
        b.getNamedAttr("behind_ns", b.getF64FloatAttr(c.cost.behindNs)),
        b.getNamedAttr("apart_ns", b.getF64FloatAttr(c.cost.apartNs)),
        b.getNamedAttr("where", value->getLoc()),
        b.getNamedAttr("what", b.getStringAttr(textOf(c.product) + "\n" + textOf(value))),
        b.getNamedAttr("function", b.getStringAttr(hash)),
    }));
  }
  return list;
}

} // namespace weft
