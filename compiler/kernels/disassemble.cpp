#include "compiler/kernels/disassemble.h"
#include "llvm/DebugInfo/DWARF/DWARFContext.h"
#include "llvm/MC/MCAsmInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCDisassembler/MCDisassembler.h"
#include "llvm/MC/MCInst.h"
#include "llvm/MC/MCInstPrinter.h"
#include "llvm/MC/MCInstrAnalysis.h"
#include "llvm/MC/MCInstrInfo.h"
#include "llvm/MC/MCRegisterInfo.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/MCTargetOptions.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/TargetSelect.h"
#include <cstring>

using namespace llvm;
namespace weft {
namespace {

Error failed(const Twine &what) { return createStringError(inconvertibleErrorCode(), what); }

// LLVM's description of x86-64 with every feature: code of any level can be read.
struct Machine {
  Triple triple{"x86_64-unknown-linux-gnu"};
  std::unique_ptr<MCRegisterInfo> registers;
  std::unique_ptr<MCAsmInfo> assembly;
  std::unique_ptr<MCInstrInfo> instructions;
  std::unique_ptr<MCSubtargetInfo> subtarget;
  std::unique_ptr<MCContext> context;
  std::unique_ptr<MCDisassembler> disassembler;
  std::unique_ptr<MCInstPrinter> printer;
  std::unique_ptr<MCInstrAnalysis> analysis;

