// The "added_tokens" of tokenizer.json: strings that are found in the text before the model sees
// it.
#ifndef AUTODIST_TEXT_ADDED_TOKENS_H_
#define AUTODIST_TEXT_ADDED_TOKENS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "autodist/core/json.h"
#include "autodist/text/normalizer.h"
#include "autodist/text/pieces.h"
#include "autodist/text/regex.h"
#include "autodist/text/token_trie.h"
#include "autodist/text/vocabulary.h"

namespace autodist::text {

struct AddedToken {
  std::string content;
  // `content`, or its normalised form for a `normalized` token: what is matched, and what decoders
  // see.
  std::string pattern;
  bool single_word;  // only where neither neighbour is a word character
  bool lstrip;       // swallows white space on its left
  bool rstrip;
  bool normalized;  // matched in the normalised text, else in the raw text
  bool special;
};

// Immutable once built; safe from any thread.
class AddedTokens {
 public:
  // `list` is the JSON array, or null. A token of the model's vocabulary keeps its id, any other
  // gets the next free one, as in the library; an "id" that says otherwise is refused (core::Error,
  // bad input), and so is a token without text. `normalizer` may be null and is used only here.
  AddedTokens(const core::Json* list, const std::string& where, const Vocabulary& vocabulary,
              const Normalizer* normalizer);

  // Cuts `text` at the tokens: first those matched in raw text, then, in what was normalised
  // between them, the others. `normalizer` may be null. REQUIRES valid UTF-8.
  Pieces Extract(std::string_view text, const Normalizer* normalizer) const;

  std::optional<int32_t> Find(std::string_view content) const;
  // nullptr when `id` is not an added token.
  const AddedToken* Token(int32_t id) const;
  // Largest id, or -1.
  int32_t max_id() const { return tokens_.empty() ? -1 : tokens_.rbegin()->first; }

 private:
  // Where a token was found, with the white space that it swallows.
  struct Match {
    size_t begin;
    size_t end;
    int32_t id;
  };

  void Add(AddedToken token, int32_t id, const std::string& where);
  std::vector<Match> FindMatches(std::string_view text, const TokenTrie& trie) const;
  // Appends `text` to `pieces`, cut at the tokens of `trie`.
  void Cut(std::string_view text, const TokenTrie& trie, bool at_origin, Pieces& pieces) const;
  bool IsWordCharacter(char32_t character) const;

  std::map<int32_t, AddedToken> tokens_;
  std::unordered_map<std::string, int32_t> id_of_;
  TokenTrie raw_trie_;
  TokenTrie normalized_trie_;
  Regex word_character_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_ADDED_TOKENS_H_
