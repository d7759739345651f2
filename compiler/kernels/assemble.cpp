#include "compiler/kernels/assemble.h"
#include "llvm/MC/MCAsmBackend.h"
#include "llvm/MC/MCAsmInfo.h"
#include "llvm/MC/MCCodeEmitter.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCInstrInfo.h"
#include "llvm/MC/MCObjectFileInfo.h"
#include "llvm/MC/MCObjectWriter.h"
#include "llvm/MC/MCParser/MCAsmParser.h"
#include "llvm/MC/MCParser/MCTargetAsmParser.h"
#include "llvm/MC/MCRegisterInfo.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/MCTargetOptions.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"

using namespace llvm;
namespace weft {

static Error failed(const Twine &what) { return createStringError(inconvertibleErrorCode(), what); }

Expected<std::string> assemble(StringRef text, StringRef name, const cpu::CpuLevel &level) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmParser();
  Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const Target *target = TargetRegistry::lookupTarget(triple.str(), error);
  if (!target) return failed(error);
  SourceMgr sources;
  std::string said;
  // The first error is the one that counts.
  sources.setDiagHandler(
      [](const SMDiagnostic &d, void *to) {
        auto &said = *static_cast<std::string *>(to);
        if (d.getKind() == SourceMgr::DK_Error && said.empty())
          said = (d.getFilename() + ":" + Twine(d.getLineNo()) + ": " + d.getMessage()).str();
      },
      &said);
  sources.AddNewSourceBuffer(MemoryBuffer::getMemBufferCopy(text, name), SMLoc());
  MCTargetOptions options;
  std::unique_ptr<MCRegisterInfo> registers(target->createMCRegInfo(triple.str()));
  std::unique_ptr<MCAsmInfo> assembly(target->createMCAsmInfo(*registers, triple.str(), options));
  std::unique_ptr<MCInstrInfo> instructions(target->createMCInstrInfo());
  std::unique_ptr<MCSubtargetInfo> subtarget(
      target->createMCSubtargetInfo(triple.str(), "x86-64", level.features));
  MCContext context(triple, assembly.get(), registers.get(), subtarget.get(), &sources, &options);
  std::unique_ptr<MCObjectFileInfo> file(target->createMCObjectFileInfo(context, /*PIC=*/true));
  context.setObjectFileInfo(file.get());
  SmallString<0> bytes;
  raw_svector_ostream out(bytes);
  std::unique_ptr<MCAsmBackend> backend(target->createMCAsmBackend(*subtarget, *registers, options));
  std::unique_ptr<MCObjectWriter> writer = backend->createObjectWriter(out);
  std::unique_ptr<MCCodeEmitter> emitter(target->createMCCodeEmitter(*instructions, context));
  std::unique_ptr<MCStreamer> streamer(target->createMCObjectStreamer(
      triple, context, std::move(backend), std::move(writer), std::move(emitter), *subtarget));
  std::unique_ptr<MCAsmParser> parser(createMCAsmParser(sources, context, *streamer, *assembly));
  std::unique_ptr<MCTargetAsmParser> machine(
      target->createMCAsmParser(*subtarget, *parser, *instructions, options));
  if (!machine) return failed("this LLVM has no assembler for x86-64");
  parser->setTargetParser(*machine);
  bool bad = parser->Run(/*NoInitialTextSection=*/false);
  if (bad || !said.empty()) return failed(said.empty() ? name + ": does not assemble" : Twine(said));
  return std::string(bytes);
}

} // namespace weft
