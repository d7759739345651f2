#include "compiler/check/op_origin.h"
#include "llvm/ADT/STLExtras.h"
#include <filesystem>
#include <set>

using namespace mlir;
namespace weft {

// Every file, line and module path of a location; `op` is the graph op that the location was of.
static void collect(Location location, StringRef path, StringRef op, std::vector<OpOrigin> &out) {
  if (auto named = dyn_cast<NameLoc>(location)) return collect(named.getChildLoc(), named.getName(), op, out);
  if (auto fused = dyn_cast<FusedLoc>(location)) {
    if (auto name = dyn_cast_or_null<StringAttr>(fused.getMetadata())) op = name.getValue();
    for (Location l : fused.getLocations()) collect(l, path, op, out);
    return;
  }
  auto file = dyn_cast<FileLineColLoc>(location);
  if (!file) return;
  OpOrigin origin{op.str(), file.getFilename().str(), path.str(), int(file.getLine())};
  for (const OpOrigin &o : out)
    if (o.op == origin.op && o.file == origin.file && o.path == origin.path && o.line == origin.line) return;
  out.push_back(origin);
}

void addOrigins(Location location, std::vector<OpOrigin> &out) { collect(location, "", "", out); }

std::vector<OpOrigin> originsOf(Location location) {
  std::vector<OpOrigin> out;
  addOrigins(location, out);
  return out;
}

std::string placeText(const std::string &file, int line, const std::string &path) {
  return std::filesystem::path(file).filename().string() + ":" + std::to_string(line) +
         (path.empty() ? "" : " (" + path + ")");
}

std::string originText(const OpOrigin &o) {
  return (o.op.empty() ? "" : o.op + " ") + placeText(o.file, o.line, o.path);
}

std::string originsText(Location location, size_t most) {
  std::string out;
  size_t count = 0;
  std::set<std::string> seen;
  for (const OpOrigin &o : originsOf(location)) {
    if (!seen.insert(originText(o)).second || ++count > most) continue;
    out += (out.empty() ? "" : ", ") + originText(o);
  }
  if (count > most) out += " and " + std::to_string(count - most) + " more";
  return out.empty() ? "an op of the compiler's" : out;
}

} // namespace weft
