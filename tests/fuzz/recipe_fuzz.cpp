// The reader of recipes. What was accepted has to be the same again when written and read.
#include "runtime/train/recipe.h"
#include "tests/fuzz/fuzz_target.h"

namespace weft::fuzz {

std::vector<std::string> Seeds() {
  const std::string small = R"([model]
name = "llama"
config = 'tiny' # a comment
dim = 64
rope_theta = 1e4
tied = true
note = """two
lines"""

[data]
train = ["corpus/*.txt", "more.html"]
validation = 0.02

[train]
steps = 600
batch = 64
micro_batch = 16

[optimizer]
schedule = "cosine"
lr = 3e-3

[run]
dir = "runs/demo"
plan = "dp2,pp2"
)";
  auto recipe = ParseRecipe(small, "recipe.toml");
  Require(recipe.ok(), "the seed is a recipe");
  return {small, RecipeText(*recipe), "model.name = \"x\"\ntrain = {steps = 3, seed = 0x1F}\n"};
}

std::vector<std::string> Words() {
  std::vector<std::string> words = {"=",
                                    "[",
                                    "]",
                                    "[[",
                                    "]]",
                                    "{",
                                    "}",
                                    "\"",
                                    "'",
                                    "\"\"\"",
                                    "'''",
                                    "#",
                                    "\n",
                                    ".",
                                    ",",
                                    "inf",
                                    "nan",
                                    "true",
                                    "-1",
                                    "1e308",
                                    "0x",
                                    "0b1",
                                    "\\u",
                                    "\\U0010FFFF",
                                    "1979-05-27T07:32:00Z",
                                    "9223372036854775807",
                                    "../",
                                    "dp",
                                    "pp"};
  for (const RecipeKey &key : RecipeKeys()) words.push_back(key.name.substr(key.name.find('.') + 1));
  return words;
}

} // namespace weft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace weft;
  std::string text(reinterpret_cast<const char *>(data), size);
  auto recipe = ParseRecipe(text, "recipe.toml");
  fuzz::Outcome(std::string(recipe.status().message()));
  if (size < 200) (void)ParseRecipe("", "recipe.toml", {text}); // on the command line
  if (!recipe.ok()) return 0;
  std::string written = RecipeText(*recipe);
  auto again = ParseRecipe(written, "recipe.toml");
  if (!again.ok()) std::fprintf(stderr, "%s\n%s", again.status().ToString().c_str(), written.c_str());
  fuzz::Require(again.ok(), "what was written is read");
  fuzz::Require(RecipeText(*again) == written, "what was written is the same recipe");
  return 0;
}
