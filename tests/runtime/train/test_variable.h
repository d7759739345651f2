// Variables without an artifact.
#pragma once

#include "runtime/train/checkpoint.h"

#include <string>
#include <vector>

namespace weft {

// A variable as an artifact holds it, with memory of its own.
struct TestVariable {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<float> values;
  VariableView view;

  TestVariable(std::string name, std::string file_name, fb::VariableKind kind, std::vector<int64_t> shape,
               int64_t layers = 0, int64_t layer_begin = 0) {
    fb::VariableT v;
    v.name = std::move(name);
    v.file_name = std::move(file_name);
    v.kind = kind;
    int64_t elements = 1;
    for (int64_t size : shape) elements *= size;
    v.shape = std::move(shape);
    v.layers = layers;
    v.layer_begin = layer_begin;
    v.bytes = elements * 4;
    builder.Finish(fb::Variable::Pack(builder, &v));
    values.resize(elements);
    view = {flatbuffers::GetRoot<fb::Variable>(builder.GetBufferPointer()),
            {reinterpret_cast<char *>(values.data()), size_t(elements * 4)}};
  }
  TestVariable &Fill(float first) {
    for (float &value : values) value = first++;
    return *this;
  }
};

} // namespace weft
