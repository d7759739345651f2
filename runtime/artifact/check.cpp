#include "runtime/artifact/check.h"
#include "runtime/artifact/check_fields.h"
#include "runtime/artifact/dtype.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

namespace weft {
namespace {

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
      WEFT_CHECK_OK(CheckEntry(here, artifact, stage, entry));
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
