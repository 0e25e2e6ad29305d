// SPDX-License-Identifier: Apache-2.0
// How loaded_snapshot.hpp works.
#pragma once

#include <algorithm>
#include <fstream>
#include <utility>

#include <gradwire/loopback/impl/training.hpp>
#include <gradwire/loopback/loaded_snapshot.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace detail {

// Of the data of a safetensors file.
inline std::string sha256_of_data(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::uint64_t header = 0;
  in.read(reinterpret_cast<char*>(&header), sizeof header);
  in.seekg(static_cast<std::streamoff>(std::min<std::uint64_t>(header, std::filesystem::file_size(path))),
           std::ios::cur);
  sha256_sum sum;
  std::vector<char> block(std::size_t{1} << 20);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0)
    sum.add(block.data(), static_cast<std::size_t>(in.gcount()));
  return sum.value();
}

inline std::string quoted(const std::string& identity) { return "'" + identity + "'"; }

// Why a delta cannot be applied to what is loaded; "": it can.
inline std::string why_not_applied(const snapshot_description& delta, const std::optional<std::string>& previous,
                                   const snapshot_description& loaded) {
  const std::string is = "is a delta against " + quoted(delta.previous_identity);
  if (!previous)
    return is + ", and no previous snapshot was named: as full weights it would be noise. Name " +
           quoted(delta.previous_identity) + " as previous, or load a base";
  const std::string named = identity_of(*previous);
  if (named == delta.identity) return is + ", and itself was named as previous";
  if (named != delta.previous_identity) return is + ", and " + quoted(named) + " was named as previous";
  if (loaded.identity != delta.previous_identity)
    return is + ", and " + (loaded.identity.empty() ? "nothing is loaded" : quoted(loaded.identity) + " is loaded") +
           "; load " + quoted(delta.previous_identity) + " first, or a base";
  if (loaded.sha256 != delta.previous_sha256)
    return is + ", and what is loaded under that name has other weights; load a base";
  return {};
}

}  // namespace detail

GRADWIRE_DECL loaded_snapshot loaded_snapshot::load(const std::filesystem::path& folder, std::string_view identity,
                                                    const std::optional<std::string>& previous) const {
  const std::string expected = detail::identity_of(identity);
  loaded_snapshot made = *this;
  snapshot_description& found = made.description_;
  try {
    found = describe_snapshot(folder);
  } catch (const error& problem) {
    const std::string text = problem.what();
    detail::refuse_snapshot(expected, "cannot be loaded: " + text.substr(text.find(": ") + 2));
  }
  if (found.identity != expected)
    detail::refuse_snapshot(expected,
                            "is not in " + folder.string() + ", which holds " + detail::quoted(found.identity));
  const auto refuse_other_weights = [&](const std::string& got) {
    detail::refuse_snapshot(
        expected, "gives weights with the sha256 " + got + " where " + found.sha256 + " were saved; load a base");
  };
  if (found.kind != snapshot_kind::delta) {
    if (previous)
      detail::refuse_snapshot(expected, "is no delta, and " + detail::quoted(detail::identity_of(*previous)) +
                                            " was named as previous; load it without");
    const bool full = found.kind == snapshot_kind::full;
    made.weights_ = base_.with_checkpoint(folder);
    const std::string sum =
        full ? sha256_of(made.weights_.bf16()) : detail::sha256_of_data(folder / "adapter_model.safetensors");
    if (sum != found.sha256) refuse_other_weights(sum);
    return made;
  }
  const bool again = found.identity == description_.identity && found.sha256 == description_.sha256;
  if (again && previous && detail::identity_of(*previous) == found.previous_identity) return *this;
  if (const std::string why = detail::why_not_applied(found, previous, description_); !why.empty())
    detail::refuse_snapshot(expected, why);
  bf16_words words = weights_.bf16();
  apply_delta(folder, found, words);
  if (const std::string sum = sha256_of(words); sum != found.sha256) refuse_other_weights(sum);
  made.weights_ = weights_.with_bf16(words);
  return made;
}

