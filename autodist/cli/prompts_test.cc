#include "autodist/cli/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "autodist/arch/registry.h"
#include "autodist/core/error.h"
#include "autodist/text/tokenizer_testing.h"

namespace autodist::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// No tokenizer lies there.
const std::filesystem::path kModel = AUTODIST_SOURCE_DIR "/tests/golden/data/llama_plain";

template <typename Function>
std::string MessageOf(const Function& function) {
  try {
    function();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "";
}

class PromptFileTest : public ::testing::Test {
 protected:
  PromptFileTest()
      : file_(std::filesystem::temp_directory_path() /
              ("autodist_prompts_" + std::to_string(::getpid()))) {}
  ~PromptFileTest() override { std::filesystem::remove(file_); }
  std::vector<std::string> Read(const std::string& content) {
    std::ofstream(file_, std::ios::binary) << content;
    return ReadPromptFile(file_);
  }
  std::filesystem::path file_;
};

TEST_F(PromptFileTest, OnePromptALine) {
  EXPECT_THAT(Read("one\ntwo words \r\n\n  \nlast"), ElementsAre("one", "two words ", "last"));
  EXPECT_THAT(Read("a\rb\n"), ElementsAre("a\rb"));  // a lone CR is text
}

TEST_F(PromptFileTest, AnEmptyFileIsAnError) {
  for (const char* content : {"", "\n", " \r\n\t\n"})
    EXPECT_THAT(MessageOf([&] { Read(content); }), HasSubstr("holds no prompt"));
}

TEST(ParseIdsTest, AreInsideTheVocabulary) {
  EXPECT_THAT(ParseIds("0,7,99", "--token-ids", 100), ElementsAre(0, 7, 99));
  for (const char* text : {"-1", "100", "1,2147483648", "99999999999999999999"})
    EXPECT_THAT(MessageOf([&] { ParseIds(text, "--token-ids", 100); }),
                HasSubstr("is outside the vocabulary, ids are 0 to 99"))
        << text;
  for (const char* text : {"", "1,,2", "1,", ",1", "1 2", "a", "1.5"})
    EXPECT_THAT(MessageOf([&] { ParseIds(text, "--token-ids", 100); }),
                HasSubstr("must be token ids separated by commas"))
        << text;
}

TEST(ReadPromptsTest, ExactlyOneSource) {
  const spec::ModelConfig config = arch::ParseConfig(kModel);
  PromptFlags none;
  EXPECT_EQ(
      MessageOf([&] { ReadPrompts(none, kModel, config); }),
      "exactly one of --prompt, --prompt-file, --chat and --token-ids is needed, none is given");
  none.many = false;  // not offered: not named
  EXPECT_EQ(MessageOf([&] { ReadPrompts(none, kModel, config); }),
            "exactly one of --prompt and --token-ids is needed, none is given");
  PromptFlags two;
  two.prompt = "a";
  two.token_ids = "1";
  EXPECT_THAT(MessageOf([&] { ReadPrompts(two, kModel, config); }), HasSubstr("2 are given"));
  PromptFlags chat;
  chat.chat = "messages.json";
  EXPECT_THAT(MessageOf([&] { ReadPrompts(chat, kModel, config); }),
              HasSubstr("reads no chat templates"));
}

TEST(ReadPromptsTest, IdsNeedNoTokenizerAndTextDoes) {
  const spec::ModelConfig config = arch::ParseConfig(kModel);
  PromptFlags ids;
  ids.token_ids = "1,2";
  const Prompts prompts = ReadPrompts(ids, kModel, config);
  EXPECT_THAT(prompts.ids, ElementsAre(ElementsAre(1, 2)));
  EXPECT_EQ(prompts.tokenizer, nullptr);
  PromptFlags text;
  text.prompt = "Once";
  EXPECT_THAT(MessageOf([&] { ReadPrompts(text, kModel, config); }), HasSubstr("tokenizer.json"));
}

TEST(EncodeTest, SaysWhichTextIsNotUtf8) {
  const text::TokenizerText letters{.model = text::BpeText({"a"}, {})};
  const auto tokenizer = text::MakeTokenizer(letters);
  EXPECT_THAT(
      MessageOf([&] { Encode(*tokenizer, "a\xff", false, "notes.txt: prompt 3"); }),
      ::testing::AllOf(HasSubstr("notes.txt: prompt 3: "), HasSubstr("not valid UTF-8 at byte 1")));
}

}  // namespace
}  // namespace autodist::cli
