// Sizes of memory as people write them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

// "1.5GB", "800 MB", "2GiB", "4096": bytes. Units: B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of
// 1024), in any case. Nothing for another text, or for no positive number of bytes.
std::optional<int64_t> ParseByteSize(std::string_view text);

// "1.50 GB", "812 MB", …: powers of 1000.
std::string ByteText(int64_t bytes);

} // namespace weft
