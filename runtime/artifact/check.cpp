#include "runtime/artifact/check.h"
#include "runtime/artifact/dtype.h"
#include "runtime/artifact/reader.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace weft {
namespace {

// Larger than any machine's memory, small enough that sums of a few such numbers cannot overflow.
constexpr int64_t kMaxBytes = int64_t{1} << 46;
// Far more than any model has. Lists in a file may overlap, so that a small file could name one list many
// times: what is walked for each of its owners is bounded.
constexpr int64_t kMaxRank = 64, kMaxStrides = 64, kMaxLayers = int64_t{1} << 20, kMaxKernelLines = 8'000'000;

// Where we are in the file, as a chain on the stack: only an error turns it into text.
struct Where {
  const Where *parent = nullptr;
  const char *field = "";
  int64_t index = -1;

  std::string text() const {
    std::string result = parent ? absl::StrCat(parent->text(), parent->parent ? "." : "") : "";
    absl::StrAppend(&result, field);
    if (index >= 0) absl::StrAppend(&result, "[", index, "]");
    return result;
  }
  template <typename... Args> absl::Status Error(const Args &...args) const {
    return absl::InvalidArgumentError(absl::StrCat(text(), parent ? ": " : "", args...));
  }
};

#define WEFT_CHECK_OK(expression)                                                                            \
  if (absl::Status status_ = (expression); !status_.ok()) return status_

template <typename T> int64_t Size(const flatbuffers::Vector<T> *vector) {
  return vector ? vector->size() : 0;
}
// FlatBuffers' verifier aligns a vector's length, not its elements of eight bytes.
template <typename T> bool IsAligned(const flatbuffers::Vector<T> *vector) {
  return Size(vector) == 0 || reinterpret_cast<uintptr_t>(vector->Data()) % 8 == 0;
}
absl::string_view Text(const flatbuffers::String *string) {
  return string ? absl::string_view(string->c_str(), string->size()) : absl::string_view();
}

// shape's product times the element size; -1 when negative or too large.
int64_t ShapeBytes(const flatbuffers::Vector<int64_t> *shape, fb::DType dtype) {
  int64_t bytes = ByteSize(dtype);
  for (int64_t i = 0; i < Size(shape); ++i) {
    int64_t dim = shape->Get(i);
    if (dim < 0 || __builtin_mul_overflow(bytes, dim, &bytes) || bytes > kMaxBytes) return -1;
  }
  return bytes;
}

std::string ShapeText(const flatbuffers::Vector<int64_t> *shape) {
  std::string text = "(";
  for (int64_t i = 0; i < Size(shape); ++i) absl::StrAppend(&text, i ? ", " : "", shape->Get(i));
  return text + ")";
}

absl::Status CheckTyped(const Where &at, fb::DType dtype, const flatbuffers::Vector<int64_t> *shape,
                        int64_t bytes) {
  if (ByteSize(dtype) == 0)
    return at.Error("dtype is ", static_cast<int>(dtype), " when it should be 0 to 5");
  if (Size(shape) > kMaxRank)
    return at.Error("shape has ", Size(shape), " dimensions when ", kMaxRank, " is the most");
  if (!IsAligned(shape)) return at.Error("shape does not lie at a multiple of 8 bytes");
  int64_t expected = ShapeBytes(shape, dtype);
  if (expected < 0)
    return at.Error("shape ", ShapeText(shape), " has a negative dimension or too many elements");
  if (bytes != expected)
    return at.Error("bytes is ", bytes, " when shape ", ShapeText(shape), " of ", fb::EnumNameDType(dtype),
                    " takes ", expected);
  return absl::OkStatus();
}

// A loop around the instruction being checked.
struct Enclosing {
  bool dynamic;
  int64_t first, last; // iteration numbers, inclusive; static loops only
};

struct EntryChecker {
  const fb::Artifact &artifact;
  const fb::Stage &stage;
  const fb::Entry &entry;
  std::vector<Enclosing> loops;
  int32_t count_argument = -1;

