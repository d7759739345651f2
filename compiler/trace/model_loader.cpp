#include "compiler/trace/model_loader.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/wait.h>
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

static std::string readAll(const fs::path &path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::variant<LoadedModel, std::string> loadModel(const std::string &file, const std::string &name) {
  if (!fs::exists(file)) return "cannot find the model file " + file;
  std::string folder = (fs::temp_directory_path() / "weft-model-XXXXXX").string();
  if (!mkdtemp(folder.data()))
    return "cannot make a folder for the compiled model under " + fs::temp_directory_path().string();
  fs::path object = fs::path(folder) / "model.so", log = fs::path(folder) / "log";
  auto start = std::chrono::steady_clock::now();
  const char *compiler = getenv("CXX");
  std::string include = installedRoot() + "/include";
  pid_t child = fork();
  if (child == 0) {
    if (!freopen(log.c_str(), "w", stderr)) _exit(126);
    execlp(compiler ? compiler : "g++", compiler ? compiler : "g++", "-std=c++20", "-O0", "-w", "-shared",
           "-fPIC", "-I", include.c_str(), file.c_str(), "-o", object.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  std::string messages = readAll(log);
  LoadedModel model;
  model.file = file;
  model.compileSeconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  void *handle = status == 0 ? dlopen(object.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  std::string problem = handle ? "" : status == 0 ? dlerror() : "";
  fs::remove_all(folder);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    return "cannot start the C++ compiler " + std::string(compiler ? compiler : "g++") +
           "; install g++ or set CXX";
  if (status != 0) return file + " does not compile:\n" + messages;
  if (!handle) return file + " cannot be loaded: " + problem;
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
