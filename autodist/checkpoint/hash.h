// XXH3-128: detects accidental change, no defence against an attacker.
#ifndef AUTODIST_CHECKPOINT_HASH_H_
#define AUTODIST_CHECKPOINT_HASH_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace autodist::checkpoint {

class Hash128 {
 public:
  Hash128();
  ~Hash128();
  Hash128(Hash128&& other) noexcept;
  Hash128& operator=(Hash128&& other) noexcept;

  void Add(const void* data, size_t bytes);
  // Name, length and text: unlike plain concatenation, no two lists of fields give the same bytes.
  void AddField(std::string_view name, std::string_view text);
  // Of all that was added so far; 32 hex digits.
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace autodist::checkpoint

#endif  // AUTODIST_CHECKPOINT_HASH_H_
