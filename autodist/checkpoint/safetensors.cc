#include "autodist/checkpoint/safetensors.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json.h"

namespace autodist::checkpoint {
namespace {

namespace fs = std::filesystem;
using core::BadInput;
using core::Json;

// Bits of one element, 0 for a type the format does not know.
unsigned BitsOf(std::string_view dtype) {
  static constexpr std::pair<std::string_view, unsigned> kBits[] = {
      {"F32", 32},    {"BF16", 16},   {"F16", 16},        {"F64", 64},        {"I64", 64},
      {"I32", 32},    {"I16", 16},    {"I8", 8},          {"U64", 64},        {"U32", 32},
      {"U16", 16},    {"U8", 8},      {"BOOL", 8},        {"C64", 64},        {"F8_E4M3", 8},
      {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6},
      {"F6_E3M2", 6}, {"F4", 4},
  };
  for (const auto& [name, bits] : kBits)
    if (name == dtype) return bits;
  return 0;
}

// One tensor's entry of a header, with messages that name file and tensor.
class EntryParser {
 public:
  EntryParser(const fs::path& path, const std::string& name, const Json& entry)
      : path_(path), name_(name), entry_(entry) {}

  // `offset` of the result is relative to the data section.
  spec::StoredTensor Parse() const {
    if (!entry_.is_object()) throw Fault("is not an object");
    spec::StoredTensor tensor;
    tensor.name = name_;
    tensor.dtype = ParseDType();
    const uint64_t elements = ParseShape(tensor.shape);
    const auto [begin, end] = ParseOffsets();
    uint64_t bits = 0;
    if (__builtin_mul_overflow(elements, uint64_t{BitsOf(tensor.dtype)}, &bits))
      throw Fault("has a shape whose size overflows 64 bits");
    if (bits % 8 != 0)
      throw Fault(fmt::format("has {} elements of dtype {}: not a whole number of bytes", elements,
                              tensor.dtype));
    if (bits / 8 != end - begin)
      throw Fault(fmt::format("needs {} bytes by shape and dtype {}, but data_offsets span {}",
                              bits / 8, tensor.dtype, end - begin));
    tensor.offset = begin;
    tensor.bytes = end - begin;
    return tensor;
  }

 private:
  core::Error Fault(const std::string& what) const {
    return BadInput("{}: tensor {} {}", path_.string(), QuotedName(name_), what);
  }
  const Json& Field(const char* field) const {
    const auto found = entry_.find(field);
    if (found == entry_.end()) throw Fault(fmt::format("has no field {}", field));
    return *found;
  }
  std::string ParseDType() const {
    const Json& value = Field("dtype");
    if (!value.is_string()) throw Fault("has a dtype that is not a string");
    auto dtype = value.get<std::string>();
    if (BitsOf(dtype) == 0) throw Fault(fmt::format("has the unknown dtype {}", QuotedName(dtype)));
    return dtype;
  }
  uint64_t ParseShape(std::vector<int64_t>& shape) const {
    const Json& value = Field("shape");
    if (!value.is_array()) throw Fault("has a shape that is not an array");
    if (value.size() > kMaxTensorDims)
      throw Fault(fmt::format("has {} dims, at most {} are read", value.size(), kMaxTensorDims));
    uint64_t elements = 1;
    for (const Json& dim : value) {
      // The parser stores every integer >= 0 as unsigned; floats and negative numbers are of other
      // types.
      if (!dim.is_number_unsigned() || dim.get<uint64_t>() > uint64_t{INT64_MAX})
        throw Fault(fmt::format("has the dim {} in its shape, must be an integer from 0 to 2^63-1",
                                core::DumpJson(dim).substr(0, 40)));
      if (__builtin_mul_overflow(elements, dim.get<uint64_t>(), &elements))
        throw Fault("has a shape whose size overflows 64 bits");
      shape.push_back(dim.get<int64_t>());
    }
    return elements;
  }
  std::pair<uint64_t, uint64_t> ParseOffsets() const {
    const Json& value = Field("data_offsets");
    if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() ||
        !value[1].is_number_unsigned())
      throw Fault("has data_offsets that are not two integers from 0");
    const auto begin = value[0].get<uint64_t>();
    const auto end = value[1].get<uint64_t>();
    if (begin > end)
      throw Fault(fmt::format("has data_offsets [{}, {}]: begin after end", begin, end));
    return {begin, end};
  }

