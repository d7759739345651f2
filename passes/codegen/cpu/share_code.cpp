#include "passes/codegen/cpu/share_code.h"

#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/StringSet.h"

#include <deque>
#include <map>

using namespace mlir;
namespace weft::cpu {
namespace {

// Less code than this is not worth a jump.
constexpr size_t kLeastOps = 100;

std::optional<int64_t> numberOf(Value v) {
  auto constant = v.getDefiningOp<LLVM::ConstantOp>();
  if (!constant || !v.getType().isInteger(64)) return std::nullopt;
  return cast<IntegerAttr>(constant.getValue()).getInt();
}

// A function read front to back. Constants count where they are used, so that two uses of one constant and a
// use of each of two equal ones are the same.
class Reading {
public:
  explicit Reading(LLVM::LLVMFuncOp f) : function(f) {
    for (Block &block : f.getBody()) {
      places[&block] = blocks.size();
      blocks.push_back(&block);
      for (Value v : block.getArguments()) values[v] = values.size();
      for (Operation &op : block) {
        if (isa<LLVM::ConstantOp>(op)) continue;
        ops.push_back(&op);
        for (Value v : op.getResults()) values[v] = values.size();
      }
    }
    llvm::hash_code h(ops.size());
    for (Operation *op : ops) {
      h = llvm::hash_combine(h, op->getName(), op->hashProperties(), place(op->getBlock()));
      for (OpOperand &operand : op->getOpOperands()) {
        if (numberOf(operand.get())) numbers.push_back(&operand);
        h = llvm::hash_combine(h, token(operand.get()));
      }
    }
    hash = h;
  }

  bool isLike(const Reading &other) const {
    if (hash != other.hash || blocks.size() != other.blocks.size() || ops.size() != other.ops.size() ||
        numbers.size() != other.numbers.size())
      return false;
    for (auto [a, b] : llvm::zip(blocks, other.blocks))
      if (a->getArgumentTypes() != b->getArgumentTypes()) return false;
    return llvm::all_of(llvm::zip(ops, other.ops), [&](auto pair) {
      auto [a, b] = pair;
      return isLike(a, b, other);
    });
  }

  LLVM::LLVMFuncOp function;
  SmallVector<Operation *> ops;     // without constants
  SmallVector<OpOperand *> numbers; // uses of constants of i64

private:
  size_t place(Block *block) const { return places.lookup(block); }
  // What an operand is, the same for every number.
  std::pair<const void *, size_t> token(Value v) const {
    if (numberOf(v)) return {nullptr, 0};
    if (auto constant = v.getDefiningOp<LLVM::ConstantOp>())
      return {constant.getValue().getAsOpaquePointer(), size_t(hash_value(v.getType()))};
    return {nullptr, 1 + values.lookup(v)};
  }
  bool isLike(Operation *a, Operation *b, const Reading &other) const {
    auto same = [&](auto pair) {
      auto [x, y] = pair;
      return x.getType() == y.getType() && token(x) == other.token(y);
    };
    auto sameBlock = [&](auto pair) { return place(std::get<0>(pair)) == other.place(std::get<1>(pair)); };
    return a->getName() == b->getName() && !a->getNumRegions() && !b->getNumRegions() &&
           a->getNumOperands() == b->getNumOperands() && a->getNumSuccessors() == b->getNumSuccessors() &&
           a->getResultTypes() == b->getResultTypes() && place(a->getBlock()) == other.place(b->getBlock()) &&
           a->getName().compareOpProperties(a->getPropertiesStorage(), b->getPropertiesStorage()) &&
           a->getDiscardableAttrDictionary() == b->getDiscardableAttrDictionary() &&
           llvm::all_of(llvm::zip(a->getOperands(), b->getOperands()), same) &&
           llvm::all_of(llvm::zip(a->getSuccessors(), b->getSuccessors()), sameBlock);
  }

  SmallVector<Block *> blocks;
  llvm::DenseMap<Value, size_t> values;
  llvm::DenseMap<Block *, size_t> places;
  size_t hash = 0;
};

// What several functions are: one that is given a table, and a table each.
class Sharing {
public:
  explicit Sharing(ArrayRef<Reading *> members)
      : members(members), context(members[0]->function.getContext()) {
    for (size_t i = 0; i < members[0]->numbers.size(); ++i) {
      SmallVector<int64_t> each;
      for (Reading *m : members) each.push_back(*numberOf(m->numbers[i]->get()));
      slots.push_back(llvm::all_equal(each) ? -1 : int64_t(table.insert({each, table.size()}).first->second));
    }
  }

  // From the member's code; the same for each but for locations.
  LLVM::LLVMFuncOp makeCommon(Reading &member, StringRef name) {
    LLVM::LLVMFuncOp f = member.function;
    OpBuilder b(f);
    common = cast<LLVM::LLVMFuncOp>(b.clone(*f));
    common.setSymName(name);
    common.setLinkage(LLVM::Linkage::Internal);
    Reading copy(common);
    SmallVector<Type> types(f.getArgumentTypes());
    types.push_back(LLVM::LLVMPointerType::get(context));
    common.setFunctionType(LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types));
    Block &entry = common.getBody().front();
    Value given = entry.addArgument(types.back(), f.getLoc());
    b.setInsertionPointToStart(&entry);
    SmallVector<Value> numbers;
    for (size_t i = 0; i < table.size(); ++i) {
      Value at = b.create<LLVM::GEPOp>(f.getLoc(), types.back(), b.getI64Type(), given,
                                       ArrayRef<LLVM::GEPArg>{int32_t(i)});
      numbers.push_back(b.create<LLVM::LoadOp>(f.getLoc(), b.getI64Type(), at, /*alignment=*/8,
                                               /*isVolatile=*/false, /*isNonTemporal=*/false,
                                               /*isInvariant=*/true));
    }
    for (auto [use, slot] : llvm::zip(copy.numbers, slots))
      if (slot >= 0) use->set(numbers[slot]);
    return common;
  }