  absl::Status CheckRef(const Where &at, const fb::Ref *ref, bool written) {
    if (!ref) return at.Error("is missing");
    int64_t space_bytes = 0;
    const fb::Argument *argument = nullptr;
    std::string space;
    switch (ref->space()) {
    case fb::Space::arena:
      space_bytes = entry.arena_bytes(), space = "the arena";
      break;
    case fb::Space::persistent:
      space_bytes = stage.persistent_bytes(), space = "the persistent space";
      break;
    case fb::Space::argument:
      if (ref->index() < 0 || ref->index() >= Size(entry.arguments()))
        return at.Error("argument index is ", ref->index(), " when the entry has ", Size(entry.arguments()),
                        " arguments");
      argument = entry.arguments()->Get(ref->index());
      space_bytes = argument->bytes();
      space = absl::StrCat("argument '", Text(argument->name()), "'");
      if (written && argument->kind() != fb::ArgumentKind::output)
        return at.Error("writes to ", space, ", which is an input");
      break;
    default:
      return at.Error("space is ", static_cast<int>(ref->space()), " when it should be 0 to 2");
    }
    if (ref->extent() < 0) return at.Error("extent is ", ref->extent(), " when it should not be negative");
    if (Size(ref->strides()) > kMaxStrides)
      return at.Error("has ", Size(ref->strides()), " strides when ", kMaxStrides, " is the most");
    if (!IsAligned(ref->strides())) return at.Error("strides do not lie at a multiple of 8 bytes");

    // Worst case over the enclosing loops: each stride at the end of its range that goes furthest.
    int64_t low = ref->offset(), high = low;
    bool overflow = false;
    int dynamic_strides = 0;
    for (int64_t i = 0; i < Size(ref->strides()); ++i) {
      const fb::LoopStride &stride = *ref->strides()->Get(i);
      if (stride.depth() < 0 || stride.depth() >= static_cast<int64_t>(loops.size()))
        return at.Error("strides[", i, "].depth is ", stride.depth(), " when ", loops.size(),
                        " loops enclose it");
      const Enclosing &loop = loops[stride.depth()];
      if (loop.dynamic) {
        if (!argument || !argument->dynamic())
          return at.Error("strides over a loop whose trip count is known at run time only, into ", space,
                          ", which has a fixed size");
        if (stride.stride() != argument->bytes())
          return at.Error("strides[", i, "].stride is ", stride.stride(), " when one iteration of ", space,
                          " has ", argument->bytes(), " bytes");
        ++dynamic_strides;
        continue;
      }
      int64_t a, b;
      overflow |= __builtin_mul_overflow(stride.stride(), loop.first, &a);
      overflow |= __builtin_mul_overflow(stride.stride(), loop.last, &b);
      overflow |= __builtin_add_overflow(low, std::min(a, b), &low);
      overflow |= __builtin_add_overflow(high, std::max(a, b), &high);
    }
    if (argument && argument->dynamic() && dynamic_strides != 1)
      return at.Error("strides over ", dynamic_strides, " run-time loops when ", space,
                      ", which is dynamic, needs exactly one");
    overflow |= __builtin_add_overflow(high, ref->extent(), &high);
    if (overflow) return at.Error("offset, strides and extent overflow 64 bits");
    if (low < 0 || high > space_bytes)
      return at.Error("bytes [", low, ", ", high, ") are touched when ", space, " has ", space_bytes,
                      argument && argument->dynamic() ? " an iteration" : "");
    return absl::OkStatus();
  }

  absl::Status CheckPeer(const Where &at, int32_t axis, int32_t peer) {
    if (axis < 0 || axis > 1)
      return at.Error("axis is ", axis, " when it should be 0 (data) or 1 (pipeline)");
    if (peer < 0) return at.Error("peer is ", peer, " when it should not be negative");
    return absl::OkStatus();
  }

