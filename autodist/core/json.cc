#include "autodist/core/json.h"

#include <cmath>
#include <unordered_set>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/core/file.h"

namespace autodist::core {
namespace {

// Builds the value from parser events and refuses what nlohmann would let through.
class StrictBuilder final : public nlohmann::json_sax<Json> {
 public:
  // `taker` may be null.
  StrictBuilder(std::string_view source, JsonTaker* taker, Json& root)
      : source_(source), taker_(taker), root_(root) {}

  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    // The parser falls back to a double when an integer does not fit 64 bits.
    if (text.find_first_of(".eE") == std::string::npos)
      throw BadInput("{}: JSON integer {} does not fit 64 bits", source_, text.substr(0, 40));
    if (!std::isfinite(value))
      throw BadInput("{}: JSON number {} overflows", source_, text.substr(0, 40));
    return Add(value);
  }
  bool string(string_t& value) override {
    if (taken_depth_ == 0) return Add(std::move(value));
    taker_->String(value);
    return true;
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return Open(Json::object()); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& name) override {
    if (taken_depth_ > 0) {
      taker_->Key(name);
      return true;
    }
    if (!keys_.back().insert(name).second) {
      // Escaped: a key may hold control characters, and the message goes to a terminal.
      const std::string shown =
          Json(name.substr(0, 200)).dump(-1, ' ', true, Json::error_handler_t::replace);
      throw BadInput("{}: JSON key {} appears twice in one object", source_, shown);
    }
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string_view reason = error.what();
    // nlohmann's text is "[json.exception.parse_error.101] parse error at line 1, column 2: ...".
    if (const size_t end = reason.find("] "); end != std::string_view::npos)
      reason.remove_prefix(end + 2);
    throw BadInput("{}: not valid JSON at byte {}: {}", source_, position, reason.substr(0, 200));
  }

 private:
  template <typename Value>
  bool Add(Value&& value) {
    if (taken_depth_ > 0) {
      taker_->Scalar(Json(std::forward<Value>(value)));
    } else {
      Place(Json(std::forward<Value>(value)));
    }
    return true;
  }
  Json* Place(Json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    // push_back of a pair appends in O(1); operator[] of an ordered map would search linearly.
    auto& object = parent.get_ref<Json::object_t&>();
    object.Container::emplace_back(std::move(key_), std::move(value));
    return &object.back().second;
  }
  bool Open(Json&& container) {
    if (open_.size() + taken_depth_ >= kMaxJsonDepth)
      throw BadInput("{}: JSON is nested deeper than {}", source_, kMaxJsonDepth);
    if (taken_depth_ > 0) {
      ++taken_depth_;
      taker_->Open();
      return true;
    }
    path_bytes_.push_back(path_.size());
    if (!path_.empty()) path_ += '.';
    if (!open_.empty() && open_.back()->is_object()) path_ += key_;
    Json* placed = Place(std::move(container));
    if (taker_ != nullptr && taker_->Takes(path_, placed->is_object())) {
      taken_depth_ = 1;
    } else {
      open_.push_back(placed);
      keys_.emplace_back();
    }
    return true;
  }
  bool Close() {
    if (taken_depth_ > 1) {
      --taken_depth_;
      taker_->Close();
      return true;
    }
    if (taken_depth_ == 1) {
      taken_depth_ = 0;
    } else {
      open_.pop_back();
      keys_.pop_back();
    }
    path_.resize(path_bytes_.back());
    path_bytes_.pop_back();
    return true;
  }

  std::string_view source_;
  JsonTaker* taker_;
  Json& root_;
  std::string key_;
  std::vector<Json*> open_;
  std::vector<std::unordered_set<std::string>> keys_;
  std::string path_;                // of the innermost container
  std::vector<size_t> path_bytes_;  // of its ancestors
  size_t taken_depth_ = 0;          // containers open from the taken one on
};

Json Parse(std::string_view text, std::string_view source, JsonTaker* taker) {
  Json root;
  StrictBuilder builder(source, taker, root);
  Json::sax_parse(text, &builder);
  return root;
}

}  // namespace

Json ParseJson(std::string_view text, std::string_view source) {
  return Parse(text, source, nullptr);
}

Json ParseJson(std::string_view text, std::string_view source, JsonTaker& taker) {
  return Parse(text, source, &taker);
}

Json ParseJsonFile(const std::filesystem::path& path, uint64_t max_bytes) {
  return ParseJson(ReadFile(path, max_bytes), path.string());
}

std::string DumpJson(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
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