  const fs::path& path_;
  const std::string& name_;
  const Json& entry_;
};

void CheckMetadata(const fs::path& path, const Json& metadata) {
  if (!metadata.is_object()) throw BadInput("{}: __metadata__ is not an object", path.string());
  for (const auto& [key, value] : metadata.items())
    if (!value.is_string())
      throw BadInput("{}: __metadata__ {} is not a string", path.string(), QuotedName(key));
}

// Sorts by offset, checks that the tensors tile [0, size of the data section), and makes offsets
// absolute.
void PlaceTensors(const fs::path& path, uint64_t data_start, uint64_t file_bytes,
                  std::vector<spec::StoredTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
  });
  uint64_t end = 0;  // cannot overflow: offset + bytes is the entry's own `end`
  const spec::StoredTensor* previous = nullptr;
  for (const auto& tensor : tensors) {
    if (tensor.offset < end)
      throw BadInput("{}: tensor {} overlaps tensor {}", path.string(), QuotedName(tensor.name),
                     QuotedName(previous->name));
    if (tensor.offset > end)
      throw BadInput("{}: {} bytes before tensor {} belong to no tensor", path.string(),
                     tensor.offset - end, QuotedName(tensor.name));
    end = tensor.offset + tensor.bytes;
    previous = &tensor;
  }
  const uint64_t data_bytes = file_bytes - data_start;
  if (end > data_bytes) {
    uint64_t need = 0;
    if (__builtin_add_overflow(data_start, end, &need)) need = UINT64_MAX;
    throw BadInput("{}: truncated: need {} bytes, have {}", path.string(), need, file_bytes);
  }
  if (end < data_bytes)
    throw BadInput("{}: {} bytes follow the last tensor", path.string(), data_bytes - end);
  for (auto& tensor : tensors) tensor.offset += data_start;
}

bool Present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// A link of the hub cache whose blob is gone deserves better than "No such file or directory".
void CheckNotDangling(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_symlink(path, ignored) && !fs::exists(path, ignored))
    throw BadInput("{}: is a link to {}, which does not exist: the download is incomplete",
                   path.string(), fs::read_symlink(path, ignored).string());
}

// At most `kListed` names: an index may be wrong in a million places.
std::string Listed(const std::vector<std::string>& names) {
  constexpr size_t kListed = 200;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kListed); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kListed) text += fmt::format(" and {} more", names.size() - kListed);
  return text;
}

[[noreturn]] void RefuseDirectory(const fs::path& dir) {
  constexpr std::string_view kRead =
      "autodist reads safetensors: model.safetensors, or model.safetensors.index.json with its "
      "shards";
  std::error_code error;
  if (!fs::is_directory(dir, error)) throw BadInput("{}: is not a directory", dir.string());
  std::vector<std::string> shards;
  std::vector<std::string> others;
  for (auto it = fs::directory_iterator(dir, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".safetensors") shards.push_back(QuotedName(it->path().filename().string()));
    for (const char* known :
         {".bin", ".pt", ".pth", ".gguf", ".ggml", ".h5", ".msgpack", ".onnx", ".npz", ".ckpt"})
      if (extension == known) others.push_back(QuotedName(it->path().filename().string()));
  }
  if (error) throw BadInput("{}: cannot be listed: {}", dir.string(), error.message());
  std::sort(shards.begin(), shards.end());
  std::sort(others.begin(), others.end());
  if (!shards.empty())
    throw BadInput(
        "{}: holds {}, but neither model.safetensors nor model.safetensors.index.json; {}",
        dir.string(), Listed(shards), kRead);
  if (!others.empty())
    throw BadInput("{}: holds weights only as {}, a format that is not read; {}", dir.string(),
                   Listed(others), kRead);
  throw BadInput("{}: holds no weights; {}", dir.string(), kRead);
}

void CheckShardName(const fs::path& index, const std::string& name) {
  const fs::path file(name);
  bool plain = !name.empty() && name.find('\0') == std::string::npos && file.is_relative();
  for (const auto& part : file) plain = plain && part != "..";
  if (!plain)
    throw BadInput("{}: names the shard {}, must be a path inside the model directory",
                   index.string(), QuotedName(name));
}

// Tensor names per shard file name.
std::map<std::string, std::vector<std::string>> ReadIndex(const fs::path& path) {
  const Json index = core::ParseJsonFile(path);
  if (!index.is_object()) throw BadInput("{}: is not a JSON object", path.string());
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object())
    throw BadInput("{}: has no object weight_map", path.string());
  if (weight_map->empty()) throw BadInput("{}: weight_map is empty", path.string());
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, file] : weight_map->items()) {
    if (!file.is_string())
      throw BadInput("{}: weight_map gives no file name for tensor {}", path.string(),
                     QuotedName(tensor));
    shards[file.get_ref<const std::string&>()].push_back(tensor);
  }
  for (const auto& [file, tensors] : shards) CheckShardName(path, file);
  return shards;
}

