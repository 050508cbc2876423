#include "autodist/text/decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "autodist/text/byte_alphabet.h"
#include "autodist/text/metaspace.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

using NextStep = std::unique_ptr<DecodeStep>;

// The end of the chain.
class Collect : public DecodeStep {
 public:
  explicit Collect(std::string& out) : out_(out) {}
  void Push(std::string_view token) override { out_ += token; }
  void Finish() override {}

 private:
  std::string& out_;
};

// Without decoder, the library puts a space between tokens.
class JoinBySpaces : public DecodeStep {
 public:
  explicit JoinBySpaces(NextStep next) : next_(std::move(next)) {}
  void Push(std::string_view token) override {
    if (!first_) next_->Push(" ");
    first_ = false;
    next_->Push(token);
  }
  void Finish() override { next_->Finish(); }

 private:
  NextStep next_;
  bool first_ = true;
};

// Token by token, by a function that needs no other token.
template <typename Rewrite>
class RewriteTokens : public DecodeStep {
 public:
  RewriteTokens(Rewrite rewrite, NextStep next)
      : rewrite_(std::move(rewrite)), next_(std::move(next)) {}
  void Push(std::string_view token) override { next_->Push(rewrite_(token)); }
  void Finish() override { next_->Finish(); }

 private:
  Rewrite rewrite_;
  NextStep next_;
};

template <typename Rewrite>
NextStep MakeRewriteTokens(Rewrite rewrite, NextStep next) {
  return std::make_unique<RewriteTokens<Rewrite>>(std::move(rewrite), std::move(next));
}

// Makes one token of a text that earlier steps have fused, for steps that must see all of it.
class Whole : public DecodeStep {
 public:
  explicit Whole(NextStep next) : next_(std::move(next)) {}
  void Push(std::string_view token) override { text_ += token; }
  void Finish() override {
    next_->Push(text_);
    next_->Finish();
  }

 private:
  std::string text_;
  NextStep next_;
};

class ByteLevelStep : public DecodeStep {
 public:
  explicit ByteLevelStep(NextStep next) : next_(std::move(next)) {}
  void Push(std::string_view token) override {
    std::string bytes;
    AppendByteLevelDecoded(token, bytes);
    std::string text;
    lossy_.Push(bytes, text);
    if (!text.empty()) next_->Push(text);
  }
  void Finish() override {
    std::string text;
    lossy_.Finish(text);
    if (!text.empty()) next_->Push(text);
    next_->Finish();
  }

 private:
  LossyUtf8 lossy_;
  NextStep next_;
};

// The byte of a token <0xNN>.
std::optional<char> ByteOf(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  int value = 0;
  for (const char digit : token.substr(3, 2)) {
    value *= 16;
    if (digit >= '0' && digit <= '9') {
      value += digit - '0';
    } else if (digit >= 'A' && digit <= 'F') {
      value += digit - 'A' + 10;
    } else if (digit >= 'a' && digit <= 'f') {
      value += digit - 'a' + 10;
    } else {
      return std::nullopt;
    }
  }
  return static_cast<char>(value);
}

// A run of byte tokens is its text when all of it is valid UTF-8, else one U+FFFD per byte: no byte
// of a run is certain before the run has ended.
class ByteFallbackStep : public DecodeStep {
 public:
  explicit ByteFallbackStep(NextStep next) : next_(std::move(next)) {}
  void Push(std::string_view token) override {
    if (const auto byte = ByteOf(token)) {
      run_.push_back(*byte);
      return;
    }
    EndRun();
    next_->Push(token);
  }
  void Finish() override {
    EndRun();
    next_->Finish();
  }

 private:
  void EndRun() {
    if (run_.empty()) return;
    if (!FindInvalidUtf8(run_)) {
      next_->Push(run_);
    } else {
      for (size_t i = 0; i < run_.size(); ++i) next_->Push("\uFFFD");
    }
    run_.clear();
  }

