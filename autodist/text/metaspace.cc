#include "autodist/text/metaspace.h"

#include <string>

namespace autodist::text {

MetaspaceOptions ParseMetaspaceOptions(const Component& component) {
  MetaspaceOptions options{component.RequiredCharacter("replacement"),
                           MetaspaceOptions::Prepend::kAlways};
  const std::string scheme = component.fields().String("prepend_scheme").value_or("always");
  if (scheme == "first") {
    options.prepend = MetaspaceOptions::Prepend::kFirst;
  } else if (scheme == "never") {
    options.prepend = MetaspaceOptions::Prepend::kNever;
  } else if (scheme != "always") {
    throw core::BadInput("{}: field prepend_scheme is \"{}\", must be first, never or always",
                         component.where(), scheme);
  }
  if (!component.BoolOr("add_prefix_space", true) &&
      options.prepend != MetaspaceOptions::Prepend::kNever) {
    throw core::BadInput(
        "{}: field add_prefix_space is false, but prepend_scheme is \"{}\", must be never",
        component.where(), scheme);
  }
  return options;
}

}  // namespace autodist::text
