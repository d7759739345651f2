// Where an op comes from in the model.
#pragma once
#include "mlir/IR/Location.h"
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct OpOrigin {
  std::string op; // "graph.mul"; "" where that is not known
  std::string file, path;
  int line = 0;
};
// Adds the places in a location that are not there yet; all of them.
void addOrigins(mlir::Location location, std::vector<OpOrigin> &out);
std::vector<OpOrigin> originsOf(mlir::Location location);
// "graph.mul model.cc:30 (layers.mlp)".
std::string originText(const OpOrigin &origin);
// "model.cc:30 (layers.mlp)".
std::string placeText(const std::string &file, int line, const std::string &path);
// All of them, by commas, each once: at most `most`, and how many more there are.
std::string originsText(mlir::Location location, size_t most = SIZE_MAX);

} // namespace weft
