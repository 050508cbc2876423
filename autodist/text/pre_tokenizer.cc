#include "autodist/text/pre_tokenizer.h"

#include <string>
#include <utility>
#include <vector>

#include "autodist/text/byte_alphabet.h"
#include "autodist/text/metaspace.h"
#include "autodist/text/split.h"
#include "autodist/text/unicode.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

// \w and \s of the Rust regex crate, which the library uses for this one pattern.
constexpr const char* kWordPattern =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}\s]+)";

// Cuts every piece that is not an added token; the text itself stays.
template <typename FindMatches>
void SplitPieces(Pieces& pieces, SplitBehavior behavior, bool invert,
                 const FindMatches& find_matches) {
  std::vector<Piece> result;
  result.reserve(pieces.pieces.size());
  for (const Piece& piece : pieces.pieces) {
    if (piece.token) {
      result.push_back(piece);
      continue;
    }
    const std::string_view text = pieces.Text(piece);
    for (const Span& span : SplitAtMatches(text.size(), find_matches(text), behavior, invert)) {
      if (span.begin == span.end) continue;
      result.push_back({piece.begin + span.begin, piece.begin + span.end, std::nullopt,
                        piece.at_origin && span.begin == 0});
    }
  }
  pieces.pieces = std::move(result);
}

// Rewrites the text of every piece that is not an added token: rewrite(text, piece, out) appends to
// `out`.
template <typename Rewrite>
void RewritePieces(Pieces& pieces, const Rewrite& rewrite) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.text.size() / 4);
  for (Piece& piece : pieces.pieces) {
    const size_t begin = text.size();
    if (piece.token) {
      text += pieces.Text(piece);
    } else {
      rewrite(pieces.Text(piece), piece, text);
    }
    piece.begin = begin;
    piece.end = text.size();
  }
  pieces.text = std::move(text);
}

template <typename Predicate>
std::vector<Span> FindCharacters(std::string_view text, const Predicate& predicate) {
  std::vector<Span> matches;
  for (size_t offset = 0; offset < text.size();) {
    const size_t begin = offset;
    if (predicate(NextCharacter(text, offset))) matches.push_back({begin, offset});
  }
  return matches;
}

SplitBehavior RequiredBehavior(const Component& component) {
  const std::string name = component.fields().RequiredString("behavior");
  const auto behavior = ParseSplitBehavior(name);
  if (!behavior) {
    throw core::BadInput(
        "{}: field behavior is \"{}\", must be Removed, Isolated, MergedWithPrevious, "
        "MergedWithNext or Contiguous",
        component.where(), name);
  }
  return *behavior;
}

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const Component& component)
      : add_prefix_space_(component.BoolOr("add_prefix_space", true)) {
    if (component.BoolOr("use_regex", true))
      regex_ = std::make_unique<Regex>(std::string(kGpt2Pattern), component.where());
  }

  void Apply(Pieces& pieces) const override {
    if (add_prefix_space_) {
      RewritePieces(pieces, [](std::string_view text, const Piece&, std::string& out) {
        if (!text.starts_with(' ')) out.push_back(' ');
        out += text;
      });
    }
    if (regex_ != nullptr) {
      SplitPieces(pieces, SplitBehavior::kIsolated, /*invert=*/false,
                  [this](std::string_view text) { return regex_->FindAll(text); });
    }
    RewritePieces(pieces, [](std::string_view text, const Piece&, std::string& out) {
      AppendByteLevel(text, out);
    });
  }

 private:
  bool add_prefix_space_;
  std::unique_ptr<const Regex> regex_;
};

