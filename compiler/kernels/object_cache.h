// Kernels' code of earlier compilations, in the user's cache folder: an object a unit of code, a file each.
#pragma once
#include "passes/codegen/cpu/compile.h"
#include <atomic>
#include <memory>

namespace weft {

class KernelObjects : public cpu::ObjectCache {
public:
  // $XDG_CACHE_HOME/weft/objects or ~/.cache/weft/objects; "" without a home, and with WEFT_OBJECT_CACHE=off.
  static std::string userFolder();
  // In "" nothing is found or kept.
  explicit KernelObjects(std::string folder);

  // A file that is damaged is as good as none.
  std::string find(llvm::StringRef key) override;
  // What cannot be written (no permission, a full disk) is not kept; nobody waits for the disk.
  void keep(llvm::StringRef key, llvm::StringRef object) override;
  // Removes what has not been read for a month (as the file system notes it), and the oldest beyond half a
  // gigabyte or half of what is free; at most once an hour.
  void prune();

  int64_t found() const { return numFound; }
  int64_t asked() const { return numAsked; }

private:
  std::string path(llvm::StringRef key) const;
  const std::string folder;
  // A hash of what else decides the code: the generator's sources, the LLVM and MLIR that run.
  const std::string maker;
  std::atomic<int64_t> numFound = 0, numAsked = 0;
};

} // namespace weft