  Error make() {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86Disassembler();
    std::string error;
    const Target *target = TargetRegistry::lookupTarget(triple.str(), error);
    if (!target) return failed(error);
    registers.reset(target->createMCRegInfo(triple.str()));
    assembly.reset(target->createMCAsmInfo(*registers, triple.str(), MCTargetOptions()));
    instructions.reset(target->createMCInstrInfo());
    subtarget.reset(target->createMCSubtargetInfo(triple.str(), "x86-64", cpu::amxLevel().features));
    context = std::make_unique<MCContext>(triple, assembly.get(), registers.get(), subtarget.get());
    disassembler.reset(target->createMCDisassembler(*subtarget, *context));
    printer.reset(
        target->createMCInstPrinter(triple, /*SyntaxVariant=*/1, *assembly, *instructions, *registers));
    analysis.reset(target->createMCInstrAnalysis(instructions.get()));
    if (!disassembler || !printer || !analysis) return failed("this LLVM cannot disassemble x86-64");
    printer->setPrintImmHex(false);
    return Error::success();
  }
};

// The bytes that the loaded object has at an address; empty where it has none.
StringRef bytesAt(const object::ELFObjectFileBase &object, uint64_t address, uint64_t size) {
  for (const object::SectionRef &section : object.sections()) {
    uint64_t begin = section.getAddress();
    if (!begin || section.isBSS() || address < begin || address - begin >= section.getSize()) continue;
    Expected<StringRef> contents = section.getContents();
    if (!contents) {
      consumeError(contents.takeError());
      continue;
    }
    uint64_t at = address - begin;
    if (at > contents->size() || size > contents->size() - at) continue;
    return contents->substr(at, size);
  }
  return "";
}

// Floats where they read as such: "1.4427 ×16" for one repeated.
std::string constantText(StringRef bytes, const Instruction &code) {
  bool doubles = StringRef(code.mnemonic).ends_with("pd") || StringRef(code.mnemonic).ends_with("sd");
  bool integers =
      StringRef(code.mnemonic).starts_with("vp") && !StringRef(code.mnemonic).starts_with("vpbroadcastd");
  if (bytes.empty()) return "";
  size_t width = doubles ? 8 : 4;
  if (bytes.size() < width) width = bytes.size();
  std::vector<std::string> values;
  for (size_t i = 0; i + width <= bytes.size(); i += width) {
    char text[40];
    uint32_t word = 0;
    memcpy(&word, bytes.data() + i, std::min<size_t>(width, 4));
    float single;
    double wide;
    memcpy(&single, &word, 4);
    bool plain = !integers &&
                 (word == 0 || (std::fabs(single) > 1e-30 && std::fabs(single) < 1e30) || std::isinf(single));
    if (width == 8) {
      memcpy(&wide, bytes.data() + i, 8);
      snprintf(text, sizeof text, "%.9g", wide);
    } else if (width == 4 && plain) {
      snprintf(text, sizeof text, "%.6g", single);
    } else {
      snprintf(text, sizeof text, word < 65536 ? "%u" : "0x%x", word);
    }
    values.push_back(text);
  }
  if (values.empty()) return "";
  bool equal = llvm::all_equal(values);
  if (equal) return values.size() == 1 ? values[0] : values[0] + " ×" + std::to_string(values.size());
  return llvm::join(ArrayRef(values).take_front(4), ", ") + (values.size() > 4 ? ", …" : "");
}

// Bytes that the memory operand of an instruction covers, as its text says.
uint64_t operandBytes(StringRef operands) {
  uint64_t repeat = 1;
  if (size_t at = operands.find("{1to"); at != StringRef::npos) repeat = 1;
  for (auto [word, bytes] : {std::pair{"zmmword ptr", 64},
                             {"ymmword ptr", 32},
                             {"xmmword ptr", 16},
                             {"qword ptr", 8},
                             {"dword ptr", 4}})
    if (operands.contains(word)) return bytes * repeat;
  return 0;
}

bool isFma(StringRef mnemonic) {
  return mnemonic.starts_with("vfmadd") || mnemonic.starts_with("vfnmadd") ||
         mnemonic.starts_with("vfmsub") || mnemonic.starts_with("vfnmsub") || mnemonic == "vdpbf16ps" ||
         mnemonic == "tdpbf16ps";
}
bool isScalar(StringRef mnemonic) { return mnemonic.ends_with("ss") || mnemonic.ends_with("sd"); }
bool isVector(StringRef mnemonic) { return mnemonic.starts_with("v") || mnemonic.starts_with("t"); }

void findLoops(Disassembly &code) {
  DenseMap<int64_t, size_t> at;
  for (auto [i, instruction] : llvm::enumerate(code.instructions)) at[instruction.offset] = i;
  for (auto [i, instruction] : llvm::enumerate(code.instructions)) {
    if (instruction.target < 0 || instruction.target > int64_t(instruction.offset)) continue;
    auto to = at.find(instruction.target);
    if (to == at.end()) continue;
    CodeLoop loop{to->second, i};
    // Two jumps back to one place are one loop.
    auto same = llvm::find_if(code.loops, [&](const CodeLoop &l) { return l.first == loop.first; });
    if (same != code.loops.end())
      same->last = std::max(same->last, loop.last);
    else
      code.loops.push_back(loop);
  }
  llvm::sort(code.loops, [](const CodeLoop &a, const CodeLoop &b) { return a.first < b.first; });
  int64_t vectorLength = 0;
  for (auto [number, loop] : llvm::enumerate(code.loops)) {
    int64_t vectors = 0;
    for (size_t i = loop.first; i <= loop.last; ++i) {
      StringRef mnemonic = code.instructions[i].mnemonic;
      loop.fmas += isFma(mnemonic) && !isScalar(mnemonic);
      vectors += isVector(mnemonic) && !isScalar(mnemonic);
    }
    for (const CodeLoop &other : code.loops)
      if (&other != &loop && other.first >= loop.first && other.last <= loop.last) loop.innermost = false;
    if (!loop.innermost) continue;
    const CodeLoop *best = code.hot < 0 ? nullptr : &code.loops[code.hot];
    if (!best || loop.fmas > best->fmas || (loop.fmas == best->fmas && vectors > vectorLength)) {
      code.hot = int64_t(number);
      vectorLength = vectors;
    }
  }
}

} // namespace

namespace {
struct Function {
  StringRef name; // in the image
  object::SectionRef section;
  uint64_t address = 0, size = 0;
};

// The symbols of an object that have bytes, by address.
using Functions = std::multimap<uint64_t, Function>;
Expected<Functions> functionsOf(const object::ELFObjectFileBase &object) {
  Functions out;
  auto look = [&](auto range) -> Error {
    for (const object::ELFSymbolRef &symbol : range) {
      Expected<StringRef> name = symbol.getName();
      if (!name) return name.takeError();
      auto in = symbol.getSection();
      if (!in) return in.takeError();
      auto where = symbol.getAddress();
      if (!where) return where.takeError();
      if (*in == object.section_end() || !symbol.getSize()) continue;
      out.insert({*where, {*name, **in, *where, symbol.getSize()}});
    }
    return Error::success();
  };
  if (Error error = look(object.symbols())) return std::move(error);
  if (Error error = look(object.getDynamicSymbolIterators())) return std::move(error);
  return out;
}

const Function *functionAt(const Functions &functions, object::SectionRef section, uint64_t address) {
  auto found = functions.find(address);
  return found == functions.end() || found->second.section != section ? nullptr : &found->second;
}

// `jumpsTo`: the shared function that the last instruction jumps to.
Expected<Disassembly> decode(Machine &machine, const object::ELFObjectFileBase &object,
                             const Functions &functions, const Function &function, DWARFContext *dwarf,
                             const Function *&jumpsTo) {
  const uint64_t address = function.address, size = function.size;
  Expected<StringRef> contents = function.section.getContents();
  if (!contents) return contents.takeError();
  uint64_t start = address - function.section.getAddress();
  if (address < function.section.getAddress() || start > contents->size() || size > contents->size() - start)
    return failed("function " + function.name + " leaves its section");
  ArrayRef<uint8_t> bytes = arrayRefFromStringRef(contents->substr(start, size));
  Disassembly out;
  for (uint64_t at = 0; at < size;) {
    MCInst inst;
    uint64_t length = 0;
    if (machine.disassembler->getInstruction(inst, length, bytes.drop_front(at), address + at, nulls()) !=
            MCDisassembler::Success ||
        !length)
      return failed("byte " + Twine(at) + " of function " + function.name + " is no instruction");
    Instruction code;
    code.offset = at;
    code.size = length;
    std::string text;
    raw_string_ostream stream(text);
    machine.printer->printInst(&inst, address + at, "", *machine.subtarget, stream);
    auto [mnemonic, operands] = StringRef(text).trim().split('\t');
    code.mnemonic = mnemonic.str();
    code.operands = operands.trim().str();
    const MCInstrDesc &desc = machine.instructions->get(inst.getOpcode());
    code.load = desc.mayLoad();
    code.store = desc.mayStore();
    code.ends = desc.isReturn() || desc.isUnconditionalBranch();
    uint64_t to = 0;
    if (!StringRef(code.mnemonic).starts_with("nop")) jumpsTo = nullptr;
    if (machine.analysis->evaluateBranch(inst, address + at, length, to)) {
      const Function *other = functionAt(functions, function.section, to);
      if (to >= address && to - address < size && !desc.isCall())
        code.target = int64_t(to - address);
      else if (other)
        code.operands = other->name.str();
      if (code.ends && other && other->address != address && other->name.ends_with(".shared"))
        jumpsTo = other;
    }
    if (auto from = machine.analysis->evaluateMemoryOperandAddress(inst, machine.subtarget.get(),
                                                                   address + at, length))
      code.constant = constantText(bytesAt(object, *from, operandBytes(code.operands)), code);
    if (dwarf) {
      DILineInfo info = dwarf->getLineInfoForAddress({address + at, function.section.getIndex()});
      if (info) code.line = info.Line;
    }
    out.instructions.push_back(std::move(code));
    at += length;
  }
  // What is behind the last return is padding.
  while (!out.instructions.empty() && StringRef(out.instructions.back().mnemonic).starts_with("nop"))
    out.instructions.pop_back();
  return out;
}
} // namespace

Expected<Disassembly> disassemble(StringRef image, StringRef symbol, bool lines) {
  Machine machine;
  if (Error error = machine.make()) return std::move(error);
  auto file = object::ObjectFile::createELFObjectFile(MemoryBufferRef(image, "kernels"));
  if (!file) return file.takeError();
  auto *object = dyn_cast<object::ELFObjectFileBase>(file->get());
  if (!object || object->getArch() != Triple::x86_64) return failed("the object is not x86-64 ELF");
  auto functions = functionsOf(*object);
  if (!functions) return functions.takeError();
  auto named = llvm::find_if(*functions, [&](auto &f) { return f.second.name == symbol; });
  if (named == functions->end()) return failed("the object has no function " + symbol);
  std::unique_ptr<DWARFContext> dwarf;
  if (lines) dwarf = DWARFContext::create(*object);
  const Function *other = nullptr, *none = nullptr;
  auto out = decode(machine, *object, *functions, named->second, dwarf.get(), other);
  if (out && other) out = decode(machine, *object, *functions, *other, dwarf.get(), none);
  if (out) findLoops(*out);
  return out;
}

InstructionMix mixOf(const Disassembly &code, size_t first, size_t last) {
  InstructionMix mix;
  bool frame = llvm::any_of(ArrayRef(code.instructions).take_front(8), [](const Instruction &i) {
    return i.mnemonic == "mov" && i.operands == "rbp, rsp";
  });
  for (size_t i = first; i <= last && i < code.instructions.size(); ++i) {
    const Instruction &c = code.instructions[i];
    StringRef m = c.mnemonic, operands = c.operands;
    ++mix.all;
    bool stack = operands.contains("[rsp") || (frame && operands.contains("[rbp"));
    bool memory = operands.contains('[') && m != "lea" && !m.starts_with("nop");
    if (m == "push" || m == "pop" || m == "ret" || m == "lea") memory = false;
    if (memory && c.store) ++mix.kinds[stack ? "spill" : "store"];
    if (memory && c.load && !m.starts_with("prefetch"))
      ++mix.kinds[stack ? "reload" : !c.constant.empty() ? "load of a constant" : "load"];
    if (m.starts_with("prefetch")) ++mix.kinds["prefetch"];
    if (isFma(m))
      ++mix.kinds[isScalar(m)            ? "scalar fma"
                  : m.starts_with("td")  ? "tile dot product"
                  : m.starts_with("vdp") ? "bf16 dot product"
                                         : "fma"];
    else if (m.starts_with("vdiv") || m.starts_with("vsqrt"))
      ++mix.kinds["division or root"];
    else if (m.starts_with("j"))
      ++mix.kinds["jump"];
    else if (m.starts_with("vmov") || m.starts_with("vbroadcast") || m.starts_with("vpbroadcast") ||
             m.starts_with("tile")) {
      if (!memory) ++mix.kinds["vector move"];
    } else if (isVector(m) && !m.starts_with("test"))
      ++mix.kinds[isScalar(m) ? "scalar float" : "vector arithmetic"];
    else if (!memory)
      ++mix.kinds["integer"];
  }
  return mix;
}

bool sameCode(const Disassembly &a, const Disassembly &b) {
  auto text = [](const Instruction &i) {
    StringRef operands = i.operands;
    size_t rip = operands.find("[rip");
    if (rip == StringRef::npos) return operands.str();
    return operands.take_front(rip).str() + operands.substr(operands.find(']', rip)).str() + i.constant;
  };
  return a.instructions.size() == b.instructions.size() &&
         llvm::all_of(llvm::zip(a.instructions, b.instructions), [&](auto pair) {
           auto &[x, y] = pair;
           return x.mnemonic == y.mnemonic && x.offset == y.offset && x.target == y.target &&
                  text(x) == text(y);
         });
}

} // namespace weft
