// What `weft compile` says of a program that it has compiled.
#pragma once
#include "compiler/compile_program.h"
#include <regex>

namespace weft {

// "model.cc:30: tune: … [layers.mlp]", those that match.
void printRemarks(const std::vector<Remark> &remarks, const std::regex &wanted);
// All of them, a JSON object a line. False when the file cannot be written.
bool writeRemarks(const std::vector<Remark> &remarks, const std::string &file);
// Kernels, tuning, memory, times. `kept`: as an artifact.
void printReport(const CompileReport &report, const CompileRequest &request, bool kept);

} // namespace weft
