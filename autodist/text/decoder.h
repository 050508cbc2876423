// The "decoder" of tokenizer.json: tokens back to text, all at once or as they come.
#ifndef AUTODIST_TEXT_DECODER_H_
#define AUTODIST_TEXT_DECODER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/text/component.h"

namespace autodist::text {

// One step of a decoder at work on one sequence of tokens; it hands its result to the next step.
// Steps hold back what a later token may still change, and nothing else, so all that comes out is
// final. Not thread-safe.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual void Push(std::string_view token) = 0;
  virtual void Finish() = 0;
};

// A decoder as the file describes it. Immutable; Start may be called from several threads.
class Decoder {
 public:
  // `json` may be null: then tokens are joined by spaces, as in the library. Reads ByteLevel,
  // ByteFallback, Fuse, Replace, Strip, Metaspace, BPEDecoder and Sequence of these. Throws
  // core::Error (bad input) naming the component for every other type.
  Decoder(const core::Json* json, const std::string& where);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  // Steps that append text to `out`: whole characters, and after Finish all of it. Holds back at
  // most: an incomplete character; a run of byte tokens (a later byte can invalidate the whole
  // run); the spaces that Strip may cut at the end; with a Replace behind Fuse or ByteLevel,
  // everything. `out` and this object must outlive the result.
  std::unique_ptr<DecodeStep> Start(std::string& out) const;

 private:
  struct Stage;

  void Parse(const Component& component);

  std::vector<Stage> stages_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_DECODER_H_
