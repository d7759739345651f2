// Hugging Face folders of a test's own, and checkpoints.
#pragma once

#include "runtime/data/bpe.h"
#include "runtime/train/checkpoint_files.h"
#include "runtime/train/safetensors.h"
#include "tests/runtime/data/temp_folder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace weft {

struct FileTensor {
  std::string name;
  fb::DType dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

inline FileTensor F32Tensor(std::string name, std::vector<int64_t> shape, const std::vector<float> &values) {
  return {std::move(name),
          fb::DType::f32,
          std::move(shape),
          {reinterpret_cast<const char *>(values.data()), values.size() * 4}};
}

inline void WriteTensors(const std::string &path, const std::vector<FileTensor> &tensors) {
  std::vector<SafetensorsWriter::Tensor> header;
  for (const FileTensor &t : tensors) header.push_back({t.name, t.dtype, t.shape});
  auto writer = SafetensorsWriter::Create(path, header);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const FileTensor &t : tensors) ASSERT_TRUE(writer->Append(t.bytes).ok());
  ASSERT_TRUE(writer->Finish().ok());
}

inline std::vector<float> Floats(const std::string &bytes) {
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// A file of the type "F16", "F8_E4M3", …, which the writer does not have: one tensor.
inline std::string RawFile(const std::string &name, const std::string &dtype, const std::string &shape,
                           const std::string &bytes) {
  std::string header = "{\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
                       ",\"data_offsets\":[0," + std::to_string(bytes.size()) + "]}}";
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + bytes;
}

// Names of what is in a folder, those that begin with a dot too.
inline std::vector<std::string> Listed(const std::string &folder) {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

} // namespace weft