  std::string run_;
  NextStep next_;
};

// Cuts up to `start` times `content` from the front of a text and up to `stop` times from its end.
class StripText : public DecodeStep {
 public:
  StripText(std::string content, size_t start, size_t stop, NextStep next)
      : content_(std::move(content)), start_(start), stop_(stop), next_(std::move(next)) {}

  void Push(std::string_view token) override {
    while (start_ > 0 && !token.empty()) {
      if (!token.starts_with(content_)) {
        start_ = 0;
      } else {
        --start_;
        token.remove_prefix(content_.size());
      }
    }
    held_ += token;
    size_t at_end = 0;  // how often `content` stands at the end of what is held
    size_t end = held_.size();
    while (at_end < stop_ && std::string_view(held_).substr(0, end).ends_with(content_)) {
      end -= content_.size();
      ++at_end;
    }
    if (end > 0) next_->Push(std::string_view(held_).substr(0, end));
    held_.erase(0, end);
  }
  void Finish() override { next_->Finish(); }  // what is held now is what has to be cut

 private:
  std::string content_;
  size_t start_;
  size_t stop_;
  std::string held_;
  NextStep next_;
};

std::string StripToken(std::string_view token, const std::string& content, size_t start,
                       size_t stop) {
  for (size_t i = 0; i < start && token.starts_with(content); ++i)
    token.remove_prefix(content.size());
  for (size_t i = 0; i < stop && token.ends_with(content); ++i) token.remove_suffix(content.size());
  return std::string(token);
}

class MetaspaceStep : public DecodeStep {
 public:
  MetaspaceStep(const MetaspaceOptions& options, NextStep next)
      : options_(options), next_(std::move(next)) {}
  void Push(std::string_view token) override {
    std::string text;
    for (size_t offset = 0; offset < token.size();) {
      const char32_t character = NextCharacter(token, offset);
      if (character != options_.replacement) {
        AppendCharacter(character, text);
      } else if (!first_ || options_.prepend == MetaspaceOptions::Prepend::kNever) {
        text.push_back(' ');
      }
    }
    first_ = false;
    next_->Push(text);
  }
  void Finish() override { next_->Finish(); }

 private:
  MetaspaceOptions options_;
  NextStep next_;
  bool first_ = true;
};

std::string ReplaceIn(std::string_view token, const std::vector<Span>& matches,
                      std::string_view content) {
  std::string text;
  size_t end = 0;
  for (const Span& match : matches) {
    text.append(token, end, match.begin - end);
    text += content;
    end = match.end;
  }
  text.append(token, end);
  return text;
}

// Replaces the suffix that ends a word by a space, in the last token by nothing: one token is
// always held back.
class BpeDecoderStep : public DecodeStep {
 public:
  BpeDecoderStep(std::string suffix, NextStep next)
      : suffix_(std::move(suffix)), next_(std::move(next)) {}
  void Push(std::string_view token) override {
    if (held_) next_->Push(ReplaceIn(*held_, suffix_.FindAll(*held_), " "));
    held_ = token;
  }
  void Finish() override {
    if (held_) next_->Push(ReplaceIn(*held_, suffix_.FindAll(*held_), ""));
    next_->Finish();
  }

 private:
  TextPattern suffix_;
  std::optional<std::string> held_;
  NextStep next_;
};

}  // namespace

// One decoder of the file. `fused`: earlier stages have made one text of all tokens, which arrives
// in parts.
struct Decoder::Stage {
  enum class Kind {
    kJoinBySpaces,
    kByteLevel,
    kByteFallback,
    kFuse,
    kReplace,
    kStrip,
    kMetaspace,
    kBpeDecoder
  };

  Kind kind;
  bool fused = false;
  std::optional<TextPattern> pattern = {};  // Replace
  std::string content = {};                 // Replace, Strip; the suffix of BPEDecoder
  size_t start = 0;                         // Strip
  size_t stop = 0;
  MetaspaceOptions metaspace{};

