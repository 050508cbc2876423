#include "autodist/text/tokenizer.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/text/added_tokens.h"
#include "autodist/text/bpe.h"
#include "autodist/text/decoder.h"
#include "autodist/text/normalizer.h"
#include "autodist/text/post_processor.h"
#include "autodist/text/pre_tokenizer.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

constexpr const char* kWhatIsRead =
    "read is tokenizer.json with a model of type BPE (byte-level or byte-fallback)";
constexpr size_t kMaxTextBytes = size_t{1} << 30;
constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;

// Files without model.type are old ones; the library tells them apart by their fields, and so do
// we.
std::string ModelType(const Component& model) {
  if (const auto type = model.fields().String("type")) return *type;
  const core::Json* vocab = model.fields().Find("vocab");
  if (model.fields().Has("merges")) return "BPE";
  if (vocab != nullptr && vocab->is_array()) return "Unigram";
  return model.fields().Has("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

BpeModel ParseModel(const Component& file, BpeTables tables, const std::string& source) {
  const core::Json* json = file.fields().Find("model");
  if (json == nullptr) throw core::BadInput("{}: field model is missing; {}", source, kWhatIsRead);
  const Component model(*json, source + ": model");
  const std::string type = ModelType(model);
  if (type != "BPE") {
    throw core::BadInput("{}: type \"{}\" is not supported; {}", model.where(), type, kWhatIsRead);
  }
  return BpeModel(model, std::move(tables));
}

template <typename T>
std::unique_ptr<const T> ParseOptional(const Component& file, const std::string& source,
                                       std::string_view name,
                                       std::unique_ptr<const T> (*parse)(const Component&)) {
  const core::Json* json = file.fields().Find(name);
  if (json == nullptr) return nullptr;
  return parse(Component(*json, fmt::format("{}: {}", source, name)));
}

// A special token of tokenizer_config.json: "</s>", or an object with the field content.
std::optional<int32_t> ConfiguredId(const Tokenizer& tokenizer, const core::Json* config,
                                    std::string_view name) {
  if (config == nullptr || !config->is_object()) return std::nullopt;
  const auto found = config->find(name);
  if (found == config->end()) return std::nullopt;
  const core::Json* value = &*found;
  if (value->is_object() && value->contains("content")) value = &(*value)["content"];
  return value->is_string() ? tokenizer.Find(value->get_ref<const std::string&>()) : std::nullopt;
}

}  // namespace

struct Tokenizer::Parts {
  Parts(const Component& file, BpeTables tables, const std::string& source)
      : model(ParseModel(file, std::move(tables), source)),
        normalizer(ParseOptional(file, source, "normalizer", &ParseNormalizer)),
        pre_tokenizer(ParseOptional(file, source, "pre_tokenizer", &ParsePreTokenizer)),
        added_tokens(file.fields().Find("added_tokens"), source + ": added_tokens",
                     model.vocabulary(), normalizer.get()),
        decoder(file.fields().Find("decoder"), source + ": decoder"),
        vocab_size(std::max(model.vocabulary().size(), added_tokens.max_id() + 1)) {
    if (const core::Json* json = file.fields().Find("post_processor")) {
      frame = ParsePostProcessor(Component(*json, source + ": post_processor"), vocab_size);
    }
  }

  BpeModel model;
  std::unique_ptr<const Normalizer> normalizer;       // may be null
  std::unique_ptr<const PreTokenizer> pre_tokenizer;  // may be null
  AddedTokens added_tokens;
  Decoder decoder;
  int32_t vocab_size;
  SpecialTokenFrame frame;
};

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<const Tokenizer> Tokenizer::Load(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "tokenizer.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    std::string others;
    for (const char* name : {"tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"}) {
      if (std::filesystem::exists(model_dir / name, error))
        others += fmt::format(" ({} is there, but not read)", name);
    }
    throw core::BadInput("{}: not found{}; {}", path.string(), others, kWhatIsRead);
  }
  const std::string file = core::ReadFile(path, kMaxFileBytes);
  const std::filesystem::path config_path = model_dir / "tokenizer_config.json";
  if (!std::filesystem::exists(config_path, error)) return FromText(file, nullptr, path.string());
  const core::Json config = core::ParseJsonFile(config_path, kMaxFileBytes);
  return FromText(file, &config, path.string());
}

