#include "autodist/checkpoint/shard_manifest.h"

#include <fmt/format.h>

#include <charconv>

#include "autodist/checkpoint/hash.h"
#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"

namespace autodist::checkpoint {
namespace {

using core::Json;

// Of the document without its last field, as FormatManifest writes it.
std::string HashOf(const Json& document) {
  Hash128 hash;
  hash.AddField("manifest", core::DumpJson(document));
  return hash.Hex();
}

uint64_t RequiredBytes(const core::JsonFields& fields, std::string_view name) {
  return static_cast<uint64_t>(fields.RequiredInt(name, 0, int64_t{1} << 60));
}

ShardBlob ParseBlob(const Json& object, std::string_view source) {
  const core::JsonFields fields(object, source);
  ShardBlob blob;
  blob.name = fields.RequiredString("name");
  blob.layout = fields.RequiredString("layout");
  blob.offset = RequiredBytes(fields, "offset");
  blob.bytes = RequiredBytes(fields, "bytes");
  blob.hash = fields.RequiredString("hash");
  return blob;
}

}  // namespace

std::string ShardKey::Hash() const {
  Hash128 hash;
  hash.AddField("format", std::to_string(kShardFormat));
  hash.AddField("fingerprint", fingerprint);
  hash.AddField("plan", plan);
  hash.AddField("dtype", dtype);
  hash.AddField("quantisation", quantisation);
  hash.AddField("isa", isa);
  hash.AddField("library", library);
  hash.AddField("world", std::to_string(world));
  return hash.Hex();
}

std::string ShardKey::EntryName() const {
  return fmt::format("{}-{}", model, Hash().substr(0, 16));
}

std::string FormatManifest(const ShardManifest& manifest) {
  const ShardKey& key = manifest.key;
  Json document = {{"format", kShardMagic},    {"version", kShardFormat},
                   {"key", manifest.key_hash}, {"rank", manifest.rank},
                   {"world", key.world},       {"size", manifest.file_bytes},
                   {"model", key.model},       {"source", key.source},
                   {"host", manifest.host},    {"fingerprint", key.fingerprint},
                   {"dtype", key.dtype},       {"quantisation", key.quantisation},
                   {"isa", key.isa},           {"library", key.library},
                   {"plan", key.plan}};
  Json& blobs = document["blobs"] = Json::array();
  for (const auto& blob : manifest.blobs)
    blobs.push_back({{"name", blob.name},
                     {"layout", blob.layout},
                     {"offset", blob.offset},
                     {"bytes", blob.bytes},
                     {"hash", blob.hash}});
  document["hash"] = HashOf(document);
  return core::DumpJson(document) + "\n";
}

ShardManifest ReadManifest(const std::filesystem::path& path) {
  Json document = core::ParseJsonFile(path, kMaxManifestBytes);
  const std::string source = path.string();
  std::string hash;
  {
    const core::JsonFields fields(document, source);
    if (fields.String("format") != kShardMagic ||
        fields.Int("version", 0, INT64_MAX) != kShardFormat)
      throw core::BadInput("{}: is not a manifest of format {} {}", source, kShardMagic,
                           kShardFormat);
    hash = fields.RequiredString("hash");
  }
  document.erase("hash");
  if (HashOf(document) != hash) throw core::BadInput("{}: its checksum differs", source);

  const core::JsonFields fields(document, source);
  ShardManifest manifest;
  manifest.key_hash = fields.RequiredString("key");
  manifest.rank = static_cast<int>(fields.RequiredInt("rank", 0, INT32_MAX));
  manifest.key.world = static_cast<int>(fields.RequiredInt("world", 1, INT32_MAX));
  manifest.file_bytes = RequiredBytes(fields, "size");
  manifest.key.model = fields.RequiredString("model");
  manifest.key.source = fields.RequiredString("source");
  manifest.host = fields.RequiredString("host");
  manifest.key.fingerprint = fields.RequiredString("fingerprint");
  manifest.key.dtype = fields.RequiredString("dtype");
  manifest.key.quantisation = fields.RequiredString("quantisation");
  manifest.key.isa = fields.RequiredString("isa");
  manifest.key.library = fields.RequiredString("library");
  manifest.key.plan = fields.RequiredString("plan");
  if (manifest.key.Hash() != manifest.key_hash)
    throw core::BadInput("{}: its key differs from its fields", source);

  const Json* blobs = fields.Find("blobs");
  if (blobs == nullptr || !blobs->is_array())
    throw core::BadInput("{}: field blobs is missing", source);
  uint64_t end = kShardPageBytes;
  for (const Json& object : *blobs) {
    const ShardBlob& blob = manifest.blobs.emplace_back(ParseBlob(object, source));
    if (blob.offset != end) throw core::BadInput("{}: blobs do not follow each other", source);
    end += PaddedBytes(blob.bytes);  // below 2^61: both terms are limited
    if (end > manifest.file_bytes) break;
  }
  if (end != manifest.file_bytes)
    throw core::BadInput("{}: its blobs do not fill {} bytes", source, manifest.file_bytes);
  return manifest;
}

uint64_t PaddedBytes(uint64_t bytes) {
  return (bytes + kShardPageBytes - 1) / kShardPageBytes * kShardPageBytes;
}

std::string FirstPage(std::string_view key_hash) {
  std::string page = fmt::format("{} {} {}\n", kShardMagic, kShardFormat, key_hash);
  page.resize(kShardPageBytes, '\0');
  return page;
}

std::string DataName(int rank) { return fmt::format("rank_{}.bin", rank); }
std::string ManifestName(int rank) { return fmt::format("rank_{}.json", rank); }
std::string LockName(int rank) { return fmt::format("rank_{}.lock", rank); }

std::optional<int> RankOfFileName(std::string_view name) {
  constexpr std::string_view kPrefix = "rank_";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  int rank = -1;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), rank);
  if (parsed.ec != std::errc() || rank < 0) return std::nullopt;
  name.remove_prefix(static_cast<size_t>(parsed.ptr - name.data()));
  if (name == ".bin" || name == ".json" || name == ".lock") return rank;
  for (const std::string_view form : {".bin.tmp.", ".json.tmp."}) {
    if (!name.starts_with(form) || name.size() == form.size()) continue;
    if (name.find_first_not_of("0123456789", form.size()) == name.npos) return rank;
  }
  return std::nullopt;
}

}  // namespace autodist::checkpoint
