#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodist/checkpoint/model_directory.h"
#include "autodist/cli/command.h"
#include "autodist/cli/flag_values.h"
#include "autodist/cli/output.h"
#include "autodist/cli/prompts.h"
#include "autodist/cli/run_flags.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"
#include "autodist/text/tokenizer.h"

namespace autodist::cli {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;

class TokenizeCommand final : public Command {
 public:
  const char* name() const override { return "tokenize"; }
  const char* summary() const override { return "Turn text into token ids, or ids into text"; }
  void AddFlags(CLI::App& app) override;
  void Prepare() override;
  int Run() override;

 private:
  ModelFlag model_;
  std::optional<std::string> text_;
  std::optional<std::string> file_;
  std::optional<std::string> chat_;
  std::optional<std::string> decode_;
  bool no_special_tokens_ = false;
  bool json_ = false;
};

void TokenizeCommand::AddFlags(CLI::App& app) {
  AddText(app, "--text", text_, "Text to encode").Type("TEXT").Group("Input");
  AddText(app, "--file", file_, "File whose bytes, all of them, are encoded")
      .Type("FILE")
      .Group("Input");
  AddText(app, "--chat", chat_, "Message list (JSON); refused: chat templates are not read yet")
      .Type("FILE")
      .Group("Input");
  AddText(app, "--decode", decode_, "Ids to turn into text, e.g. 1,2,3").Type("IDS").Group("Input");
  AddSwitch(app, "--no-special-tokens", no_special_tokens_,
            "Do not add the tokens that the tokenizer puts around a text")
      .Group("Output");
  AddSwitch(app, "--json", json_, "Print exactly one JSON document").Group("Output");
  model_.Add(app);
}

void TokenizeCommand::Prepare() {
  CheckOneGiven({text_.has_value(), file_.has_value(), chat_.has_value(), decode_.has_value()},
                "--text, --file, --chat and --decode");
  if (chat_) throw ChatRefusal("--text, --file or --decode");
  if (decode_ && no_special_tokens_)
    throw core::BadInput("--no-special-tokens is about encoding and excludes --decode");
}

int TokenizeCommand::Run() {
  const std::filesystem::path model_dir = checkpoint::ResolveModelDirectory(model_.Resolve());
  const auto tokenizer = text::Tokenizer::Load(model_dir);
  text::Encoding encoding;
  std::string text;
  if (decode_) {
    encoding.ids = ParseIds(*decode_, "--decode", int64_t{std::numeric_limits<int32_t>::max()} + 1);
    encoding.tokens = tokenizer->Tokens(encoding.ids);
    text = tokenizer->Decode(encoding.ids, /*skip_special_tokens=*/false);
  } else {
    text = text_ ? *text_ : core::ReadFile(*file_, kMaxTextBytes);
    encoding = Encode(*tokenizer, text, !no_special_tokens_, text_ ? "--text" : *file_);
  }
  if (json_) {
    const core::Json document = {
        {"ids", encoding.ids}, {"tokens", encoding.tokens}, {"text", text}};
    Print(core::DumpJson(document) + "\n");
  } else {
    Print((decode_ ? text : fmt::format("{}", fmt::join(encoding.ids, ","))) + "\n");
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> MakeTokenizeCommand() { return std::make_unique<TokenizeCommand>(); }

}  // namespace autodist::cli