class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(const Component& component)
      : options_(ParseMetaspaceOptions(component)), split_(component.BoolOr("split", true)) {
    AppendCharacter(options_.replacement, replacement_);
  }

  void Apply(Pieces& pieces) const override {
    RewritePieces(pieces, [this](std::string_view text, const Piece& piece, std::string& out) {
      const bool prefixed = text.starts_with(' ') || text.starts_with(replacement_);
      const bool wanted =
          options_.prepend == MetaspaceOptions::Prepend::kAlways ||
          (options_.prepend == MetaspaceOptions::Prepend::kFirst && piece.at_origin);
      if (wanted && !prefixed) out += replacement_;
      for (const char byte : text) {
        if (byte == ' ') {
          out += replacement_;
        } else {
          out.push_back(byte);
        }
      }
    });
    if (!split_) return;
    SplitPieces(
        pieces, SplitBehavior::kMergedWithNext, /*invert=*/false, [this](std::string_view text) {
          return FindCharacters(text, [this](char32_t c) { return c == options_.replacement; });
        });
  }

 private:
  MetaspaceOptions options_;
  bool split_;
  std::string replacement_;
};

class Split : public PreTokenizer {
 public:
  explicit Split(const Component& component)
      : pattern_(component),
        behavior_(RequiredBehavior(component)),
        invert_(component.BoolOr("invert", false)) {}

  void Apply(Pieces& pieces) const override {
    SplitPieces(pieces, behavior_, invert_,
                [this](std::string_view text) { return pattern_.FindAll(text); });
  }

 private:
  TextPattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

// \w+|[^\w\s]+ : runs of word characters and runs of everything else but white space.
class Whitespace : public PreTokenizer {
 public:
  explicit Whitespace(const Component& component) : regex_(kWordPattern, component.where()) {}
  void Apply(Pieces& pieces) const override {
    SplitPieces(pieces, SplitBehavior::kRemoved, /*invert=*/true,
                [this](std::string_view text) { return regex_.FindAll(text); });
  }

 private:
  Regex regex_;
};

// Splits at characters with a property: Digits, Punctuation, WhitespaceSplit, CharDelimiterSplit.
template <typename Predicate>
class CharacterSplit : public PreTokenizer {
 public:
  CharacterSplit(Predicate predicate, SplitBehavior behavior)
      : predicate_(std::move(predicate)), behavior_(behavior) {}
  void Apply(Pieces& pieces) const override {
    SplitPieces(pieces, behavior_, /*invert=*/false,
                [this](std::string_view text) { return FindCharacters(text, predicate_); });
  }

 private:
  Predicate predicate_;
  SplitBehavior behavior_;
};

template <typename Predicate>
std::unique_ptr<const PreTokenizer> MakeCharacterSplit(Predicate predicate,
                                                       SplitBehavior behavior) {
  return std::make_unique<CharacterSplit<Predicate>>(std::move(predicate), behavior);
}

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(const Component& component) {
    for (const Component& part : component.RequiredList("pretokenizers"))
      parts_.push_back(ParsePreTokenizer(part));
  }
  void Apply(Pieces& pieces) const override {
    for (const auto& part : parts_) part->Apply(pieces);
  }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> parts_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> ParsePreTokenizer(const Component& component) {
  const std::string type = component.Type();
  if (type == "ByteLevel") return std::make_unique<ByteLevel>(component);
  if (type == "Metaspace") return std::make_unique<Metaspace>(component);
  if (type == "Split") return std::make_unique<Split>(component);
  if (type == "Sequence") return std::make_unique<Sequence>(component);
  if (type == "Whitespace") return std::make_unique<Whitespace>(component);
  if (type == "WhitespaceSplit") return MakeCharacterSplit(IsWhitespace, SplitBehavior::kRemoved);
  if (type == "Digits") {
    const bool individual = component.BoolOr("individual_digits", false);
    return MakeCharacterSplit(IsNumeric,
                              individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  }
  if (type == "Punctuation") {
    const bool given = component.fields().Has("behavior");
    return MakeCharacterSplit(IsPunctuation,
                              given ? RequiredBehavior(component) : SplitBehavior::kIsolated);
  }
  if (type == "CharDelimiterSplit") {
    const char32_t delimiter = component.RequiredCharacter("delimiter");
    return MakeCharacterSplit([delimiter](char32_t c) { return c == delimiter; },
                              SplitBehavior::kRemoved);
  }
  throw component.Unsupported(
      type,
      "ByteLevel, Metaspace, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, "
      "CharDelimiterSplit, Sequence");
}

}  // namespace autodist::text
