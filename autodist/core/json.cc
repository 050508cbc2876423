#include "autodist/core/json.h"

#include <unordered_set>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/file.h"
#include "autodist/core/json_lexer.h"

namespace autodist::core {
namespace {

// Values from tokens, by recursion: the depth is limited.
class Parser {
 public:
  // `taker` may be null.
  Parser(std::string_view text, std::string_view source, JsonTaker* taker)
      : lexer_(text, source), source_(source), taker_(taker) {}

  Json Document() {
    Json value = Value(lexer_.Next(), 0);
    if (lexer_.Next() != JsonToken::kEnd) throw lexer_.Invalid("the document has ended before");
    return value;
  }

 private:
  // All of these: the value that begins with `token`; `depth` containers are open around it.
  Json Value(JsonToken token, int depth) {
    switch (token) {
      case JsonToken::kBeginObject:
      case JsonToken::kBeginArray:
        return Container(token == JsonToken::kBeginObject, depth);
      case JsonToken::kString:
        return Json(lexer_.string());
      default:
        return Scalar(token);
    }
  }

  Json Scalar(JsonToken token) const {
    switch (token) {
      case JsonToken::kSigned:
        return Json(lexer_.signed_integer());
      case JsonToken::kUnsigned:
        return Json(lexer_.unsigned_integer());
      case JsonToken::kFloat:
        return Json(lexer_.number());
      case JsonToken::kTrue:
      case JsonToken::kFalse:
        return Json(token == JsonToken::kTrue);
      case JsonToken::kNull:
        return Json(nullptr);
      case JsonToken::kEnd:
        throw lexer_.Invalid("the text ends before the document");
      default:
        throw lexer_.Invalid("a value is missing");
    }
  }

  Json Container(bool is_object, int depth) {
    if (taker_ != nullptr && taker_->Takes(path_, is_object)) {
      Feed(is_object, depth);
      return is_object ? Json::object() : Json::array();
    }
    const size_t path_bytes = path_.size();
    if (depth > 0) path_ += '.';
    Json container = is_object ? Json::object() : Json::array();
    std::unordered_set<std::string> names;
    const auto field = [&] {
      std::string name(lexer_.string());
      if (!names.insert(name).second) throw EqualKeys(name);
      const size_t parent_bytes = path_.size();
      path_ += name;
      Json value = Value(AfterColon(), depth + 1);
      path_.resize(parent_bytes);
      // push_back of a pair appends in O(1); operator[] of an ordered map would search linearly.
      auto& fields = container.get_ref<Json::object_t&>();
      fields.Container::emplace_back(std::move(name), std::move(value));
    };
    const auto element = [&](JsonToken token) { container.push_back(Value(token, depth + 1)); };
    ForEachMember(is_object, depth, field, element);
    path_.resize(path_bytes);
    return container;
  }

  // What a container holds, to the taker.
  void Feed(bool is_object, int depth) {
    const auto value = [&](JsonToken token) {
      if (token == JsonToken::kBeginObject || token == JsonToken::kBeginArray) {
        taker_->Open();
        Feed(token == JsonToken::kBeginObject, depth + 1);
        taker_->Close();
      } else if (token == JsonToken::kString) {
        taker_->String(lexer_.string());
      } else {
        taker_->Scalar(Scalar(token));
      }
    };
    const auto field = [&] {
      taker_->Key(lexer_.string());
      value(AfterColon());
    };
    ForEachMember(is_object, depth, field, value);
  }

  // Calls field() at the name of each field, or element(token) at the begin of each element, of the
  // container that has begun, up to its end.
  template <typename Field, typename Element>
  void ForEachMember(bool is_object, int depth, const Field& field, const Element& element) {
    if (depth >= kMaxJsonDepth)
      throw BadInput("{}: JSON is nested deeper than {}", source_, kMaxJsonDepth);
    const JsonToken end = is_object ? JsonToken::kEndObject : JsonToken::kEndArray;
    JsonToken token = lexer_.Next();
    if (token == end) return;
    while (true) {
      if (!is_object) {
        element(token);
      } else if (token == JsonToken::kString) {
        field();
      } else {
        throw lexer_.Invalid("the name of a field is missing");
      }
      token = lexer_.Next();
      if (token == end) return;
      if (token != JsonToken::kComma)
        throw lexer_.Invalid(is_object ? "',' or '}' is missing" : "',' or ']' is missing");
      token = lexer_.Next();
    }
  }

  JsonToken AfterColon() {
    if (lexer_.Next() != JsonToken::kColon) throw lexer_.Invalid("':' is missing");
    return lexer_.Next();
  }

  Error EqualKeys(const std::string& name) const {
    // Escaped: a key may hold control characters, and the message goes to a terminal.
    const std::string shown =
        Json(name.substr(0, 200)).dump(-1, ' ', true, Json::error_handler_t::replace);
    return BadInput("{}: JSON key {} appears twice in one object", source_, shown);
  }

  JsonLexer lexer_;
  std::string_view source_;
  JsonTaker* taker_;
  std::string path_;  // of the value that is being read
};

}  // namespace

Json ParseJson(std::string_view text, std::string_view source) {
  return Parser(text, source, nullptr).Document();
}

Json ParseJson(std::string_view text, std::string_view source, JsonTaker& taker) {
  return Parser(text, source, &taker).Document();
}

Json ParseJsonFile(const std::filesystem::path& path, uint64_t max_bytes) {
  return ParseJson(ReadFile(path, max_bytes), path.string());
}

std::string DumpJson(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string JsonText(const Json& document) {
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

JsonFields::JsonFields(const Json& object, std::string_view source)
    : object_(object), source_(source) {
  if (!object.is_object())
    throw BadInput("{}: must be a JSON object, is {}", source, object.type_name());
}

const Json* JsonFields::Find(std::string_view name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool JsonFields::Has(std::string_view name) const { return Find(name) != nullptr; }

std::optional<int64_t> JsonFields::Int(std::string_view name, int64_t min, int64_t max) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer())
    throw BadInput("{}: field {} must be an integer, is {}", source_, name,
                   DumpJson(*value).substr(0, 60));
  if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX})
    throw BadInput("{}: field {} is {}, must be at most {}", source_, name, value->get<uint64_t>(),
                   max);
  const int64_t number = value->get<int64_t>();
  if (number < min)
    throw BadInput("{}: field {} is {}, must be at least {}", source_, name, number, min);
  if (number > max)
    throw BadInput("{}: field {} is {}, must be at most {}", source_, name, number, max);
  return number;
}

std::optional<double> JsonFields::Number(std::string_view name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number())
    throw BadInput("{}: field {} must be a number, is {}", source_, name,
                   DumpJson(*value).substr(0, 60));
  return value->get<double>();
}

std::optional<bool> JsonFields::Bool(std::string_view name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean())
    throw BadInput("{}: field {} must be true or false, is {}", source_, name,
                   DumpJson(*value).substr(0, 60));
  return value->get<bool>();
}

std::optional<std::string> JsonFields::String(std::string_view name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string())
    throw BadInput("{}: field {} must be a string, is {}", source_, name,
                   DumpJson(*value).substr(0, 60));
  return value->get<std::string>();
}

int64_t JsonFields::RequiredInt(std::string_view name, int64_t min, int64_t max) const {
  const auto value = Int(name, min, max);
  if (!value) throw BadInput("{}: field {} is missing", source_, name);
  return *value;
}

std::string JsonFields::RequiredString(std::string_view name) const {
  auto value = String(name);
  if (!value) throw BadInput("{}: field {} is missing", source_, name);
  return *std::move(value);
}

}  // namespace autodist::core
