#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autodist/arch/registry.h"
#include "autodist/arch/testing/model_dir.h"

namespace autodist::arch {
namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModelDir;
using testing::RefusalOf;

spec::GenerationDefaults Read(const Json& config, const Json& generation) {
  const ModelDir dir(config);
  if (!generation.is_null()) dir.Write("generation_config.json", core::DumpJson(generation));
  spec::ModelConfig model;
  model.vocab_size = 100;
  return ReadGenerationDefaults(dir.path(), model);
}

TEST(GenerationDefaultsTest, GenerationConfigComesFirst) {
  const auto defaults = Read({{"eos_token_id", 2}, {"bos_token_id", 1}, {"pad_token_id", 3}},
                             {{"eos_token_id", {9, 7, 9}}, {"bos_token_id", 5}});
  EXPECT_THAT(defaults.eos_ids, ElementsAre(7, 9));  // a list, sorted, each once
  EXPECT_EQ(defaults.bos_id, 5);
  EXPECT_EQ(defaults.pad_id, 3);
}

TEST(GenerationDefaultsTest, ConfigServesWhenTheOtherSaysNothing) {
  EXPECT_THAT(Read({{"eos_token_id", 2}}, nullptr).eos_ids, ElementsAre(2));
  EXPECT_THAT(Read({{"eos_token_id", 2}}, {{"eos_token_id", nullptr}}).eos_ids, ElementsAre(2));
}

TEST(GenerationDefaultsTest, NullAndNegativeMeanNone) {
  const auto defaults = Read({{"eos_token_id", nullptr}, {"pad_token_id", -1}}, nullptr);
  EXPECT_THAT(defaults.eos_ids, IsEmpty());
  EXPECT_EQ(defaults.pad_id, std::nullopt);
  EXPECT_EQ(defaults.bos_id, std::nullopt);
}

TEST(GenerationDefaultsTest, RefusesIdsOutsideTheVocabulary) {
  for (const Json& eos : {Json(100), Json(-1), Json(uint64_t{1} << 63), Json{5, 100}})
    EXPECT_THAT(RefusalOf([&] {
                  Read({{"eos_token_id", eos}}, nullptr);
                }),
                AllOf(HasSubstr("config.json: field eos_token_id is "),
                      HasSubstr("below vocab_size = 100")));
  EXPECT_THAT(
      RefusalOf([&] {
        Read({}, {{"eos_token_id", "</s>"}});
      }),
      AllOf(HasSubstr("generation_config.json"), HasSubstr("eos_token_id must be an integer")));
  EXPECT_THAT(RefusalOf([&] {
                Read({{"bos_token_id", 100}}, nullptr);
              }),
              HasSubstr("bos_token_id is 100"));
}

}  // namespace
}  // namespace autodist::arch
