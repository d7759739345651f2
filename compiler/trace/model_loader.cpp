#include "compiler/trace/model_loader.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <unistd.h>

namespace weft {
namespace fs = std::filesystem;

std::string installedRoot() {
  return fs::read_symlink("/proc/self/exe").parent_path().parent_path().string();
}

std::string builtinModelFile(const std::string &name) {
  fs::path file = fs::path(installedRoot()) / "models" / name / (name + ".cc");
  return name.find('/') == std::string::npos && fs::exists(file) ? file.string() : "";
}

std::vector<std::string> builtinModels() {
  std::vector<std::string> names;
  std::error_code error;
  for (auto &entry : fs::directory_iterator(fs::path(installedRoot()) / "models", error))
    if (std::string name = entry.path().filename().string(); !builtinModelFile(name).empty())
      names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

namespace {
// $CXX, of one word or several as with make ("ccache g++"), else g++; that through ccache where there is one,
// so that a model that was compiled before is not waited for.
std::vector<std::string> compilerWords() {
  const char *given = getenv("CXX");
  llvm::SmallVector<llvm::StringRef> words;
  llvm::SplitString(given ? given : "", words, " \t");
  if (!words.empty()) return {words.begin(), words.end()};
  std::vector<std::string> own{"g++"};
  if (llvm::sys::findProgramByName("ccache")) own.insert(own.begin(), "ccache");
  return own;
}

// Runs a compiler in a folder of its own, where what it says is kept.
class ModelCompiler {
public:
  explicit ModelCompiler(std::string folder) : folder(std::move(folder)), words(compilerWords()) {}

  // An error's text, or nothing.
  std::string run(const std::vector<std::string> &arguments) {
    std::string problem = runOnce(arguments);
    const char *given = getenv("CXX");
    if (words.front() != "ccache" || (given && *given) || problem.find("ccache: error") == std::string::npos)
      return problem;
    words.erase(words.begin()); // nobody asked for it, and it cannot write, say
    return runOnce(arguments);
  }

private:
  std::string runOnce(const std::vector<std::string> &arguments) {
    std::string first = words.front();
    auto program = llvm::sys::findProgramByName(first);
    if (!program) return "cannot start the C++ compiler " + first + "; install g++ or set CXX";
    llvm::SmallVector<llvm::StringRef> all(words.begin(), words.end());
    all.append(arguments.begin(), arguments.end());
    const std::string log = folder + "/log";
    llvm::sys::fs::remove(log); // it would be written over, not cut
    std::optional<llvm::StringRef> redirects[] = {std::nullopt, std::nullopt, llvm::StringRef(log)};
    std::string error;
    const int status = llvm::sys::ExecuteAndWait(*program, all, std::nullopt, redirects, 0, 0, &error);
    if (status == 0) return "";
    if (status == -1)
      return "cannot start the C++ compiler " + first + ": " + error + "; install g++ or set CXX";
    auto said = llvm::MemoryBuffer::getFile(log);
    return said && !(*said)->getBuffer().empty() ? (*said)->getBuffer().str()
                                                 : first + " failed" + (error.empty() ? "" : ": " + error);
  }

  const std::string folder;
  std::vector<std::string> words;
};
} // namespace

std::variant<LoadedModel, std::string> loadModel(const std::string &file, const std::string &name) {
  if (!fs::exists(file)) return "cannot find the model file " + file;
  std::string folder = (fs::temp_directory_path() / "weft-model-XXXXXX").string();
  if (!mkdtemp(folder.data()))
    return "cannot make a folder for the compiled model under " + fs::temp_directory_path().string();
  const std::string object = folder + "/model.o", library = folder + "/model.so";
  auto start = std::chrono::steady_clock::now();
  // Apart, since a compiler's cache does not keep what is linked.
  ModelCompiler compiler(folder);
  std::string problem = compiler.run(
      {"-std=c++20", "-O0", "-w", "-fPIC", "-I", installedRoot() + "/include", "-c", file, "-o", object});
  if (problem.empty()) problem = compiler.run({"-shared", object, "-o", library});
  LoadedModel model;
  model.file = file;
  model.compileSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  void *handle = problem.empty() ? dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  const std::string notLoaded = problem.empty() && !handle ? dlerror() : "";
  fs::remove_all(folder);
  if (problem.starts_with("cannot start")) return problem;
  if (!problem.empty()) return file + " does not compile:\n" + problem;
  if (!handle) return file + " cannot be loaded: " + notLoaded;
  auto table = reinterpret_cast<ModelTableFunction *>(dlsym(handle, model_table_symbol));
  if (!table || !table()->first) return file + " holds no model; end it with WEFT_MODEL(name)";
  if (table()->version != interface_version)
    return file + " was built against headers of version " + std::to_string(table()->version) +
           " when this compiler's are " + std::to_string(interface_version);
  std::string names;
  int count = 0;
  for (const ModelInfo *m = table()->first; m; m = m->next, ++count) {
    names += (names.empty() ? "" : ", ") + std::string(m->name);
    if (name == m->name || (name.empty() && !model.info)) model.info = m;
  }
  if (name.empty() && count > 1)
    return file + " holds several models (" + names + "); say which with --set model.name=NAME";
  if (!model.info) return file + " holds no model named " + name + "; it has " + names;
  return model;
}

} // namespace weft
