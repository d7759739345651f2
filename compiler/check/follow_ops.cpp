#include "compiler/check/follow_ops.h"
#include "compiler/kernels/kernel_source.h"
#include "compiler/pipeline.h"
#include "dialects/kernel/interpret_region.h"
#include "dialects/kernel/kernel.h"
#include "passes/codegen/cpu/emit.h"
#include "runtime/data/file_io.h"
#include "runtime/train/safetensors.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <cstring>
#include <sstream>

using namespace mlir;
using llvm::formatv;
namespace weft {
namespace {

std::string number(double v) {
  char text[40];
  snprintf(text, sizeof text, "%.9g", v);
  return text;
}

// A launch that has been written down.
class Follower {
public:
  Follower(Operation *op, const SafetensorsReader &reader) : op(op), layout(op), reader(reader) {}

  std::string follow() {
    if (std::string problem = read(); !problem.empty()) return "the ops cannot be followed: " + problem;
    if (auto loops = dyn_cast<kernel::LoopsOp>(op)) return followLoops(loops);
    if (auto matmul = dyn_cast<kernel::MatmulOp>(op)) return followMatmul(matmul);
    if (auto attention = dyn_cast<kernel::AttentionOp>(op);
        attention && attention.getKind() == kernel::AttentionKind::forward)
      return followAttention(attention);
    return "op: the kernel is one op, " + op->getName().getStringRef().str() + ": " +
           originsText(op->getLoc());
  }

private:
  Operation *op;
  kernel::SizeLayout layout;
  const SafetensorsReader &reader;
  std::vector<int64_t> sizes, index;
  std::vector<std::string> bytes; // by buffer
  int64_t result = 0;

  std::string fact(const char *name) const {
    auto it = reader.metadata().find(name);
    return it == reader.metadata().end() ? "" : it->second;
  }

  std::string read() {
    std::istringstream words(fact("sizes"));
    for (int64_t size; words >> size;) sizes.push_back(size);
    if (int64_t(sizes.size()) != layout.numSlots())
      return formatv("{0} has {1} sizes when the kernel takes {2}", reader.path(), sizes.size(),
                     layout.numSlots());
    for (auto [i, size] : llvm::enumerate(sizes))
      if (size < 0 || size > (int64_t{1} << (int64_t(i) < layout.numDims ? 31 : 40)))
        return formatv("size {0} of {1} is {2}", i, reader.path(), size);
    index.assign(layout.numDims, 0);
    std::istringstream places(fact("index"));
    for (std::string place; places >> place;) {
      int64_t dim = 0, at = 0;
      if (sscanf(place.c_str(), "%ld:%ld", &dim, &at) != 2 || dim < 0 || dim >= layout.numDims || at < 0 ||
          at >= sizes[dim])
        return "the place " + place + " is not one in the kernel's sizes";
      index[dim] = at;
    }
    int64_t buffer = 0;
    if (StringRef(fact("buffer")).getAsInteger(10, buffer) || buffer < layout.numInputs ||
        buffer >= int64_t(layout.accesses.size()))
      return "buffer " + fact("buffer") + " is no result of the kernel";
    result = buffer - layout.numInputs;
    bytes.resize(layout.accesses.size());
    for (size_t i = 0; i < bytes.size(); ++i) {
      auto it = reader.tensors().find("buffer." + std::to_string(i));
      if (it == reader.tensors().end()) continue;
      bytes[i].resize(it->second.bytes);
      if (absl::Status s = reader.ReadPart(it->second, 0, absl::MakeSpan(bytes[i])); !s.ok())
        return std::string(s.message());
    }
    return "";
  }

  Type elementOf(int64_t i) {
    return cast<RankedTensorType>(kernel::accessedValue(op, i).getType()).getElementType();
  }

