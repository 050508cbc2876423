#include "autodist/text/stream_decoder.h"

#include <utility>

namespace autodist::text {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(tokenizer),
      skip_special_tokens_(skip_special_tokens),
      step_(tokenizer.StartDecoding(out_)) {}

std::string StreamDecoder::Push(int32_t id) {
  if (const auto token = tokenizer_.DecoderInput(id, skip_special_tokens_)) step_->Push(*token);
  return std::exchange(out_, {});
}

std::string StreamDecoder::Flush() {
  step_->Finish();
  return std::exchange(out_, {});
}

}  // namespace autodist::text
