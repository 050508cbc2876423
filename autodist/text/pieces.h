// A text on its way through the tokenizer, cut into pieces: what added tokens, normalisers and
// pre-tokenisers hand on.
#ifndef AUTODIST_TEXT_PIECES_H_
#define AUTODIST_TEXT_PIECES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autodist::text {

struct Piece {
  size_t begin;  // bytes [begin, end) of Pieces::text, at character boundaries; never empty
  size_t end;
  std::optional<int32_t> token;  // an added token: decided, no later step touches the piece
  // The first character stems from the very first character of the input (Metaspace's scheme
  // `first` asks).
  bool at_origin;
};

// Pieces lie in ascending order and do not overlap. What lies between two pieces was removed.
struct Pieces {
  std::string text;
  std::vector<Piece> pieces;

  std::string_view Text(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
  // Appends `content` to the text as one piece; nothing when it is empty.
  void Append(std::string_view content, std::optional<int32_t> token, bool at_origin) {
    if (content.empty()) return;
    pieces.push_back({text.size(), text.size() + content.size(), token, at_origin});
    text += content;
  }
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_PIECES_H_
