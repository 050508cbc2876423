// JSON from files that nobody vouches for: depth, size, duplicate keys, numbers and UTF-8 are
// checked while parsing.
//
// The value type is nlohmann's ordered_json; parse only through this header. Its own parse()
// accepts a million nested '[', keeps the last of two equal keys, turns 2^64 into a double, and
// takes three times as long (tokenizer.json has up to ten million bytes).
#ifndef AUTODIST_CORE_JSON_H_
#define AUTODIST_CORE_JSON_H_

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace autodist::core {

using Json = nlohmann::ordered_json;

inline constexpr int kMaxJsonDepth = 64;

// Parses one document. `source` (a file name) starts every message. Throws core::Error (bad input)
// for: a syntax error, depth over 64, a key given twice in one object, an integer outside [-2^63,
// 2^64), a number that a double cannot hold, invalid UTF-8, a lone surrogate, anything but white
// space after the document.
Json ParseJson(std::string_view text, std::string_view source);

// Receives the content of large containers while they are parsed, in document order, so that no
// value is built for them. Views are valid during the call. What a member throws ends the parse.
class JsonTaker {
 public:
  virtual ~JsonTaker() = default;
  // Asked at every object and array outside of what is taken; `path` holds the names of the fields
  // that lead there, "model.vocab" (elements of an array have no name: "list..field"), `is_object`
  // tells the two apart. True: what the container holds comes to the members below, and the
  // document has an empty one in its place.
  virtual bool Takes(std::string_view path, bool is_object) = 0;
  // The name of the field whose value follows. Equal names are for the taker to find.
  virtual void Key(std::string_view name) = 0;
  virtual void String(std::string_view value) = 0;
  // A number, true, false or null.
  virtual void Scalar(const Json& value) = 0;
  // A container inside the taken one, and its end.
  virtual void Open() = 0;
  virtual void Close() = 0;
};

// As above; what `taker` takes is checked as well, but for equal keys.
Json ParseJson(std::string_view text, std::string_view source, JsonTaker& taker);

// Reads and parses a file of at most `max_bytes`. Throws core::Error naming the file.
Json ParseJsonFile(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{256} << 20);

// The value on one line, without an end of line. Invalid UTF-8 inside strings is replaced, never
// thrown.
std::string DumpJson(const Json& value);
// The document as people read it, in files and on stdout: indented by two, a line feed behind.
// Invalid UTF-8 as above.
std::string JsonText(const Json& document);

// Typed access to an object's fields, for configuration files. Messages: "<file>: field <name> is
// ..., must be ...".
class JsonFields {
 public:
  // `object` and `source` must outlive this. Throws unless `object` is a JSON object.
  JsonFields(const Json& object, std::string_view source);

  bool Has(std::string_view name) const;          // present and not null
  const Json* Find(std::string_view name) const;  // nullptr when absent or null

  // The value, or nullopt when absent or null. Throw when the type is wrong or the number is
  // outside the limits.
  std::optional<int64_t> Int(std::string_view name, int64_t min, int64_t max) const;
  std::optional<double> Number(std::string_view name) const;  // finite
  std::optional<bool> Bool(std::string_view name) const;
  std::optional<std::string> String(std::string_view name) const;
  // As above, but absent or null throws "field <name> is missing".
  int64_t RequiredInt(std::string_view name, int64_t min, int64_t max) const;
  std::string RequiredString(std::string_view name) const;

  std::string_view source() const { return source_; }
  const Json& object() const { return object_; }

 private:
  const Json& object_;
  std::string_view source_;
};

}  // namespace autodist::core

#endif  // AUTODIST_CORE_JSON_H_
