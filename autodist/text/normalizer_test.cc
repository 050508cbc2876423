#include "autodist/text/normalizer.h"

#include "autodist/text/tokenizer_testing.h"

namespace autodist::text {
namespace {

NormalizedText Apply(const std::string& json, const std::string& text) {
  const core::Json parsed = core::ParseJson(json, "t.json");
  NormalizedText result{text};
  ParseNormalizer(Component(parsed, "t.json: normalizer"))->Apply(result);
  return result;
}

std::string Text(const std::string& json, const std::string& text) {
  return Apply(json, text).text;
}

TEST(NormalizerTest, Components) {
  EXPECT_EQ(Text(R"({"type":"NFC"})", "e\u0301"), "é");
  EXPECT_EQ(Text(R"({"type":"NFKD"})", "\uFB01"), "fi");
  EXPECT_EQ(Text(R"({"type":"Lowercase"})", "ÀB\u0130"), "àbi\u0307");
  EXPECT_EQ(Text(R"({"type":"Strip","strip_left":true,"strip_right":false})", "\u3000 a "), "a ");
  EXPECT_EQ(Text(R"({"type":"Strip","strip_left":true,"strip_right":true})", " \n\u00A0"), "");
  EXPECT_EQ(Text(R"({"type":"Prepend","prepend":"▁"})", "a"), "▁a");
  EXPECT_EQ(Text(R"({"type":"Prepend","prepend":"▁"})", ""), "");
  EXPECT_EQ(Text(R"({"type":"Replace","pattern":{"String":"."},"content":"$0"})", "a.b"), "a$0b");
  EXPECT_EQ(Text(R"({"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "})", "a \t\nb "),
            "a b ");
}

TEST(NormalizerTest, SequenceRunsInOrder) {
  const std::string llama2 = R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},
                                 {"type":"Replace","pattern":{"String":" "},"content":"▁"}]})";
  EXPECT_EQ(Text(llama2, " a b"), "▁▁a▁b");
}

TEST(NormalizerTest, KnowsWhatStillStandsForTheStart) {
  const std::string strip = R"({"type":"Strip","strip_left":true})";
  EXPECT_TRUE(Apply(strip, "a ").at_origin);
  EXPECT_FALSE(Apply(strip, " a").at_origin);
  const std::string replace = R"({"type":"Replace","pattern":{"Regex":"^b+"},"content":"c"})";
  EXPECT_TRUE(Apply(replace, "ba").at_origin);
  EXPECT_FALSE(Apply(replace, "bba").at_origin);
}

TEST(NormalizerTest, RefusesByName) {
  EXPECT_EQ(ErrorOf([] { Text(R"({"type":"Nmt"})", ""); }),
            "t.json: normalizer: type \"Nmt\" is not supported; read are: NFC, NFD, NFKC, NFKD, "
            "Lowercase, Strip, Prepend, Replace, Sequence");
  EXPECT_EQ(ErrorOf([] {
              Text(R"({"type":"Sequence","normalizers":[{"type":"Precompiled"}]})", "");
            }).substr(0, 66),
            "t.json: normalizer.normalizers[0]: type \"Precompiled\" is not suppo");
  EXPECT_EQ(ErrorOf([] { Text(R"({"type":"Replace","pattern":{"String":""},"content":""})", ""); }),
            "t.json: normalizer.pattern: field String is empty, must be at least one character");
  EXPECT_EQ(ErrorOf([] { Text("[]", ""); }).substr(0, 18), "t.json: normalizer");
}

}  // namespace
}  // namespace autodist::text
