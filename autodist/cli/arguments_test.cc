#include "autodist/cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "autodist/cli/flag_values.h"
#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ArgumentsTest : public ::testing::Test {
 protected:
  ArgumentsTest() : app_("", "autodist test") {
    app_.add_option("--model,model", model_);
    app_.add_option("--tensor-parallel-size,--tp", tp_);
    app_.add_option("--stop", stop_)->allow_extra_args(false);
    AddSwitch(app_, "--json", json_, "");
    AddSwitch(app_, "--resume,!--no-resume", resume_, "");
    file_ = std::filesystem::temp_directory_path() /
            ("autodist_arguments_test_" + std::to_string(::getpid()) + ".json");
  }
  ~ArgumentsTest() override { std::filesystem::remove(file_); }

  void WriteConfig(const std::string& text) { std::ofstream(file_) << text; }
  std::vector<std::string> Complete(std::vector<std::string> arguments) {
    return CompleteArguments(app_, std::move(arguments), [this](const char* name) {
      const auto variable = environment_.find(name);
      return variable == environment_.end() ? nullptr : variable->second.c_str();
    });
  }
  std::string Refusal(std::vector<std::string> arguments) {
    try {
      Complete(std::move(arguments));
    } catch (const core::Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    return "";
  }

  CLI::App app_;
  std::string model_, tp_;
  std::vector<std::string> stop_;
  bool json_ = false;
  bool resume_ = true;
  std::map<std::string, std::string> environment_;
  std::filesystem::path file_;
};

// "false" for a switch that is on would otherwise be lost.
TEST_F(ArgumentsTest, ASwitchWithNamesForBothIsTurnedOffByEither) {
  environment_ = {{"AUTODIST_RESUME", "false"}};
  EXPECT_THAT(Complete({}), ElementsAre("--no-resume"));
  environment_ = {{"AUTODIST_NO_RESUME", "true"}};
  EXPECT_THAT(Complete({}), ElementsAre("--no-resume"));
  environment_ = {{"AUTODIST_NO_RESUME", "0"}};
  EXPECT_THAT(Complete({}), ElementsAre("--resume"));
  environment_.clear();
  WriteConfig(R"({"resume": false})");
  EXPECT_THAT(Complete({"--config", file_.string()}), ElementsAre("--no-resume"));
}

TEST_F(ArgumentsTest, VariablesCarryTheLongNameOfAFlag) {
  environment_ = {{"AUTODIST_TENSOR_PARALLEL_SIZE", "2"}, {"AUTODIST_JSON", "true"}};
  EXPECT_THAT(Complete({}), ElementsAre("--tensor-parallel-size", "2", "--json"));
  environment_ = {{"AUTODIST_TP", "2"}, {"AUTODIST_JSON", "0"}, {"AUTODIST_MODEL", ""}};
  EXPECT_THAT(Complete({}), ElementsAre("--tensor-parallel-size", "2"));
}

TEST_F(ArgumentsTest, TheCommandLineWinsOverVariablesAndTheseOverTheFile) {
  WriteConfig(R"({"tp": 4, "model": "file"})");
  environment_ = {{"AUTODIST_MODEL", "variable"}};
  const std::string config = "--config=" + file_.string();
  EXPECT_THAT(Complete({config}),
              ElementsAre("--model", "variable", "--tensor-parallel-size", "4"));
  EXPECT_THAT(Complete({config, "--tp", "1", "--model=here"}),
              ElementsAre("--tp", "1", "--model", "here"));
  environment_["AUTODIST_CONFIG"] = file_.string();
  EXPECT_THAT(Complete({"--tp=1"}), ElementsAre("--tp", "1", "--model", "variable"));
}

TEST_F(ArgumentsTest, APositionalArgumentGivesItsOption) {
  environment_ = {{"AUTODIST_MODEL", "variable"}};
  EXPECT_THAT(Complete({"here"}), ElementsAre("here"));
  // The value of another flag is none.
  EXPECT_THAT(Complete({"--tp", "2"}), ElementsAre("--tp", "2", "--model", "variable"));
}

TEST_F(ArgumentsTest, AnEmptyValueStaysTheValue) {
  EXPECT_THAT(Complete({"--stop=", "--tp=3"}), ElementsAre("--stop", "", "--tp", "3"));
  EXPECT_THAT(Complete({"--stop", "--tp=3"}), ElementsAre("--stop", "--tp=3"));
}

TEST_F(ArgumentsTest, FileFieldsKeepTheirSpellingAndListsRepeatOrJoin) {
  WriteConfig(R"({"tensor_parallel_size": [1, 2], "stop": ["a,b", "c"], "json": true})");
  EXPECT_THAT(
      Complete({"--config", file_.string()}),
      ElementsAre("--tensor-parallel-size", "1,2", "--stop", "a,b", "--stop", "c", "--json"));
  WriteConfig(R"({"json": false})");
  EXPECT_THAT(Complete({"--config", file_.string()}), IsEmpty());
}

TEST_F(ArgumentsTest, WhatAFileCannotSay) {
  const std::vector<std::string> arguments = {"--config", file_.string()};
  WriteConfig(R"({"tpp": 2})");
  EXPECT_THAT(Refusal(arguments), HasSubstr("field tpp is not a flag of autodist test"));
  WriteConfig(R"({"tp": {"a": 1}})");
  EXPECT_THAT(Refusal(arguments), HasSubstr("field tp must be a string, a number, a boolean"));
  WriteConfig(R"({"json": "perhaps"})");
  EXPECT_THAT(Refusal(arguments), HasSubstr("field json is perhaps, must be true or false"));
  WriteConfig(R"({"tp": 1, "tensor-parallel-size": 2})");
  EXPECT_THAT(Refusal({"--config", file_.string()}),
              HasSubstr(": fields tensor-parallel-size and tp are the same flag"));
  WriteConfig(R"({"tensor_parallel_size": 1, "tensor-parallel-size": 2})");
  EXPECT_THAT(Refusal({"--config", file_.string()}), HasSubstr("are the same flag"));
  WriteConfig(R"({"tp": 1, "tp": 2})");
  EXPECT_THAT(Refusal(arguments), HasSubstr(file_.string()));
  WriteConfig("[1]");
  EXPECT_THAT(Refusal(arguments), HasSubstr(file_.string()));
  EXPECT_THAT(Refusal({"--config"}), HasSubstr("--config needs a value"));
  EXPECT_THAT(Refusal({"--config=a", "--config=b"}), HasSubstr("more than once"));
}

}  // namespace
}  // namespace autodist::cli