  absl::Status CheckLaunch(const Where &at, const fb::Launch &launch) {
    if (launch.kernel() < 0 || launch.kernel() >= Size(artifact.kernels()))
      return at.Error("kernel is ", launch.kernel(), " when there are ", Size(artifact.kernels()),
                      " kernels");
    const fb::Kernel &kernel = *artifact.kernels()->Get(launch.kernel());
    if (!IsAligned(launch.sizes())) return at.Error("sizes do not lie at a multiple of 8 bytes");
    if (Size(launch.buffers()) != kernel.num_buffers())
      return at.Error("has ", Size(launch.buffers()), " buffers when kernel '", Text(kernel.name()),
                      "' takes ", kernel.num_buffers());
    if (Size(launch.sizes()) != kernel.num_sizes())
      return at.Error("has ", Size(launch.sizes()), " sizes when kernel '", Text(kernel.name()), "' takes ",
                      kernel.num_sizes());
    if (launch.items() < 0) return at.Error("items is ", launch.items(), " when it should not be negative");
    if (launch.piece() < 1) return at.Error("piece is ", launch.piece(), " when it should be at least 1");
    if (launch.flops() < 0 || launch.bytes() < 0 || launch.vector_ops() < 0)
      return at.Error("flops, bytes or vector_ops is negative");
    WEFT_CHECK_OK(CheckLine(at, launch.line()));
    for (int64_t i = 0; i < Size(launch.buffers()); ++i)
      WEFT_CHECK_OK(CheckRef({&at, "buffers", i}, launch.buffers()->Get(i), false));
    return absl::OkStatus();
  }

  absl::Status CheckLine(const Where &at, int32_t line) {
    if (line < -1 || line >= Size(artifact.lines()))
      return at.Error("line is ", line, " when there are ", Size(artifact.lines()), " lines");
    return absl::OkStatus();
  }

  absl::Status CheckLoop(const Where &at, const fb::Loop &loop) {
    if (loops.size() == kMaxLoopDepth) return at.Error("loops are nested deeper than ", kMaxLoopDepth);
    Enclosing enclosing{};
    if (loop.count_argument() >= 0) {
      if (loop.count_argument() >= Size(entry.arguments()))
        return at.Error("count_argument is ", loop.count_argument(), " when the entry has ",
                        Size(entry.arguments()), " arguments");
      const fb::Argument &count = *entry.arguments()->Get(loop.count_argument());
      if (count.dtype() != fb::DType::i64 || count.bytes() != 8 || count.dynamic() ||
          count.kind() != fb::ArgumentKind::input)
        return at.Error("count_argument '", Text(count.name()),
                        "' should be an i64 scalar input that is not dynamic");
      if (count_argument >= 0 && count_argument != loop.count_argument())
        return at.Error("count_argument is ", loop.count_argument(), " when another loop of the entry uses ",
                        count_argument);
      count_argument = loop.count_argument();
      if (loop.parts() < 1 || loop.part() < 0 || loop.part() >= loop.parts())
        return at.Error("part ", loop.part(), " of ", loop.parts(), " parts does not exist");
      enclosing.dynamic = true;
    } else {
      if (loop.count_argument() != -1)
        return at.Error("count_argument is ", loop.count_argument(),
                        " when it should be -1 (none) or an argument");
      if (loop.part() != 0 || loop.parts() != 1)
        return at.Error("is part ", loop.part(), " of ", loop.parts(),
                        " when only a run-time trip count can be cut into parts");
      if (loop.begin() > loop.end()) return at.Error("begin ", loop.begin(), " lies after end ", loop.end());
      if (loop.begin() < -kMaxBytes || loop.end() > kMaxBytes)
        return at.Error("range [", loop.begin(), ", ", loop.end(), ") is too large");
      // An empty loop is checked as if it ran once.
      enclosing = {false, loop.begin(), std::max(loop.begin(), loop.end() - 1)};
    }
    loops.push_back(enclosing);
    WEFT_CHECK_OK(CheckBody(at, loop.body()));
    loops.pop_back();
    return absl::OkStatus();
  }