  // NaN where there is no such element: a file of another launch.
  double element(int64_t i, int64_t address) {
    Type type = elementOf(i);
    size_t size = type.isInteger(1) ? 1 : type.getIntOrFloatBitWidth() / 8;
    if (address < 0 || uint64_t(address) >= bytes[i].size() / size) return NAN;
    const char *at = bytes[i].data() + address * size;
    if (type.isF32()) return get<float>(at);
    if (type.isF64()) return get<double>(at);
    if (type.isInteger(32)) return get<int32_t>(at);
    if (type.isInteger(64)) return double(get<int64_t>(at));
    if (type.isInteger(1)) return *at != 0;
    uint32_t word = uint32_t(get<uint16_t>(at)) << 16;
    return get<float>(reinterpret_cast<char *>(&word));
  }
  template <typename T> static T get(const char *at) {
    T value;
    memcpy(&value, at, sizeof value);
    return value;
  }

  int64_t address(int64_t i, ArrayRef<int64_t> at) {
    int64_t sum = 0;
    for (size_t j = 0; j < at.size(); ++j) sum += at[j] * sizes[layout.stride(i, j)];
    return sum;
  }

  // The first op that made it at `column`; "" for none.
  std::string firstOp(Block &body, kernel::RegionInterpreter &region, int64_t column) {
    auto finite = [&](Value v, bool all) {
      if (!isa<FloatType>(v.getType())) return true;
      const std::vector<double> &values = region.valueOf(v);
      if (!all) return std::isfinite(values[column]);
      return llvm::all_of(values, [](double x) { return std::isfinite(x); });
    };
    int64_t n = 0;
    for (Operation &o : body.without_terminator()) {
      ++n;
      bool reduces = isa<kernel::ReduceOp>(o);
      if (isa<arith::ConstantOp>(o) || finite(o.getResult(0), false)) continue;
      if (!llvm::all_of(o.getOperands(), [&](Value v) { return finite(v, reduces); })) continue;
      std::string text = formatv("op {0} of the kernel, {1}: ", n, o.getName().getStringRef());
      for (auto [i, v] : llvm::enumerate(o.getOperands())) {
        text += (i ? ", " : "") + number(region.valueOf(v)[column]);
        if (reduces) text += formatv(" (and the other {0} columns of the row)", region.valueOf(v).size() - 1);
      }
      return text + " gives " + number(region.valueOf(o.getResult(0))[column]) + "\n  that is " +
             originsText(o.getLoc());
    }
    return "";
  }

  std::string notFound(const char *what) {
    return std::string("op: computed again from what it read, ") + what +
           " is finite: it is a matter of how the code rounds or approximates, or a mistake of the "
           "compiler's\n  the kernel is " +
           originsText(op->getLoc());
  }

  std::string followLoops(kernel::LoopsOp loops) {
    Block &body = loops.getBody().front();
    kernel::RegionInterpreter region;
    region.setRounding(true);
    if (failed(region.compile(body)))
      return "the ops cannot be followed: the interpreter does not know one of them";
    int64_t columns = sizes[layout.numDims - 1], column = index.back(), numInputs = loops.getInputs().size();
    std::vector<int64_t> at = index;
    auto runRow = [&] {
      for (bool indexed : {false, true})
        for (int64_t i = 0; i < numInputs; ++i) {
          kernel::AccessAttr access = layout.accesses[i];
          if ((access.getIndex() >= 0) != indexed) continue;
          std::vector<double> &values = region.argument(i);
          values.resize(columns);
          for (int64_t c = 0; c < columns; ++c) {
            at.back() = c;
            int64_t a = address(i, at);
            if (indexed) {
              int64_t limit = sizes[layout.indexLimit(i)];
              a += std::clamp<int64_t>(int64_t(region.argument(access.getIndex())[c]), 0,
                                       std::max<int64_t>(limit - 1, 0)) *
                   sizes[layout.indexStride(i)];
            }
            values[c] = element(i, a);
          }
        }
      region.run(at, columns);
    };
    if (loops.getReduceDims() == 0) {
      runRow();
      std::string found = firstOp(body, region, column);
      return found.empty() ? notFound("every value") : found;
    }
    // A summand, or the sum: rows of what is summed in their order.
    int64_t rows = 1, reduced = loops.getReduceDims();
    for (int64_t d = 0; d < reduced && d + 1 < layout.numDims; ++d) rows *= sizes[d];
    double sum = 0;
    bool scatter = layout.accesses[layout.numInputs + result].getIndex() >= 0;
    constexpr int64_t kMostRows = 1 << 20;
    for (int64_t r = 0; r < std::min(rows, kMostRows); ++r) {
      int64_t rest = r;
      for (int64_t d = std::min<int64_t>(reduced, layout.numDims - 1); d-- > 0; rest /= sizes[d])
        at[d] = rest % sizes[d];
      runRow();
      for (int64_t c = 0; c < columns; ++c) {
        if (!scatter && reduced < layout.numDims && c != column) continue;
        double v = region.yielded(result)[c];
        if (!std::isfinite(v)) {
          std::string found = firstOp(body, region, c);
          return found.empty() ? notFound("every summand's op")
                               : found + formatv("\n  as summand {0} of the sum", r).str();
        }
        sum += v;
        if (!scatter && !std::isfinite(float(sum)))
          return "op: the sum over " + std::to_string(rows) +
                 " rows, whose summands are finite, leaves f32's range at row " + std::to_string(r) +
                 "\n  that is " + originsText(op->getLoc());
      }
    }
    return notFound("the sum");
  }