GRADWIRE_DECL loaded_snapshot load_snapshot_chain(const frozen_model& base, const std::filesystem::path& folder) {
  std::vector<std::pair<std::filesystem::path, snapshot_description>> chain;
  for (auto at = folder;;) {
    std::string wanted = at.filename().string();
    if (!std::filesystem::is_directory(std::filesystem::symlink_status(at)))
      detail::refuse_snapshot(wanted, chain.empty() ? "is not in " + at.parent_path().string()
                                                    : "is missing, against which " +
                                                          detail::quoted(chain.back().second.identity) +
                                                          " is a delta; save a base");
    chain.emplace_back(at, describe_snapshot(at));
    const snapshot_description& found = chain.back().second;
    if (found.kind != snapshot_kind::delta) break;
    for (const auto& [before, about] : chain)
      if (about.identity == found.previous_identity)
        detail::refuse_snapshot(found.identity, "is a delta against " + detail::quoted(found.previous_identity) +
                                                    ", which is one against it");
    at = folder.parent_path() / found.previous_identity;
  }
  loaded_snapshot held(base);
  std::for_each(chain.rbegin(), chain.rend(), [&](const auto& each) {
    const bool delta = each.second.kind == snapshot_kind::delta;
    held = held.load(each.first, each.second.identity,
                     delta ? std::optional(each.second.previous_identity) : std::nullopt);
  });
  return held;
}

GRADWIRE_DECL void saved_snapshots::resume(const std::filesystem::path& folder) {
  last_ = {.identity = folder.filename().string()};
  words_.clear();
  unread_ = folder;
}

GRADWIRE_DECL void saved_snapshots::save(const training_model& model, const std::filesystem::path& folder,
                                         const snapshot_options& options) {
  const bool lora = model.lora().rank > 0;
  if (lora && options.type == snapshot_type::delta)
    detail::refuse_snapshot(options.identity, "cannot be a delta: of a LoRA model only a base is saved");
  if (!lora && options.type == snapshot_type::merged_base)
    detail::refuse_snapshot(options.identity,
                            "cannot be a merged_base: this model trains every parameter; save a base");
  if (options.type == snapshot_type::delta && last_.identity.empty())
    detail::refuse_snapshot(options.identity,
                            "cannot be a delta: no snapshot of this model was saved before; save a base");
  snapshot_description about{.identity = options.identity,
                             .base_model = model.base().name(),
                             .lora_rank = model.lora().rank,
                             .step = model.steps()};
  if (lora && options.type == snapshot_type::base) {
    about.kind = snapshot_kind::adapter;
    sha256_sum sum;
    for (const auto& tensor : model.parameters()) sum.add(tensor.values.data(), tensor.values.size() * sizeof(float));
    about.sha256 = sum.value();
    model.save(folder, {.optimizer = false, .saved_by = options.saved_by, .beside = {{snapshot_name, to_json(about)}}});
    last_ = about;
    return;
  }
  // Full weights, whatever was trained: as a checkpoint it is one of all parameters.
  const std::string training = detail::training_json(
      {.base_model = about.base_model, .lora = {.rank = 0}, .step = about.step, .saved_by = options.saved_by});
  if (options.type == snapshot_type::delta) return save_delta(model, folder, std::move(about), training);
  const frozen_model weights = model.snapshot();
  bf16_words words = weights.bf16();
  about.words = words.size();
  about.sha256 = sha256_of(words);
  weights.save(folder, {.as_bf16 = true, .beside = {{"training.json", training}, {snapshot_name, to_json(about)}}});
  last_ = std::move(about);
  words_ = lora ? bf16_words() : std::move(words);
  unread_.clear();
}

GRADWIRE_DECL void saved_snapshots::save_delta(const training_model& model, const std::filesystem::path& folder,
                                               snapshot_description about, const std::string& training) {
  if (!unread_.empty()) {
    const loaded_snapshot before = load_snapshot_chain(model.base(), unread_);
    words_ = before.weights().bf16();
    last_ = before.description();
    unread_.clear();
  }
  bf16_words words = model.snapshot().bf16();
  about.kind = snapshot_kind::delta;
  about.previous_identity = last_.identity;
  about.previous_sha256 = last_.sha256;
  about.words = words.size();
  about.sha256 = sha256_of(words);
  if (words.size() != words_.size())
    detail::refuse_snapshot(about.identity, "cannot be a delta: " + detail::quoted(last_.identity) + " has " +
                                                std::to_string(words_.size()) + " weights; save a base");
  const std::string packed = encode_delta(words, words_);
  staged_directory staged(folder, false);
  staged.write_text(delta_name, packed);
  staged.write_text("training.json", training);
  staged.write_text(snapshot_name, to_json(about));
  staged.write_checksums();
  staged.commit();
  last_ = std::move(about);
  words_ = std::move(words);
}

}  // namespace loopback
}  // namespace gradwire::inline v0
