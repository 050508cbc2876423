// Tiny tokenizers for tests, put together from JSON text. Not installed.
#ifndef AUTODIST_TEXT_TOKENIZER_TESTING_H_
#define AUTODIST_TEXT_TOKENIZER_TESTING_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/text/tokenizer.h"

namespace autodist::text {

// The message of the core::Error (bad input) that `call` throws, or "no error".
inline std::string ErrorOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "no error";
}

// The fields of a tokenizer.json as JSON text; "null" leaves a component out.
struct TokenizerText {
  std::string model;
  std::string normalizer = "null";
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
  std::string decoder = "null";
  std::string added_tokens = "[]";

  std::string Json() const {
    return R"({"version":"1.0","added_tokens":)" + added_tokens + R"(,"normalizer":)" + normalizer +
           R"(,"pre_tokenizer":)" + pre_tokenizer + R"(,"post_processor":)" + post_processor +
           R"(,"decoder":)" + decoder + R"(,"model":)" + model + "}";
  }
};

inline std::unique_ptr<const Tokenizer> MakeTokenizer(const std::string& json,
                                                      const std::string& config = "{}") {
  const core::Json config_json = core::ParseJson(config, "tokenizer_config.json");
  return Tokenizer::FromText(json, &config_json, "t.json");
}

inline std::unique_ptr<const Tokenizer> MakeTokenizer(const TokenizerText& text) {
  return MakeTokenizer(text.Json());
}

// A BPE model whose ids are the places in `tokens`; merges are "a b". `options` is JSON text that
// starts with a comma, e.g. R"(,"byte_fallback":true)".
inline std::string BpeText(const std::vector<std::string>& tokens,
                           const std::vector<std::string>& merges,
                           const std::string& options = "") {
  core::Json vocab = core::Json::object();
  for (size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  return R"({"type":"BPE","vocab":)" + vocab.dump() + R"(,"merges":)" + core::Json(merges).dump() +
         options + "}";
}

// The 256 byte tokens <0x00> to <0xFF>, behind `first`.
inline std::vector<std::string> WithByteTokens(std::vector<std::string> first) {
  for (int byte = 0; byte < 256; ++byte) first.push_back(fmt::format("<0x{:02X}>", byte));
  return first;
}

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_TOKENIZER_TESTING_H_
