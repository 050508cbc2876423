// The contract of the command line: which flags there are, and what is said about wrong ones. A
// change here is a change for every script that uses the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <map>
#include <sstream>

#include "autodist/cli/command.h"
#include "autodist/cli/help.h"
#include "autodist/cli/run_command.h"
#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

using ::testing::HasSubstr;

const char* NoVariable(const char*) { return nullptr; }

std::unique_ptr<Command> Find(const std::string& name) {
  for (auto& command : MakeCommands())
    if (command->name() == name) return std::move(command);
  ADD_FAILURE() << "no command " << name;
  return nullptr;
}

// The long names of a command's flags, sorted, separated by spaces.
std::string FlagsOf(Command& command) {
  CLI::App app;
  DeclareFlags(command, app);
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

std::string Merged(const std::string& a, const std::string& b) {
  std::istringstream words(a + " " + b);
  std::vector<std::string> names{std::istream_iterator<std::string>(words), {}};
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

TEST(CommandsTest, TheFlagsOfEveryCommand) {
  const std::string run =
      "batch-size cache-dir capture-graph cluster collective-timeout config data-parallel-size "
      "deterministic device dp dtype help json local-rank max-model-len micro-batch-size model "
      "no-cache no-capture-graph output-dir pipeline-parallel-size pp quiet rank-memory ranks "
      "rebuild-cache stage-layers tensor-parallel-size threads tp weights world-size";
  const std::map<std::string, std::string> expected = {
      {"plan", Merged(run, "prompt-length")},
      {"generate",
       Merged(run,
              "prompt prompt-file chat token-ids min-output-length max-output-length temperature "
              "top-k top-p min-p repetition-penalty seed stop ignore-eos stream no-stream trace")},
      {"logits", Merged(run, "prompt token-ids output trace")},
      {"verify", Merged(run, "prompt token-ids output-length trace")},
      {"bench", Merged(run, "prompt-length output-length repeats seed sweep grid trace")},
      {"calibrate", "collective-timeout config dtype help json output ranks threads"},
      {"tokenize", "chat config decode file help json model no-special-tokens text"},
      {"tune",
       "allow-pipeline case-timeout config emit help json launcher machine max-num-sm "
       "max-token-len "
       "max-tp-size min-num-sm model no-resume noise operators output-dir overlap-threshold "
       "repeats "
       "resume retry-failed run scaling-tolerance seed skip-profiling te-version"},
      {"inspect", "config help json model"},
      {"cache", "cache-dir config help json match"},
      {"trace", "baseline config csv help html json output rules"},
  };
  std::map<std::string, std::string> found;
  for (const auto& command : MakeCommands()) found[command->name()] = FlagsOf(*command);
  EXPECT_EQ(found, expected);
}

TEST(CommandsTest, DefaultsOfTheContract) {
  CLI::App app;
  const auto command = Find("generate");
  DeclareFlags(*command, app);
  const auto default_of = [&](const char* flag) { return app.get_option(flag)->get_default_str(); };
  EXPECT_EQ(default_of("--tp"), "1");
  EXPECT_EQ(default_of("--pp"), "1");
  EXPECT_EQ(default_of("--dp"), "1");
  EXPECT_EQ(default_of("--min-output-length"), "1");
  EXPECT_EQ(default_of("--max-output-length"), "157");
  EXPECT_EQ(default_of("--temperature"), "0");
  EXPECT_EQ(default_of("--seed"), "1234");
  EXPECT_EQ(default_of("--dtype"), "auto");
  EXPECT_EQ(default_of("--weights"), "auto");
  EXPECT_EQ(default_of("--device"), "cpu");
  EXPECT_EQ(default_of("--collective-timeout"), "60");
}

TEST(HelpTest, EveryFlagIsThereAndLinesFitATerminal) {
  for (const auto& command : MakeCommands()) {
    CLI::App app;
    DeclareFlags(*command, app);
    const std::string text = HelpText(app);
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames())
        EXPECT_THAT(text, HasSubstr("--" + name)) << command->name();
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), 100u) << command->name() << ": " << line;
  }
}

// Refused before anything is read: no model is needed.
std::string Refusal(const std::string& command, const std::vector<std::string>& arguments) {
  try {
    RunCommand(*Find(command), arguments, NoVariable);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.exit_code(), 2) << error.what();
    return error.what();
  }
  ADD_FAILURE() << command << " was not refused";
  return "";
}

TEST(RefusalTest, FlagsThatAreNotUnderstood) {
  EXPECT_THAT(Refusal("generate", {"--promt", "a"}),
              HasSubstr("unknown flag --promt; did you mean --prompt?"));
  EXPECT_THAT(Refusal("generate", {"--temprature=1"}), HasSubstr("did you mean --temperature?"));
  EXPECT_THAT(Refusal("plan", {"--prompt", "a"}), HasSubstr("unknown flag --prompt"));
  EXPECT_THAT(Refusal("plan", {"a", "b"}), HasSubstr("unexpected argument \"b\""));
  EXPECT_EQ(Refusal("plan", {"--tp"}), "--tensor-parallel-size needs a value");
  EXPECT_EQ(Refusal("plan", {"--tp", "1", "--tp", "2"}),
            "--tensor-parallel-size is given more than once");
  EXPECT_EQ(Refusal("plan", {"--json=yes"}), "--json takes no value");
}

