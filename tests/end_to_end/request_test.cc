// Tokenizers, prompts and flags that are broken, hostile or large.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/end_to_end/program.h"
#include "tests/end_to_end/tiny_model.h"

namespace autodist::testing {
namespace {

class RequestTest : public ProgramTest {
 protected:
  RequestTest() { model_.Write(directory_); }

  Outcome Generate(const Arguments& flags, const ProgramOptions& options = {}) {
    return Run(Merged({"generate", directory_, "--no-cache"}, flags), options);
  }
  Outcome GenerateWithTokenizer(const core::Json& tokenizer, const std::string& prompt = "ab") {
    WriteBytes(TokenizerFile(), tokenizer.dump());
    return Generate({"--prompt", prompt, "--max-output-length", "1"});
  }
  std::string TokenizerFile() const { return directory_ / "tokenizer.json"; }

  TinyModel model_;
  const std::filesystem::path directory_ = scratch_ / "model";
};

TEST_F(RequestTest, Row25TokenizersWithoutSense) {
  core::Json broken = model_.tokenizer;
  broken["model"]["merges"] = {"<0x41> <0x42>"};
  EXPECT_TRUE(
      Refused(GenerateWithTokenizer(broken), 2, {TokenizerFile(), "merges[0]", "<0x41><0x42>"}));
  broken = model_.tokenizer;
  broken["model"]["vocab"]["<0x41>"] = 5;
  EXPECT_TRUE(Refused(GenerateWithTokenizer(broken), 2, {TokenizerFile(), "<0x41>", "same id 5"}));
  broken = model_.tokenizer;
  broken["model"]["vocab"]["far"] = 5'000'000'000;
  EXPECT_TRUE(Refused(GenerateWithTokenizer(broken), 2, {TokenizerFile(), "far", "5000000000"}));
  broken["model"]["vocab"]["far"] = 263;
  EXPECT_TRUE(Refused(GenerateWithTokenizer(broken), 2, {TokenizerFile(), "263"}));
}

TEST_F(RequestTest, Row25AGapInTheIdsIsNotAToken) {
  core::Json gap = model_.tokenizer;
  gap["model"]["vocab"]["last"] = 262;  // 259 to 261 have no text
  const Outcome outcome = GenerateWithTokenizer(gap);
  EXPECT_EQ(outcome.exit_code, 0) << Shown(outcome);
}

TEST_F(RequestTest, OtherTokenizersNameWhatIsRead) {
  core::Json other = model_.tokenizer;
  other["model"] = {{"type", "WordPiece"}};
  EXPECT_TRUE(Refused(GenerateWithTokenizer(other), 2, {TokenizerFile(), "WordPiece", "BPE"}));
  WriteBytes(directory_ / "tokenizer.model", "sentencepiece");
  std::filesystem::remove(TokenizerFile());
  EXPECT_TRUE(Refused(Generate({"--prompt", "ab"}), 2, {TokenizerFile(), "tokenizer.model"}));
  EXPECT_EQ(Generate({"--token-ids", "5", "--max-output-length", "2"}).exit_code, 0);
}

TEST_F(RequestTest, Row26ARegularExpressionThatExplodesIsStopped) {
  core::Json bomb = model_.tokenizer;
  bomb["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"Regex", "(a+)+$"}}},
                           {"behavior", "Isolated"},
                           {"invert", false}};
  const Outcome outcome = GenerateWithTokenizer(bomb, std::string(5000, 'a') + "b");
  EXPECT_TRUE(Refused(outcome, 2, {TokenizerFile(), "(a+)+$"}));
  EXPECT_LT(outcome.seconds, 20);
}

TEST_F(RequestTest, Row27LongPromptsTakeLinearTime) {
  std::string marks = "a";
  for (int i = 0; i < 10'000; ++i) marks += "\xcc\x81";
  for (const auto& [prompt, tokens] : std::vector<std::pair<std::string, std::string>>{
           {std::string(1 << 20, 'a'), "1048576 tokens"}, {marks, "20001 tokens"}}) {
    WriteBytes(scratch_ / "prompts", prompt);
    const Outcome outcome = Generate({"--prompt-file", scratch_ / "prompts"});
    EXPECT_TRUE(Refused(outcome, 2, {"prompt 0", tokens, "256"}));
    EXPECT_LT(outcome.seconds, 10);
  }
}

TEST_F(RequestTest, Row35SamplingFlags) {
  for (const auto& [flag, value] : std::vector<std::pair<std::string, std::string>>{
           {"--temperature", "nan"},
           {"--temperature", "-1"},
           {"--temperature", "1e9"},
           {"--temperature", "warm"},
           {"--top-p", "0"},
           {"--top-p", "2"},
           {"--top-p", "nan"},
           {"--top-k", "-5"},
           {"--top-k", "9223372036854775808"},
           {"--min-p", "-0.1"},
           {"--min-p", "1.5"},
           {"--repetition-penalty", "0"},
           {"--repetition-penalty", "inf"},
           {"--seed", "-1"},
           {"--seed", "18446744073709551616"},
           {"--max-output-length", "-1"},
           {"--max-output-length", "0"},
           {"--max-output-length", "9223372036854775808"},
           {"--min-output-length", "-1"},
           {"--stop", ""},
           {"--micro-batch-size", "-1"},
           {"--threads", "0"},
           {"--collective-timeout", "0"},
           {"--collective-timeout", "nan"},
           {"--rank-memory", "-8G"},
           {"--tensor-parallel-size", "2147483648"},
           {"--weights", "int5"},
           {"--dtype", "float8"}}) {
    EXPECT_TRUE(Refused(Generate({"--prompt", "ab", flag + "=" + value}), 2, {flag}))
        << flag << " " << value;
  }
  EXPECT_TRUE(Refused(Generate({"--prompt", "ab", "--tp", "0"}), 2, {"tensor_parallel_size is 0"}));
  EXPECT_TRUE(Refused(Generate({"--prompt", "ab", "--batch-size", "0"}), 2, {"--batch-size is 0"}));
}

TEST_F(RequestTest, Row35ABoundedNumberOfStopStrings) {
  Arguments flags = {"--prompt", "ab", "--max-output-length", "3"};
  for (int i = 0; i < 1000; ++i) flags.insert(flags.end(), {"--stop", "stop" + std::to_string(i)});
  const Outcome outcome = Generate(flags);
  EXPECT_TRUE(outcome.exit_code == 0 || Refused(outcome, 2, {"--stop"})) << Shown(outcome);
}

TEST_F(RequestTest, Row37TokenIdsOutsideTheVocabulary) {
  for (const char* ids : {"-1", "5,263", "2147483648", "99999999999999999999"})
    EXPECT_TRUE(
        Refused(Generate({std::string("--token-ids=") + ids}), 2, {"--token-ids", "0 to 262"}))
        << ids;
  for (const char* ids : {"", ",", "5,", "5;6", "5 6", "x"})
    EXPECT_TRUE(Refused(Generate({std::string("--token-ids=") + ids}), 2, {"--token-ids"})) << ids;
  EXPECT_EQ(Generate({"--token-ids", "0,262", "--max-output-length", "1"}).exit_code, 0);
}

TEST_F(RequestTest, Row38Prompts) {
  EXPECT_TRUE(Refused(Generate({}), 2, {"--prompt", "--prompt-file", "--token-ids"}));
  EXPECT_TRUE(Refused(Generate({"--prompt", "a", "--token-ids", "5"}), 2, {"exactly one"}));
  EXPECT_TRUE(Refused(Generate({"--prompt", ""}), 2, {"prompt", "empty"}));
  EXPECT_TRUE(Refused(Generate({"--prompt", "\xff\xfe"}), 2, {"UTF-8"}));
  EXPECT_TRUE(Refused(Generate({"--prompt", "\xed\xa0\x80"}), 2, {"UTF-8"}));  // a lone surrogate
  const std::string file = scratch_ / "prompts";
  EXPECT_TRUE(Refused(Generate({"--prompt-file", file}), 2, {file}));
  for (const char* content : {"", "\n \n\r\n"}) {
    WriteBytes(file, content);
    EXPECT_TRUE(Refused(Generate({"--prompt-file", file}), 2, {file, "no prompt"}));
  }
  WriteBytes(file, "good\n\xff\n");
  EXPECT_TRUE(Refused(Generate({"--prompt-file", file}), 2, {"UTF-8"}));
  EXPECT_TRUE(Refused(Generate({"--prompt-file", "/dev/zero"}), 2, {"/dev/zero"}));
}

TEST_F(RequestTest, ChatIsRefusedAndNothingIsFetched) {
  WriteBytes(
      scratch_ / "chat.json",
      R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://127.0.0.1:1/"}}]}])");
  EXPECT_TRUE(Refused(Generate({"--chat", scratch_ / "chat.json"}), 2, {"--chat", "--prompt"}));
}

TEST_F(RequestTest, PromptFilesKeepTheirLines) {
  WriteBytes(scratch_ / "prompts", "one\r\n\n two \nthree");
  const Outcome outcome =
      Generate({"--prompt-file", scratch_ / "prompts", "--max-output-length", "1", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << Shown(outcome);
  const core::Json prompts = core::ParseJson(outcome.output, "stdout")["prompts"];
  ASSERT_EQ(prompts.size(), 3u);
  EXPECT_EQ(prompts[0]["prompt_token_ids"].size(), 3u);
  EXPECT_EQ(prompts[1]["prompt_token_ids"].size(), 5u);
  EXPECT_EQ(prompts[2]["prompt_token_ids"].size(), 5u);
}

TEST_F(RequestTest, FlagsThatDoNotExist) {
  EXPECT_TRUE(
      Refused(Generate({"--prompt", "ab", "--tensor-paralel", "2"}), 2, {"--tensor-paralel"}));
  EXPECT_TRUE(Refused(Run({"generat"}), 2, {"generat", "generate"}));
  WriteBytes(scratch_ / "config.json", R"({"prompt": "ab", "colour": "red"})");
  EXPECT_TRUE(Refused(Generate({"--config", scratch_ / "config.json"}), 2, {"colour"}));
  EXPECT_TRUE(Refused(Generate({"--prompt", "ab"}, {.environment = {{"AUTODIST_TP", "x"}}}), 2,
                      {"tensor-parallel-size", "\"x\""}));
}

TEST_F(RequestTest, AStdoutThatIsClosedOrFullEndsTheRun) {
  for (const char* stdout_to : {"&-", "/dev/full"}) {
    const Outcome outcome =
        Run({"generate", directory_, "--prompt", "ab", "--ignore-eos", "--no-cache"},
            {.wrapper = {"sh", "-c", fmt::format("exec \"$0\" \"$@\" >{}", stdout_to)}});
    EXPECT_TRUE(Refused(outcome, 1, {"stdout", "cannot be written"}));
  }
}

// Found before the ranks start, and nothing is left behind.
TEST_F(RequestTest, TraceFilesThatCannotBeWritten) {
  const auto refused = [&](const Arguments& flags, const std::vector<std::string>& words) {
    EXPECT_TRUE(
        Refused(Generate(Merged({"--prompt", "ab", "--max-output-length", "1"}, flags)), 2, words));
  };
  refused({"--trace", "/nowhere/trace.json"}, {"--trace /nowhere/trace.json", "cannot be created"});
  refused({"--trace", directory_.string()}, {"--trace", "is not a regular file"});
  refused({"--trace", ""}, {"--trace is empty"});
  refused({"--trace", "../trace.json", "--output-dir", (scratch_ / "out")},
          {"--trace is ../trace.json", "must be a name under --output-dir"});
  refused({"--trace", "/tmp/trace.json", "--output-dir", (scratch_ / "out")},
          {"must be a name under --output-dir"});
}

TEST_F(RequestTest, SweepsSkipWhatDoesNotFit) {
  const std::string out = scratch_ / "sweep";
  const std::string text = Output(
      {"bench", directory_, "--no-cache", "--sweep", "--repeats", "1", "--output-length", "2",
       "--grid", "prompt-length=3,9000;tp=1,3;batch-size=1", "--output-dir", out, "--json"});
  const core::Json points = core::ParseJson(text, "stdout")["points"];
  ASSERT_EQ(points.size(), 4u);
  EXPECT_TRUE(points[0]["skipped"].is_null());
  EXPECT_GT(points[0]["bench"]["decode_tokens_per_s"], 0);
  EXPECT_EQ(points[1]["skipped"], "prompt and output exceed the context of 256");
  EXPECT_TRUE(points[1]["bench"].is_null());
  for (const char* const name : {"sweep.csv", "sweep.html", "sweep.json"})
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(out) / name)) << name;
  EXPECT_TRUE(Refused(Run({"bench", directory_, "--sweep"}), 2, {"--output-dir"}));
  const auto sweep = [&](const Arguments& more) {
    Arguments all = {"bench", directory_, "--no-cache", "--sweep", "--output-dir", out};
    all.insert(all.end(), more.begin(), more.end());
    return Run(all);
  };
  EXPECT_TRUE(Refused(sweep({"--grid", "dtype=foo"}), 2, {"--dtype is foo"}));
  EXPECT_TRUE(Refused(sweep({"--tp", "2", "--grid", "tp=1"}), 2, {"--grid has tp", "--tp gives"}));
  const Outcome nothing = sweep({"--grid", "prompt-length=1000000"});
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_NE(nothing.errors.find("none of the 4 combinations"), std::string::npos);
}

}  // namespace
}  // namespace autodist::testing
