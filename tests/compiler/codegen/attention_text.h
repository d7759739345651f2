// Text of kernel.attention ops, for tests and benchmarks that go over shapes.
#pragma once
#include "tests/compiler/codegen/harness.h"

#include <cmath>

namespace weft::cpu_test::attention {

struct Operand {
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  int64_t offset = 0;
};
inline Operand dense(std::vector<int64_t> shape) { return {shape, rowMajor(shape), 0}; }

struct Attention {
  std::string name;
  int64_t B = 1, T, S, H = 1, G = 1, D, E;
  int64_t tile = 8, keyBlock = 64, chunkBlocks = 1; // query rows; keys; backward: blocks in a chunk
  std::string rangeType = "i32";
  std::string unit = "fma"; // amx and vdpbf16: q, k, v, dout and out are bf16

  bool bf16() const { return unit != "fma"; }

  std::vector<Operand> inputs(bool forward) const {
    std::vector<Operand> list{dense({B, T, H, D}), dense({B, S, G, D}), dense({B, S, G, E}), dense({B, T}),
                              dense({B, T})};
    if (!forward)
      for (Operand o : {dense({B, T, H}), dense({B, T, H}), dense({B, T, H, E})}) list.push_back(o);
    return list;
  }
  std::vector<Operand> outputs(const std::string &kind) const {
    if (kind == "forward") return {dense({B, T, H, E}), dense({B, T, H})};
    Operand dq = dense({B, T, H, D}), dk = dense({B, S, G, D}), dv = dense({B, S, G, E});
    if (kind == "grad_query") return {dq};
    return kind == "backward" ? std::vector{dq, dk, dv} : std::vector{dk, dv};
  }
  std::string text(const std::string &kind) const {
    return text(kind, inputs(kind == "forward"), outputs(kind));
  }
  std::string text(const std::string &kind, const std::vector<Operand> &in,
                   const std::vector<Operand> &out) const;
};

inline std::string numbers(const std::vector<int64_t> &values) {
  std::string text;
  for (int64_t v : values) text += (text.empty() ? "" : ", ") + std::to_string(v);
  return text;
}

inline std::string Attention::text(const std::string &kind, const std::vector<Operand> &in,
                                   const std::vector<Operand> &out) const {
  std::string arguments, names, types, results, resultTypes, inputAccess, outputAccess;
  auto list = [](std::string &to, const std::string &item) { to += (to.empty() ? "" : ", ") + item; };
  auto access = [](const Operand &o) {
    return "#kernel.access<offset = " + std::to_string(o.offset) + ", strides = " + numbers(o.strides) + ">";
  };
  for (size_t i = 0; i < in.size(); ++i) {
    std::string element = i == 3 || i == 4 ? rangeType : i == 5 || i == 6 || !bf16() ? "f32" : "bf16";
    std::string type = "tensor<" + tensorType(in[i].shape, element) + ">", name = "%i" + std::to_string(i);
    list(arguments, name + ": " + type);
    list(names, name);
    list(types, type);
    list(inputAccess, access(in[i]));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    list(results, "%r" + std::to_string(i));
    bool rounded = bf16() && kind == "forward" && i == 0;
    list(resultTypes, "tensor<" + tensorType(out[i].shape, rounded ? "bf16" : "f32") + ">");
    list(outputAccess, access(out[i]));
  }
  return "^bb0(" + arguments + "):\n" + results + " = kernel.attention " + kind + " " + names + " sizes [" +
         numbers({B, T, S, H, G, D, E}) + "] {input_access = [" + inputAccess + "], output_access = [" +
         outputAccess + "], scale = " + std::to_string(1 / std::sqrt(double(D))) +
         " : f64, reduction = #kernel.reduction<unit = \"" + unit +
         "\", lanes = 16, key_block = " + std::to_string(keyBlock) +
         ">, schedule = #kernel.schedule<tile_m = " + std::to_string(tile) +
         ", tile_n = " + std::to_string(chunkBlocks * keyBlock) +
         ", block_m = 0, block_n = 0, block_k = 0>} : (" + types + ") -> (" + resultTypes + ")";
}

} // namespace weft::cpu_test::attention
