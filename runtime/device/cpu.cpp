#include "runtime/device/cpu.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace weft {
namespace {

constexpr CpuLevel kLevels[] = {CpuLevel::amx, CpuLevel::avx512bf16, CpuLevel::avx512,
                                CpuLevel::avx2}; // best first

#if defined(__x86_64__)
// Tiles are there when the processor has them (CPUID leaf 7, EDX: AMX-BF16 bit 22, AMX-TILE bit 24) and Linux
// lets this process use them, which it has to be asked for.
bool HasAmx() {
  static const bool has = [] {
    unsigned a, b, c, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return false;
    constexpr int kRequestPermission = 0x1023, kTileData = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return has;
}
#endif

// What the machine lacks of a level, for messages; empty when it has it.
std::string Missing(CpuLevel level) {
  std::vector<std::string> missing;
#if defined(__x86_64__)
  auto need = [&](bool has, const char *name) {
    if (!has) missing.push_back(name);
  };
  __builtin_cpu_init(); // the builtin also asks whether the operating system saves the wide registers
  need(__builtin_cpu_supports("avx2"), "avx2");
  need(__builtin_cpu_supports("fma"), "fma");
  if (level >= CpuLevel::avx512) {
    need(__builtin_cpu_supports("avx512f"), "avx512f");
    need(__builtin_cpu_supports("avx512bw"), "avx512bw");
    need(__builtin_cpu_supports("avx512dq"), "avx512dq");
    need(__builtin_cpu_supports("avx512vl"), "avx512vl");
  }
  if (level >= CpuLevel::avx512bf16) need(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
  if (level == CpuLevel::amx) need(HasAmx(), "amx-bf16");
#else
  missing.push_back("x86-64");
#endif
  return absl::StrJoin(missing, ", ");
}

const fb::Object *FindObject(const LoadedArtifact &artifact, const std::string &level) {
  if (artifact->objects())
    for (const fb::Object *object : *artifact->objects())
      if (object->level()->str() == level) return object;
  return nullptr;
}

std::string Levels(const LoadedArtifact &artifact) {
  std::vector<std::string> names;
  if (artifact->objects())
    for (const fb::Object *object : *artifact->objects()) names.push_back(object->level()->str());
  return names.empty() ? "no level" : absl::StrJoin(names, ", ");
}

absl::StatusOr<const fb::Object *> ChooseObject(const LoadedArtifact &artifact, const CpuOptions &options) {
  for (CpuLevel level : kLevels) {
    std::string name = CpuLevelName(level);
    if (!options.level.empty() && options.level != name) continue;
    const fb::Object *object = FindObject(artifact, name);
    std::string missing = Missing(level);
    if (object && missing.empty()) return object;
    if (options.level.empty()) continue;
    if (!missing.empty())
      return absl::FailedPreconditionError(
          absl::StrCat("cpu level '", name, "' was asked for, but this machine lacks ", missing));
    return absl::FailedPreconditionError(absl::StrCat(artifact.path, ": has kernels for ", Levels(artifact),
                                                      " when cpu level '", name,
                                                      "' was asked for: compile with --target cpu:", name));
  }
  if (!options.level.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("cpu level is '", options.level, "' when it should be avx2, avx512, avx512bf16 or amx"));
  std::string lacks;
  for (CpuLevel level : kLevels)
    if (FindObject(artifact, CpuLevelName(level)))
      absl::StrAppend(&lacks, lacks.empty() ? "" : "; ", "for ", CpuLevelName(level), " it lacks ",
                      Missing(level));
  return absl::FailedPreconditionError(absl::StrCat(artifact.path, ": has kernels for ", Levels(artifact),
                                                    " when this machine has ", CpuLevelName(DetectCpuLevel()),
                                                    lacks.empty() ? "" : absl::StrCat(" (", lacks, ")"),
                                                    ": compile with --target cpu"));
}

// dlopen trusts what it maps; these are the mistakes that would end the process instead of giving an error.
bool LooksLikeSharedObject(const flatbuffers::Vector<uint8_t> &image) {
  Elf64_Ehdr header;
  if (image.size() < sizeof header) return false;
  std::memcpy(&header, image.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr))
    return false;
  uint64_t table = header.e_phoff, count = header.e_phnum;
  if (table > image.size() || count * sizeof(Elf64_Phdr) > image.size() - table) return false;
  for (uint64_t i = 0; i < count; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, image.data() + table + i * sizeof segment, sizeof segment);
    // A mapping beyond the file's end would raise SIGBUS when touched.
    if (segment.p_type == PT_LOAD &&
        (segment.p_offset > image.size() || segment.p_filesz > image.size() - segment.p_offset))
      return false;
  }
  return count > 0;
}

} // namespace

const char *CpuLevelName(CpuLevel level) {
  switch (level) {
  case CpuLevel::avx2:
    return "avx2";
  case CpuLevel::avx512:
    return "avx512";
  case CpuLevel::avx512bf16:
    return "avx512bf16";
  case CpuLevel::amx:
    return "amx";
  case CpuLevel::none:
    break;
  }
  return "none";
}

CpuLevel DetectCpuLevel() {
  for (CpuLevel level : kLevels)
    if (Missing(level).empty()) return level;
  return CpuLevel::none;
}

CpuOptions CpuOptionsFromEnvironment() {
  const char *level = std::getenv("WEFT_CPU_LEVEL");
  return {level ? level : ""};
}

absl::StatusOr<std::shared_ptr<const KernelLibrary>> KernelLibrary::Load(const LoadedArtifact &artifact,
                                                                         const CpuOptions &options) {
  std::shared_ptr<KernelLibrary> library(new KernelLibrary);
  if (!artifact->kernels() || artifact->kernels()->size() == 0)
    return std::shared_ptr<const KernelLibrary>(library);
  auto object = ChooseObject(artifact, options);
  if (!object.ok()) return object.status();
  const auto &image = *(*object)->image();
  library->level_ = (*object)->level()->str();
  auto broken = [&](const auto &...what) {
    return absl::InvalidArgumentError(
        absl::StrCat(artifact.path, ": the kernels for ", library->level_, " ", what...));
  };
  if (!LooksLikeSharedObject(image))
    return broken("are not a 64-bit ELF shared object of ", image.size(), " bytes");

  library->fd_ = memfd_create("weft-kernels", MFD_CLOEXEC);
  if (library->fd_ < 0)
    return absl::ErrnoToStatus(errno, "cannot make memory for the kernels (memfd_create)");
  for (size_t written = 0; written < image.size();) {
    ssize_t n = write(library->fd_, image.data() + written, image.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "cannot copy the kernels to memory");
    written += n;
  }
  std::string name = absl::StrCat("/proc/self/fd/", library->fd_);
  library->handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library->handle_) {
    const char *reason = dlerror();
    return broken("cannot be loaded: ", reason ? reason : "no reason given");
  }
  library->functions_.reserve(artifact->kernels()->size());
  for (const fb::Kernel *kernel : *artifact->kernels()) {
    void *symbol = dlsym(library->handle_, kernel->name()->c_str());
    if (!symbol) return broken("lack the symbol '", kernel->name()->str(), "'");
    library->functions_.push_back(reinterpret_cast<KernelFunction>(symbol));
  }
  return std::shared_ptr<const KernelLibrary>(std::move(library));
}

KernelLibrary::~KernelLibrary() {
  if (handle_) dlclose(handle_);
  if (fd_ >= 0) close(fd_);
}

} // namespace weft
