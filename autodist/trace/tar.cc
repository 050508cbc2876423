#include "autodist/trace/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "autodist/core/error.h"

namespace autodist::trace {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kMaxNameBytes = 1 << 16;

std::string_view Field(const char* block, size_t offset, size_t size) {
  const std::string_view field(block + offset, size);
  return field.substr(0, field.find('\0'));
}

}  // namespace

TarReader::TarReader(std::unique_ptr<ByteSource> archive, std::string name)
    : archive_(std::move(archive)), name_(std::move(name)), content_(*this) {}

size_t TarReader::Content::Read(char* to, size_t max) {
  if (reader_.left_ == 0) return 0;
  const size_t bytes = reader_.archive_->Read(to, std::min<uint64_t>(max, reader_.left_));
  if (bytes == 0)
    throw core::BadInput("{}: truncated: {} ends early", reader_.name_, reader_.member_);
  reader_.left_ -= bytes;
  return bytes;
}

// False: the archive has ended.
bool TarReader::ReadBlock(char* block) {
  size_t have = 0;
  while (have < kBlock) {
    const size_t bytes = archive_->Read(block + have, kBlock - have);
    if (bytes == 0 && have == 0) return false;
    if (bytes == 0) throw core::BadInput("{}: truncated: the tar archive ends early", name_);
    have += bytes;
  }
  return true;
}

void TarReader::Skip() {
  std::array<char, 4096> dropped;
  for (uint64_t left = left_ + padding_; left > 0;) {
    const size_t bytes = archive_->Read(dropped.data(), std::min<uint64_t>(left, dropped.size()));
    if (bytes == 0) throw core::BadInput("{}: truncated: the tar archive ends early", name_);
    left -= bytes;
  }
  left_ = padding_ = 0;
}

std::string TarReader::ReadText() {
  if (left_ > kMaxNameBytes)
    throw core::BadInput("{}: a file name of {} bytes in the tar archive", name_, left_);
  std::string text(left_, '\0');
  for (size_t have = 0; have < text.size();)
    have += content_.Read(text.data() + have, text.size() - have);
  Skip();
  return text.substr(0, text.find('\0'));
}

bool TarReader::Next() {
  Skip();
  std::string long_name;
  std::array<char, kBlock> block;
  while (ReadBlock(block.data())) {
    if (block == std::array<char, kBlock>{}) return false;
    std::string_view size_text = Field(block.data(), 124, 12);
    size_text = size_text.substr(0, size_text.find(' '));
    const auto [end, error] =
        std::from_chars(size_text.data(), size_text.data() + size_text.size(), left_, /*base=*/8);
    if (error != std::errc() || end != size_text.data() + size_text.size() ||
        left_ > uint64_t{1} << 60)
      throw core::BadInput("{}: is no tar archive", name_);
    padding_ = (kBlock - left_ % kBlock) % kBlock;
    member_ = long_name.empty() ? std::string(Field(block.data(), 0, 100)) : long_name;
    const char type = block[156];
    if (type == 'L') {
      long_name = ReadText();
      continue;
    }
    if (type == '0' || type == '\0') return true;
    long_name.clear();
    Skip();
  }
  return false;
}

}  // namespace autodist::trace