  // What a product's table of rows holds for one of them.
  int64_t rowPlace(kernel::MatmulOp matmul, int64_t row) {
    int64_t rows = matmul.rowsNumber();
    return int64_t(element(rows, address(rows, {row})));
  }
  // What `place` adds to the address of an indexed access.
  int64_t indexed(int64_t i, int64_t place) {
    if (layout.accesses[i].getIndex() < 0) return 0;
    place = std::clamp<int64_t>(place, 0, std::max<int64_t>(sizes[layout.indexLimit(i)], 1) - 1);
    return place * sizes[layout.indexStride(i)];
  }

  double extraAt(int64_t i, ArrayRef<int64_t> at) {
    int64_t from = layout.accesses[i].getIndex();
    int64_t place = from < 0 ? 0 : int64_t(element(from, address(from, at)));
    return element(i, address(i, at) + indexed(i, place));
  }

  std::string followMatmul(kernel::MatmulOp matmul) {
    int64_t b = index[0], m = index[1], n = index[2], firstK = 0, lastK = sizes[3];
    if (matmul.getGroups()) {
      int64_t g = matmul.groupsNumber();
      auto bound = [&](int64_t i) { return int64_t(element(g, i * sizes[layout.stride(g, 0)])); };
      if (matmul.getGrouped() == kernel::GroupedBy::k)
        firstK = std::clamp<int64_t>(bound(b), 0, lastK),
        lastK = std::clamp<int64_t>(bound(b + 1), firstK, lastK);
      else
        while (b + 1 < sizes[0] && bound(b + 1) <= m) ++b;
    }
    bool wide = elementOf(0).isF64();
    double acc =
        matmul.getInit() ? element(layout.numInputs, address(layout.numInputs, {index[0], m, n})) : 0;
    for (int64_t k = firstK; k < lastK; ++k) {
      int64_t place =
          matmul.getRows() ? rowPlace(matmul, matmul.getGrouped() == kernel::GroupedBy::m ? m : k) : 0;
      double l = element(0, address(0, {b, m, k}) + indexed(0, place)), r;
      if (matmul.getPackedRhs()) {
        int64_t pair =
            n / kernel::kPanelColumns * (int64_t(llvm::alignTo(sizes[3], kernel::kPanelDepth)) / 2) + k / 2;
        r = element(1, b * sizes[layout.stride(1, 0)] +
                           (pair * kernel::kPanelColumns + n % kernel::kPanelColumns) * 2 + k % 2);
      } else
        r = element(1, address(1, {b, k, n}) + indexed(1, place));
      acc = wide ? std::fma(l, r, acc) : double(float(std::fma(l, r, acc)));
      if (!std::isfinite(acc))
        return formatv(
            "op: the product's own sum leaves the range at k = {0} of {1}: it adds {2} × {3}\n  that is {4}",
            k, lastK, number(l), number(r), originsText(op->getLoc()));
    }
    kernel::RegionInterpreter region;
    region.setRounding(true);
    Block &body = matmul.getBody().front();
    if (failed(region.compile(body)))
      return "the ops cannot be followed: the interpreter does not know one of them";
    region.argument(0) = {acc};
    for (size_t e = 0; e < matmul.getExtras().size(); ++e)
      region.argument(1 + e) = {extraAt(2 + e, {index[0], m, n})};
    region.run({index[0], m, n}, 1);
    std::string found = firstOp(body, region, 0);
    return found.empty() ? notFound("the product and what follows it")
                         : found + "\n  behind the product, whose sum is " + number(acc);
  }

