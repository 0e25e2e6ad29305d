// SPDX-License-Identifier: Apache-2.0
// The tokens of a datum as a sum of parts,
//
//   prompt(question) + response(answer) + prompt(tool_output) + response(conclusion)
//
// with any number of turns in any order; `turns(range)` where the number is known at run time only. The parts are read,
// checked and joined when the datum is made. One run-time type, so that datums of one and of seven turns share a batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include <gradwire/datum/numbers.hpp>
#include <gradwire/datum/provenance.hpp>
#include <gradwire/datum/token_context.hpp>

namespace gradwire::inline v0 {

struct token_part {
  part_role role = part_role::prompt;
  numbers ids;                      // of an image: its file's bytes
  std::size_t expected_tokens = 0;  // of an image: positions that it takes in the sequence; 0: the part is tokens
  char format[8] = {};              // of an image
  provenance_span from{};           // of a sample: the sequence, else without an id
};

class token_sequence {
 public:
  token_sequence() = default;
  explicit token_sequence(token_part first) { parts_.push_back(std::move(first)); }

  [[gnu::noinline]] token_sequence& operator+=(const token_sequence& next) {
    const std::size_t count = next.parts_.size();  // next may be *this
    parts_.reserve(parts_.size() + count);
    for (std::size_t i = 0; i < count; ++i) parts_.push_back(next.parts_[i]);
    return *this;
  }
  friend token_sequence operator+(const token_sequence& left, const token_sequence& right) {
    token_sequence result(left);
    result += right;
    return result;
  }
  friend token_sequence operator+(token_sequence&& left, const token_sequence& right) {
    return std::move(left += right);
  }

  const detail::dynamic_array<token_part>& parts() const noexcept { return parts_; }

 private:
  detail::dynamic_array<token_part> parts_;
};

// Input tokens whose targets are given apart: datum{model_input(x), target_tokens = y}.
struct explicit_input {
  numbers ids;
};

namespace detail {

template <class X>
numbers take_ids(X&& ids) {
  if constexpr (std::is_same_v<plain<X>, numbers>) {
    return std::forward<X>(ids);
  } else {
    constexpr bool integers = [] {
      if constexpr (has_source<X>) {
        return true;
      } else if constexpr (number_range<plain<X>>) {
        return is_integer(element_kind<plain<X>>);
      } else {
        return false;
      }
    }();
    static_assert(
        integers,
        "gradwire: prompt, response and model_input take token ids, a contiguous range of integers; text has to "
        "be tokenized first");
    if constexpr (integers) return take(std::forward<X>(ids));
  }
}

// What a sampler gives back: tokens, and the name that the server has for them; "" where it has none.
template <class X>
concept sampled_sequence = requires(const plain<X>& sample) {
  sample.tokens;
  std::string_view(sample.sequence_id);
};

template <class X>
token_part sampled_part(X&& sample) {
  token_part part{part_role::response, take_ids(std::forward<X>(sample).tokens)};
  const std::string_view id(sample.sequence_id);
  if (!id.empty()) part.from = sampled_span(id, 0, part.ids.size);
  return part;
}

inline numbers take_ids(std::initializer_list<std::int64_t> ids) {
  return copied({.data = ids.begin(), .size = ids.size(), .kind = number_kind::int64});
}

}  // namespace detail

// Tokens that the model reads; their targets have weight 0 unless `weights` says otherwise.
template <class Ids>
token_sequence prompt(Ids&& ids) {
  return token_sequence(token_part{part_role::prompt, detail::take_ids(std::forward<Ids>(ids))});
}
inline token_sequence prompt(std::initializer_list<std::int64_t> ids) {
  return token_sequence(token_part{part_role::prompt, detail::take_ids(ids)});
}

// Tokens that the model is trained to say; their targets have weight 1 unless `weights` says otherwise. Given a sample
// instead of its tokens, the datum says where they come from (provenance.hpp).
template <class Ids>
token_sequence response(Ids&& ids) {
  if constexpr (detail::sampled_sequence<Ids>) {
    return token_sequence(detail::sampled_part(std::forward<Ids>(ids)));
  } else {
    return token_sequence(token_part{part_role::response, detail::take_ids(std::forward<Ids>(ids))});
  }
}
inline token_sequence response(std::initializer_list<std::int64_t> ids) {
  return token_sequence(token_part{part_role::response, detail::take_ids(ids)});
}

template <class Ids>
explicit_input model_input(Ids&& ids) {
  return {detail::take_ids(std::forward<Ids>(ids))};
}
inline explicit_input model_input(std::initializer_list<std::int64_t> ids) { return {detail::take_ids(ids)}; }

// As many turns as the range has. An element is a sum of parts, or has the members `prompt` and `response`, or is a
// pair (prompt ids, response ids). Elements of an rvalue range move.
template <class Range>
token_sequence turns(Range&& range) {
  token_sequence result;
  for (auto& element : range) {
    auto pass = [](auto& member) -> decltype(auto) {
      if constexpr (std::is_lvalue_reference_v<Range> || std::ranges::borrowed_range<Range>) {
        return (member);
      } else {
        return std::move(member);
      }
    };
    if constexpr (std::is_convertible_v<decltype(element), token_sequence>) {
      result += pass(element);
    } else if constexpr (requires {
                           element.prompt;
                           element.response;
                         }) {
      result += prompt(pass(element.prompt)) + response(pass(element.response));
    } else {
      static_assert(
          requires {
            element.first;
            element.second;
          },
          "gradwire: turns takes a range of token sums (prompt(a) + response(b)), of objects with the members "
          "prompt and response, or of pairs (prompt ids, response ids)");
      result += prompt(pass(element.first)) + response(pass(element.second));
    }
  }
  return result;
}

}  // namespace gradwire::inline v0
