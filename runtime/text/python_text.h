// What Python's str does, on UTF-8: positions count code points, letters and spaces are Unicode's. Arguments
// must be valid UTF-8; so are the results.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::python {

int64_t Length(std::string_view text); // in code points
std::vector<std::string_view> Characters(std::string_view text);
bool IsSpace(uint32_t code_point);

// str.strip and its like; without `chars` spaces go.
std::string_view Strip(std::string_view text, std::optional<std::string_view> chars, bool left, bool right);
// At runs of spaces without `separator`, which must not be empty; at most `most` cuts (-1 = all), counted
// from the right for RightSplit.
std::vector<std::string_view> Split(std::string_view text, std::optional<std::string_view> separator,
                                    int64_t most);
std::vector<std::string_view> RightSplit(std::string_view text, std::optional<std::string_view> separator,
                                         int64_t most);
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);
// The size of Replace's result is the caller's to bound: ReplacedBytes.
int64_t CountOf(std::string_view text, std::string_view part, int64_t most = -1);
std::string Replace(std::string_view text, std::string_view from, std::string_view to, int64_t most = -1);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Capitalize(std::string_view text);
std::string Title(std::string_view text);
// Whether there is a cased character and all of them are upper or lower case.
bool IsUpper(std::string_view text);
bool IsLower(std::string_view text);
bool IsAll(std::string_view text, bool (*of)(uint32_t)); // and there is one
bool IsDigit(uint32_t code_point);
bool IsAlpha(uint32_t code_point);
bool IsAlnum(uint32_t code_point);

std::string Repr(std::string_view text);
std::string Repr(double value); // the shortest that reads back
// int() and float() of a string; none where Python raises ValueError. An integer beyond 64 bits is none, too.
std::optional<int64_t> ToInteger(std::string_view text, int64_t base);
std::optional<double> ToReal(std::string_view text);

// Where slice(begin, end, step) of `length` elements starts, and how many it takes. step is not 0.
struct SliceRange {
  int64_t begin = 0, count = 0, step = 1;
};
SliceRange ResolveSlice(int64_t length, std::optional<int64_t> begin, std::optional<int64_t> end,
                        int64_t step);

} // namespace weft::python
