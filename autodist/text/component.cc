#include "autodist/text/component.h"

#include "autodist/text/utf8.h"

namespace autodist::text {

Component::Component(const core::Json& json, std::string where)
    : where_(std::move(where)), json_(&json) {
  fields();  // refuses what is not an object
}

char32_t Component::RequiredCharacter(std::string_view name) const {
  const std::string value = fields().RequiredString(name);
  if (CountCharacters(value) != 1) {
    throw core::BadInput("{}: field {} is \"{}\", must be one character", where_, name, value);
  }
  size_t offset = 0;
  return NextCharacter(value, offset);
}

std::vector<Component> Component::RequiredList(std::string_view name) const {
  const core::Json* list = fields().Find(name);
  if (list == nullptr || !list->is_array())
    throw core::BadInput("{}: field {} must be an array", where_, name);
  std::vector<Component> components;
  components.reserve(list->size());
  for (const core::Json& element : *list) {
    components.emplace_back(element, fmt::format("{}.{}[{}]", where_, name, components.size()));
  }
  return components;
}

core::Error Component::Unsupported(std::string_view type, std::string_view known) const {
  return core::BadInput("{}: type \"{}\" is not supported; read are: {}", where_, type, known);
}

TextPattern::TextPattern(const Component& component) {
  const core::Json* json = component.fields().Find("pattern");
  if (json == nullptr) throw core::BadInput("{}: field pattern is missing", component.where());
  const Component pattern(*json, component.where() + ".pattern");
  if (const auto expression = pattern.fields().String("Regex")) {
    regex_ = std::make_shared<const Regex>(*expression, pattern.where());
    return;
  }
  literal_ = pattern.fields().RequiredString("String");
  if (literal_.empty())
    throw core::BadInput("{}: field String is empty, must be at least one character",
                         pattern.where());
}

std::vector<Span> TextPattern::FindAll(std::string_view text) const {
  if (regex_ != nullptr) return regex_->FindAll(text);
  std::vector<Span> matches;
  for (size_t begin = text.find(literal_); begin != text.npos;
       begin = text.find(literal_, begin + literal_.size())) {
    matches.push_back({begin, begin + literal_.size()});
  }
  return matches;
}

}  // namespace autodist::text