std::unique_ptr<const Tokenizer> Tokenizer::FromText(std::string_view tokenizer_json,
                                                     const core::Json* config,
                                                     const std::string& source) {
  BpeTables tables(source);
  const core::Json json = core::ParseJson(tokenizer_json, source, tables);
  const Component file(json, source);
  const std::string version = file.fields().String("version").value_or("1.0");
  if (version != "1.0")
    throw core::BadInput("{}: field version is \"{}\", must be \"1.0\"", source, version);
  std::unique_ptr<Tokenizer> tokenizer(
      new Tokenizer(std::make_unique<const Parts>(file, std::move(tables), source)));
  tokenizer->bos_id_ = ConfiguredId(*tokenizer, config, "bos_token");
  tokenizer->eos_id_ = ConfiguredId(*tokenizer, config, "eos_token");
  tokenizer->pad_id_ = ConfiguredId(*tokenizer, config, "pad_token");
  return tokenizer;
}

template <typename Added, typename Word>
void Tokenizer::ForEachPiece(std::string_view utf8, const Added& added, const Word& word) const {
  if (utf8.size() > kMaxTextBytes) {
    throw core::BadInput("the text to tokenize has {} bytes, the limit is {}", utf8.size(),
                         kMaxTextBytes);
  }
  if (const auto offset = FindInvalidUtf8(utf8)) {
    throw core::BadInput("the text to tokenize is not valid UTF-8 at byte {}", *offset);
  }
  Pieces pieces = parts_->added_tokens.Extract(utf8, parts_->normalizer.get());
  if (parts_->pre_tokenizer != nullptr) parts_->pre_tokenizer->Apply(pieces);
  for (const Piece& piece : pieces.pieces) {
    if (piece.token) {
      added(*piece.token, pieces.Text(piece));
    } else {
      word(pieces.Text(piece));
    }
  }
}

std::vector<int32_t> Tokenizer::Encode(std::string_view utf8, bool add_special_tokens) const {
  std::vector<int32_t> ids;
  const auto append = [&](const std::vector<SpecialToken>& tokens) {
    if (!add_special_tokens) return;
    for (const SpecialToken& token : tokens) ids.push_back(token.id);
  };
  append(parts_->frame.before);
  ForEachPiece(
      utf8, [&](int32_t id, std::string_view) { ids.push_back(id); },
      [&](std::string_view text) { parts_->model.Encode(text, ids); });
  append(parts_->frame.behind);
  return ids;
}

Encoding Tokenizer::EncodeWithTokens(std::string_view utf8, bool add_special_tokens) const {
  Encoding encoding;
  const auto append = [&](const std::vector<SpecialToken>& tokens) {
    if (!add_special_tokens) return;
    for (const SpecialToken& token : tokens) {
      encoding.ids.push_back(token.id);
      encoding.tokens.push_back(token.token);
    }
  };
  append(parts_->frame.before);
  ForEachPiece(
      utf8,
      [&](int32_t id, std::string_view surface) {
        encoding.ids.push_back(id);
        encoding.tokens.emplace_back(surface);
      },
      [&](std::string_view text) {
        parts_->model.Encode(text, encoding.ids);
        while (encoding.tokens.size() < encoding.ids.size()) {
          encoding.tokens.emplace_back(
              *parts_->model.vocabulary().Token(encoding.ids[encoding.tokens.size()]));
        }
      });
  append(parts_->frame.behind);
  return encoding;
}

std::optional<std::string_view> Tokenizer::DecoderInput(int32_t id,
                                                        bool skip_special_tokens) const {
  if (const AddedToken* token = parts_->added_tokens.Token(id)) {
    if (token->special && skip_special_tokens) return std::nullopt;
    return token->pattern;
  }
  return parts_->model.vocabulary().Token(id);
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string text;
  const std::unique_ptr<DecodeStep> step = parts_->decoder.Start(text);
  for (const int32_t id : ids) {
    if (const auto token = DecoderInput(id, skip_special_tokens)) step->Push(*token);
  }
  step->Finish();
  return text;
}

std::vector<std::string> Tokenizer::Tokens(std::span<const int32_t> ids) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    tokens.emplace_back(DecoderInput(id, /*skip_special_tokens=*/false).value_or(""));
  }
  return tokens;
}

std::unique_ptr<DecodeStep> Tokenizer::StartDecoding(std::string& out) const {
  return parts_->decoder.Start(out);
}

int32_t Tokenizer::vocab_size() const { return parts_->vocab_size; }

std::optional<int32_t> Tokenizer::Find(std::string_view token) const {
  const auto id = parts_->added_tokens.Find(token);
  return id ? id : parts_->model.vocabulary().Find(token);
}

bool Tokenizer::IsSpecial(int32_t id) const {
  const AddedToken* token = parts_->added_tokens.Token(id);
  return token != nullptr && token->special;
}

}  // namespace autodist::text
