// Text to token ids and back, as the tokenizer.json of a HuggingFace checkpoint says: the ids of
// HuggingFace tokenizers.
//
// What is read: byte-level BPE and byte-fallback BPE with the components that normalizer.h,
// pre_tokenizer.h, post_processor.h and decoder.h name. Anything else is refused by name, never
// approximated. `truncation` and `padding` of the file are ignored: they are habits of training.
#ifndef AUTODIST_TEXT_TOKENIZER_H_
#define AUTODIST_TEXT_TOKENIZER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/core/json.h"

namespace autodist::text {

class DecodeStep;

struct Encoding {
  std::vector<int32_t> ids;
  // One per id: the vocabulary's spelling, and for an added token the text that it matched, with
  // the white space that it swallowed (the library's Encoding.tokens).
  std::vector<std::string> tokens;
};

// Immutable: all const members may be called from several threads at once.
class Tokenizer {
 public:
  // Reads `model_dir`/tokenizer.json (at most 256 MiB) and, where it is there,
  // tokenizer_config.json. Throws core::Error (bad input) naming file and component for what is
  // missing, malformed, inconsistent or not supported.
  static std::unique_ptr<const Tokenizer> Load(const std::filesystem::path& model_dir);

  // As Load, from the text of tokenizer.json, which `source` names in messages, and
  // tokenizer_config.json, which may be null.
  static std::unique_ptr<const Tokenizer> FromText(std::string_view tokenizer_json,
                                                   const core::Json* config,
                                                   const std::string& source);
  ~Tokenizer();

  // Special tokens written out in the text are found as such. With `add_special_tokens` the file's
  // post-processor puts its tokens (BOS, ...) around. Throws core::Error (bad input): invalid UTF-8
  // (with the byte offset), more than 1 GiB, a regular expression of the file that exceeds its
  // limits. O(n log n) for the formats named above.
  std::vector<int32_t> Encode(std::string_view utf8, bool add_special_tokens) const;
  Encoding EncodeWithTokens(std::string_view utf8, bool add_special_tokens) const;

  // Valid UTF-8; bytes that are not are U+FFFD. Ids that no token has are passed over, as in the
  // library; so are special tokens with `skip_special_tokens` (by id; the library forgets those
  // whose content the normalizer changes).
  std::string Decode(std::span<const int32_t> ids, bool skip_special_tokens) const;

  // The vocabulary's spelling of each id; empty for an id that no token has.
  std::vector<std::string> Tokens(std::span<const int32_t> ids) const;

  // One more than the largest id: what the rows of the embedding are compared with. Ids may have
  // gaps.
  int32_t vocab_size() const;
  std::optional<int32_t> Find(std::string_view token) const;
  // An added token that the file calls special.
  bool IsSpecial(int32_t id) const;

  // bos_token, eos_token and pad_token of tokenizer_config.json; nullopt when it names none that
  // exists.
  std::optional<int32_t> bos_id() const { return bos_id_; }
  std::optional<int32_t> eos_id() const { return eos_id_; }
  std::optional<int32_t> pad_id() const { return pad_id_; }

 private:
  friend class StreamDecoder;
  struct Parts;

  explicit Tokenizer(std::unique_ptr<const Parts> parts);
  // Calls added(id, surface) for added tokens and word(text) for every other piece.
  template <typename Added, typename Word>
  void ForEachPiece(std::string_view utf8, const Added& added, const Word& word) const;
  // What the decoder is given for `id`, or nullopt when it is passed over. Valid as long as this
  // object.
  std::optional<std::string_view> DecoderInput(int32_t id, bool skip_special_tokens) const;

  std::unique_ptr<DecodeStep> StartDecoding(std::string& out) const;

  std::unique_ptr<const Parts> parts_;
  std::optional<int32_t> bos_id_;
  std::optional<int32_t> eos_id_;
  std::optional<int32_t> pad_id_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_TOKENIZER_H_