  NextStep MakeStep(NextStep next) const;
};

NextStep Decoder::Stage::MakeStep(NextStep next) const {
  NextStep step;
  switch (kind) {
    case Kind::kJoinBySpaces:
      return std::make_unique<JoinBySpaces>(std::move(next));
    case Kind::kFuse:
      return next;  // parts of a text are handed on as they come; later stages know that they are
                    // parts
    case Kind::kStrip:
      if (fused) return std::make_unique<StripText>(content, start, stop, std::move(next));
      return MakeRewriteTokens(
          [this](std::string_view token) { return StripToken(token, content, start, stop); },
          std::move(next));
    case Kind::kByteLevel:
      step = std::make_unique<ByteLevelStep>(std::move(next));
      break;
    case Kind::kByteFallback:
      step = std::make_unique<ByteFallbackStep>(std::move(next));
      break;
    case Kind::kReplace:
      step = MakeRewriteTokens(
          [this](std::string_view token) {
            return ReplaceIn(token, pattern->FindAll(token), content);
          },
          std::move(next));
      break;
    case Kind::kMetaspace:
      step = std::make_unique<MetaspaceStep>(metaspace, std::move(next));
      break;
    case Kind::kBpeDecoder:
      step = std::make_unique<BpeDecoderStep>(content, std::move(next));
      break;
  }
  if (fused) return std::make_unique<Whole>(std::move(step));
  return step;
}

Decoder::Decoder(const core::Json* json, const std::string& where) {
  if (json == nullptr) {
    stages_.push_back({.kind = Stage::Kind::kJoinBySpaces});
  } else {
    Parse(Component(*json, where));
  }
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

void Decoder::Parse(const Component& component) {
  const std::string type = component.Type();
  if (type == "Sequence") {
    for (const Component& part : component.RequiredList("decoders")) Parse(part);
    return;
  }
  const bool fused = std::any_of(stages_.begin(), stages_.end(), [](const Stage& stage) {
    return stage.kind == Stage::Kind::kFuse || stage.kind == Stage::Kind::kByteLevel;
  });
  Stage stage{.kind = Stage::Kind::kFuse, .fused = fused};
  if (type == "ByteLevel") {
    stage.kind = Stage::Kind::kByteLevel;
  } else if (type == "ByteFallback") {
    stage.kind = Stage::Kind::kByteFallback;
  } else if (type == "Replace") {
    stage.kind = Stage::Kind::kReplace;
    stage.pattern.emplace(component);
    stage.content = component.fields().RequiredString("content");
  } else if (type == "Strip") {
    stage.kind = Stage::Kind::kStrip;
    AppendCharacter(component.RequiredCharacter("content"), stage.content);
    constexpr int64_t kMaxCut = 1024;
    stage.start = static_cast<size_t>(component.fields().RequiredInt("start", 0, kMaxCut));
    stage.stop = static_cast<size_t>(component.fields().RequiredInt("stop", 0, kMaxCut));
  } else if (type == "Metaspace") {
    stage.kind = Stage::Kind::kMetaspace;
    stage.metaspace = ParseMetaspaceOptions(component);
  } else if (type == "BPEDecoder") {
    stage.kind = Stage::Kind::kBpeDecoder;
    stage.content = component.fields().RequiredString("suffix");
    if (stage.content.empty()) throw core::BadInput("{}: field suffix is empty", component.where());
  } else if (type != "Fuse") {
    throw component.Unsupported(
        type, "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, BPEDecoder, Sequence");
  }
  stages_.push_back(std::move(stage));
}

std::unique_ptr<DecodeStep> Decoder::Start(std::string& out) const {
  NextStep step = std::make_unique<Collect>(out);
  for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage)
    step = stage->MakeStep(std::move(step));
  return step;
}

}  // namespace autodist::text
