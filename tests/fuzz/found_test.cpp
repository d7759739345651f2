// Files that once crashed a reader, or kept it busy, or would have: each is answered with an error, at once.
#include "runtime/artifact/reader.h"
#include "runtime/artifact/writer.h"
#include "runtime/data/bpe.h"
#include "runtime/data/bpe_train.h"
#include "runtime/data/json_depth.h"
#include "runtime/train/checkpoint.h"
#include "runtime/train/recipe.h"
#include "runtime/train/safetensors.h"
#include "tests/runtime/artifact/builder.h"
#include "tests/runtime/data/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::HasSubstr;

std::string Repeated(std::string_view piece, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text += piece;
  return text;
}

std::string Message(const absl::Status &status) { return std::string(status.message()); }

// A tree of JSON is written and compared by recursion, and destroying a TOML table recurses too.
TEST(Nesting, IsCountedOutsideStrings) {
  EXPECT_FALSE(JsonNestsDeeper(R"({"a[[[\"[[": [1, "]"]})", 2));
  EXPECT_TRUE(JsonNestsDeeper(R"({"a": [[1]]})", 2));
  EXPECT_FALSE(JsonNestsDeeper("[],[],[]", 1));
  EXPECT_FALSE(JsonNestsDeeper("\"\\", 1)); // cut off
}

TEST(Nesting, OfATokenizerIsBounded) {
  std::string deep = "{\"version\": " + Repeated("[", 1 << 20) + Repeated("]", 1 << 20) + "}";
  EXPECT_EQ(Message(Tokenizer::FromJson(deep).status()),
            "arrays and objects nest deeper than 64 levels, which no tokenizer.json does");
}

TEST(Nesting, OfSafetensorsAndCheckpointsIsBounded) {
  TempFolder folder;
  std::string header = "{\"a\":" + Repeated("[", 1 << 20) + Repeated("]", 1 << 20) + "}", length(8, '\0');
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  std::string path = folder.Write("x.safetensors", length + header);
  EXPECT_EQ(Message(SafetensorsReader::Open(path).status()),
            path + ": the header nests deeper than 64 levels");

  folder.Write("weft-state.json", "{\"format_version\": " + header.substr(5));
  EXPECT_EQ(Message(VerifyCheckpoint(folder.path()).status()),
            "checkpoint " + folder.path() + " is broken: weft-state.json nests deeper than 64 levels");
}

TEST(Nesting, OfARecipesKeysIsBounded) {
  std::string deep = Repeated("a.", 200000);
  EXPECT_EQ(Message(ParseRecipe("[model]\n" + deep + "a = 1\n", "r.toml").status()),
            "r.toml:2: the key has more than 8 dots");
  for (std::string text : {"[" + deep + "a]\n", "x = {" + deep + "a = 1}\n", "x = ['', " + deep,
                           "\"a\"." + deep + "a = 1\n", "x = [\"\"\"a\"\"\"\"\", {" + deep + "a = 1}]\n"})
    EXPECT_EQ(Message(ParseRecipe(text, "r.toml").status()), "r.toml:1: the key has more than 8 dots");
  EXPECT_EQ(Message(ParseRecipe("", "r.toml", {"train.steps={" + deep + "a = 1}"}).status()),
            "train.steps has a key with more than 8 dots");
}

TEST(Nesting, DotsInTextAndCommentsAreNoKeys) {
  std::string dots(100, '.');
  for (std::string text :
       {"# " + dots + "\n[model]\nnote = \"" + dots + "\" # " + dots + "\n",
        "[model]\nnote = '''\n" + dots + "\n'" + dots + "'''\nother = \"\\\"" + dots + "\"\n"})
    EXPECT_EQ(Message(ParseRecipe(text, "r.toml").status()), "");
}

// The TOML library asserts that a header starts with a key.
TEST(Recipe, AHeaderThatIsNoKeyIsAnError) {
  for (std::string text : {"[/o=[run]", "[[.]]", "[="})
    EXPECT_THAT(Message(ParseRecipe(text, "r.toml").status()), HasSubstr("r.toml:1: not valid TOML"));
}

// The library is wrong about which characters cannot come where a blank may.
TEST(Recipe, CharactersBeyondAsciiOutsideOfTextAreAnError) {
  for (std::string text : {"\xc3\xa9 = 1", "a \xef\xb8\x8f = 1", "[\xd8\xa7]", "a = [1 \xe3\x80\x81]"})
    EXPECT_THAT(Message(ParseRecipe(text, "r.toml").status()), HasSubstr("r.toml:1: not valid TOML")) << text;
  auto recipe = ParseRecipe("[model]\nnote = \"\"\"a\\\n\xc3\xa9\"\"\"", "r.toml");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(std::get<std::string>(recipe->model.keys["note"]), "a\xc3\xa9");
}

TEST(Recipe, KeysOfAModelThatNeedQuotesSurviveWriting) {
  auto recipe = ParseRecipe("[model]\n\"a key\" = 1\n", "r.toml");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  auto again = ParseRecipe(RecipeText(*recipe), "r.toml");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->model.keys.count("a key"), 1u);
}

// Each name of the template was once looked for among all special tokens.
TEST(Tokenizer, ATemplateOfManyNamesIsReadAtOnce) {
  auto trained = TrainBpe({"the cat sat on the mat"}, 262);
  ASSERT_TRUE(trained.ok());
  TokenizerParts parts;
  for (int id = 0; id < trained->vocab_size(); ++id) parts.tokens.emplace_back(trained->TokenBytes(id));
  parts.added.assign(trained->added_tokens().begin(), trained->added_tokens().end());
  for (int i = 0; i < 20000; ++i) {
    int32_t id = static_cast<int32_t>(parts.tokens.size());
    parts.tokens.push_back("<special " + std::to_string(i) + ">");
    parts.added.push_back({parts.tokens.back(), id});
    parts.suffix.push_back(id);
  }
  auto tokenizer = Tokenizer::Make(std::move(parts));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  auto again = Tokenizer::FromJson(tokenizer->ToJson());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->hash(), tokenizer->hash());
  EXPECT_EQ(again->suffix().size(), 20000u);
}

std::string Loaded(fb::ArtifactT artifact) {
  return Message(LoadArtifactFromMemory(SerializeArtifact(artifact), "a").status());
}

// Layers without bytes: as many as a number holds, each of which would become a tensor.
TEST(Artifact, LayersWithoutBytesAreBounded) {
  fb::ArtifactT artifact = testing::Sample();
  fb::VariableT &variable = *artifact.stages[0]->variables[0];
  variable.shape = {int64_t{1} << 40, 0}, variable.layers = int64_t{1} << 40, variable.bytes = 0;
  EXPECT_THAT(Loaded(std::move(artifact)), HasSubstr("layers or layer_begin is out of range"));
}

TEST(Artifact, RanksAndStridesAreBounded) {
  fb::ArtifactT shape = testing::Sample(), strides = testing::Sample();
  shape.stages[0]->variables[1]->shape.assign(65, 1);
  EXPECT_THAT(Loaded(std::move(shape)),
              HasSubstr("variables[1]: shape has 65 dimensions when 64 is the most"));
  fb::ZeroT &zero = *strides.stages[0]->entries[0]->body[0]->op.AsZero();
  zero.to->strides.assign(65, fb::LoopStride(0, 0, 0));
  EXPECT_THAT(Loaded(std::move(strides)), HasSubstr("body[0].to: has 65 strides when 64 is the most"));
}

// The verifier of FlatBuffers lets a vector of eight-byte elements lie at a multiple of four.
TEST(Artifact, VectorsThatAreNotAlignedAreRefused) {
  fb::ArtifactT artifact = testing::Sample();
  std::vector<uint8_t> bytes = SerializeArtifact(artifact);
  const auto *body = fb::GetArtifact(bytes.data())->stages()->Get(0)->entries()->Get(0)->body();
  const fb::Ref *ref = body->Get(1)->op_as_Loop()->body()->Get(0)->op_as_Copy()->from();
  ASSERT_EQ(ref->strides()->size(), 1u);
  // Four bytes on, the depth's bytes are the length: 0.
  const uint8_t *field = reinterpret_cast<const flatbuffers::Table *>(ref)->GetAddressOf(fb::Ref::VT_STRIDES);
  uint8_t *place = bytes.data() + (field - bytes.data()),
          *vector = place + flatbuffers::ReadScalar<uint32_t>(place);
  ASSERT_EQ(vector[0], 1);
  vector[4] = 1; // what would be the length
  place[0] += 4;
  ASSERT_TRUE(PatchChecksum(absl::MakeSpan(bytes)));
  EXPECT_THAT(Message(LoadArtifactFromMemory(bytes, "a").status()),
              HasSubstr("strides do not lie at a multiple of 8"));
}

// A list that many tables share is walked for each of them.
TEST(Artifact, KernelsThatShareALongListAreRefused) {
  flatbuffers::FlatBufferBuilder builder;
  auto lines = builder.CreateVector(std::vector<int32_t>(100000, -1));
  auto name = builder.CreateString("k");
  std::vector<flatbuffers::Offset<fb::Kernel>> kernels;
  for (int i = 0; i < 20000; ++i) {
    fb::KernelBuilder kernel(builder);
    kernel.add_name(name);
    kernel.add_lines(lines);
    kernels.push_back(kernel.Finish());
  }
  auto list = builder.CreateVector(kernels);
  fb::ArtifactBuilder artifact(builder);
  artifact.add_format_version(kArtifactFormatVersion);
  artifact.add_checksum(1);
  artifact.add_kernels(list);
  fb::FinishArtifactBuffer(builder, artifact.Finish());
  std::vector<uint8_t> bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
  ASSERT_TRUE(PatchChecksum(absl::MakeSpan(bytes)));
  EXPECT_THAT(Message(LoadArtifactFromMemory(bytes, "a").status()),
              HasSubstr("the kernels name 8000000 lines and more"));
}

} // namespace
} // namespace weft
