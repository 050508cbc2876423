#include "autodist/cli/arguments.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "autodist/core/error.h"
#include "autodist/core/json.h"

namespace autodist::cli {
namespace {

using core::BadInput;

bool Names(const std::string& argument, const std::string& long_name) {
  return argument == "--" + long_name || argument.rfind("--" + long_name + "=", 0) == 0;
}

bool Given(const CLI::Option& option, const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    for (const std::string& name : option.get_lnames())
      if (Names(argument, name)) return true;
  }
  return false;
}

std::string VariableName(std::string long_name) {
  for (char& c : long_name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return "AUTODIST_" + long_name;
}

// Takes --config FILE or --config=FILE out of the arguments.
std::optional<std::string> TakeConfig(std::vector<std::string>& arguments) {
  std::optional<std::string> file;
  for (auto it = arguments.begin(); it != arguments.end();) {
    if (!Names(*it, "config")) {
      ++it;
      continue;
    }
    if (file) throw BadInput("--config is given twice");
    if (*it != "--config") {
      file = it->substr(9);
      it = arguments.erase(it);
    } else {
      if (it + 1 == arguments.end()) throw BadInput("--config needs a file name");
      file = *(it + 1);
      it = arguments.erase(it, it + 2);
    }
  }
  return file;
}

std::string ValueText(const core::Json& value, const std::string& source, const std::string& name) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return core::DumpJson(value);
  if (value.is_array() && !value.empty()) {
    std::string joined;
    for (const core::Json& element : value)
      joined += (joined.empty() ? "" : ",") + ValueText(element, source, name);
    return joined;
  }
  throw BadInput("{}: field {} must be a string, a number, a boolean or a list of them", source, name);
}

void Append(const CLI::Option& option, const std::string& name, const std::string& value, const std::string& source,
            std::vector<std::string>& arguments) {
  const bool flag = option.get_items_expected_max() == 0;
  if (flag && value != "true" && value != "false" && value != "1" && value != "0")
    throw BadInput("{} is {}, must be true or false", source, value);
  if (flag && (value == "false" || value == "0")) return;
  arguments.push_back(flag ? "--" + name : "--" + name + "=" + value);
}

}  // namespace

std::vector<std::string> CompleteArguments(const CLI::App& app, std::vector<std::string> arguments,
                                           const std::function<const char*(const char*)>& environment) {
  std::optional<std::string> config = TakeConfig(arguments);
  if (!config) {
    if (const char* variable = environment("AUTODIST_CONFIG")) config = variable;
  }
  const core::Json fields = config ? core::ParseJsonFile(*config, 1 << 20) : core::Json::object();
  const core::JsonFields checked(fields, config ? std::string_view(*config) : std::string_view());
  std::vector<std::string> completed = arguments;
  std::vector<std::string> used;
  for (const CLI::Option* option : app.get_options()) {
    const bool given = Given(*option, arguments) || option->get_lnames().empty();
    bool set = given;
    for (const std::string& name : option->get_lnames()) {
      if (name == "help" || name == "config") continue;
      const char* variable = environment(VariableName(name).c_str());
      if (variable != nullptr && *variable != '\0' && !set) {
        Append(*option, name, variable, VariableName(name), completed);
        set = true;
      }
    }
    for (const std::string& name : option->get_lnames()) {
      std::string underscored = name;
      std::replace(underscored.begin(), underscored.end(), '-', '_');
      for (const std::string& key : {name, underscored}) {
        if (!fields.contains(key) || std::count(used.begin(), used.end(), key) != 0) continue;
        used.push_back(key);
        if (!set) Append(*option, name, ValueText(fields[key], *config, key), *config + ": field " + key, completed);
        set = true;
      }
    }
  }
  for (const auto& [key, value] : fields.items()) {
    if (std::count(used.begin(), used.end(), key) == 0)
      throw BadInput("{}: field {} is not a flag of {}", *config, key, app.get_name());
  }
  return completed;
}

}  // namespace autodist::cli
