// error: two extents that do not join
// A finished loss is one number; what is added to it has a value for each token.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct nll {
  constexpr auto operator()() const { return objective(mean_over_all_tokens(-logprobs)); }
};
struct combined {
  constexpr auto operator()() const {
#ifdef FIXED
    return nll{}() + 0.1 * mean_over_all_tokens(k3(logprobs, ref_logprobs));
#else
    return nll{}() + 0.1 * k3(logprobs, ref_logprobs);
#endif
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& answer,
            const std::vector<float>& current, const std::vector<float>& sampled, const std::vector<float>& reference) {
  batch data{group(datum{prompt(question) + response(answer), logprobs = current, old_logprobs = sampled,
                         ref_logprobs = reference})};
  return value_and_gradient(combined{}, wrt(logprobs), at(data)).loss;
}
