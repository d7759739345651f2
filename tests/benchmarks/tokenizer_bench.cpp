// MB/s of the tokenizer on one core: cutting into words alone, encoding a text as one document, as many
// short ones, and as one word.
//
// usage: tokenizer_bench TOKENIZER.json TEXT [Google Benchmark's options]
#include <benchmark/benchmark.h>
#include <cstdio>

#include "runtime/data/bpe.h"
#include "runtime/data/file_io.h"
#include "runtime/data/text_parts.h"

namespace weft {
namespace {

void SetRate(benchmark::State &state, size_t bytes) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
}

void Cut(benchmark::State &state, const Tokenizer &tokenizer, const std::string &text) {
  size_t words = 0;
  for (auto _ : state) {
    words = 0;
    WordCutter cutter(tokenizer.pre_tokenizer(), text);
    for (auto ends = cutter.Next(); !ends.empty(); ends = cutter.Next()) words += ends.size();
    benchmark::DoNotOptimize(words);
  }
  state.counters["bytes/word"] = static_cast<double>(text.size()) / static_cast<double>(words);
  SetRate(state, text.size());
}

void Encode(benchmark::State &state, const Tokenizer &tokenizer, const std::string &text) {
  size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer.Encode(text).size();
  state.counters["bytes/token"] = static_cast<double>(text.size()) / static_cast<double>(tokens);
  SetRate(state, text.size());
}

// A tokenizer that has seen no word yet.
void EncodeFirst(benchmark::State &state, const Tokenizer &tokenizer, const std::string &text) {
  const std::string json = tokenizer.ToJson();
  for (auto _ : state) {
    state.PauseTiming();
    const Tokenizer fresh = Tokenizer::FromJson(json).value();
    state.ResumeTiming();
    benchmark::DoNotOptimize(fresh.Encode(text));
  }
  SetRate(state, text.size());
}

// Documents of some 10 000 bytes each, a call for each.
void EncodeDocuments(benchmark::State &state, const Tokenizer &tokenizer, const std::string &text) {
  for (auto _ : state)
    for (std::string_view rest = text; !rest.empty();) {
      const size_t end = PartEnd(rest, 10000);
      benchmark::DoNotOptimize(tokenizer.Encode(rest.substr(0, end)));
      rest.remove_prefix(end);
    }
  SetRate(state, text.size());
}

// One word of so many MiB: the text's letters alone, over again where there are too few.
void EncodeOneWord(benchmark::State &state, const Tokenizer &tokenizer, const std::string &text) {
  std::string letters, word;
  for (char c : text)
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) letters += c;
  const size_t bytes = static_cast<size_t>(state.range(0)) << 20;
  while (word.size() < bytes && !letters.empty()) word.append(letters, 0, bytes - word.size());
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Encode(word));
  SetRate(state, word.size());
}

// A megabyte of four letters at random, and of one letter.
void EncodeOneWordOfDna(benchmark::State &state, const Tokenizer &tokenizer, const std::string &) {
  std::string word;
  for (uint32_t i = 0, random = 1; i < 1 << 20; ++i, random = random * 1664525 + 1013904223)
    word += "ACGT"[random >> 30];
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Encode(word));
  SetRate(state, word.size());
}

void EncodeOneLetter(benchmark::State &state, const Tokenizer &tokenizer, const std::string &) {
  const std::string word(1 << 20, 'e');
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Encode(word));
  SetRate(state, word.size());
}

void Decode(benchmark::State &state, const Tokenizer &tokenizer, const std::string &text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text);
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.Decode(ids));
  SetRate(state, text.size());
}

} // namespace
} // namespace weft

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER.json TEXT [--benchmark_…]\n");
    return 2;
  }
  const absl::StatusOr<weft::Tokenizer> tokenizer = weft::Tokenizer::Load(argv[1]);
  const absl::StatusOr<std::string> text = weft::ReadFile(argv[2], uint64_t{1} << 32);
  for (const absl::Status &status : {tokenizer.status(), text.status()})
    if (!status.ok()) {
      std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
      return 1;
    }
  const struct {
    const char *name;
    void (*run)(benchmark::State &, const weft::Tokenizer &, const std::string &);
  } all[] = {{"cut", weft::Cut},
             {"encode", weft::Encode},
             {"encode_first", weft::EncodeFirst},
             {"encode_documents", weft::EncodeDocuments},
             {"encode_dna", weft::EncodeOneWordOfDna},
             {"encode_one_letter", weft::EncodeOneLetter},
             {"decode", weft::Decode}};
  for (const auto &b : all)
    benchmark::RegisterBenchmark(b.name, b.run, *tokenizer, *text)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("encode_one_word", weft::EncodeOneWord, *tokenizer, *text)
      ->Unit(benchmark::kMillisecond)
      ->ArgName("MiB")
      ->Arg(1)
      ->Arg(16);
  benchmark::RunSpecifiedBenchmarks();
}
