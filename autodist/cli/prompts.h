// The prompts of a run: from --prompt, --prompt-file or --token-ids to token ids, and back to text.
#ifndef AUTODIST_CLI_PROMPTS_H_
#define AUTODIST_CLI_PROMPTS_H_

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/spec/model_config.h"
#include "autodist/text/tokenizer.h"

namespace CLI {
class App;
}  // namespace CLI

namespace autodist::cli {

// Exactly one of the flags is given.
struct PromptFlags {
  std::optional<std::string> prompt;
  std::optional<std::string> prompt_file;
  std::optional<std::string> chat;
  std::optional<std::string> token_ids;
  bool many = true;  // all four are offered; else --prompt and --token-ids

  void Add(CLI::App& app);
};

struct Prompts {
  std::vector<std::string> texts;                    // as given; empty with --token-ids
  std::vector<std::vector<int32_t>> ids;             // one per prompt
  std::unique_ptr<const text::Tokenizer> tokenizer;  // null: none is there (only with --token-ids)
};

// Reads the prompts and tokenizes them. Throws core::Error: none or several flags, an unreadable or
// empty file, ids that are not numbers or outside the vocabulary, a tokenizer with more ids than
// the model has rows.
Prompts ReadPrompts(const PromptFlags& flags, const std::filesystem::path& model_dir,
                    const spec::ModelConfig& config);

// "1,2,3". Throws core::Error naming `flag` for anything that is no id in [0, limit).
std::vector<int32_t> ParseIds(const std::string& text, const std::string& flag, int64_t limit);

// Throws core::Error unless exactly one is true; `flags` names them all.
void CheckOneGiven(std::initializer_list<bool> given, std::string_view flags);

// Throws core::Error that begins with `source` when the text cannot be encoded.
text::Encoding Encode(const text::Tokenizer& tokenizer, std::string_view text,
                      bool add_special_tokens, std::string_view source);

// What --chat is answered with; `instead` names flags that work.
core::Error ChatRefusal(std::string_view instead);

// One prompt per line, LF or CRLF; blank lines are skipped. Throws core::Error when none is left.
std::vector<std::string> ReadPromptFile(const std::filesystem::path& path);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_PROMPTS_H_
