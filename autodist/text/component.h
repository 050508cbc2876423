// Reading the typed objects of tokenizer.json ("normalizer": {"type": "NFC"}, ...) and refusing
// what is not known.
#ifndef AUTODIST_TEXT_COMPONENT_H_
#define AUTODIST_TEXT_COMPONENT_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/core/json.h"
#include "autodist/text/regex.h"

namespace autodist::text {

// One object and its place, e.g. "DIR/tokenizer.json: pre_tokenizer.pretokenizers[1]". Refers to a
// JSON document that must outlive it. All members throw core::Error (bad input) that starts with
// the place.
class Component {
 public:
  // Throws unless `json` is an object.
  Component(const core::Json& json, std::string where);

  const std::string& where() const { return where_; }
  const core::Json& json() const { return *json_; }
  core::JsonFields fields() const { return core::JsonFields(*json_, where_); }
  std::string Type() const { return fields().RequiredString("type"); }
  bool BoolOr(std::string_view name, bool fallback) const {
    return fields().Bool(name).value_or(fallback);
  }
  // A string of exactly one character.
  char32_t RequiredCharacter(std::string_view name) const;
  // The objects of an array; `name` must be there.
  std::vector<Component> RequiredList(std::string_view name) const;
  // "<where>: type "X" is not supported; read are: <known>".
  core::Error Unsupported(std::string_view type, std::string_view known) const;

 private:
  std::string where_;
  const core::Json* json_;
};

// {"String": "text"} or {"Regex": "expression"}: the pattern of Split and Replace. Immutable,
// thread-safe.
class TextPattern {
 public:
  // Reads the field "pattern" of `component`.
  explicit TextPattern(const Component& component);
  // A literal that is not empty.
  explicit TextPattern(std::string literal) : literal_(std::move(literal)) {}

  // Ascending matches without overlap; see Regex::FindAll for limits.
  std::vector<Span> FindAll(std::string_view text) const;

 private:
  std::string literal_;  // when regex_ is null
  std::shared_ptr<const Regex> regex_;
};

}  // namespace autodist::text

#endif  // AUTODIST_TEXT_COMPONENT_H_
