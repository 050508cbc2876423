// Which characters may meet inside a token.
#ifndef AUTODIST_TEXT_JUNCTION_SET_H_
#define AUTODIST_TEXT_JUNCTION_SET_H_

#include <cstdint>
#include <vector>

#include "autodist/text/merge_table.h"

namespace autodist::text {

// A set of pairs of ids that may answer yes for a pair that was never added (real files fill a few
// percent of it), but never no for one that was. 32 KiB. MayHold is safe from any thread while
// nobody adds.
class JunctionSet {
 public:
  void Add(int32_t left, int32_t right) {
    const uint64_t bit = BitOf(left, right);
    words_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  bool MayHold(int32_t left, int32_t right) const {
    const uint64_t bit = BitOf(left, right);
    return (words_[bit / 64] >> (bit % 64) & 1) != 0;
  }

 private:
  static constexpr uint64_t kBits = uint64_t{1} << 18;

  static uint64_t BitOf(int32_t left, int32_t right) { return HashPair(left, right) % kBits; }

  std::vector<uint64_t> words_ = std::vector<uint64_t>(kBits / 64);
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_JUNCTION_SET_H_
