#include "tests/compiler/codegen/harness.h"
#include "tests/compiler/codegen/amx_jobs.h"

#include "dialects/kernel/interpret.h"
#include "passes/codegen/cpu/emit.h"
#include "runtime/device/cpu.h"
#include "runtime/device/denormals.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <chrono>
#include <cmath>
#include <deque>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
namespace weft::cpu_test {

std::vector<float> randomFloats(size_t count, int seed, float low, float high) {
  std::mt19937 engine(seed);
  std::vector<float> values(count);
  for (float &v : values) v = low + (high - low) * (engine() >> 8) * 0x1p-24f;
  return values;
}

uint16_t narrowed(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
std::vector<uint16_t> narrowed(const std::vector<float> &values) {
  std::vector<uint16_t> halves;
  for (float v : values) halves.push_back(narrowed(v));
  return halves;
}

std::vector<int32_t> randomInts(size_t count, int seed, int32_t low, int32_t high) {
  std::mt19937 engine(seed);
  std::vector<int32_t> values(count);
  for (int32_t &v : values) v = low + int32_t(engine() % uint32_t(high - low));
  return values;
}

struct KernelSuite::Library {
  std::string level;
  void *handle = nullptr;
  int fd = -1;
  ~Library() {
    if (handle) dlclose(handle);
    if (fd >= 0) close(fd);
  }
};

KernelSuite::KernelSuite() : owned(std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED)) {
  owned
      ->loadDialect<kernel::KernelDialect, program::ProgramDialect, arith::ArithDialect, math::MathDialect>();
  written = ModuleOp::create(UnknownLoc::get(owned.get()));
  outlined = ModuleOp::create(UnknownLoc::get(owned.get()));
}
KernelSuite::~KernelSuite() = default;

// Sizes and strides other than 0 and 1 become arguments; offsets go to the launch.
static kernel::AccessAttr outlineAccess(kernel::AccessAttr a) {
  SmallVector<int64_t> strides;
  for (int64_t s : a.getStrides()) strides.push_back(s == 0 || s == 1 ? s : kernel::kDynamic);
  int64_t dynamic = a.getIndex() >= 0 ? kernel::kDynamic : 0;
  return kernel::AccessAttr::get(a.getContext(), 0, strides, a.getIndex(), dynamic, dynamic);
}

static void outline(Operation *op) {
  Builder b(op->getContext());
  SmallVector<NamedAttribute> attributes;
  for (NamedAttribute named : op->getAttrs()) {
    Attribute value = named.getValue();
    if (auto access = dyn_cast<kernel::AccessAttr>(value)) value = outlineAccess(access);
    if (auto list = dyn_cast<ArrayAttr>(value)) {
      SmallVector<Attribute> all;
      for (Attribute a : list)
        all.push_back(isa<kernel::AccessAttr>(a) ? outlineAccess(cast<kernel::AccessAttr>(a)) : a);
      value = b.getArrayAttr(all);
    }
    if (named.getName() == "domain" || named.getName() == "sizes") {
      SmallVector<int64_t> sizes(cast<DenseI64ArrayAttr>(value).asArrayRef());
      // The widths of attention's heads shape the code.
      size_t dynamic = isa<kernel::AttentionOp>(op) ? 5 : sizes.size();
      std::fill(sizes.begin(), sizes.begin() + dynamic, kernel::kDynamic);
      value = b.getDenseI64ArrayAttr(sizes);
    }
    attributes.emplace_back(named.getName(), value);
  }
  op->setAttrs(attributes);
  auto flatten = [](Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    value.setType(
        RankedTensorType::get(SmallVector<int64_t>(type.getRank(), kernel::kDynamic), type.getElementType()));
  };
  for (BlockArgument arg : op->getBlock()->getArguments()) flatten(arg);
  for (Value result : op->getResults()) flatten(result);
}

void KernelSuite::add(const std::string &name, const std::string &body) {
  std::string text = "program.kernel @" + name + " num_sizes 0 {\n" + body + "\n}\n";
  auto parsed = parseSourceString<ModuleOp>(text, owned.get());
  ASSERT_TRUE(parsed) << text;
  auto kernel = *parsed->getOps<program::KernelOp>().begin();
  ASSERT_TRUE(cpu::kernelOpOf(kernel)) << text;
  auto copy = cast<program::KernelOp>(kernel->clone());
  outlined->push_back(copy);
  outline(cpu::kernelOpOf(copy));
  copy.setNumSizes(kernel::SizeLayout(cpu::kernelOpOf(copy)).numSlots());
  ASSERT_TRUE(succeeded(verify(copy))) << text;
  kernel->remove();
  written->push_back(kernel);
}

// Levels are in rising order, in the compiler and in the runtime. AMX where there is none: tests/amx.
static bool hasLevel(const cpu::CpuLevel &level) {
  for (auto best = DetectCpuLevel(); best != CpuLevel::none; best = CpuLevel(int(best) - 1))
    if (level.name == CpuLevelName(best)) return true;
  return false;
}

void KernelSuite::compile() {
  auto start = std::chrono::steady_clock::now();
  libraries.clear();
  bool bf16 = false; // else the levels that have instructions for it give nothing new
  outlined->walk([&](Operation *op) {
    for (Type type : op->getOperandTypes())
      if (auto tensor = dyn_cast<RankedTensorType>(type)) bf16 |= tensor.getElementType().isBF16();
  });
  for (const cpu::CpuLevel *level : cpu::cpuLevels()) {
    if ((level->bf16 && !bf16) || !hasLevel(*level)) continue;
    cpu::CompileOptions options;
    if (keepText) {
      llvmIr.clear();
      options = {&llvmIr, &assembly};
    }
    auto image = cpu::compileKernels(*outlined, *level, options);
    ASSERT_TRUE(succeeded(image)) << "compiling for " << level->name.str();
    auto library = std::make_unique<Library>();
    library->level = level->name.str();
    library->fd = memfd_create("kernels", MFD_CLOEXEC);
    ASSERT_EQ(write(library->fd, image->data(), image->size()), ssize_t(image->size()));
    library->handle = dlopen(("/proc/self/fd/" + std::to_string(library->fd)).c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_TRUE(library->handle) << dlerror();
    libraries.push_back(std::move(library));
  }
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (bf16 && AmxJobs::wanted()) amxJobs = std::make_unique<AmxJobs>(*outlined);
}

std::string KernelSuite::compileError() {
  std::string text;
  ScopedDiagnosticHandler handler(owned.get(), [&](Diagnostic &d) {
    text += d.str() + "\n";
    return success();
  });
  EXPECT_TRUE(failed(cpu::compileKernels(*outlined, cpu::avx2Level())));
  return text;
}

static program::KernelOp find(ModuleOp module, StringRef name) {
  for (auto kernel : module.getOps<program::KernelOp>())
    if (kernel.getSymName() == name) return kernel;
  return nullptr;
}

Operation *KernelSuite::kernelOp(const std::string &name) {
  auto kernel = find(*written, name);
  return kernel ? cpu::kernelOpOf(kernel) : nullptr;
}

KernelSuite::Launch KernelSuite::prepare(const std::string &name) {
  Launch launch;
  Operation *op = kernelOp(name);
  kernel::SizeLayout layout(op);
  auto loops = dyn_cast<kernel::LoopsOp>(op);
  auto own = op->getAttrOfType<DenseI64ArrayAttr>(loops ? "domain" : "sizes").asArrayRef();
  launch.sizes.assign(layout.numSlots(), 0);
  std::copy(own.begin(), own.end(), launch.sizes.begin());
  for (size_t a = 0; a < layout.accesses.size(); ++a) {
    kernel::AccessAttr access = layout.accesses[a];
    for (int64_t d = 0; d < layout.rank(a); ++d) launch.sizes[layout.stride(a, d)] = access.getStrides()[d];
    launch.sizes[layout.indexStride(a)] = access.getIndexStride();
    launch.sizes[layout.indexLimit(a)] = access.getIndexLimit();
    bool isInput = int64_t(a) < layout.numInputs;
    int64_t output = int64_t(a) - layout.numInputs;
    int64_t result = isInput ? 0 : loops ? loops.getYieldResult()[output] : output;
    auto matmul = dyn_cast<kernel::MatmulOp>(op);
    int64_t operand =
        matmul && matmul.getInit() && a >= 2 ? a + 1 : a; // a matmul's init stands before its extras
    Type type = isInput ? op->getOperand(operand).getType() : op->getResult(result).getType();
    int64_t bits = cast<RankedTensorType>(type).getElementTypeBitWidth();
    launch.elementBytes.push_back(std::max<int64_t>(bits / 8, 1));
    launch.offsets.push_back(access.getOffset() * launch.elementBytes.back());
    launch.operands.push_back(isInput ? a : layout.numInputs + result);
  }
  launch.items = kernel::numWorkItems(op, own);
  launch.piece = kernel::itemsTogether(op, own);
  launch.scratchBytes = cpu::scratchBytes(find(*outlined, name));
  return launch;
}

namespace {

constexpr size_t kGuard = 256;
constexpr char kGuardByte = 0x5a;

// Memory with guards on both sides: a vector of bytes, 64-byte aligned.
struct Guarded {
  explicit Guarded(const Bytes &content) : size(content.size()), memory(size + 2 * kGuard + 64, kGuardByte) {
    data = memory.data() + kGuard;
    data += -reinterpret_cast<intptr_t>(data) & 63;
    std::copy(content.begin(), content.end(), data);
  }
  bool intact() const {
    for (const char *p = memory.data(); p != memory.data() + memory.size(); ++p)
      if ((p < data || p >= data + size) && *p != kGuardByte) return false;
    return true;
  }
  Bytes content() const { return Bytes(data, data + size); }
  size_t size;
  Bytes memory;
  char *data;
};

} // namespace

static bool usesAmx(Operation *op) {
  auto reduction = op->getAttrOfType<kernel::ReductionAttr>("reduction");
  return reduction && reduction.getUnit() == "amx";
}

std::vector<Bytes> KernelSuite::run(const std::string &name, const std::vector<Bytes> &inputs,
                                    const std::vector<Bytes> &results, const std::map<int, int> &alias) {
  Launch launch = prepare(name);
  FlushDenormals flush;
  std::vector<Bytes> first;
  for (auto &library : libraries)
    for (int ranges : {1, 2, 3}) {
      SCOPED_TRACE(name + " at " + library->level + " in " + std::to_string(ranges) + " ranges");
      std::deque<Guarded> memory; // stay where they are
      for (const Bytes &content : inputs) memory.emplace_back(content);
      for (const Bytes &content : results) memory.emplace_back(content);

      std::vector<char *> buffers;
      for (size_t i = 0; i < launch.operands.size(); ++i) {
        int operand = launch.operands[i];
        int result = operand - int(inputs.size());
        if (result >= 0 && alias.count(result)) operand = alias.at(result);
        buffers.push_back(memory[operand].data + launch.offsets[i]);
      }
      auto function = reinterpret_cast<KernelFunction>(dlsym(library->handle, name.c_str()));
      EXPECT_TRUE(function);
      if (!function) return first;
      // Nothing of it may matter: large numbers, and NaN.
      Guarded scratch(Bytes(launch.scratchBytes, ranges == 2 ? 0xff : 0x77));
      for (int r = 0; r < ranges; ++r)
        function(buffers.data(), launch.sizes.data(), launch.items * r / ranges,
                 launch.items * (r + 1) / ranges, scratch.data);
      EXPECT_TRUE(scratch.intact()) << "wrote beyond its scratch";
      std::vector<Bytes> outputs;
      for (size_t i = 0; i < memory.size(); ++i) {
        EXPECT_TRUE(memory[i].intact()) << "wrote beyond buffer " << i;
        bool overwritten = false;
        for (auto [result, input] : alias) overwritten |= input == int(i);
        if (i < inputs.size() && !overwritten) {
          EXPECT_EQ(memory[i].content(), inputs[i]) << "changed input " << i;
        }
      }
      for (size_t r = 0; r < results.size(); ++r)
        outputs.push_back(memory[alias.count(r) ? alias.at(r) : inputs.size() + r].content());
      if (first.empty())
        first = outputs;
      else
        EXPECT_EQ(outputs, first) << "bits differ from one range at " << libraries[0]->level;
    }
  if (amxJobs && alias.empty() && usesAmx(kernelOp(name))) {
    AmxJob job{name, {}, launch.sizes, launch.items, launch.scratchBytes};
    for (size_t i = 0; i < launch.operands.size(); ++i) {
      size_t operand = launch.operands[i], result = operand - inputs.size();
      bool isInput = operand < inputs.size();
      job.buffers.push_back({isInput ? inputs[operand] : results[result], launch.offsets[i],
                             launch.elementBytes[i], isInput ? nullptr : &first[result]});
    }
    amxJobs->add(job);
  }
  return first;
}

static graph::HostTensor hostTensor(Type type, const Bytes &bytes) {
  graph::HostTensor tensor = graph::HostTensor::zeros(cast<RankedTensorType>(type));
  size_t n = tensor.values.size();
  auto fill = [&](auto zero) {
    using T = decltype(zero);
    EXPECT_EQ(bytes.size(), n * sizeof(T)) << "buffer of " << graph::describe(tensor.shape, tensor.element);
    auto values = valuesOf<T>(bytes);
    for (size_t i = 0; i < std::min(n, values.size()); ++i) tensor.values[i] = double(values[i]);
  };
  switch (tensor.element) {
  case graph::Element::f32:
    fill(float());
    break;
  case graph::Element::f64:
    fill(double());
    break;
  case graph::Element::bf16:
    EXPECT_EQ(bytes.size(), 2 * n);
    tensor.values.clear();
    for (uint16_t half : valuesOf<uint16_t>(bytes)) tensor.values.push_back(widened(half));
    break;
  case graph::Element::i1:
    fill(char());
    break;
  case graph::Element::i32:
    fill(int32_t());
    break;
  case graph::Element::i64:
    fill(int64_t());
    break;
  }
  return tensor;
}

std::vector<std::vector<double>> KernelSuite::interpret(const std::string &name,
                                                        const std::vector<Bytes> &inputs,
                                                        const std::vector<Bytes> &results) {
  Operation *op = kernelOp(name);
  // Operands in the op's order: inits lie among or behind the inputs, and start as their results' buffers.
  std::deque<graph::HostTensor> tensors;
  SmallVector<const graph::HostTensor *> operands;
  auto take = [&](Value value, const Bytes &bytes) {
    operands.push_back(&tensors.emplace_back(hostTensor(value.getType(), bytes)));
  };
  if (auto loops = dyn_cast<kernel::LoopsOp>(op)) {
    for (auto [value, bytes] : llvm::zip_equal(loops.getInputs(), inputs)) take(value, bytes);
    for (auto [value, result] : llvm::zip_equal(loops.getInits(), loops.getInitResult()))
      take(value, results[result]);
  } else if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) {
    take(matmul.getLhs(), inputs[0]);
    take(matmul.getRhs(), inputs[1]);
    if (matmul.getInit()) take(matmul.getInit(), results[0]);
    for (auto [i, value] : llvm::enumerate(matmul.getExtras())) take(value, inputs[2 + i]);
    if (matmul.getGroups()) take(matmul.getGroups(), inputs[matmul.groupsNumber()]);
    if (matmul.getRows()) take(matmul.getRows(), inputs[matmul.rowsNumber()]);
  } else {
    for (auto [value, bytes] : llvm::zip_equal(op->getOperands(), inputs)) take(value, bytes);
  }
  std::vector<graph::HostTensor> out;
  for (Type type : op->getResultTypes())
    out.push_back(graph::HostTensor::zeros(cast<RankedTensorType>(type)));
  EXPECT_TRUE(succeeded(kernel::evaluate(op, operands, out))) << name;
  std::vector<std::vector<double>> values;
  for (graph::HostTensor &t : out) values.push_back(t.values);
  return values;
}

std::vector<Bytes> KernelSuite::check(const std::string &name, const std::vector<Bytes> &inputs,
                                      const std::vector<Bytes> &results, double tolerance, double scale) {
  SCOPED_TRACE(name);
  std::vector<Bytes> got = run(name, inputs, results);
  expectInterpreted(name, inputs, results, got, tolerance, scale);
  return got;
}

void KernelSuite::expectInterpreted(const std::string &name, const std::vector<Bytes> &inputs,
                                    const std::vector<Bytes> &results, const std::vector<Bytes> &got,
                                    double tolerance, double scale) {
  auto want = interpret(name, inputs, results);
  Operation *op = kernelOp(name);
  for (size_t r = 0; r < got.size(); ++r) {
    graph::HostTensor tensor = hostTensor(op->getResult(r).getType(), got[r]);
    int shown = 0;
    for (size_t i = 0; i < tensor.values.size() && shown < 3; ++i) {
      double g = tensor.values[i], w = want[r][i];
      bool equal = g == w || (std::isnan(g) && std::isnan(w));
      bool near = tensor.isFloat() && std::abs(g - w) <= tolerance * (std::abs(w) + scale);
      if (!equal && !near) {
        ADD_FAILURE() << "result " << r << " element " << i << " is " << g << " when the interpreter has "
                      << w;
        ++shown;
      }
    }
  }
}

double KernelSuite::time(const std::string &name, const std::string &level, const std::vector<Bytes> &inputs,
                         const std::vector<Bytes> &results) {
  Launch launch = prepare(name);
  std::vector<std::unique_ptr<Guarded>> memory;
  for (auto *list : {&inputs, &results})
    for (const Bytes &content : *list) memory.push_back(std::make_unique<Guarded>(content));
  std::vector<char *> buffers;
  for (size_t i = 0; i < launch.operands.size(); ++i)
    buffers.push_back(memory[launch.operands[i]]->data + launch.offsets[i]);
  Guarded scratch(Bytes(launch.scratchBytes, 0));
  double best = 1e30;
  for (auto &library : libraries) {
    if (library->level != level) continue;
    auto function = reinterpret_cast<KernelFunction>(dlsym(library->handle, name.c_str()));
    for (int i = 0; i < 20; ++i) {
      auto start = std::chrono::steady_clock::now();
      function(buffers.data(), launch.sizes.data(), 0, launch.items, scratch.data);
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  }
  return best;
}

std::vector<int64_t> rowMajor(const std::vector<int64_t> &shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (int i = int(shape.size()) - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

std::string tensorType(const std::vector<int64_t> &shape, const std::string &element) {
  std::string type;
  for (int64_t d : shape) type += std::to_string(d) + "x";
  return type + element;
}

static std::string join(const std::vector<int64_t> &values) {
  std::string text;
  for (int64_t v : values) text += (text.empty() ? "" : ", ") + std::to_string(v);
  return text;
}

static std::string accessText(const std::vector<Access> &list) {
  std::string text;
  for (const Access &a : list) {
    text += (text.empty() ? "" : ", ") + std::string("#kernel.access<offset = ") + std::to_string(a.offset);
    if (a.index >= 0)
      text += ", index = " + std::to_string(a.index) + ", index_stride = " + std::to_string(a.indexStride) +
              ", index_limit = " + std::to_string(a.indexLimit);
    text +=
        ", strides = " + join(a.strides) + ">"; // last: a list of numbers ends only where the attribute does
  }
  return "[" + text + "]";
}

static std::string elementOf(const std::string &type) { return type.substr(type.rfind('x') + 1); }

std::string Loops::text() const {
  std::string arguments, names, initNames, types, resultTypes, blockArguments, results, yieldResult,
      initResult;
  auto list = [](std::string &to, const std::string &item) { to += (to.empty() ? "" : ", ") + item; };
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string name = "%in" + std::to_string(i);
    list(arguments, name + ": tensor<" + inputs[i].type + ">");
    list(names, name);
    list(types, "tensor<" + inputs[i].type + ">");
    list(blockArguments, "%" + std::to_string(i) + ": " + elementOf(inputs[i].type));
  }
  for (int r : inits) {
    std::string name = "%init" + std::to_string(r);
    list(arguments, name + ": tensor<" + outputs[r].type + ">");
    list(initNames, name);
    list(types, "tensor<" + outputs[r].type + ">");
    list(initResult, std::to_string(r));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    list(resultTypes, "tensor<" + outputs[i].type + ">");
    list(results, "%out" + std::to_string(i));
    list(yieldResult, std::to_string(i));
  }
  auto array = [](const std::string &items) {
    return items.empty() ? std::string("array<i64>") : "array<i64: " + items + ">";
  };
  return "^bb0(" + arguments + "):\n  " + results + " = kernel.loops domain [" + join(domain) + "] ins(" +
         names + ") inits(" + initNames + ") {input_access = " + accessText(inputs) +
         ", output_access = " + accessText(outputs) + ", yield_result = " + array(yieldResult) +
         ", init_result = " + array(initResult) + ", reduce_dims = " + std::to_string(reduceDims) +
         " : i64, reduction = #kernel.reduction<unit = \"fma\", lanes = 16, key_block = 64>, schedule = "
         "#kernel.schedule<tile_m = 0, tile_n = 0, "
         "block_m = " +
         std::to_string(blockRows) + ", block_n = " + std::to_string(blockColumns) + ", block_k = 0>} : (" +
         types + ") -> (" + resultTypes + ") {\n  ^bb0(" + blockArguments + "):\n" + region + "\n  }";
}

} // namespace weft::cpu_test
