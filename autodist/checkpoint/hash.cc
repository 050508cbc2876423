#include "autodist/checkpoint/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

#include "autodist/core/check.h"

namespace autodist::checkpoint {

struct Hash128::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() {
    if (xxh == nullptr) throw std::bad_alloc();
    AUTODIST_CHECK_EQ(XXH3_128bits_reset(xxh), XXH_OK);
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hash128::Hash128() : state_(std::make_unique<State>()) {}
Hash128::~Hash128() = default;
Hash128::Hash128(Hash128&& other) noexcept = default;
Hash128& Hash128::operator=(Hash128&& other) noexcept = default;

void Hash128::Add(const void* data, size_t bytes) {
  if (bytes > 0) XXH3_128bits_update(state_->xxh, data, bytes);
}

void Hash128::AddField(std::string_view name, std::string_view text) {
  const std::string head = fmt::format("{}:{}:", name, text.size());
  Add(head.data(), head.size());
  Add(text.data(), text.size());
}

std::string Hash128::Hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace autodist::checkpoint
