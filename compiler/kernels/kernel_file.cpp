#include "compiler/kernels/kernel_file.h"
#include "compiler/kernels/assemble.h"
#include "compiler/kernels/kernel_ir.h"
#include "compiler/pipeline.h"
#include "dialects/kernel/kernel.h"
#include "passes/codegen/cpu/compile.h"
#include "passes/codegen/cpu/emit.h"
#include "passes/codegen/cpu/object.h"
#include "passes/codegen/cpu/schedule_candidates.h"
#include "runtime/data/file_io.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Verifier.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/SourceMgr.h"
#include <cstring>
#include <fstream>
#include <sstream>

using namespace mlir;
namespace weft {

constexpr uint64_t kMaxFile = uint64_t{1} << 26;

bool isKernelText(StringRef path) { return path.ends_with(".mlir"); }

std::string differenceBesideSchedule(program::KernelOp mine, program::KernelOp theirs) {
  auto text = [](program::KernelOp kernel) {
    OwningOpRef<Operation *> copy(kernel->clone());
    (*copy)->walk([](Operation *op) { op->removeAttr("schedule"); });
    std::string out;
    llvm::raw_string_ostream(out) << **copy;
    return out;
  };
  std::string a = text(mine), b = text(theirs);
  if (a == b) return "";
  SmallVector<StringRef> was, is;
  StringRef(a).split(was, '\n');
  StringRef(b).split(is, '\n');
  for (size_t i = 0; i < std::max(was.size(), is.size()); ++i) {
    StringRef x = i < was.size() ? was[i].trim() : "nothing", y = i < is.size() ? is[i].trim() : "nothing";
    if (x == y) continue;
    size_t at = 0;
    while (at < x.size() && at < y.size() && x[at] == y[at]) ++at;
    at = at > 24 ? at - 24 : 0;
    return ("line " + Twine(i + 1) + " has `" + y.substr(at, 80) + "` when the program's has `" +
            x.substr(at, 80) + "`")
        .str();
  }
  return "the texts differ";
}

std::string kernelObjectProblem(StringRef bytes, StringRef name) {
  auto file = llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(bytes, "object"));
  if (!file) return "is no ELF object: " + llvm::toString(file.takeError());
  auto *elf = dyn_cast<llvm::object::ELFObjectFileBase>(file->get());
  if (!elf || elf->getArch() != llvm::Triple::x86_64 || elf->getEType() != llvm::ELF::ET_REL)
    return "is no relocatable x86-64 object";
  for (const llvm::object::SectionRef &section : elf->sections()) {
    auto title = section.getName();
    if (!title) return llvm::toString(title.takeError());
    for (StringRef refused : {".init", ".fini", ".ctors", ".dtors", ".preinit_array", ".tdata", ".tbss"})
      if (section.getSize() && title->starts_with(refused))
        return "has a section " + title->str() + ": a kernel runs no code of its own when it is loaded";
  }
  bool found = false;
  for (const llvm::object::ELFSymbolRef &symbol : elf->symbols()) {
    auto title = symbol.getName();
    auto flags = symbol.getFlags();
    if (!title) return llvm::toString(title.takeError());
    if (!flags) return llvm::toString(flags.takeError());
    if (*flags & llvm::object::BasicSymbolRef::SF_Undefined) {
      if (title->empty() || *title == "_GLOBAL_OFFSET_TABLE_") continue;
      return "leaves " + title->str() + " undefined: a kernel calls nothing";
    }
    if (!(*flags & llvm::object::BasicSymbolRef::SF_Global)) continue;
    if (*title != name)
      return "defines " + title->str() + " when it should define " + name.str() + " and nothing else";
    if (symbol.getELFType() != llvm::ELF::STT_FUNC)
      return name.str() + " is not a function: `.type " + name.str() + ",@function` says that it is";
    if (symbol.getSize() == 0)
      return name.str() + " has no size: `.size " + name.str() + ", .-" + name.str() +
             "` behind it gives it one";
    found = true;
  }
  return found ? "" : "does not define the function " + name.str();
}

static std::variant<KernelFile, std::string> fromIr(const std::string &path, StringRef text, StringRef name,
                                                    const cpu::CpuLevel &level) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  auto module = llvm::parseIR(llvm::MemoryBufferRef(text, path), diagnostic, context);
  if (!module)
    return path + ":" + std::to_string(diagnostic.getLineNo()) + ": " + diagnostic.getMessage().str();
  std::string problem;
  llvm::raw_string_ostream said(problem);
  if (llvm::verifyModule(*module, &said)) return path + ": " + StringRef(problem).trim().str();
  llvm::Function *function = module->getFunction(name);
  if (!function || function->isDeclaration()) return path + ": does not define the function " + name.str();
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *word = llvm::Type::getInt64Ty(context);
  auto *wanted =
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer, pointer, word, word, pointer}, false);
  if (function->getFunctionType() != wanted) {
    std::string got;
    llvm::raw_string_ostream(got) << *function->getFunctionType();
    return path + ": " + name.str() + " is " + got + " when it should be void (ptr, ptr, i64, i64, ptr)";
  }
  auto object = cpu::compileToObject(*module, level, {});
  if (!object) return path + ": " + llvm::toString(object.takeError());
  KernelFile out;
  out.object = std::move(*object);
  return out;
}

