#include "compiler/diagnostic_log.h"

using namespace mlir;
namespace weft {

DiagnosticLog::DiagnosticLog(MLIRContext &context, std::vector<Remark> &remarks)
    : remarks(remarks), handler(&context, [this](Diagnostic &d) { return take(d); }) {}

LogicalResult DiagnosticLog::take(Diagnostic &d) {
  if (d.getSeverity() == DiagnosticSeverity::Remark) {
    remarks.push_back({phase, "remark", d.str(), d.getLocation()});
    return success();
  }
  llvm::raw_string_ostream out(errors);
  if (!errors.empty()) out << "\n";
  Location where = d.getLocation();
  where->walk([&](Location l) {
    if (auto f = dyn_cast<FileLineColLoc>(l)) {
      out << f.getFilename().getValue() << ":" << f.getLine() << ": ";
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  out << d.str();
  for (Diagnostic &note : d.getNotes()) out << "\n  note: " << note.str();
  return success();
}

} // namespace weft
