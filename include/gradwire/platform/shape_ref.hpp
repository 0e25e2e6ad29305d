// SPDX-License-Identifier: Apache-2.0
// Versions of shapes as types of their own: a trainer job takes a resolved version of a training shape and no text, and
// what stands behind a shape's id today cannot change a run tomorrow.
//
//   auto profile = client.resolve_training_profile("accounts/fireworks/trainingShapes/qwen3-8b-128k-h200").result();
//   … {.training_shape_ref = profile.training_shape_version}
//   … {.training_shape_ref = training_shape_ref::parse("accounts/fireworks/trainingShapes/<shape>/versions/<version>")}
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include <gradwire/error.hpp>
#include <gradwire/transport/config.hpp>

namespace gradwire::inline v0 {
namespace platform {

namespace detail {
template <class>
inline constexpr bool never = false;
template <class Text>
concept text = std::convertible_to<const Text&, std::string_view>;
struct shape_access;  // what makes them of a resolved profile
}  // namespace detail

class training_shape_ref {
 public:
  training_shape_ref() = default;  // none

  // Throws error{config} for what is no accounts/<a>/trainingShapes/<s>/versions/<v>.
  GRADWIRE_DECL static training_shape_ref parse(std::string_view versioned_name);

  template <detail::text Text>
  training_shape_ref(const Text&) {
    static_assert(detail::never<Text>,
                  "a text is no version of a training shape: give resolve_training_profile(id).result()"
                  ".training_shape_version, or training_shape_ref::parse(\"accounts/…/trainingShapes/…/versions/…\")");
  }

  bool empty() const noexcept { return name_.empty(); }
  const std::string& name() const noexcept { return name_; }  // accounts/<a>/trainingShapes/<s>/versions/<v>
  std::string shape() const { return name_.substr(0, name_.find("/versions/")); }
  friend bool operator==(const training_shape_ref&, const training_shape_ref&) = default;

 private:
  friend struct detail::shape_access;
  std::string name_{};
};

// The deployment shape that a training shape is linked to. Only a profile has one.
class deployment_shape_ref {
 public:
  deployment_shape_ref() = default;  // none

  template <detail::text Text>
  deployment_shape_ref(const Text&) {
    static_assert(detail::never<Text>,
                  "a text is no linked deployment shape: give the profile's deployment_shape_version, or use "
                  "manual_deployment_config for a deployment without a training shape");
  }

  bool empty() const noexcept { return name_.empty(); }
  const std::string& name() const noexcept { return name_; }  // accounts/<a>/deploymentShapes/<s>/versions/<v>
  friend bool operator==(const deployment_shape_ref&, const deployment_shape_ref&) = default;

 private:
  friend struct detail::shape_access;
  std::string name_{};
};

}  // namespace platform
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/platform/impl/shape_ref.hpp>
#endif
