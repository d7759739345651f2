// First values of variables: functions of (seed, which weight, which element) alone, so that stacking layers,
// pipeline stages, ranks, threads and the machine's math library do not change a bit.
#pragma once
#include "runtime/artifact/artifact_generated.h"

#include <cstdint>
#include <string>

namespace weft {

// Elements [begin, end) of `variable` at `data` (the variable's first element), of Variable.bytes / element
// size.
//
// A weight is named by its file name, the layer's number in place of {}
// ("model.layers.3.mlp.up_proj.weight"): the same whether layer 3 is held in a stack of 48, in a stage's
// stack of 24, or on its own. Without a file name, by the variable's path and, when stacked, "#" and the
// layer's number. stream = XXH3-64 of that name; element e of the layer's own values takes words 2 (e mod 2)
// and 2 (e mod 2) + 1 of Philox(seed, stream, e / 2), high word first: their upper 52 bits k give u = (k +
// 1/2) / 2^52.
//   uniform:  init_scale * (2 u - 1)
//   normal:   init_scale * NormalQuantile(u)
void InitialiseElements(const fb::Variable &variable, uint64_t seed, int64_t begin, int64_t end, char *data);

// The name described above; `layer` is the layer's own number (ignored when the variable is not stacked).
std::string WeightName(const fb::Variable &variable, int64_t layer);

// The normal distribution's quantile for 0 < u < 1, relative error below 1e-15: Wichura's PPND16 (AS 241,
// Applied Statistics 37, 1988), in double additions, multiplications, divisions and square roots only, which
// IEEE 754 fixes to the bit.
double NormalQuantile(double u);

} // namespace weft
