// error: the loss is still per group
// One value a pair is left; a loss is one number.
#include <gradwire/loss.hpp>

#include <cstdint>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct margin_loss {
  constexpr auto operator()() const {
    auto score = sum_over_tokens(logprobs - ref_logprobs);
    auto loss = -log_sigmoid(chosen(score) - rejected(score));
#ifdef FIXED
    return mean_over_pairs(loss);
#else
    return loss;
#endif
  }
};

double user(const std::vector<std::int32_t>& question, const std::vector<std::int32_t>& better,
            const std::vector<std::int32_t>& worse, const std::vector<float>& current) {
  datum c{prompt(question) + response(better), logprobs = current, ref_logprobs = current};
  datum r{prompt(question) + response(worse), logprobs = current, ref_logprobs = current};
  batch data{group(chosen(c), rejected(r))};
  return value_and_gradient(margin_loss{}, wrt(logprobs), at(data)).loss;
}