TEST(RefusalTest, ValuesOutOfRange) {
  const auto refusal = [](const char* flag, const char* value) {
    return Refusal("generate", {"--prompt", "a", flag, value});
  };
  for (const char* value : {"nan", "-1", "1e9", "inf"})
    EXPECT_THAT(refusal("--temperature", value), HasSubstr("--temperature is ")) << value;
  for (const char* value : {"0", "2", "-0.5", "nan"})
    EXPECT_THAT(refusal("--top-p", value), HasSubstr("--top-p is ")) << value;
  for (const char* value : {"-5", "9223372036854775808"})
    EXPECT_THAT(refusal("--top-k", value), HasSubstr(std::string("--top-k is ") + value));
  for (const char* value : {"-1", "18446744073709551616"})
    EXPECT_THAT(refusal("--seed", value), HasSubstr("--seed is "));
  for (const char* value : {"-1", "0", "9223372036854775808"})
    EXPECT_THAT(refusal("--max-output-length", value), HasSubstr("--max-output-length is "));
  for (const char* value : {"-1", "158", "9223372036854775808"})
    EXPECT_THAT(refusal("--min-output-length", value), HasSubstr("--min-output-length is "));
  EXPECT_THAT(refusal("--threads", "100000"), HasSubstr("--threads is 100000, must be at most"));
  EXPECT_THAT(refusal("--batch-size", "0"), HasSubstr("--batch-size is 0, must be at least 1"));
  EXPECT_THAT(refusal("--repetition-penalty", "0"), HasSubstr("--repetition-penalty is 0"));
  EXPECT_THAT(refusal("--stop", ""), HasSubstr("--stop"));
  std::vector<std::string> many = {"--prompt", "a"};
  for (int i = 0; i < 100000; ++i) many.insert(many.end(), {"--stop", "x"});
  EXPECT_THAT(Refusal("generate", many), HasSubstr("--stop is given 100000 times"));
}

TEST(RefusalTest, FlagsThatExcludeEachOther) {
  EXPECT_THAT(Refusal("generate", {"--stream", "--no-stream"}), HasSubstr("exclude each other"));
  EXPECT_THAT(Refusal("generate", {"--stream", "--json"}), HasSubstr("exclude each other"));
  EXPECT_THAT(Refusal("plan", {"--ranks", "2", "--pp", "2"}), HasSubstr("stands instead of"));
  EXPECT_THAT(Refusal("logits", {}), HasSubstr("--output FILE.npy is needed"));
  EXPECT_THAT(Refusal("tokenize", {"--text", "a", "--decode", "1"}), HasSubstr("exactly one of"));
  EXPECT_THAT(Refusal("tokenize", {}), HasSubstr("exactly one of"));
  EXPECT_THAT(Refusal("tokenize", {"--chat", "a.json"}), HasSubstr("reads no chat templates"));
  EXPECT_THAT(Refusal("bench", {"--grid", "tp=1,2"}), HasSubstr("--grid belongs to --sweep"));
  EXPECT_THAT(Refusal("tune", {"guess"}), HasSubstr("tune takes overlap or diff, not \"guess\""));
  EXPECT_THAT(Refusal("tune", {"diff", "a"}), HasSubstr("takes two tuning_report.json files"));
  EXPECT_THAT(Refusal("tune", {"overlap"}), HasSubstr("--model is needed"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "opt-1.3b", "--emit", "--run"}),
              HasSubstr("exclude each other"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "opt-1.3b", "--run"}),
              HasSubstr("need --output-dir"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "opt-1.3b", "--no-resume"}),
              HasSubstr("are for --emit and --run"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "opt-1.3b", "--max-token-len", "8191"}),
              HasSubstr("--max-token-len is 8191, must be even"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "opt-1.3b", "--noise", "0.4"}),
              HasSubstr("--noise is 0.4, must be in [0, 0.3]"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "opt-1.3b", "--operators", "qkv,fc3"}),
              HasSubstr("unknown operator \"fc3\", must be one of qkv, proj, fc1, fc2"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "opt-1.3b", "--te-version", "two"}),
              HasSubstr("--te-version two: must be a version such as 2.7"));
  EXPECT_THAT(Refusal("tune", {"overlap", "--model", "no/such-model"}),
              HasSubstr("names that need no file: Qwen/"));
  EXPECT_THAT(Refusal("cache", {"remove"}), HasSubstr("ls, verify or clean, not \"remove\""));
  EXPECT_THAT(Refusal("cache", {"ls", "--match", "x"}), HasSubstr("clean"));
  EXPECT_THAT(Refusal("trace", {"read", "a"}), HasSubstr("analyze, diff, merge or kernels"));
  EXPECT_THAT(Refusal("trace", {"analyze"}), HasSubstr("needs the names of trace files"));
  EXPECT_THAT(Refusal("trace", {"diff", "a"}), HasSubstr("compares 2 files, 1 are given"));
  EXPECT_THAT(Refusal("trace", {"merge", "a"}), HasSubstr("--output FILE"));
}

}  // namespace
}  // namespace autodist::cli