  absl::Status CheckInstruction(const Where &at, const fb::Instruction &instruction) {
    if (!instruction.op()) return at.Error("op is missing");
    switch (instruction.op_type()) {
    case fb::Op::Launch:
      return CheckLaunch(at, *instruction.op_as_Launch());
    case fb::Op::Loop:
      return CheckLoop(at, *instruction.op_as_Loop());
    case fb::Op::Zero:
      return CheckRef({&at, "to"}, instruction.op_as_Zero()->to(), true);
    case fb::Op::Copy: {
      const fb::Copy &copy = *instruction.op_as_Copy();
      WEFT_CHECK_OK(CheckRef({&at, "from"}, copy.from(), false));
      WEFT_CHECK_OK(CheckRef({&at, "to"}, copy.to(), true));
      if (copy.from()->extent() != copy.to()->extent())
        return at.Error("copies ", copy.from()->extent(), " bytes to ", copy.to()->extent());
      return absl::OkStatus();
    }
    case fb::Op::AllReduce: {
      const fb::AllReduce &reduce = *instruction.op_as_AllReduce();
      WEFT_CHECK_OK(CheckPeer(at, reduce.axis(), 0));
      WEFT_CHECK_OK(CheckRef({&at, "buffer"}, reduce.buffer(), true));
      int64_t element = ByteSize(reduce.dtype()), bytes;
      if (element == 0 || reduce.dtype() == fb::DType::boolean || reduce.dtype() == fb::DType::bf16)
        return at.Error("dtype is ", static_cast<int>(reduce.dtype()),
                        " when it should be f32, f64, i32 or i64");
      if (reduce.elements() < 0 || __builtin_mul_overflow(reduce.elements(), element, &bytes) ||
          bytes != reduce.buffer()->extent())
        return at.Error("elements is ", reduce.elements(), " of ", element,
                        " bytes when the buffer's extent is ", reduce.buffer()->extent());
      bool aligned = reduce.buffer()->offset() % element == 0;
      for (int64_t i = 0; i < Size(reduce.buffer()->strides()); ++i)
        aligned &= reduce.buffer()->strides()->Get(i)->stride() % element == 0;
      if (!aligned) return at.Error("offset and strides should be multiples of ", element);
      return absl::OkStatus();
    }
    case fb::Op::Send: {
      const fb::Send &send = *instruction.op_as_Send();
      WEFT_CHECK_OK(CheckPeer(at, send.axis(), send.peer()));
      return CheckRef({&at, "buffer"}, send.buffer(), false);
    }
    case fb::Op::Receive: {
      const fb::Receive &receive = *instruction.op_as_Receive();
      WEFT_CHECK_OK(CheckPeer(at, receive.axis(), receive.peer()));
      return CheckRef({&at, "buffer"}, receive.buffer(), true);
    }
    case fb::Op::NONE:
      break;
    }
    return at.Error("op has the unknown type ", static_cast<int>(instruction.op_type()));
  }

  absl::Status CheckBody(const Where &at,
                         const flatbuffers::Vector<flatbuffers::Offset<fb::Instruction>> *body) {
    for (int64_t i = 0; i < Size(body); ++i) WEFT_CHECK_OK(CheckInstruction({&at, "body", i}, *body->Get(i)));
    return absl::OkStatus();
  }

