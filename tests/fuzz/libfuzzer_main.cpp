// What a target lacks to be one of libFuzzer's:
//
//   weft-fuzz-recipe --write-seeds=DIR        writes the seeds into DIR, and the words to DIR.dict, and ends
//   weft-fuzz-recipe -dict=DIR.dict DIR       fuzzes; all of libFuzzer's options: -help=1
#include "tests/fuzz/fuzz_target.h"

#include <filesystem>
#include <fstream>

void weft::fuzz::Outcome(std::string_view) {} // libFuzzer sees the code itself

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv) {
  constexpr std::string_view kOption = "--write-seeds=";
  for (int i = 1; i < *argc; ++i) {
    std::string_view argument = (*argv)[i];
    if (!argument.starts_with(kOption)) continue;
    std::filesystem::path folder = argument.substr(kOption.size());
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const std::string &seed : weft::fuzz::Seeds())
      std::ofstream(folder / ("seed-" + std::to_string(number++)), std::ios::binary) << seed;
    std::ofstream words(folder.string() + ".dict");
    for (const std::string &word : weft::fuzz::Words()) {
      words << '"';
      for (unsigned char c : word) {
        char hex[5];
        std::snprintf(hex, sizeof hex, "\\x%02x", c);
        words << hex;
      }
      words << "\"\n";
    }
    words.close(); // exit() does not
    std::exit(words ? 0 : 1);
  }
  return 0;
}
