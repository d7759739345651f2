// Text of kernel.matmul ops, for tests and benchmarks that go over shapes.
#pragma once
#include "tests/compiler/codegen/harness.h"

namespace weft::cpu_test::matmul {

struct Operand {
  std::string type;
  std::vector<int64_t> strides;
  int64_t offset = 0;
  // Stride not 0: looked up through buffer `table`, or, of a factor, through the product's rows.
  int64_t tableStride = 0, tableLimit = 0, table = -1;
};

struct Matmul {
  std::string name;
  int64_t batch = 1, m, n, k;
  Operand lhs, rhs; // (b, m, k), (b, k, n)
  std::vector<Operand> extras, outputs;
  bool init = false;
  std::string region = "kernel.yield %acc : f32"; // arguments %acc, %x0, %x1, …
  std::string schedule = "tile_m = 8, tile_n = 48, block_m = 24, block_n = 96, block_k = 40";
  std::string element = "f32"; // of the sums
  std::string unit = "fma";
  bool packedRhs = false;
  char grouped = 0;        // 'm' or 'k': `batch` groups of it
  int64_t groupStride = 1; // of the groups' bounds, tensor<(batch * groupStride + 1) x i32>

  std::string text() const;
};

inline std::string numbers(const std::vector<int64_t> &values) {
  std::string text;
  for (int64_t v : values) text += (text.empty() ? "" : ", ") + std::to_string(v);
  return text;
}
inline std::string access(const Operand &o, int64_t rows = -1) {
  std::string index;
  if (o.tableStride)
    index = "index = " + std::to_string(o.table < 0 ? rows : o.table) +
            ", index_stride = " + std::to_string(o.tableStride) +
            ", index_limit = " + std::to_string(o.tableLimit) + ", ";
  return "#kernel.access<offset = " + std::to_string(o.offset) + ", " + index +
         "strides = " + numbers(o.strides) + ">";
}

inline std::string Matmul::text() const {
  std::string arguments = "%a: tensor<" + lhs.type + ">, %b: tensor<" + rhs.type + ">", extraNames,
              extraAccess, outputAccess, types, resultTypes, results;
  std::string blockArguments = "%acc: " + element;
  types = "tensor<" + lhs.type + ">, tensor<" + rhs.type + ">";
  if (init) types += ", tensor<" + outputs[0].type + ">";
  auto list = [](std::string &to, const std::string &item) { to += (to.empty() ? "" : ", ") + item; };
  for (size_t i = 0; i < extras.size(); ++i) {
    std::string id = std::to_string(i);
    arguments += ", %e" + id + ": tensor<" + extras[i].type + ">";
    list(extraNames, "%e" + id);
    list(extraAccess, access(extras[i]));
    types += ", tensor<" + extras[i].type + ">";
    blockArguments += ", %x" + id + ": " + extras[i].type.substr(extras[i].type.rfind('x') + 1);
  }
  std::string bounds = "tensor<" + std::to_string(batch * groupStride + 1) + "xi32>", by;
  if (grouped) {
    arguments += ", %groups: " + bounds;
    types += ", " + bounds;
    by = std::string("grouped = ") + (grouped == 'm' ? "0" : "1") +
         " : i64, group_access = #kernel.access<offset = 0, strides = " + std::to_string(groupStride) + ">, ";
  }
  bool rows = lhs.tableStride || rhs.tableStride;
  int64_t table = 2 + extras.size() + 1;
  if (rows) {
    std::string type = "tensor<" + std::to_string(grouped == 'm' ? m : k) + "xi32>";
    arguments += ", %rows: " + type;
    types += ", " + type;
    by += "row_access = #kernel.access<offset = 0, strides = 1>, ";
  }
  if (init) arguments += ", %init: tensor<" + outputs[0].type + ">";
  for (size_t i = 0; i < outputs.size(); ++i) {
    list(results, "%r" + std::to_string(i));
    list(resultTypes, "tensor<" + outputs[i].type + ">");
    list(outputAccess, access(outputs[i]));
  }
  return "^bb0(" + arguments + "):\n" + results + " = kernel.matmul %a, %b " + (init ? "init %init " : "") +
         "extras(" + extraNames + ") " + (grouped ? "groups %groups " : "") + (rows ? "rows %rows " : "") +
         "sizes [" + numbers({batch, m, n, k}) + "] {lhs_access = " + access(lhs, table) +
         ", rhs_access = " + access(rhs, table) + ", extra_access = [" + extraAccess +
         "], output_access = [" + outputAccess + "], " + by + (packedRhs ? "packed_rhs, " : "") +
         "reduction = #kernel.reduction<unit = \"" + unit +
         "\", lanes = 16, key_block = 0>, schedule = "
         "#kernel.schedule<" +
         schedule + ">} : (" + types + ") -> (" + resultTypes + ") {\n^bb0(" + blockArguments + "):\n" +
         region + "\n}";
}

inline int64_t countOf(const std::string &type) {
  int64_t n = 1;
  for (size_t at = 0; at < type.size() && isdigit(type[at]); at = type.find('x', at) + 1)
    n *= std::stoll(type.substr(at));
  return n;
}

// Row-major operands: lhs (b, m, k) or, with `transposedLhs`, (b, k, m); rhs (b, k, n) or (b, n, k); one
// output (b, m, n).
inline Matmul plain(const std::string &name, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transposedLhs, bool transposedRhs, const std::string &factor = "f32") {
  Matmul op{.name = name, .batch = batch, .m = m, .n = n, .k = k};
  op.lhs = transposedLhs ? Operand{tensorType({batch, k, m}, factor), {k * m, 1, m}}
                         : Operand{tensorType({batch, m, k}, factor), {m * k, k, 1}};
  op.rhs = transposedRhs ? Operand{tensorType({batch, n, k}, factor), {k * n, 1, k}}
                         : Operand{tensorType({batch, k, n}, factor), {k * n, n, 1}};
  op.outputs = {{tensorType({batch, m, n}, "f32"), {m * n, n, 1}}};
  return op;
}

// The sort of choices (tokens, k) that makes a grouped product's groups.
inline std::string sortText(int64_t tokens, int64_t k, int64_t experts, int64_t segments) {
  std::string flat = "tensor<" + std::to_string(tokens * k) + "xi32>",
              choices = "tensor<" + tensorType({tokens, k}, "i32") + ">",
              bounds = "tensor<" + std::to_string(experts * segments + 1) + "xi32>",
              access = "#kernel.access<offset = 0, strides = 1>";
  return "^bb0(%i: " + choices + "):\n%o, %t, %p, %f = kernel.sort %i sizes [" +
         numbers({tokens, k, experts, segments}) + "] {input_access = [" + access + "], output_access = [" +
         access + ", " + access + ", " + access + ", " + access +
         "], schedule = #kernel.schedule<tile_m = 0, tile_n = 0, block_m = 0, block_n = 0, block_k = 0>} : "
         "(" +
         choices + ") -> (" + flat + ", " + flat + ", " + choices + ", " + bounds + ")";
}

} // namespace weft::cpu_test::matmul
