// Kernels' code of earlier compilations: found under any names, the same bytes with and without, and as good
// as none where the files are damaged or cannot be written.
#include "compiler/kernels/object_cache.h"
#include "tests/compiler/codegen/matmul_text.h"
#include "tests/runtime/data/temp_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace weft::cpu_test {
namespace {

namespace fs = std::filesystem;
using matmul::Matmul;

class ObjectCache : public ::testing::Test {
protected:
  // Products of which the first two share their code, and one with an epilogue, under names that begin so.
  static void addKernels(KernelSuite &suite, const std::string &prefix) {
    for (int i = 0; i < 3; ++i) {
      Matmul op{.name = prefix + std::to_string(i), .m = 50, .n = 70, .k = 90};
      op.lhs = {"50x90xf32", {0, 90, 1}};
      op.rhs = {"90x70xf32", {0, 70, 1}};
      op.outputs = {{"50x70xf32", {0, 70, 1}}};
      op.schedule = i == 1 ? "tile_m = 8, tile_n = 32, block_m = 24, block_n = 32, block_k = 40"
                           : "tile_m = 8, tile_n = 32, block_m = 48, block_n = 64, block_k = 96";
      if (i == 2) op.region = "%e = math.exp %acc : f32\nkernel.yield %e : f32";
      suite.add(op.name, op.text());
    }
    suite.compile();
  }
  static std::string code(KernelSuite &suite, KernelObjects *objects, const cpu::CpuLevel &level) {
    cpu::CompileOptions options;
    options.cache = objects;
    auto image = cpu::compileKernels(suite.outlinedKernels(), level, options);
    EXPECT_TRUE(mlir::succeeded(image));
    return mlir::succeeded(image) ? *image : "";
  }
  std::vector<fs::path> files() {
    std::vector<fs::path> all;
    for (auto &entry : fs::directory_iterator(folder.path())) all.push_back(entry.path());
    return all;
  }
  void SetUp() override { addKernels(suite, "product"); }

  KernelSuite suite;
  TempFolder folder;
  const cpu::CpuLevel &level = *cpu::findCpuLevel("avx512");
};

TEST_F(ObjectCache, BytesAreTheSameFoundOrNot) {
  const std::string without = code(suite, nullptr, level);
  KernelObjects first(folder.path()), second(folder.path());
  EXPECT_EQ(code(suite, &first, level), without);
  EXPECT_EQ(first.found(), 0);
  EXPECT_EQ(code(suite, &second, level), without);
  EXPECT_GT(second.asked(), 0);
  EXPECT_EQ(second.found(), second.asked());
  for (const fs::path &file : files())
    EXPECT_EQ(file.extension(), "") << file; // nothing half written is left
}

// A kernel more in front of others counts them on.
TEST_F(ObjectCache, NamesDoNotMatter) {
  KernelObjects first(folder.path()), second(folder.path());
  code(suite, &first, level);
  KernelSuite renamed;
  addKernels(renamed, "other");
  const std::string found = code(renamed, &second, level);
  EXPECT_EQ(second.found(), second.asked());
  EXPECT_EQ(found, code(renamed, nullptr, level));
  EXPECT_NE(found.find("other2"), std::string::npos);
  EXPECT_EQ(found.find("product"), std::string::npos);
}

TEST_F(ObjectCache, ALevelHasItsOwn) {
  KernelObjects objects(folder.path());
  code(suite, &objects, level);
  code(suite, &objects, cpu::avx2Level());
  EXPECT_EQ(objects.found(), 0);
}

TEST_F(ObjectCache, DamagedFilesAreMadeAgain) {
  const std::string without = code(suite, nullptr, level);
  KernelObjects first(folder.path());
  code(suite, &first, level);
  int i = 0;
  for (const fs::path &file : files()) {
    if (i % 3 == 0) fs::resize_file(file, fs::file_size(file) - 1);
    if (i % 3 == 1) fs::resize_file(file, 0);
    if (i++ % 3 == 2) {
      std::fstream content(file, std::ios::in | std::ios::out | std::ios::binary);
      content.seekp(100);
      content << "damage";
    }
  }
  KernelObjects damaged(folder.path()), mended(folder.path());
  EXPECT_EQ(code(suite, &damaged, level), without);
  EXPECT_EQ(damaged.found(), 0);
  EXPECT_EQ(code(suite, &mended, level), without);
  EXPECT_EQ(mended.found(), mended.asked());
}

TEST_F(ObjectCache, AFolderThatCannotBeIsNone) {
  std::ofstream(folder.path() + "/file") << "x";
  for (const std::string &where : {folder.path() + "/file/objects", std::string()}) {
    KernelObjects objects(where);
    EXPECT_EQ(code(suite, &objects, level), code(suite, nullptr, level)) << where;
    EXPECT_EQ(objects.found(), 0);
    objects.prune();
  }
}

TEST_F(ObjectCache, LiesInTheUsersFolderUnlessOff) {
  setenv("XDG_CACHE_HOME", "/somewhere", 1);
  unsetenv("WEFT_OBJECT_CACHE");
  EXPECT_EQ(KernelObjects::userFolder(), "/somewhere/weft/objects");
  setenv("WEFT_OBJECT_CACHE", "off", 1);
  EXPECT_EQ(KernelObjects::userFolder(), "");
  unsetenv("WEFT_OBJECT_CACHE");
}

} // namespace
} // namespace weft::cpu_test