  absl::Status Check(const Where &at) {
    if (entry.arena_bytes() < 0 || entry.arena_bytes() > kMaxBytes)
      return at.Error("arena_bytes is ", entry.arena_bytes(), " when it should be 0 to ", kMaxBytes);
    std::set<absl::string_view> names;
    bool any_dynamic = false;
    for (int64_t i = 0; i < Size(entry.arguments()); ++i) {
      const fb::Argument &argument = *entry.arguments()->Get(i);
      Where here{&at, "arguments", i};
      if (Text(argument.name()).empty()) return here.Error("has no name");
      if (!names.insert(Text(argument.name())).second)
        return here.Error("the name '", Text(argument.name()), "' is taken by another argument");
      if (argument.kind() > fb::ArgumentKind::output)
        return here.Error("kind is ", static_cast<int>(argument.kind()), " when it should be 0 or 1");
      WEFT_CHECK_OK(CheckTyped(here, argument.dtype(), argument.shape(), argument.bytes()));
      if (argument.limit() < -1)
        return here.Error("limit is ", argument.limit(), " when it should be -1 (none) or more");
      if (argument.limit() >= 0 && argument.dtype() != fb::DType::i32 && argument.dtype() != fb::DType::i64)
        return here.Error("has a limit when its type is ", fb::EnumNameDType(argument.dtype()));
      any_dynamic |= argument.dynamic();
    }
    WEFT_CHECK_OK(CheckBody(at, entry.body()));
    if (any_dynamic && count_argument < 0)
      return at.Error("has dynamic arguments but no loop with a count_argument that would give their size");
    return absl::OkStatus();
  }
};

absl::Status CheckVariables(const Where &at, const fb::Artifact &artifact, const fb::Stage &stage) {
  std::set<absl::string_view> names;
  std::vector<std::pair<int64_t, int64_t>> placed; // (offset, number)
  for (int64_t i = 0; i < Size(stage.variables()); ++i) {
    const fb::Variable &variable = *stage.variables()->Get(i);
    Where here{&at, "variables", i};
    absl::string_view name = Text(variable.name());
    if (name.empty()) return here.Error("has no name");
    if (!names.insert(name).second) return here.Error("the name '", name, "' is taken by another variable");
    if (variable.kind() > fb::VariableKind::derived) return here.Error("kind is unknown");
    if (variable.init() > fb::InitKind::constant) return here.Error("init is unknown");
    if (variable.dtype() == fb::DType::bf16 && variable.kind() != fb::VariableKind::derived &&
        variable.kind() != fb::VariableKind::cache && variable.kind() != fb::VariableKind::optimizer)
      return here.Error("is bf16 when only caches, what is derived and an optimiser's state may be");
    if (variable.dtype() == fb::DType::bf16 && variable.init() != fb::InitKind::zeros)
      return here.Error("is bf16 and should start as zeros");
    if (!std::isfinite(variable.init_scale())) return here.Error("init_scale is not finite");
    if ((variable.init() == fb::InitKind::normal || variable.init() == fb::InitKind::uniform) &&
        variable.dtype() != fb::DType::f32 && variable.dtype() != fb::DType::f64)
      return here.Error("has a random initialiser when its type is ", fb::EnumNameDType(variable.dtype()));
    WEFT_CHECK_OK(CheckTyped(here, variable.dtype(), variable.shape(), variable.bytes()));
    // A layer may have no bytes, so that the persistent space alone does not bound their number.
    if (variable.layers() < 0 || variable.layers() > kMaxLayers || variable.layer_begin() < 0 ||
        variable.layer_begin() > kMaxBytes)
      return here.Error("layers or layer_begin is out of range");
    if (variable.layers() > 0 &&
        (Size(variable.shape()) == 0 || variable.shape()->Get(0) != variable.layers()))
      return here.Error("layers is ", variable.layers(), " when the shape is ", ShapeText(variable.shape()));
    absl::string_view file_name = Text(variable.file_name());
    // A {} for the layer's number, and for an index of each further dimension that the file has as tensors.
    uint32_t indices = 0;
    int64_t tensors = 1;
    for (size_t at = file_name.find("{}"); at != absl::string_view::npos; at = file_name.find("{}", at + 2)) {
      int64_t size = indices < Size(variable.shape()) ? variable.shape()->Get(indices) : 0;
      if (size <= 0 || size > kMaxLayers / tensors)
        return here.Error("file_name '", file_name, "' names too many tensors of the shape ",
                          ShapeText(variable.shape()));
      tensors *= size;
      ++indices;
    }
    if (!file_name.empty() && variable.layers() > 0 && indices == 0)
      return here.Error("file_name '", file_name, "' should have a {} as layers is ", variable.layers());
    if (variable.offset() < 0 || variable.offset() > stage.persistent_bytes() ||
        variable.bytes() > stage.persistent_bytes() - variable.offset())
      return here.Error("offset ", variable.offset(), " and ", variable.bytes(),
                        " bytes leave the persistent space of ", stage.persistent_bytes());
    if (variable.offset() % ByteSize(variable.dtype()) != 0)
      return here.Error("offset ", variable.offset(), " is not a multiple of the element size");
    if (variable.line() < -1 || variable.line() >= Size(artifact.lines()))
      return here.Error("line is ", variable.line(), " when there are ", Size(artifact.lines()), " lines");
    if (variable.bytes() > 0) placed.push_back({variable.offset(), i});
  }
  std::sort(placed.begin(), placed.end());
  for (size_t i = 1; i < placed.size(); ++i) {
    const fb::Variable &a = *stage.variables()->Get(placed[i - 1].second),
                       &b = *stage.variables()->Get(placed[i].second);
    if (a.offset() + a.bytes() > b.offset())
      return Where{&at, "variables", placed[i].second}.Error("'", Text(b.name()), "' overlaps '",
                                                             Text(a.name()), "'");
  }
  return absl::OkStatus();
}

absl::Status CheckKernelBuffers(const fb::Kernel &kernel, const Where &kernel_at) {
  if (Size(kernel.buffers()) == 0) return absl::OkStatus();
  if (Size(kernel.buffers()) != kernel.num_buffers())
    return kernel_at.Error("has ", Size(kernel.buffers()), " buffers when num_buffers is ",
                           kernel.num_buffers());
  for (int64_t i = 0; i < Size(kernel.buffers()); ++i) {
    const fb::KernelBuffer &buffer = *kernel.buffers()->Get(i);
    Where at{&kernel_at, "buffers", i};
    if (ByteSize(buffer.dtype()) == 0)
      return at.Error("dtype is ", static_cast<int>(buffer.dtype()), " when it should be 0 to 5");
    if (buffer.use() > fb::BufferUse::MAX)
      return at.Error("use is ", static_cast<int>(buffer.use()), " when it should be 0 to 2");
    if (Size(buffer.dims()) > kMaxRank)
      return at.Error("has ", Size(buffer.dims()), " dims when ", kMaxRank, " is the most");
    if (buffer.slot() < 0 || buffer.slot() + Size(buffer.dims()) > kernel.num_sizes())
      return at.Error("has strides at sizes ", buffer.slot(), " to ", buffer.slot() + Size(buffer.dims()),
                      " when num_sizes is ", kernel.num_sizes());
    for (int64_t j = 0; j < Size(buffer.dims()); ++j)
      if (int32_t dim = buffer.dims()->Get(j); dim < 0 || dim >= kernel.num_sizes())
        return at.Error("dims[", j, "] is ", dim, " when num_sizes is ", kernel.num_sizes());
  }
  return absl::OkStatus();
}

absl::Status CheckKernels(const Where &root, const fb::Artifact &artifact) {
  int64_t kernel_lines = 0;
  for (int64_t i = 0; i < Size(artifact.kernels()); ++i) {
    const fb::Kernel &kernel = *artifact.kernels()->Get(i);
    Where at{&root, "kernels", i};
    if (Text(kernel.name()).empty()) return at.Error("has no name");
    if (kernel.num_buffers() < 0 || kernel.num_sizes() < 0)
      return at.Error("num_buffers or num_sizes is negative");
    if (kernel.scratch_bytes() < 0 || kernel.scratch_bytes() > kMaxBytes)
      return at.Error("scratch_bytes is ", kernel.scratch_bytes(), " when it should be 0 to ", kMaxBytes);
    if (absl::Status status = CheckKernelBuffers(kernel, at); !status.ok()) return status;
    if ((kernel_lines += Size(kernel.lines())) > kMaxKernelLines)
      return at.Error("lines: the kernels name ", kMaxKernelLines, " lines and more");
    for (int64_t j = 0; j < Size(kernel.lines()); ++j)
      if (int32_t line = kernel.lines()->Get(j); line < -1 || line >= Size(artifact.lines()))
        return at.Error("lines[", j, "] is ", line, " when there are ", Size(artifact.lines()), " lines");
  }
  std::set<absl::string_view> levels;
  for (int64_t i = 0; i < Size(artifact.objects()); ++i) {
    const fb::Object &object = *artifact.objects()->Get(i);
    Where at{&root, "objects", i};
    if (Text(object.level()).empty()) return at.Error("has no level");
    if (!levels.insert(Text(object.level())).second)
      return at.Error("the level '", Text(object.level()), "' is there twice");
    if (Size(object.image()) == 0) return at.Error("has no image");
  }
  for (int64_t i = 0; i < Size(artifact.remarks()); ++i)
    if (int32_t line = artifact.remarks()->Get(i)->line(); line < -1 || line >= Size(artifact.lines()))
      return Where{&root, "remarks", i}.Error("line is ", line, " when there are ", Size(artifact.lines()),
                                              " lines");
  for (int64_t i = 0; i < Size(artifact.peak()); ++i)
    if (int32_t line = artifact.peak()->Get(i)->line(); line < -1 || line >= Size(artifact.lines()))
      return Where{&root, "peak", i}.Error("line is ", line, " when there are ", Size(artifact.lines()),
                                           " lines");
  return absl::OkStatus();
}

} // namespace

