#include "autodist/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/text/component.h"
#include "autodist/text/unicode.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

// Looking for tokens costs up to the longest of them per byte of text.
constexpr size_t kMaxContentBytes = 1024;

// Byte offset where the white space at the end of `text` begins.
size_t TrailingWhitespace(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    const char32_t character = CharacterBefore(text, begin);
    if (!IsWhitespace(character)) break;
    do {
      --begin;
    } while ((static_cast<unsigned char>(text[begin]) & 0xC0u) == 0x80u);
  }
  return begin;
}

// Bytes of white space at the start of `text`.
size_t LeadingWhitespace(std::string_view text) {
  size_t end = 0;
  for (size_t next = 0; next < text.size(); end = next) {
    if (!IsWhitespace(NextCharacter(text, next))) break;
  }
  return end;
}

AddedToken ReadToken(const Component& component, const Normalizer* normalizer) {
  AddedToken token{component.fields().RequiredString("content"),
                   "",
                   component.BoolOr("single_word", false),
                   component.BoolOr("lstrip", false),
                   component.BoolOr("rstrip", false),
                   component.BoolOr("normalized", true),
                   component.BoolOr("special", false)};
  NormalizedText text{token.content};
  if (token.normalized && normalizer != nullptr) normalizer->Apply(text);
  token.pattern = std::move(text.text);
  if (token.pattern.empty() || token.content.size() > kMaxContentBytes ||
      token.pattern.size() > kMaxContentBytes) {
    throw core::BadInput(
        "{}: content \"{}\" must have 1 to {} bytes, before and after the normalizer",
        component.where(), token.content.substr(0, 80), kMaxContentBytes);
  }
  if (token.rstrip && LeadingWhitespace(token.pattern) == token.pattern.size()) {
    // In white space, every such token would swallow all that follows it, and so would the next
    // one.
    throw core::BadInput("{}: content \"{}\" is white space, which rstrip does not allow",
                         component.where(), token.content);
  }
  return token;
}

}  // namespace

AddedTokens::AddedTokens(const core::Json* list, const std::string& where,
                         const Vocabulary& vocabulary, const Normalizer* normalizer)
    : word_character_(R"(\A[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}])", where) {
  if (list == nullptr) return;
  if (!list->is_array()) throw core::BadInput("{} must be an array", where);
  auto next_id = static_cast<int32_t>(vocabulary.count());
  size_t index = 0;
  for (const core::Json& json : *list) {
    const Component component(json, fmt::format("{}[{}]", where, index++));
    AddedToken token = ReadToken(component, normalizer);
    std::optional<int32_t> id = Find(token.content);
    if (!id) id = vocabulary.Find(token.content);
    if (!id) id = next_id++;
    const int64_t declared = component.fields().RequiredInt("id", 0, kMaxVocabularySize - 1);
    if (declared != *id) {
      throw core::BadInput(
          "{}: token \"{}\" has id {}, but its place in the vocabulary of {} tokens gives it {}",
          component.where(), token.content, declared, vocabulary.count(), *id);
    }
    Add(std::move(token), *id, component.where());
  }
}

void AddedTokens::Add(AddedToken token, int32_t id, const std::string& where) {
  TokenTrie& trie = token.normalized ? normalized_trie_ : raw_trie_;
  if (!trie.Add(token.pattern, id))
    throw core::BadInput("{}: token \"{}\" is there twice", where, token.content);
  id_of_.emplace(token.content, id);
  const bool is_new = tokens_.emplace(id, std::move(token)).second;
  if (!is_new) throw core::BadInput("{}: id {} is taken by another added token", where, id);
}

std::optional<int32_t> AddedTokens::Find(std::string_view content) const {
  const auto found = id_of_.find(std::string(content));
  if (found == id_of_.end()) return std::nullopt;
  return found->second;
}

const AddedToken* AddedTokens::Token(int32_t id) const {
  const auto found = tokens_.find(id);
  return found != tokens_.end() ? &found->second : nullptr;
}

bool AddedTokens::IsWordCharacter(char32_t character) const {
  std::string text;
  AppendCharacter(character, text);
  return !word_character_.FindAll(text).empty();
}

std::vector<AddedTokens::Match> AddedTokens::FindMatches(std::string_view text,
                                                         const TokenTrie& trie) const {
  std::vector<Match> matches;
  size_t covered = 0;  // end of the last match, with the white space that it swallowed
  std::optional<TokenTrie::Match> found = trie.Find(text, 0);
  for (; found; found = trie.Find(text, found->end)) {
    const AddedToken& token = *Token(found->id);
    size_t begin = found->begin;
    size_t end = found->end;
    if (token.single_word) {
      size_t next = end;
      if (begin > 0 && IsWordCharacter(CharacterBefore(text, begin))) continue;
      if (end < text.size() && IsWordCharacter(NextCharacter(text, next))) continue;
    }
    if (token.lstrip) {
      // White space that an earlier token has swallowed is gone, and this token with it where it is
      // white space.
      begin = begin > covered ? covered + TrailingWhitespace(text.substr(covered, begin - covered))
                              : covered;
    }
    if (token.rstrip) end += LeadingWhitespace(text.substr(end));
    if (begin < end) matches.push_back({begin, end, found->id});
    covered = std::max(covered, end);
  }
  return matches;
}

void AddedTokens::Cut(std::string_view text, const TokenTrie& trie, bool at_origin,
                      Pieces& pieces) const {
  size_t end = 0;
  for (const Match& match : FindMatches(text, trie)) {
    if (end < match.begin)
      pieces.Append(text.substr(end, match.begin - end), std::nullopt, at_origin && end == 0);
    pieces.Append(text.substr(match.begin, match.end - match.begin), match.id,
                  at_origin && match.begin == 0);
    end = match.end;
  }
  if (end < text.size()) pieces.Append(text.substr(end), std::nullopt, at_origin && end == 0);
}

Pieces AddedTokens::Extract(std::string_view text, const Normalizer* normalizer) const {
  Pieces raw;
  Cut(text, raw_trie_, /*at_origin=*/true, raw);
  Pieces pieces;
  for (const Piece& piece : raw.pieces) {
    if (piece.token) {
      pieces.Append(raw.Text(piece), piece.token, piece.at_origin);
      continue;
    }
    NormalizedText normalized{std::string(raw.Text(piece)), piece.at_origin};
    if (normalizer != nullptr) normalizer->Apply(normalized);
    Cut(normalized.text, normalized_trie_, normalized.at_origin, pieces);
  }
  return pieces;
}

}  // namespace autodist::text
