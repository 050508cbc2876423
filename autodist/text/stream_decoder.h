// Token ids to text while they are generated.
#ifndef AUTODIST_TEXT_STREAM_DECODER_H_
#define AUTODIST_TEXT_STREAM_DECODER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "autodist/text/decoder.h"
#include "autodist/text/tokenizer.h"

namespace autodist::text {

// Whatever the ids are and wherever the sequence ends, the texts of all Push calls and of Flush,
// put together, are Tokenizer::Decode of the ids: both run the same steps. Each text is valid UTF-8
// and final. Text that a later token may still change is held back (decoder.h says what); a token
// costs what its text costs, however many came before. Not thread-safe; one per sequence.
class StreamDecoder {
 public:
  // `tokenizer` must outlive this.
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens);
  StreamDecoder(const StreamDecoder&) = delete;
  StreamDecoder& operator=(const StreamDecoder&) = delete;

  // The text that is certain now; often empty.
  std::string Push(int32_t id);
  // The end of the sequence: the rest. REQUIRES that nothing is called afterwards.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_tokens_;
  std::string out_;
  std::unique_ptr<DecodeStep> step_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_STREAM_DECODER_H_