std::variant<KernelFile, std::string> readKernelFile(MLIRContext &context, const std::string &path,
                                                     StringRef name, const cpu::CpuLevel &level) {
  auto content = ReadFile(path, kMaxFile);
  if (!content.ok()) return std::string(content.status().message());
  KernelFile out;
  if (isKernelText(path)) {
    auto parsed = parseKernels(context, *content, path);
    if (auto *problem = std::get_if<std::string>(&parsed)) return *problem;
    out.module = std::move(std::get<OwningOpRef<ModuleOp>>(parsed));
    auto kernels = llvm::to_vector(out.module->getOps<program::KernelOp>());
    if (kernels.size() != 1 || !cpu::kernelOpOf(kernels[0]))
      return path + ": holds " + std::to_string(kernels.size()) +
             " kernels when it should hold one program.kernel";
    if (!name.empty() && kernels[0].getSymName() != name)
      return path + ": is kernel " + kernels[0].getSymName().str() + " when it should be " + name.str();
    if (std::string problem = cpu::scheduleProblem(cpu::kernelOpOf(kernels[0])); !problem.empty())
      return path + ": the schedule: " + problem;
    return out;
  }
  if (StringRef(path).ends_with(".ll")) {
    auto compiled = fromIr(path, *content, name, level);
    if (std::holds_alternative<std::string>(compiled)) return compiled;
    out = std::move(std::get<KernelFile>(compiled));
  } else if (StringRef(path).ends_with(".s")) {
    auto object = assemble(*content, path, level);
    if (!object) return llvm::toString(object.takeError());
    out.object = std::move(*object);
  } else if (StringRef(path).ends_with(".o")) {
    out.object = std::move(*content);
  } else
    return path + ": should end in .mlir (another schedule), .ll, .s or .o (code)";
  if (std::string problem = kernelObjectProblem(out.object, name); !problem.empty())
    return path + ": " + problem;
  return out;
}

static int failWith(const std::string &what) {
  fprintf(stderr, "error: %s\n", what.c_str());
  return 1;
}

// Work items and scratch bytes of launches with the kernel's schedule; "" or what is wrong.
static std::string writeItems(program::KernelOp kernel, const std::string &sizesFile,
                              const std::string &itemsFile) {
  auto text = ReadFile(sizesFile, kMaxFile);
  if (!text.ok()) return std::string(text.status().message());
  Operation *op = cpu::kernelOpOf(kernel);
  size_t own = kernel::SizeLayout(op).numDims;
  std::istringstream lines(*text);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<int64_t> sizes;
    for (int64_t size; words >> size;) sizes.push_back(size);
    if (sizes.size() < own)
      return sizesFile + ": a line has " + std::to_string(sizes.size()) + " sizes when the kernel has " +
             std::to_string(own) + " of its own";
    out += std::to_string(kernel::numWorkItems(op, ArrayRef(sizes).take_front(own))) + " " +
           std::to_string(cpu::scratchBytes(kernel)) + "\n";
  }
  return std::string(WriteFileAtomically(itemsFile, out).message());
}

int compileKernelCommand(int argc, char **argv) {
  std::string input, output, levelName, sizes, items, name;
  const std::pair<const char *, std::string *> options[] = {{"-o", &output},
                                                            {"--cpu-level", &levelName},
                                                            {"--sizes", &sizes},
                                                            {"--items", &items},
                                                            {"--name", &name}};
  for (int i = 0; i < argc; ++i) {
    std::string *to = &input;
    for (auto &[option, value] : options)
      if (!strcmp(argv[i], option) && i + 1 < argc) to = value, ++i;
    *to = argv[i];
  }
  const cpu::CpuLevel *level = cpu::findCpuLevel(levelName);
  if (input.empty() || output.empty() || !level) {
    fprintf(stderr, "usage: weftc compile-kernel FILE.mlir|FILE.ll|FILE.s --cpu-level LEVEL -o FILE.o "
                    "[--name KERNEL] [--sizes FILE --items FILE]\n"
                    "hint: weft inspect --dump-kernel writes a folder whose Makefile does that; levels are "
                    "avx2, avx512, avx512bf16, amx\n");
    return 2;
  }
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  if (name.empty() && !isKernelText(input)) { // the only function that it defines
    std::ifstream in(input);
    for (std::string line; name.empty() && std::getline(in, line);) {
      StringRef text = StringRef(line).trim();
      if (text.consume_front("define ")) name = text.split('@').second.split('(').first.str();
      if (text.consume_front(".globl")) name = text.trim().split('#').first.trim().str();
    }
  }
  auto read = readKernelFile(context, input, name, *level);
  if (auto *problem = std::get_if<std::string>(&read)) return failWith(*problem);
  KernelFile &file = std::get<KernelFile>(read);
  if (file.module) {
    cpu::CompileOptions options;
    options.link = false;
    std::string errors;
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &d) { errors += d.str(); });
    auto object = cpu::compileKernels(*file.module, *level, options);
    if (failed(object)) return failWith(input + ": " + errors);
    file.object = std::move(*object);
    if (!items.empty())
      if (std::string problem = writeItems(*file.module->getOps<program::KernelOp>().begin(), sizes, items);
          !problem.empty())
        return failWith(problem);
  }
  if (absl::Status status = WriteFileAtomically(output, file.object); !status.ok())
    return failWith(std::string(status.message()));
  return 0;
}

} // namespace weft
