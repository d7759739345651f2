// How the command line speaks.
#pragma once

#include "absl/status/status.h"

#include <string>
#include <vector>

namespace weft {

// "error: MESSAGE" on stderr; a line "hint: …" within the message stays a line of its own.
void PrintError(const std::string &message);
// The same for a status; gives the exit code, 1.
int Fail(const absl::Status &status);
// "1.50 MiB"
std::string BytesText(double bytes);
// A line on stderr.
void Notice(const std::string &text);

// Rows of text in columns: the first row is the header, columns listed in `right` are aligned right.
std::string TableText(const std::vector<std::vector<std::string>> &rows, const std::vector<size_t> &right);

} // namespace weft
