// SPDX-License-Identifier: Apache-2.0
// How shape_ref.hpp works.
#pragma once

#include <string>
#include <utility>

#include <gradwire/platform/shape_ref.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/platform_path.hpp>

namespace gradwire::inline v0 {
namespace platform {
namespace detail {

struct shape_access {
  static training_shape_ref training(std::string name) {
    training_shape_ref made;
    made.name_ = std::move(name);
    return made;
  }
  static deployment_shape_ref deployment(std::string name) {
    deployment_shape_ref made;
    made.name_ = std::move(name);
    return made;
  }
};

}  // namespace detail

GRADWIRE_DECL training_shape_ref training_shape_ref::parse(std::string_view versioned_name) {
  const auto name = wire::platform::parse_shape_name(versioned_name);
  if (!name || name->subcollection.empty())
    throw error(errc::config,
                "'" + v0::detail::printable(versioned_name, 200) + "' is no version of a training shape; " +
                    (name ? "it is the shape's id: resolve_training_profile() gives its latest validated "
                            "version, or add /versions/<version>"
                          : "one looks like accounts/<account>/trainingShapes/<shape>/versions/<version>"));
  return detail::shape_access::training(name->text());
}

}  // namespace platform
}  // namespace gradwire::inline v0
