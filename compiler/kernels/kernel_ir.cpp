#include "compiler/kernels/kernel_ir.h"
#include "dialects/kernel/kernel.h"
#include "dialects/program/program.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Compression.h"
#include "llvm/Support/Error.h"
#include <numeric>

using namespace mlir;
namespace weft {

// A text that inflates to more is not one that a compiler has written.
static constexpr int64_t kMaxText = int64_t{1} << 28;

PackedKernels packKernels(ModuleOp module) {
  OwningOpRef<ModuleOp> kernels = ModuleOp::create(UnknownLoc::get(module.getContext()));
  for (auto kernel : module.getOps<program::KernelOp>()) kernels->push_back(kernel->clone());
  std::string text;
  llvm::raw_string_ostream out(text);
  kernels->print(out, OpPrintingFlags().enableDebugInfo());
  SmallVector<uint8_t> deflated;
  llvm::compression::zlib::compress(llvm::arrayRefFromStringRef(text), deflated);
  return {std::string(deflated.begin(), deflated.end()), int64_t(text.size())};
}

std::variant<OwningOpRef<ModuleOp>, std::string> parseKernels(MLIRContext &context, const std::string &text,
                                                              StringRef name) {
  std::string errors;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &d) {
    if (d.getSeverity() != DiagnosticSeverity::Error) return success();
    llvm::raw_string_ostream out(errors);
    if (!errors.empty()) out << "\n";
    if (auto at = dyn_cast<FileLineColLoc>(d.getLocation()))
      out << at.getFilename().getValue() << ":" << at.getLine() << ":" << at.getColumn() << ": ";
    out << d.str();
    return success();
  });
  ParserConfig config(&context);
  auto module = parseSourceString<ModuleOp>(text, config, name);
  if (!module) return errors.empty() ? name.str() + ": is no MLIR module" : errors;
  return module;
}

std::variant<OwningOpRef<ModuleOp>, std::string> unpackKernels(MLIRContext &context,
                                                               const LoadedArtifact &artifact) {
  const auto *deflated = artifact->kernel_ir();
  if (!deflated || deflated->size() == 0)
    return artifact.path + ": does not hold its kernels' text; compile the model again";
  int64_t bytes = artifact->kernel_ir_bytes();
  if (bytes <= 0 || bytes > kMaxText)
    return artifact.path + ": kernel_ir_bytes is " + std::to_string(bytes) + " when it should be 1 to " +
           std::to_string(kMaxText);
  SmallVector<uint8_t> text;
  if (auto error = llvm::compression::zlib::decompress(ArrayRef(deflated->data(), deflated->size()), text,
                                                       size_t(bytes))) {
    return artifact.path + ": kernel_ir cannot be inflated: " + llvm::toString(std::move(error));
  }
  if (int64_t(text.size()) != bytes)
    return artifact.path + ": kernel_ir inflates to " + std::to_string(text.size()) +
           " bytes when it should be " + std::to_string(bytes);
  auto parsed = parseKernels(context, std::string(text.begin(), text.end()), artifact.path + " (kernel_ir)");
  if (auto *problem = std::get_if<std::string>(&parsed))
    *problem = llvm::StringRef(*problem).rtrim().str() +
               "\nhint: where another version of weftc has made the artifact, compile the model again";
  return parsed;
}

fb::DType dtypeOf(Type e) {
  return e.isF32()         ? fb::DType::f32
         : e.isF64()       ? fb::DType::f64
         : e.isInteger(32) ? fb::DType::i32
         : e.isInteger(64) ? fb::DType::i64
         : e.isBF16()      ? fb::DType::bf16
                           : fb::DType::boolean;
}

// Which of the op's own sizes the strides of access i go with.
static std::vector<int32_t> dimsOf(Operation *op, const kernel::SizeLayout &layout, int64_t i) {
  std::vector<int32_t> all(layout.numDims);
  std::iota(all.begin(), all.end(), 0);
  if (isa<kernel::LoopsOp>(op)) return all;
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) {
    if (i == 0) return {0, 1, 3};
    if (i == 1) return matmul.getPackedRhs() ? std::vector<int32_t>() : std::vector<int32_t>{0, 3, 2};
    if (i == matmul.groupsNumber() || i == matmul.rowsNumber()) return {};
    return {0, 1, 2};
  }
  auto attention = dyn_cast<kernel::AttentionOp>(op);
  if (!attention) return {};
  enum { B, T, S, H, G, D, E };
  using Dims = std::vector<int32_t>;
  const Dims q{B, T, H, D}, k{B, S, G, D}, v{B, S, G, E}, token{B, T}, row{B, T, H}, out{B, T, H, E};
  const Dims inputs[] = {q, k, v, token, token, row, row, out};
  if (i < layout.numInputs) return inputs[i];
  const int64_t result = i - layout.numInputs;
  switch (attention.getKind()) {
  case kernel::AttentionKind::forward:
    return result == 0 ? out : row;
  case kernel::AttentionKind::grad_key_value:
    return result == 0 ? k : v;
  default:
    return result == 0 ? q : result == 1 ? k : v;
  }
}

std::vector<std::unique_ptr<fb::KernelBufferT>> kernelBuffers(Operation *op) {
  std::vector<std::unique_ptr<fb::KernelBufferT>> out;
  kernel::SizeLayout layout(op);
  for (auto [i, access] : llvm::enumerate(layout.accesses)) {
    auto buffer = std::make_unique<fb::KernelBufferT>();
    buffer->dtype = dtypeOf(cast<RankedTensorType>(kernel::accessedValue(op, i).getType()).getElementType());
    buffer->dims = dimsOf(op, layout, i);
    buffer->slot = layout.stride(i, 0);
    buffer->indexed = access.getIndex() >= 0;
    const int64_t result = int64_t(i) - layout.numInputs;
    if (result >= 0) buffer->use = fb::BufferUse::output;
    if (auto loops = dyn_cast<kernel::LoopsOp>(op); loops && result >= 0 && loops.getReduceDims() > 0)
      if (llvm::is_contained(loops.getInitResult(), loops.getYieldResult()[result]))
        buffer->use = fb::BufferUse::update;
    if (auto matmul = dyn_cast<kernel::MatmulOp>(op); matmul && matmul.getInit() && result == 0)
      buffer->use = fb::BufferUse::update;
    out.push_back(std::move(buffer));
  }
  return out;
}

bool makesInfinity(Operation *op) {
  return op
      ->walk([](arith::ConstantOp constant) {
        auto value = dyn_cast<FloatAttr>(constant.getValue());
        return value && value.getValue().isInfinity() ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

} // namespace weft
