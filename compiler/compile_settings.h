// What a recipe asks to be compiled: which model, what for, which entries.
#pragma once
#include "compiler/trace/graph_builder.h"
#include "compiler/trace/model_loader.h"
#include "frontends/programs/program.h"
#include "runtime/train/recipe.h"

namespace weft {

struct CompileSettings {
  LoadedModel model;
  ProgramOptions program;
  BatchLayout layout;
  int64_t microBatches = 1; // in a step

  std::string bf16Unit;            // the dot unit of bf16 products; "" in f32
  std::vector<std::string> levels; // of the CPU, lowest first
  int threads = 1;                 // of a rank
  int passThreads = 2; // to find work for: on its own machine every one that it may get, two at the least
};

// Compiles and loads the model. An error's text otherwise.
std::variant<CompileSettings, std::string> resolveSettings(const Recipe &recipe, bool forTraining,
                                                           bool forGeneration);

} // namespace weft
