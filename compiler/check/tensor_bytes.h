// The interpreters' tensors as the runtime has them in memory.
#pragma once
#include "dialects/graph/host_tensor.h"
#include <string>

namespace weft {

int64_t bytesOf(graph::Element element);
// Row-major; floats to nearest even.
std::string toBytes(const graph::HostTensor &tensor);
// `bytes` has those of as many elements as the tensor, whose values it becomes.
void fromBytes(llvm::StringRef bytes, graph::HostTensor &tensor);

} // namespace weft
