#include "autodist/text/post_processor.h"

#include <utility>

namespace autodist::text {
namespace {

int32_t CheckedId(const core::Json& json, const std::string& where, int32_t vocabulary_size) {
  if (!json.is_number_integer() || json.get<double>() < 0 ||
      json.get<double>() >= vocabulary_size) {
    throw core::BadInput("{}: id {} must be an integer in [0, {})", where,
                         core::DumpJson(json).substr(0, 40), vocabulary_size);
  }
  return json.get<int32_t>();
}

// The tokens that a template's special token stands for.
std::vector<SpecialToken> Expand(const Component& processor, const std::string& name,
                                 int32_t vocabulary_size) {
  const std::string where = fmt::format("{}.special_tokens[\"{}\"]", processor.where(), name);
  const core::Json* all = processor.fields().Find("special_tokens");
  const auto found =
      all != nullptr && all->is_object() ? all->find(name) : core::Json::const_iterator();
  if (all == nullptr || !all->is_object() || found == all->end())
    throw core::BadInput("{} is missing", where);
  const Component entry(*found, where);
  const core::Json* ids = entry.fields().Find("ids");
  const core::Json* tokens = entry.fields().Find("tokens");
  if (ids == nullptr || tokens == nullptr || !ids->is_array() || !tokens->is_array() ||
      ids->size() != tokens->size()) {
    throw core::BadInput("{}: fields ids and tokens must be arrays of the same length", where);
  }
  std::vector<SpecialToken> expanded;
  for (size_t i = 0; i < ids->size(); ++i) {
    if (!(*tokens)[i].is_string()) throw core::BadInput("{}.tokens[{}] must be a string", where, i);
    expanded.push_back(
        {CheckedId((*ids)[i], where, vocabulary_size), (*tokens)[i].get<std::string>()});
  }
  return expanded;
}

SpecialTokenFrame ParseTemplate(const Component& component, int32_t vocabulary_size) {
  SpecialTokenFrame frame;
  bool text_seen = false;
  for (const Component& piece : component.RequiredList("single")) {
    if (const core::Json* json = piece.fields().Find("SpecialToken")) {
      const Component special(*json, piece.where() + ".SpecialToken");
      auto& side = text_seen ? frame.behind : frame.before;
      for (SpecialToken& token :
           Expand(component, special.fields().RequiredString("id"), vocabulary_size)) {
        side.push_back(std::move(token));
      }
      continue;
    }
    const core::Json* json = piece.fields().Find("Sequence");
    if (json == nullptr)
      throw core::BadInput("{} must hold SpecialToken or Sequence", piece.where());
    const std::string id =
        Component(*json, piece.where() + ".Sequence").fields().RequiredString("id");
    if (id != "A" || text_seen)
      throw core::BadInput("{}: a single text is Sequence A, once", piece.where());
    text_seen = true;
  }
  if (!text_seen) throw core::BadInput("{}.single has no Sequence A", component.where());
  return frame;
}

// ["</s>", 2]
SpecialToken ParsePair(const Component& component, std::string_view name, int32_t vocabulary_size) {
  const core::Json* pair = component.fields().Find(name);
  if (pair == nullptr || !pair->is_array() || pair->size() != 2 || !(*pair)[0].is_string()) {
    throw core::BadInput("{}: field {} must be a pair of token and id", component.where(), name);
  }
  return {CheckedId((*pair)[1], fmt::format("{}.{}", component.where(), name), vocabulary_size),
          (*pair)[0].get<std::string>()};
}

SpecialTokenFrame ParseSequence(const Component& component, int32_t vocabulary_size) {
  SpecialTokenFrame frame;
  for (const Component& part : component.RequiredList("processors")) {
    SpecialTokenFrame added = ParsePostProcessor(part, vocabulary_size);
    if (added.before.empty() && added.behind.empty()) continue;
    if (!frame.before.empty() || !frame.behind.empty()) {
      throw core::BadInput("{}: a second post-processor that adds tokens is not supported",
                           part.where());
    }
    frame = std::move(added);
  }
  return frame;
}

}  // namespace

SpecialTokenFrame ParsePostProcessor(const Component& component, int32_t vocabulary_size) {
  const std::string type = component.Type();
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return ParseTemplate(component, vocabulary_size);
  if (type == "RobertaProcessing" || type == "BertProcessing") {
    return {{ParsePair(component, "cls", vocabulary_size)},
            {ParsePair(component, "sep", vocabulary_size)}};
  }
  if (type == "Sequence") return ParseSequence(component, vocabulary_size);
  throw component.Unsupported(
      type, "TemplateProcessing, RobertaProcessing, BertProcessing, ByteLevel, Sequence");
}

}  // namespace autodist::text
