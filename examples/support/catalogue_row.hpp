// SPDX-License-Identifier: Apache-2.0
// Makes the row of a preset or an estimator out of its type. Only the generated files include this.
#pragma once

#include <gradwire/expression/bounds.hpp>
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/gradient/tree.hpp>

#include "catalogue.hpp"

namespace catalogue {

template <class Preset, class M>
parameter parameter_of(const char* name, const char* follows, const char* comment, M Preset::*member) {
  const Preset preset{};
  parameter result{.name = name, .comment = comment, .follows = follows};
  const M& value = preset.*member;
  result.place =
      static_cast<std::size_t>(reinterpret_cast<const char*>(&value) - reinterpret_cast<const char*>(&preset));
  if constexpr (std::is_same_v<M, bool>)
    result.what = kind::flag, result.standard = value ? 1 : 0;
  else if constexpr (std::is_same_v<M, int>)
    result.what = kind::integer, result.standard = value;
  else if constexpr (std::is_same_v<M, gradwire::offset>)
    result.what = kind::offset, result.standard = value.value;
  else if constexpr (std::is_same_v<M, gradwire::bound>)
    result.what = kind::bound, result.standard = value.value;
  else
    result.standard = value;
  return result;
}

// Writes the values into a preset; without its type, so that all rows share the code.
void set_parameters(void* preset, const row& of, std::span<const double> values);

template <class Preset>
Preset preset_with(const row& of, std::span<const double> values) {
  Preset preset{};
  set_parameters(&preset, of, values);
  return preset;
}

// ---- what the type of a loss says ----------------------------------------------------------------------------------

template <class List, class Metrics>
struct fields_with_metrics;
template <class List>
struct fields_with_metrics<List, gradwire::metric_list<>> {
  using type = List;
};
template <class List, class First, class... Rest>
struct fields_with_metrics<List, gradwire::metric_list<First, Rest...>> {
  using with = typename gradwire::formula::gather_fields<List, decltype(First::x)>::type;
  using type = typename fields_with_metrics<with, gradwire::metric_list<Rest...>>::type;
};

template <class Loss>
using fields_of_loss = typename gradwire::formula::gather_fields<gradwire::formula::list<>, Loss>::type;

template <class F>
using plain_field = std::remove_cvref_t<F>;
using logprobs_field = plain_field<decltype(gradwire::fields::logprobs)>;
using candidates_field = plain_field<decltype(gradwire::fields::candidate_logprobs)>;
using values_field = plain_field<decltype(gradwire::fields::values)>;

template <class Loss, class... Fs>
constexpr auto only_active(gradwire::formula::list<>) {
  return;
}
template <class Loss, class First, class... Rest>
constexpr auto only_active(gradwire::formula::list<First, Rest...>) {
  if constexpr (gradwire::formula::active<Loss, First>)
    return First{};
  else
    return only_active<Loss>(gradwire::formula::list<Rest...>{});
}

// The field a loss is differentiated by.
template <class Preset, class Loss>
constexpr auto variable_of() {
  if constexpr (requires { Preset::variable; })
    return plain_field<decltype(Preset::variable)>{};
  else if constexpr (gradwire::formula::active<Loss, logprobs_field>)
    return logprobs_field{};
  else if constexpr (gradwire::formula::active<Loss, candidates_field>)
    return candidates_field{};
  else if constexpr (gradwire::formula::active<Loss, values_field>)
    return values_field{};
  else
    return only_active<Loss>(fields_of_loss<Loss>{});
}

template <class... Fs>
std::vector<const gradwire::field_info*> infos_of(gradwire::formula::list<Fs...>) {
  std::vector<const gradwire::field_info*> infos{&Fs::info...};
  std::erase_if(infos, [](const gradwire::field_info* f) { return std::string_view(f->name) == "weights"; });
  return infos;
}

template <template <auto...> class Columns, auto... Fs>
std::vector<const gradwire::field_info*> infos_of_columns(Columns<Fs...>*) {
  return {&decltype(Fs)::info...};
}

template <class... Bs>
std::vector<broken_rule> rules_of(gradwire::broken<Bs...>*) {
  return {broken_rule{Bs::broken_rule, Bs::reason.view()}...};
}

// ---- rows ----------------------------------------------------------------------------------------------------------

// A preset without its metrics, under a short name: the compiler spells a formula's type out in every name it makes.
template <class Preset>
struct loss_of {
  Preset preset;
  auto operator()() const { return gradwire::as_objective(preset).loss; }
};

template <class Preset, class Variable>
gradwire::evaluation<double> evaluate_preset(const row& of, std::span<const double> values, const full_batch& batch) {
  const loss_of<Preset> loss{preset_with<Preset>(of, values)};
  auto found = gradwire::value_and_gradient(loss, gradwire::wrt(Variable{}), gradwire::at(batch));
  return {found.loss, std::move(found.slope), {}};
}

template <class Preset>
gradwire::formula::tree reflect_preset(const row& of, std::span<const double> values) {
  return gradwire::reflect(preset_with<Preset>(of, values));
}

template <class Row, class Type>
Row row_of(const char* name, const char* description, const char* head, const char* header,
           std::vector<parameter> parameters) {
  Row made;
  made.name = name;
  made.description = description;
  made.head = head;
  made.header = header;
  made.parameters = std::move(parameters);
  if constexpr (requires { typename Type::breaks_contract; })
    made.breaks = rules_of(static_cast<typename Type::breaks_contract*>(nullptr));
  return made;
}

template <class Preset>
preset_row make_loss(const char* name, const char* description, const char* head, const char* header,
                     std::vector<parameter> parameters) {
  using objective = decltype(gradwire::as_objective(std::declval<const Preset&>()));
  using loss = typename objective::loss_type;
  using variable = decltype(variable_of<Preset, loss>());
  using metrics = decltype(objective::metrics);
  using plan =
      gradwire::formula::plan<typename gradwire::formula::bound<loss>::type, gradwire::formula::list<>, variable>;
  auto made = row_of<preset_row, Preset>(name, description, head, header, std::move(parameters));
  made.fields = infos_of(typename fields_with_metrics<fields_of_loss<loss>, metrics>::type{});
  made.variable = &variable::info;
  made.passes = plan::passes;
  made.pairs = gradwire::formula::picks_roles(typename plan::crossings{});
  made.evaluate_ = &evaluate_preset<Preset, variable>;
  made.reflect_ = &reflect_preset<Preset>;
  return made;
}

// ---- estimators ----------------------------------------------------------------------------------------------------

// A formula of data becomes a column as the slope of Σ logprob·A over the unmasked tokens.
template <class Estimator>
gradwire::column<double> evaluate_estimator(const row& of, std::span<const double> values, const full_batch& batch) {
  const auto estimator = preset_with<Estimator>(of, values);
  if constexpr (requires { estimator(); }) {
    const auto loss =
        gradwire::sum_over_sequences(gradwire::sum_over_tokens_unweighted(gradwire::fields::logprobs * estimator()));
    return gradwire::value_and_gradient(loss, gradwire::wrt(gradwire::fields::logprobs), gradwire::at(batch)).slope;
  } else {
    return estimator(batch);
  }
}

template <class Estimator>
estimator_row make_advantage(const char* name, const char* description, const char* head, const char* header,
                             std::vector<parameter> parameters) {
  auto made = row_of<estimator_row, Estimator>(name, description, head, header, std::move(parameters));
  if constexpr (requires(const Estimator& e) { e(); })
    made.fields = infos_of(fields_of_loss<decltype(std::declval<const Estimator&>()())>{});
  if constexpr (requires { typename Estimator::reads; })
    made.fields = infos_of_columns(static_cast<typename Estimator::reads*>(nullptr));
  made.evaluate_ = &evaluate_estimator<Estimator>;
  return made;
}

}  // namespace catalogue
