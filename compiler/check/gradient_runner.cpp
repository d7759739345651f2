#include "compiler/check/gradient_runner.h"

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {

FailureOr<func::FuncOp> GradientRunner::differentiated(func::FuncOp function, ArrayRef<int64_t> wrt) {
  auto key = std::pair(function.getSymName().str(), wrt.vec());
  if (auto it = known.find(key); it != known.end()) return it->second.gradient;
  OwningOpRef<ModuleOp> copy = module.clone();
  auto f = copy->lookupSymbol<func::FuncOp>(function.getSymName());
  OpBuilder b(f);
  SmallVector<Type> types(f.getResultTypes());
  for (int64_t i : wrt) types.push_back(f.getArgument(i).getType());
  auto g = func::FuncOp::create(f.getLoc(), "gradient", b.getFunctionType(f.getArgumentTypes(), types));
  std::string name = SymbolTable(*copy).insert(g).str();
  b.setInsertionPointToStart(g.addEntryBlock());
  auto op = b.create<graph::ValueAndGradOp>(f.getLoc(), types, f.getSymName(), g.getArguments(), ValueRange(),
                                            ValueRange(), wrt);
  b.create<func::ReturnOp>(f.getLoc(), op.getResults());
  if (failed(differentiate(*copy))) return failure();
  Differentiated &made = known[key];
  made.gradient = copy->lookupSymbol<func::FuncOp>(name);
  made.module = std::move(copy);
  return made.gradient;
}

FailureOr<SmallVector<HostTensor>> GradientRunner::run(func::FuncOp function, ArrayRef<int64_t> wrt,
                                                       ArrayRef<HostTensor> args,
                                                       graph::InterpretObserver *observer) {
  auto gradient = differentiated(function, wrt);
  if (failed(gradient)) return failure();
  graph::Variables none;
  return graph::interpret(*gradient, args, none, {false, observer});
}

LogicalResult GradientRunner::run(graph::ValueAndGradOp op, ArrayRef<const HostTensor *> operands,
                                  MutableArrayRef<HostTensor> results, graph::InterpretObserver *observer) {
  const size_t numArgs = op.getArgs().size(), numAcc = op.getAcc().size();
  auto args = llvm::map_to_vector(operands.take_front(numArgs), [](const HostTensor *t) { return *t; });
  auto made = run(module.lookupSymbol<func::FuncOp>(op.getFunction()), op.getWrt(), args, observer);
  if (failed(made)) return failure();
  auto addOnto = [](HostTensor &to, const HostTensor *from) {
    for (auto [x, y] : llvm::zip(to.values, from->values)) x += y;
  };
  const size_t numValues = made->size() - op.getWrt().size();
  for (auto [i, acc] : llvm::enumerate(operands.slice(numArgs, numAcc))) addOnto((*made)[numValues + i], acc);
  for (auto [onto, value] : llvm::zip(operands.drop_front(numArgs + numAcc), *made)) addOnto(value, onto);
  llvm::move(*made, results.begin());
  return success();
}

} // namespace weft