  std::string followAttention(kernel::AttentionOp attention) {
    int64_t b = index[0], t = index[1], h = index[3], S = sizes[2], H = sizes[3], G = sizes[4], D = sizes[5];
    int64_t g = H > 0 && G > 0 ? h / std::max<int64_t>(1, H / G) : 0;
    int64_t begin = std::clamp<int64_t>(int64_t(element(3, address(3, {b, t}))), 0, S),
            end = std::clamp<int64_t>(int64_t(element(4, address(4, {b, t}))), 0, S);
    double least = INFINITY, most = -INFINITY;
    int64_t bad = -1;
    for (int64_t s = begin; s < end; ++s) {
      double score = 0;
      for (int64_t d = 0; d < D; ++d)
        score = double(float(
            std::fma(element(0, address(0, {b, t, h, d})), element(1, address(1, {b, s, g, d})), score)));
      score = double(float(score * attention.getScale().convertToDouble()));
      if (!std::isfinite(score) && bad < 0) bad = s;
      least = std::min(least, score), most = std::max(most, score);
    }
    std::string text = bad >= 0 ? formatv("op: the score of key {0} leaves f32's range", bad).str()
                                : formatv("op: attention, over {0} keys with scores from {1} to {2}",
                                          end - begin, number(least), number(most))
                                      .str();
    return text + "\n  that is " + originsText(op->getLoc());
  }
};

int failWith(const std::string &what) {
  fprintf(stderr, "error: %s\n", what.c_str());
  return 1;
}

} // namespace

int followOpsCommand(int argc, char **argv) {
  std::string artifactPath, inputs, output;
  for (int i = 0; i < argc; ++i)
    if (!strcmp(argv[i], "-o") && i + 1 < argc)
      output = argv[++i];
    else
      (artifactPath.empty() ? artifactPath : inputs) = argv[i];
  if (inputs.empty() || output.empty()) {
    fprintf(stderr, "usage: weftc follow-ops F.weft INPUTS.safetensors -o ANSWER.txt\nhint: weft train "
                    "--trace-nan writes and asks\n");
    return 2;
  }
  auto artifact = LoadArtifact(artifactPath);
  if (!artifact.ok()) return failWith(std::string(artifact.status().message()));
  auto reader = SafetensorsReader::Open(inputs);
  if (!reader.ok()) return failWith(std::string(reader.status().message()));
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto unpacked = unpackKernels(context, **artifact);
  if (auto *problem = std::get_if<std::string>(&unpacked)) return failWith(*problem);
  auto name = reader->metadata().find("kernel");
  program::KernelOp kernel = name == reader->metadata().end()
                                 ? nullptr
                                 : findKernel(*std::get<OwningOpRef<ModuleOp>>(unpacked), name->second);
  if (!kernel || !cpu::kernelOpOf(kernel)) return failWith(inputs + ": is of no kernel of " + artifactPath);
  std::string answer = Follower(cpu::kernelOpOf(kernel), *reader).follow() + "\n";
  if (absl::Status s = WriteFileAtomically(output, answer); !s.ok())
    return failWith(std::string(s.message()));
  return 0;
}

} // namespace weft
