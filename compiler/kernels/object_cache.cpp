#include "compiler/kernels/object_cache.h"
#include "absl/strings/str_cat.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "runtime/data/file_io.h"
#include "runtime/train/file_hash.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/TargetSelect.h"
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace weft {
namespace fs = std::filesystem;
extern const std::string_view code_generator; // a hash of sources: compiler/CMakeLists.txt

constexpr uint64_t kMostBytes = 64 << 20;
constexpr size_t kHashBytes = 32;

// The library that a function lies in: the ones that generate code may be others than Weft was built with.
static std::string libraryOf(void *function) {
  Dl_info info;
  std::error_code error;
  if (!dladdr(function, &info) || !info.dli_fname) return "";
  const auto time = fs::last_write_time(info.dli_fname, error).time_since_epoch().count();
  return absl::StrCat(info.dli_fname, " ", fs::file_size(info.dli_fname, error), " ", time);
}

std::string KernelObjects::userFolder() {
  const char *use = std::getenv("WEFT_OBJECT_CACHE");
  if (use && std::string_view(use) == "off") return "";
  const std::string folder = UserCacheFolder();
  return folder.empty() ? "" : folder + "/objects";
}

static std::string makerNow() {
  return HashName(
      HashText(absl::StrCat(std::string(code_generator), "\n", LLVM_VERSION_STRING, "\n",
                            libraryOf(reinterpret_cast<void *>(&LLVMInitializeX86Target)), "\n",
                            libraryOf(reinterpret_cast<void *>(&mlir::translateModuleToLLVMIR)))));
}

KernelObjects::KernelObjects(std::string folder) : folder(std::move(folder)), maker(makerNow()) {}

// Of the names that llvm::pruneCache takes for a cache's.
std::string KernelObjects::path(llvm::StringRef key) const {
  return absl::StrCat(folder, "/llvmcache-", maker, "-", key.str());
}

// Behind the object, its hash.
static std::string hashOf(std::string_view object) {
  auto hash = llvm::BLAKE3::hash<kHashBytes>(llvm::arrayRefFromStringRef(object));
  return std::string(hash.begin(), hash.end());
}

std::string KernelObjects::find(llvm::StringRef key) {
  ++numAsked;
  if (folder.empty()) return "";
  absl::StatusOr<std::string> content = ReadFile(path(key), kMostBytes);
  if (!content.ok() || content->size() <= kHashBytes) return "";
  const std::string_view object(content->data(), content->size() - kHashBytes);
  if (hashOf(object) != content->substr(object.size())) return "";
  ++numFound;
  return std::string(object);
}

void KernelObjects::keep(llvm::StringRef key, llvm::StringRef object) {
  if (folder.empty()) return;
  std::error_code error;
  fs::create_directories(folder, error);
  static std::atomic<int64_t> written = 0; // two alike pieces of a program are kept at once
  const std::string to = path(key), beside = absl::StrCat(to, ".", getpid(), ".", ++written);
  std::ofstream out(beside, std::ios::binary);
  out << std::string_view(object) << hashOf(object);
  out.close();
  if (out) fs::rename(beside, to, error);
  if (!out || error) fs::remove(beside, error);
}

void KernelObjects::prune() {
  // llvm::pruneCache ends the program where it is not told how much is free.
  std::error_code error;
  if (folder.empty() || fs::space(folder, error).capacity == 0 || error) return;
  llvm::CachePruningPolicy policy;
  policy.Interval = std::chrono::hours(1);
  policy.Expiration = std::chrono::hours(24 * 30);
  policy.MaxSizeBytes = uint64_t(512) << 20;
  policy.MaxSizePercentageOfAvailableSpace = 50;
  llvm::pruneCache(folder, policy);
}

} // namespace weft
