#include "autodist/cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "autodist/core/error.h"
#include "autodist/core/json.h"

namespace autodist::cli {
namespace {

using core::BadInput;

constexpr uint64_t kMaxConfigBytes = 1 << 20;

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// The options that the command line gives. "--name=value" becomes two arguments: CLI11 takes
// "--name=" for a flag whose value is the next argument.
std::set<const CLI::Option*> GivenOptions(const CLI::App& app,
                                          std::vector<std::string>& arguments) {
  std::set<const CLI::Option*> given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string argument = arguments[i];
    if (!argument.starts_with("-")) {
      for (const CLI::Option* positional : app.get_options())
        if (positional->get_positional()) given.insert(positional);
      continue;
    }
    const size_t equals = argument.find('=');
    const CLI::Option* option = app.get_option_no_throw(argument.substr(0, equals));
    if (option == nullptr) continue;
    given.insert(option);
    if (!TakesValue(*option)) continue;
    if (equals != std::string::npos) {
      arguments[i] = argument.substr(0, equals);
      arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                       argument.substr(equals + 1));
    }
    ++i;  // its value
  }
  return given;
}

std::string WithUnderscores(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string VariableName(const std::string& long_name) {
  std::string name = "AUTODIST_" + WithUnderscores(long_name);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// Takes --config FILE or --config=FILE out of the arguments.
std::optional<std::string> TakeConfig(std::vector<std::string>& arguments) {
  std::optional<std::string> file;
  for (auto it = arguments.begin(); it != arguments.end();) {
    if (*it != "--config" && !it->starts_with("--config=")) {
      ++it;
      continue;
    }
    if (file) throw BadInput("--config is given more than once");
    if (*it != "--config") {
      file = it->substr(9);
      it = arguments.erase(it);
    } else {
      if (it + 1 == arguments.end()) throw BadInput("--config needs a value");
      file = *(it + 1);
      it = arguments.erase(it, it + 2);
    }
  }
  return file;
}

std::string ScalarText(const core::Json& value, const std::string& source) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return core::DumpJson(value);
  throw BadInput("{} must be a string, a number, a boolean or a list of them", source);
}

// How a source calls an option: by one of its long names.
struct Spelling {
  std::string name;    // "no-resume"
  std::string source;  // "AUTODIST_NO_RESUME", or the field "no_resume"
};

// `names` are spellings of one flag that a source gives.
void CheckOneSpelling(const std::vector<Spelling>& names, const std::string& source) {
  if (names.size() > 1)
    throw BadInput("{}{} and {} are the same flag: give one of them", source, names[0].source,
                   names[1].source);
}

// One option's value from one source, and where the completed arguments grow.
class Completion {
 public:
  explicit Completion(std::vector<std::string>& arguments) : arguments_(arguments) {}

  // `given_name` is one of the option's; it decides which way a switch with names for both is set.
  void Add(const CLI::Option& option, const std::string& given_name, const std::string& value,
           const std::string& source) {
    const std::string& name =
        option.get_fnames().empty() ? option.get_lnames().front() : given_name;
    if (TakesValue(option)) {
      arguments_.insert(arguments_.end(), {"--" + name, value});
    } else if (value == "true" || value == "1") {
      arguments_.push_back("--" + name);
    } else if (value != "false" && value != "0") {
      throw BadInput("{} is {}, must be true or false", source, value);
    } else if (!option.get_fnames().empty()) {
      arguments_.push_back("--" + Opposite(option, name));
    }
  }

  void Add(const CLI::Option& option, const std::string& name, const core::Json& value,
           const std::string& source) {
    if (!value.is_array()) return Add(option, name, ScalarText(value, source), source);
    std::string joined;
    for (const core::Json& element : value) {
      if (option.get_items_expected_max() > 1) {
        Add(option, name, ScalarText(element, source), source);
      } else {
        joined += (joined.empty() ? "" : ",") + ScalarText(element, source);
      }
    }
    if (option.get_items_expected_max() <= 1) Add(option, name, joined, source);
  }

 private:
  // Of a switch that has names for both: "no-resume" for "resume", and the other way round.
  static std::string Opposite(const CLI::Option& option, const std::string& name) {
    const std::vector<std::string>& off = option.get_fnames();
    if (std::find(off.begin(), off.end(), name) == off.end()) return off.front();
    for (const std::string& other : option.get_lnames())
      if (std::find(off.begin(), off.end(), other) == off.end()) return other;
    return name;
  }

  std::vector<std::string>& arguments_;
};

}  // namespace

std::vector<std::string> CompleteArguments(
    const CLI::App& app, std::vector<std::string> arguments,
    const std::function<const char*(const char*)>& environment) {
  std::optional<std::string> config = TakeConfig(arguments);
  const char* config_variable = environment("AUTODIST_CONFIG");
  if (!config && config_variable != nullptr && *config_variable != '\0') config = config_variable;
  const core::Json fields =
      config ? core::ParseJsonFile(*config, kMaxConfigBytes) : core::Json::object();
  const std::string file = config.value_or("");
  const core::JsonFields checked(fields, file);

  std::set<const CLI::Option*> set = GivenOptions(app, arguments);
  std::set<std::string> known;
  Completion completion(arguments);
  for (const CLI::Option* option : app.get_options()) {
    std::vector<Spelling> variables, keys;
    for (const std::string& name : option->get_lnames()) {
      if (name == "help" || name == "config") continue;
      const char* variable = environment(VariableName(name).c_str());
      if (variable != nullptr && *variable != '\0') variables.push_back({name, VariableName(name)});
      for (const std::string& key : {name, WithUnderscores(name)})
        if (fields.contains(key) && known.insert(key).second) keys.push_back({name, key});
    }
    CheckOneSpelling(variables, "");
    CheckOneSpelling(keys, file + ": fields ");
    if (!variables.empty() && set.insert(option).second)
      completion.Add(*option, variables[0].name,
                     std::string(environment(variables[0].source.c_str())), variables[0].source);
    if (!keys.empty() && set.insert(option).second)
      completion.Add(*option, keys[0].name, fields[keys[0].source],
                     file + ": field " + keys[0].source);
  }
  for (const auto& [key, value] : fields.items()) {
    if (known.count(key) == 0)
      throw BadInput("{}: field {} is not a flag of {}", file, key, app.get_name());
  }
  return arguments;
}

}  // namespace autodist::cli
