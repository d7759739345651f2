// A model's settings: read by name, with errors that help.
#include "frontends/dsl/config.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

struct Config {
  i64 dim = 512, layers = 8;
  int workers = 2;
  double theta = 1e4;
  bool tied = false;
  std::string kind = "plain";
  WEFT_FIELDS(dim, layers, workers, theta, tied, kind)
};

Config read(const ConfigMap &map) {
  Config c;
  read_config(c.weft_fields(), map, "llama");
  return c;
}
std::string error(const ConfigMap &map) {
  try {
    read(map);
  } catch (const ModelError &e) {
    return e.what();
  }
  return "no error";
}

TEST(Config, FieldsAreReadByNameAndOthersKeepTheirDefaults) {
  Config c = read({{"layers", i64{12}},
                   {"theta", 5e5},
                   {"tied", true},
                   {"kind", std::string("deep")},
                   {"workers", i64{4}}});
  EXPECT_EQ(c.dim, 512);
  EXPECT_EQ(c.layers, 12);
  EXPECT_EQ(c.workers, 4);
  EXPECT_EQ(c.theta, 5e5);
  EXPECT_TRUE(c.tied);
  EXPECT_EQ(c.kind, "deep");
}

TEST(Config, AWholeNumberServesWhereANumberIsAsked) { EXPECT_EQ(read({{"theta", i64{10000}}}).theta, 1e4); }

TEST(Config, TheLastValueOfAKeyCounts) { EXPECT_EQ(read({{"dim", i64{1}}, {"dim", i64{2}}}).dim, 2); }

TEST(Config, FieldsListNamesAndDefaults) {
  Config c;
  std::vector<FieldRef> fields = c.weft_fields();
  ASSERT_EQ(fields.size(), 6u);
  EXPECT_EQ(fields[3].name, "theta");
  EXPECT_EQ(std::get<double>(field_value(fields[3])), 1e4);
  EXPECT_STREQ(config_type(field_value(fields[4])), "true or false");
}

TEST(Config, AnUnknownKeyNamesTheNearest) {
  EXPECT_EQ(error({{"layer", i64{1}}}),
            "unknown key 'layer' in the config of llama; did you mean 'layers'? (keys: dim, "
            "layers, workers, theta, tied, kind)");
  EXPECT_EQ(error({{"experts", i64{1}}}),
            "unknown key 'experts' in the config of llama (keys: dim, layers, workers, theta, tied, kind)");
}

TEST(Config, AValueOfAnotherTypeIsAnError) {
  EXPECT_EQ(error({{"dim", 2.5}}), "key 'dim' in the config of llama should be an integer, got a number");
  EXPECT_EQ(error({{"theta", std::string("big")}}),
            "key 'theta' in the config of llama should be a number, got a string");
  EXPECT_EQ(error({{"tied", i64{1}}}),
            "key 'tied' in the config of llama should be true or false, got an integer");
}

} // namespace
} // namespace weft
