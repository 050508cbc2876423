#include "autodist/cli/prompts.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>

#include "autodist/cli/flag_values.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/log.h"

namespace autodist::cli {
namespace {

using core::BadInput;

constexpr uint64_t kMaxPromptFileBytes = uint64_t{1} << 30;

std::unique_ptr<const text::Tokenizer> LoadTokenizer(const std::filesystem::path& model_dir,
                                                     const spec::ModelConfig& config) {
  auto tokenizer = text::Tokenizer::Load(model_dir);
  if (tokenizer->vocab_size() > config.vocab_size)
    throw BadInput("{}: has token ids up to {}, the model's vocabulary is {}",
                   (model_dir / "tokenizer.json").string(), tokenizer->vocab_size() - 1,
                   config.vocab_size);
  return tokenizer;
}

}  // namespace

void PromptFlags::Add(CLI::App& app) {
  AddText(app, "--prompt", prompt, "Text to continue").Type("TEXT").Group("Input");
  if (many) {
    AddText(app, "--prompt-file", prompt_file, "UTF-8, one prompt a line")
        .Type("FILE")
        .Group("Input");
    AddText(app, "--chat", chat, "Message list (JSON); refused: chat templates are not read yet")
        .Type("FILE")
        .Group("Input");
  }
  AddText(app, "--token-ids", token_ids, "Ids taken as they are, e.g. 1,2,3")
      .Type("IDS")
      .Group("Input");
}

std::vector<int32_t> ParseIds(const std::string& text, const std::string& flag, int64_t limit) {
  std::vector<int32_t> ids;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    int64_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error == std::errc::invalid_argument || (next != end && *next != ','))
      throw BadInput("{} is {}, must be token ids separated by commas", flag, text.substr(0, 80));
    if (error == std::errc::result_out_of_range || id < 0 || id >= limit)
      throw BadInput("{}: id {} is outside the vocabulary, ids are 0 to {}", flag,
                     std::string_view(at, next), limit - 1);
    ids.push_back(static_cast<int32_t>(id));
    if (next == end) return ids;
    at = next + 1;
  }
}

std::vector<std::string> ReadPromptFile(const std::filesystem::path& path) {
  const std::string content = core::ReadFile(path, kMaxPromptFileBytes);
  std::vector<std::string> prompts;
  std::string_view rest = content;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != std::string_view::npos) prompts.emplace_back(line);
  }
  if (prompts.empty()) throw BadInput("--prompt-file {}: holds no prompt", path.string());
  return prompts;
}

void CheckOneGiven(std::initializer_list<bool> given, std::string_view flags) {
  const auto count = std::count(given.begin(), given.end(), true);
  if (count == 1) return;
  throw BadInput("exactly one of {} is needed, {} given", flags,
                 count == 0 ? "none is" : fmt::format("{} are", count));
}

text::Encoding Encode(const text::Tokenizer& tokenizer, std::string_view text,
                      bool add_special_tokens, std::string_view source) {
  try {
    return tokenizer.EncodeWithTokens(text, add_special_tokens);
  } catch (const core::Error& error) {
    throw core::Error(error.kind(), fmt::format("{}: {}", source, error.what()));
  }
}

core::Error ChatRefusal(std::string_view instead) {
  return BadInput(
      "--chat is not supported: this version reads no chat templates; write the prompt out and use "
      "{}",
      instead);
}

Prompts ReadPrompts(const PromptFlags& flags, const std::filesystem::path& model_dir,
                    const spec::ModelConfig& config) {
  CheckOneGiven(
      {flags.prompt.has_value(), flags.prompt_file.has_value(), flags.chat.has_value(),
       flags.token_ids.has_value()},
      flags.many ? "--prompt, --prompt-file, --chat and --token-ids" : "--prompt and --token-ids");
  if (flags.chat) throw ChatRefusal("--prompt, --prompt-file or --token-ids");
  Prompts prompts;
  if (flags.token_ids) {
    prompts.ids.push_back(ParseIds(*flags.token_ids, "--token-ids", config.vocab_size));
    if (std::filesystem::exists(model_dir / "tokenizer.json")) {
      // Ids need no tokenizer; one that cannot be read costs the text only.
      try {
        prompts.tokenizer = LoadTokenizer(model_dir, config);
      } catch (const core::Error& error) {
        core::Log("the output has no text: {}", error.what());
      }
    }
    return prompts;
  }
  prompts.tokenizer = LoadTokenizer(model_dir, config);
  prompts.texts =
      flags.prompt ? std::vector<std::string>{*flags.prompt} : ReadPromptFile(*flags.prompt_file);
  for (size_t i = 0; i < prompts.texts.size(); ++i) {
    const std::string source =
        flags.prompt ? "--prompt" : fmt::format("{}: prompt {}", *flags.prompt_file, i);
    const auto ids =
        Encode(*prompts.tokenizer, prompts.texts[i], /*add_special_tokens=*/true, source).ids;
    if (ids.empty()) throw BadInput("{} is empty", source);
    prompts.ids.push_back(ids);
  }
  return prompts;
}

}  // namespace autodist::cli