  // Puts a jump in the place of a member's code.
  LLVM::GlobalOp jump(size_t member) {
    LLVM::LLVMFuncOp f = members[member]->function;
    OpBuilder b(f);
    Location loc = f.getLoc();
    SmallVector<int64_t> values(table.size());
    for (auto &[each, slot] : table) values[slot] = each[member];
    auto type = LLVM::LLVMArrayType::get(b.getI64Type(), values.size());
    auto global = b.create<LLVM::GlobalOp>(loc, type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                           (f.getSymName() + ".numbers").str(), b.getI64TensorAttr(values),
                                           /*alignment=*/8);
    for (Block &block : f.getBody()) block.dropAllReferences();
    f.getBody().getBlocks().clear();
    Block *entry = f.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    SmallVector<Value> arguments(entry->getArguments());
    arguments.push_back(b.create<LLVM::AddressOfOp>(loc, global));
    b.create<LLVM::CallOp>(loc, common, arguments).setTailCallKind(LLVM::TailCallKind::Tail);
    b.create<LLVM::ReturnOp>(loc, ValueRange());
    return global;
  }

private:
  SmallVector<Reading *> members;
  MLIRContext *context;
  // Numbers that differ, one of each member, and their places.
  std::map<SmallVector<int64_t>, size_t> table;
  SmallVector<int64_t> slots; // of each use of a number: its place, -1 = a constant
  LLVM::LLVMFuncOp common;
};

bool isHelper(LLVM::LLVMFuncOp f) { return f.getVisibility_() == LLVM::Visibility::Hidden; }

void forCalls(Operation *symbol, llvm::function_ref<void(LLVM::CallOp)> f) {
  symbol->walk([&](LLVM::CallOp call) { f(call); });
}

} // namespace

void keepHelpers(ArrayRef<CodeUnit> units) {
  for (const CodeUnit &unit : units)
    for (Operation *symbol : unit.symbols)
      if (auto f = dyn_cast<LLVM::LLVMFuncOp>(symbol); f && isHelper(f)) {
        f.setVisibility_(LLVM::Visibility::Default);
        f.setLinkage(LLVM::Linkage::Internal);
      }
}

void declareHelpers(ModuleOp module) {
  OpBuilder b(module.getBodyRegion());
  llvm::StringSet<> known;
  for (auto f : module.getOps<LLVM::LLVMFuncOp>()) known.insert(f.getSymName());
  SmallVector<LLVM::LLVMFuncOp> functions(module.getOps<LLVM::LLVMFuncOp>());
  for (LLVM::LLVMFuncOp f : functions)
    forCalls(f, [&](LLVM::CallOp call) {
      if (!known.insert(*call.getCallee()).second) return;
      auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                              SmallVector<Type>(call.getOperandTypes()));
      auto declared = b.create<LLVM::LLVMFuncOp>(f.getLoc(), *call.getCallee(), type);
      declared.setVisibility_(LLVM::Visibility::Hidden);
      declared.setDsoLocal(true);
    });
}

SmallVector<CodeUnit> shareCode(ArrayRef<ModuleOp> modules, StringRef only) {
  std::deque<Reading> readings;
  SmallVector<SmallVector<Reading *>> alike;
  std::map<StringRef, LLVM::LLVMFuncOp> helpers;
  for (ModuleOp module : modules)
    for (auto f : llvm::make_early_inc_range(module.getOps<LLVM::LLVMFuncOp>())) {
      if (isHelper(f)) {
        if (!helpers.insert({f.getSymName(), f}).second) f.erase();
        continue;
      }
      Reading &r = readings.emplace_back(f);
      auto *found =
          llvm::find_if(alike, [&](auto &c) { return r.ops.size() >= kLeastOps && c[0]->isLike(r); });
      if (found == alike.end()) found = &alike.emplace_back();
      found->push_back(&r);
    }
  SmallVector<CodeUnit> units;
  for (auto &members : alike) {
    CodeUnit unit;
    unit.size = members[0]->ops.size();
    for (Reading *m : members) unit.kernels.push_back(m->function.getSymName());
    auto *wanted = llvm::find(unit.kernels, only);
    if (!only.empty() && wanted == unit.kernels.end()) continue;
    if (members.size() == 1) {
      unit.symbols.push_back(members[0]->function);
    } else {
      Sharing sharing(members);
      Reading &from = *members[only.empty() ? 0 : wanted - unit.kernels.begin()];
      unit.symbols.push_back(sharing.makeCommon(from, (unit.kernels[0] + ".shared").str()));
      for (size_t i = 0; i < members.size(); ++i)
        if (only.empty() || members[i] == &from) {
          unit.symbols.push_back(sharing.jump(i));
          unit.symbols.push_back(members[i]->function);
        }
    }
    units.push_back(std::move(unit));
  }
  llvm::StringSet<> called;
  for (CodeUnit &unit : units)
    for (Operation *symbol : unit.symbols)
      forCalls(symbol, [&](LLVM::CallOp call) { called.insert(*call.getCallee()); });
  for (auto &[name, f] : helpers)
    if (called.contains(name)) units.push_back({{f}, {}, Reading(f).ops.size()});
  return units;
}

} // namespace weft::cpu
