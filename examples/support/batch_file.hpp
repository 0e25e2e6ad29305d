// SPDX-License-Identifier: Apache-2.0
// A batch from a JSON file; docs/evaluate_loss.md describes every key. Numbers are read exactly; null and NaN are NaN,
// "inf" and "-inf" the infinities.
#pragma once

#include <string>
#include <vector>

#include "batch_table.hpp"

namespace catalogue {

struct read_batch_result {
  batch_table table;
  std::vector<std::string> ignored;  // keys that no column and no role has
};

// text: an object with the keys of docs/evaluate_loss.md, or one that has such an object as its member `inputs`
// (`advantages` where the batch is for an estimator and there is one). Throws error (errc::decode, errc::data).
read_batch_result read_batch(const std::string& text, bool for_estimator);

std::string read_file(const std::string& path);  // throws error (errc::config); "-" is standard input

}  // namespace catalogue
