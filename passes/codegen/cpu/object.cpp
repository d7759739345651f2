#include "passes/codegen/cpu/object.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <deque>

using namespace llvm;
namespace weft::cpu {

static Error failed(const Twine &what) { return createStringError(inconvertibleErrorCode(), what); }

static Expected<std::unique_ptr<TargetMachine>> makeTarget(const CpuLevel &level) {
  static const bool initialised = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  (void)initialised;
  std::string triple = "x86_64-unknown-linux-gnu", error;
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  if (!target) return failed(error);
  TargetOptions options;
  options.AllowFPOpFusion =
      FPOpFusion::Strict; // a fused multiply-add where the region says so, and nowhere else
  return std::unique_ptr<TargetMachine>(target->createTargetMachine(
      triple, "x86-64", level.features, options, Reloc::PIC_, CodeModel::Small, CodeGenOptLevel::Default));
}

// The emitters write loops as they should be: what is left for LLVM is common subexpressions and code that
// does not vary in its loop.
static void optimise(Module &module, TargetMachine &target) {
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager graphs;
  ModuleAnalysisManager modules;
  PassBuilder builder(&target);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  FunctionPassManager passes;
  passes.addPass(EarlyCSEPass());
  passes.addPass(createFunctionToLoopPassAdaptor(LICMPass(LICMOptions()), /*UseMemorySSA=*/true));
  for (Function &function : module)
    if (!function.isDeclaration()) passes.run(function, functions);
}

static Expected<std::string> emitFile(Module &module, TargetMachine &target, CodeGenFileType type) {
  SmallString<0> bytes;
  raw_svector_ostream stream(bytes);
  legacy::PassManager passes;
  if (target.addPassesToEmitFile(passes, stream, nullptr, type, /*DisableVerify=*/true))
    return failed("the target cannot write object files");
  passes.run(module);
  return std::string(bytes);
}

namespace {
struct TemporaryFile {
  SmallString<128> path;
  ~TemporaryFile() {
    if (!path.empty()) sys::fs::remove(path);
  }
  Error create(StringRef suffix) {
    if (auto code = sys::fs::createTemporaryFile("weft-kernels", suffix, path))
      return failed("cannot make a temporary file: " + code.message());
    return Error::success();
  }
};
} // namespace

static Error write(const TemporaryFile &file, StringRef bytes) {
  std::error_code code;
  raw_fd_ostream stream(file.path, code);
  if (!code) stream << bytes;
  stream.close();
  bool bad = code || stream.has_error();
  stream.clear_error();
  return bad ? failed("cannot write " + file.path + ": is the disk full?") : Error::success();
}

Expected<std::string> renameInObject(StringRef object, const StringMap<std::string> &names) {
  auto file = object::ObjectFile::createObjectFile(MemoryBufferRef(object, "kernels.o"));
  if (!file) return file.takeError();
  objcopy::ConfigManager config;
  for (auto &entry : names) config.Common.SymbolsToRename[entry.getKey()] = entry.getValue();
  SmallString<0> bytes;
  raw_svector_ostream stream(bytes);
  if (Error e = objcopy::executeObjcopyOnBinary(config, **file, stream)) return std::move(e);
  return std::string(bytes);
}

Expected<std::string> linkSharedObject(ArrayRef<std::string> objects) {
  auto linker = sys::findProgramByName("ld.lld", {"/usr/lib/llvm-19/bin"});
  if (!linker) linker = sys::findProgramByName("ld.lld");
  if (!linker) return failed("cannot find the linker ld.lld: install lld-19");
  // One file of all objects.
  std::deque<std::string> names;
  std::vector<NewArchiveMember> members;
  for (const std::string &object : objects)
    members.emplace_back(MemoryBufferRef(object, names.emplace_back(std::to_string(members.size()) + ".o")));
  auto archive = writeArchiveToBuffer(members, SymtabWritingMode::NoSymtab, object::Archive::K_GNU,
                                      /*Deterministic=*/true, /*Thin=*/false);
  if (!archive) return archive.takeError();
  TemporaryFile input, output, messages;
  for (auto [file, suffix] : {std::pair{&input, "a"}, {&output, "so"}, {&messages, "txt"}})
    if (Error e = file->create(suffix)) return std::move(e);
  if (Error e = write(input, (*archive)->getBuffer())) return std::move(e);
  // -z defs: an undefined symbol is an error. -soname keeps the temporary name out of the bytes.
  SmallVector<StringRef> arguments = {*linker,
                                      "-shared",
                                      "-nostdlib",
                                      "-z",
                                      "defs",
                                      "-z",
                                      "noexecstack",
                                      "-O1",
                                      "--hash-style=gnu",
                                      "--build-id=none",
                                      "--gc-sections",
                                      "-soname",
                                      "weft-kernels.so",
                                      "--threads=1",
                                      "-o",
                                      output.path,
                                      "--whole-archive",
                                      input.path};
  std::optional<StringRef> redirects[] = {std::nullopt, std::nullopt, StringRef(messages.path)};
  std::string error;
  int status = sys::ExecuteAndWait(*linker, arguments, std::nullopt, redirects, 0, 0, &error);
  if (status != 0) {
    auto said = MemoryBuffer::getFile(messages.path);
    return failed("ld.lld failed: " +
                  (said && !(*said)->getBuffer().empty() ? (*said)->getBuffer().trim().str() : error));
  }
  auto linked = MemoryBuffer::getFile(output.path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!linked) return failed("cannot read what ld.lld wrote: " + linked.getError().message());
  return (*linked)->getBuffer().str();
}

Expected<std::string> compileToObject(Module &module, const CpuLevel &level, const CompileOptions &options) {
  auto target = makeTarget(level);
  if (!target) return target.takeError();
  module.setTargetTriple((*target)->getTargetTriple().str());
  module.setDataLayout((*target)->createDataLayout());
  module.setPICLevel(PICLevel::BigPIC);
  for (Function &function : module)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-features", level.features);
      function.addFnAttr("target-cpu", "x86-64");
      function.addFnAttr("min-legal-vector-width", "512");
    }
  optimise(module, **target);
  if (options.llvmIr) {
    raw_string_ostream stream(*options.llvmIr);
    module.print(stream, nullptr);
  }
  if (options.assembly) { // code generation changes the module: the text is made from a copy
    auto copy = CloneModule(module);
    auto text = emitFile(*copy, **target, CodeGenFileType::AssemblyFile);
    if (!text) return text.takeError();
    *options.assembly = *text;
  }
  return emitFile(module, **target, CodeGenFileType::ObjectFile);
}

} // namespace weft::cpu
