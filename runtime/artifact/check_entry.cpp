// An entry's body, instruction by instruction: every byte that it touches lies in a space that it may touch.
#include "runtime/artifact/check_fields.h"
#include "runtime/artifact/dtype.h"
#include "runtime/artifact/reader.h"

#include <algorithm>
#include <set>
#include <vector>

namespace weft {
namespace {

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

} // namespace

absl::Status CheckEntry(const Where &at, const fb::Artifact &artifact, const fb::Stage &stage,
                        const fb::Entry &entry) {
  return EntryChecker({artifact, stage, entry}).Check(at);
}

} // namespace weft