spec::TensorCatalog ReadShards(const fs::path& dir, const fs::path& index) {
  const auto shards = ReadIndex(index);
  spec::TensorCatalog catalog;
  std::vector<std::string> missing_files;
  std::vector<std::string> missing_tensors;
  std::vector<std::string> twice;
  for (const auto& [file, names] : shards) {
    const fs::path path = dir / file;
    if (!Present(path)) {
      missing_files.push_back(fmt::format("{} ({} tensors)", QuotedName(file), names.size()));
      continue;
    }
    CheckNotDangling(path);
    SafetensorsHeader header = ReadSafetensorsHeader(path);
    std::set<std::string_view> held;
    for (const auto& tensor : header.tensors) held.insert(tensor.name);
    for (const auto& name : names)
      if (!held.contains(name))
        missing_tensors.push_back(fmt::format("{} in {}", QuotedName(name), QuotedName(file)));
    const int file_index = static_cast<int>(catalog.files.size());
    catalog.files.push_back(std::move(header.file));
    for (auto& tensor : header.tensors) {
      tensor.file = file_index;
      const auto [slot, added] = catalog.tensors.try_emplace(tensor.name, tensor);
      if (added) continue;
      const fs::path& first = catalog.files[static_cast<size_t>(slot->second.file)].path;
      twice.push_back(fmt::format("{} in {} and {}", QuotedName(tensor.name),
                                  QuotedName(first.filename().string()), QuotedName(file)));
    }
  }
  std::string faults;
  const auto add = [&faults](std::string_view what, const std::vector<std::string>& names) {
    if (!names.empty())
      faults += fmt::format("{}{}: {}", faults.empty() ? "" : "; ", what, Listed(names));
  };
  add("missing shards", missing_files);
  add("missing tensors", missing_tensors);
  add("tensors in two shards", twice);
  if (!faults.empty()) throw BadInput("{}: {}", index.string(), faults);
  return catalog;
}

}  // namespace

std::string QuotedName(std::string_view name) {
  constexpr size_t kShown = 120;
  std::string text =
      Json(std::string(name.substr(0, kShown))).dump(-1, ' ', true, Json::error_handler_t::replace);
  if (name.size() > kShown) text += fmt::format("... ({} bytes)", name.size());
  return text;
}

SafetensorsHeader ReadSafetensorsHeader(const fs::path& path) {
  const core::InputFile file(path);
  if (file.size() < 8)
    throw BadInput("{}: header too small: {} bytes, a safetensors file has at least 8",
                   path.string(), file.size());
  uint64_t header_bytes = 0;
  static_assert(std::endian::native == std::endian::little,
                "header length and weights are little-endian");
  file.ReadAt(0, &header_bytes, sizeof(header_bytes));
  if (header_bytes == 0) throw BadInput("{}: header too small: its length is 0", path.string());
  if (header_bytes > kMaxHeaderBytes)
    throw BadInput("{}: header length is {}, must be at most {}", path.string(), header_bytes,
                   kMaxHeaderBytes);
  if (header_bytes > file.size() - 8)
    throw BadInput("{}: truncated: need {} bytes for the header, have {}", path.string(),
                   8 + header_bytes, file.size());
  std::string text(header_bytes, '\0');
  file.ReadAt(8, text.data(), text.size());
  // Before parsing, so that a byte order mark or a file of another kind gets this sentence.
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || text[first] != '{')
    throw BadInput("{}: header is not a JSON object", path.string());

  const Json header = core::ParseJson(text, path.string());
  SafetensorsHeader result;
  result.file = {path, file.size(), XXH3_64bits(text.data(), text.size())};
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      CheckMetadata(path, entry);
    } else {
      result.tensors.push_back(EntryParser(path, name, entry).Parse());
    }
  }
  PlaceTensors(path, 8 + header_bytes, file.size(), result.tensors);
  return result;
}

spec::TensorCatalog ReadCatalog(const fs::path& model_dir) {
  const fs::path single = model_dir / "model.safetensors";
  const fs::path index = model_dir / "model.safetensors.index.json";
  if (!Present(single)) {
    if (!Present(index)) RefuseDirectory(model_dir);
    CheckNotDangling(index);
    return ReadShards(model_dir, index);
  }
  CheckNotDangling(single);
  SafetensorsHeader header = ReadSafetensorsHeader(single);
  spec::TensorCatalog catalog;
  catalog.files.push_back(std::move(header.file));
  for (auto& tensor : header.tensors) catalog.tensors.try_emplace(tensor.name, tensor);
  return catalog;
}

}  // namespace autodist::checkpoint