absl::Status CheckArtifact(const fb::Artifact &artifact) {
  Where root;
  WEFT_CHECK_OK(CheckKernels(root, artifact));
  if (Size(artifact.stages()) == 0) return root.Error("stages is empty: the artifact holds no program");
  for (int64_t s = 0; s < Size(artifact.stages()); ++s) {
    const fb::Stage &stage = *artifact.stages()->Get(s);
    Where at{&root, "stages", s};
    if (stage.persistent_bytes() < 0 || stage.persistent_bytes() > kMaxBytes)
      return at.Error("persistent_bytes is ", stage.persistent_bytes(), " when it should be 0 to ",
                      kMaxBytes);
    WEFT_CHECK_OK(CheckVariables(at, artifact, stage));
    std::set<absl::string_view> names;
    for (int64_t e = 0; e < Size(stage.entries()); ++e) {
      const fb::Entry &entry = *stage.entries()->Get(e);
      Where here{&at, "entries", e};
      if (Text(entry.name()).empty()) return here.Error("has no name");
      if (!names.insert(Text(entry.name())).second)
        return here.Error("the name '", Text(entry.name()), "' is taken by another entry");
      WEFT_CHECK_OK(EntryChecker({artifact, stage, entry}).Check(here));
      if (Text(entry.name()) == "derive" && Size(entry.arguments()) > 0)
        return here.Error("derive has ", Size(entry.arguments()), " arguments when it should have none");
    }
    for (int64_t v = 0; v < Size(stage.variables()); ++v)
      if (stage.variables()->Get(v)->kind() == fb::VariableKind::derived && !names.count("derive"))
        return Where{&at, "variables", v}.Error("is derived when there is no entry derive");
  }
  return absl::OkStatus();
}

} // namespace weft
