// Attention, causal: forward, backward in one kernel and in two; and a query a text against cached keys.
#include "tests/benchmarks/kernels/bench_kernel.h"
#include "tests/compiler/codegen/attention_text.h"

namespace weft::cpu_test {
namespace {

void addShape(std::vector<BenchKernel> &kernels, int64_t batch, int64_t tokens, int64_t heads, int64_t width,
              const std::string &unit) {
  attention::Attention op{.name = "",
                          .B = batch,
                          .T = tokens,
                          .S = tokens,
                          .H = heads,
                          .G = heads,
                          .D = width,
                          .E = width,
                          .chunkBlocks = 4,
                          .unit = unit};
  bool bf16 = op.bf16();
  int64_t all = batch * tokens * heads * width, rows = batch * tokens * heads;
  double product =
      2.0 * double(batch * heads * width) * double(tokens) * double(tokens + 1) / 2; // of the causal half
  auto add = [&](const std::string &kind, double products, std::vector<int64_t> results) {
    bool forward = kind == "forward";
    op.tile = forward ? 128 : 64;
    std::string name = (bf16 ? "bf16_attention_" : "attention_") + kind + "_" + std::to_string(tokens);
    double bytes = (forward ? 3.0 : 4.0) * double(all) * (bf16 ? 2 : 4);
    for (int64_t n : results) bytes += double(n);
    auto inputs = [=] {
      std::vector<int32_t> begins(batch * tokens), ends(batch * tokens);
      for (int64_t t = 0; t < batch * tokens; ++t) ends[t] = int32_t(t % tokens + 1);
      std::vector<Bytes> in;
      for (int i : {0, 1, 2}) in.push_back(randomNumbers(all, i, bf16));
      in.push_back(bytesOf(begins));
      in.push_back(bytesOf(ends));
      if (forward) return in;
      for (int i : {5, 6}) in.push_back(randomNumbers(rows, i));
      in.push_back(randomNumbers(all, 7, bf16));
      return in;
    };
    kernels.push_back({name, op.text(kind), products * product, bytes, inputs, results});
  };
  add("forward", 2, {all * (bf16 ? 2 : 4), rows * 4});
  add("backward", 5, {all * 4, all * 4, all * 4});
  add("grad_query", 3, {all * 4});
  add("grad_key_value", 4, {all * 4, all * 4});
}

// `batch` texts of `keys` tokens each, in caches of (batch, heads, keys, width) as they lie when generating.
void addDecode(std::vector<BenchKernel> &kernels, int64_t batch, int64_t keys, int64_t heads, int64_t width,
               const std::string &unit) {
  attention::Attention op{.name = "",
                          .B = batch,
                          .T = 1,
                          .S = keys,
                          .H = heads,
                          .G = heads,
                          .D = width,
                          .E = width,
                          .tile = 1,
                          .unit = unit};
  const int64_t rows = batch * heads * width, cached = rows * keys, element = op.bf16() ? 2 : 4;
  auto in = op.inputs(true);
  for (int i : {1, 2}) in[i].strides = {heads * keys * width, width, keys * width, 1};
  auto inputs = [=] {
    return std::vector<Bytes>{randomNumbers(rows, 0, element == 2), randomNumbers(cached, 1, element == 2),
                              randomNumbers(cached, 2, element == 2), bytesOf(std::vector<int32_t>(batch)),
                              bytesOf(std::vector<int32_t>(batch, int32_t(keys)))};
  };
  std::string name = (op.bf16() ? "bf16_attention_decode" : "attention_decode") + std::to_string(batch) +
                     "_" + std::to_string(keys);
  kernels.push_back({name,
                     op.text("forward", in, op.outputs("forward")),
                     4.0 * double(cached),
                     2.0 * double(cached * element),
                     inputs,
                     {rows * element, batch * heads * 4}});
}

} // namespace

void addAttention(std::vector<BenchKernel> &kernels, const std::vector<std::string> &units) {
  for (const std::string &unit : units) {
    addShape(kernels, 16, 256, 6, 64, unit);
    addShape(kernels, 1, 2048, 6, 64, unit);
    addDecode(kernels, 1, 256, 12, 64, unit);
    addDecode(kernels, 64, 256, 12, 64, unit);
    addDecode(kernels, 1, 4096, 12, 64, unit);
  }
}

} // namespace weft::cpu_test
