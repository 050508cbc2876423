#include "autodist/text/normalizer.h"

#include <utility>
#include <vector>

#include "autodist/text/unicode.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(NormalForm form) : form_(form) {}
  void Apply(NormalizedText& text) const override { text.text = Normalize(text.text, form_); }

 private:
  NormalForm form_;
};

class Lowercase : public Normalizer {
 public:
  void Apply(NormalizedText& text) const override {
    std::string lower;
    lower.reserve(text.text.size());
    for (size_t offset = 0; offset < text.text.size();)
      AppendLowercase(NextCharacter(text.text, offset), lower);
    text.text = std::move(lower);
  }
};

class Strip : public Normalizer {
 public:
  explicit Strip(const Component& component)
      : left_(component.BoolOr("strip_left", false)),
        right_(component.BoolOr("strip_right", false)) {}

  void Apply(NormalizedText& text) const override {
    std::string& s = text.text;
    if (right_) {
      size_t end = s.size();
      while (end > 0 && IsWhitespace(CharacterBefore(s, end))) {
        do {
          --end;
        } while ((static_cast<unsigned char>(s[end]) & 0xC0u) == 0x80u);
      }
      s.resize(end);
    }
    if (!left_) return;
    size_t begin = 0;
    for (size_t next = 0; next < s.size(); begin = next) {
      if (!IsWhitespace(NextCharacter(s, next))) break;
    }
    s.erase(0, begin);
    if (begin > 0) text.at_origin = false;
  }

 private:
  bool left_;
  bool right_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const Component& component)
      : prefix_(component.fields().RequiredString("prepend")) {}
  void Apply(NormalizedText& text) const override {
    if (!text.text.empty()) text.text.insert(0, prefix_);
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  explicit Replace(const Component& component)
      : pattern_(component), content_(component.fields().RequiredString("content")) {}

  void Apply(NormalizedText& text) const override {
    const std::vector<Span> matches = pattern_.FindAll(text.text);
    if (matches.empty()) return;
    const std::string_view source = text.text;
    // The content stands for the last character of what it replaces.
    const Span& first = matches.front();
    if (first.begin == 0 && first.end > 0) {
      const bool one_character = CharacterBytes(source[0]) == first.end;
      text.at_origin = text.at_origin && one_character && !content_.empty();
    }
    std::string replaced;
    replaced.reserve(source.size());
    size_t end = 0;
    for (const Span& match : matches) {
      replaced.append(source, end, match.begin - end);
      replaced += content_;
      end = match.end;
    }
    replaced.append(source, end);
    text.text = std::move(replaced);
  }

 private:
  TextPattern pattern_;
  std::string content_;
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(const Component& component) {
    for (const Component& part : component.RequiredList("normalizers"))
      parts_.push_back(ParseNormalizer(part));
  }
  void Apply(NormalizedText& text) const override {
    for (const auto& part : parts_) part->Apply(text);
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> parts_;
};

}  // namespace

std::unique_ptr<const Normalizer> ParseNormalizer(const Component& component) {
  const std::string type = component.Type();
  if (type == "NFC") return std::make_unique<UnicodeForm>(NormalForm::kNfc);
  if (type == "NFD") return std::make_unique<UnicodeForm>(NormalForm::kNfd);
  if (type == "NFKC") return std::make_unique<UnicodeForm>(NormalForm::kNfkc);
  if (type == "NFKD") return std::make_unique<UnicodeForm>(NormalForm::kNfkd);
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "Strip") return std::make_unique<Strip>(component);
  if (type == "Prepend") return std::make_unique<Prepend>(component);
  if (type == "Replace") return std::make_unique<Replace>(component);
  if (type == "Sequence") return std::make_unique<Sequence>(component);
  throw component.Unsupported(type,
                              "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace, Sequence");
}

}  // namespace autodist::text
