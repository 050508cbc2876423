#include "autodist/text/vocabulary.h"

#include "autodist/text/tokenizer_testing.h"

namespace autodist::text {
namespace {

TEST(VocabularyTest, FindsBothWays) {
  TokenList tokens;
  constexpr int32_t kCount = 10'000;
  for (int32_t i = 0; i < kCount; ++i) tokens.Add(fmt::format("token {}", i), 2 * i);
  tokens.Add("", 1);
  const Vocabulary vocabulary(std::move(tokens), "t.json");
  EXPECT_EQ(vocabulary.count(), kCount + 1u);
  EXPECT_EQ(vocabulary.size(), 2 * kCount - 1);
  for (int32_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(vocabulary.Find(fmt::format("token {}", i)), 2 * i);
    EXPECT_EQ(vocabulary.Token(2 * i), fmt::format("token {}", i));
    EXPECT_EQ(vocabulary.Find(fmt::format("token {}", kCount + i)), std::nullopt);
  }
  EXPECT_EQ(vocabulary.Find(""), 1);
  EXPECT_EQ(vocabulary.Token(1), "");
  EXPECT_EQ(vocabulary.Token(3), std::nullopt);
}

TEST(VocabularyTest, MayBeEmpty) {
  const Vocabulary vocabulary(TokenList(), "t.json");
  EXPECT_EQ(vocabulary.size(), 0);
  EXPECT_EQ(vocabulary.Find(""), std::nullopt);
}

TEST(VocabularyTest, RefusesDuplicates) {
  TokenList tokens;
  tokens.Add("a", 0);
  tokens.Add("a", 1);
  EXPECT_EQ(ErrorOf([&] { Vocabulary(tokens, "t.json"); }), "t.json: token \"a\" appears twice");
}

}  // namespace
}  // namespace autodist::text
