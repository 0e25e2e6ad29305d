// SPDX-License-Identifier: Apache-2.0
// Snapshots: a base and the deltas after it give the trainer's weights bit for bit, and whatever does not fit is refused
// by name, with what was loaded before untouched.
#include <boost/test/unit_test.hpp>
#include <cfenv>
#include <cmath>
#include <fstream>
#include <random>

#include <gradwire/loopback/files/file_layer.hpp>
#include <gradwire/loopback/files/safetensors.hpp>
#include <gradwire/loopback/files/staged_directory.hpp>
#include <gradwire/loopback/loaded_snapshot.hpp>

#include "../support/temporary_folder.hpp"

namespace {

using namespace gradwire;
using namespace gradwire::loopback;
using std::filesystem::path;

// What bfloat16 is, said with powers of two: 8 significant bits, halves to the even one, the smallest step 2^-133.
double nearest_bf16(double value) {
  if (value == 0) return value;
  int exponent = 0;
  std::frexp(value, &exponent);
  const double step = std::ldexp(1.0, std::max(exponent - 8, -133));
  return std::nearbyint(value / step) * step;  // halves to even: the default of the environment
}

bf16_words rounded(const training_model& model) {
  bf16_words words;
  for (const auto& tensor : model.parameters())
    for (const float value : tensor.values) {
      const auto near = static_cast<float>(nearest_bf16(value));
      std::uint32_t bits = 0;
      std::memcpy(&bits, &near, sizeof bits);
      BOOST_REQUIRE((bits & 0xFFFFU) == 0);
      words.push_back(static_cast<std::uint16_t>(bits >> 16));
    }
  return words;
}

// A model that is trained on random text.
struct trained {
  frozen_model base;
  training_model model;
  std::mt19937 random{7};
  saved_snapshots snapshots{};

  explicit trained(int rank) : base(frozen_model::load({.threads = 1})), model(base, {.rank = rank}) {}

  void step(double learning_rate, int times = 1) {
    for (int i = 0; i < times; ++i) {
      std::vector<std::int32_t> tokens(64);
      std::vector<std::int64_t> targets;
      for (auto& token : tokens) token = static_cast<std::int32_t>(random() % 256);
      for (const auto token : tokens) targets.push_back((token * 7 + 3) % 256);
      const example one{tokens, targets};
      model.forward_backward({&one, 1}, [](std::size_t, std::span<const float>, std::span<float> slope) {
        std::fill(slope.begin(), slope.end(), -1.0F);
      });
      model.optim_step({.learning_rate = learning_rate});
    }
  }

  path save(const path& in, const std::string& name, snapshot_type type) {
    snapshots.save(model, in / name, {.identity = name, .type = type});
    return in / name;
  }
};

std::uintmax_t bytes_of(const path& folder) {
  std::uintmax_t sum = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) sum += file.file_size();
  return sum;
}

std::string refused(const std::function<void()>& what) {
  try {
    what();
  } catch (const error& e) {
    BOOST_TEST((e.kind() == errc::config));
    return e.what();
  }
  BOOST_ERROR("it was not refused");
  return {};
}

bool says(const std::string& text, const std::string& part) {
  BOOST_TEST_INFO(text);
  return text.find(part) != std::string::npos;
}

void write(const path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

// A base "s0" and deltas "s1" … in a folder.
struct a_chain {
  temporary_folder at;
  trained trainer{0};
  std::vector<bf16_words> weights;

  explicit a_chain(int deltas) {
    for (int i = 0; i <= deltas; ++i) {
      if (i > 0) trainer.step(1e-5);
      trainer.save(at.path, name(i), i == 0 ? snapshot_type::base : snapshot_type::delta);
      weights.push_back(rounded(trainer.model));
    }
  }
  static std::string name(int i) { return "s" + std::to_string(i); }
  path folder(int i) const { return at.path / name(i); }

  // A deployment that has loaded s0 … s<last>.
  loaded_snapshot deployment(int last) const {
    loaded_snapshot held(trainer.base);
    for (int i = 0; i <= last; ++i) held = load(held, i);
    return held;
  }
  loaded_snapshot load(const loaded_snapshot& into, int i) const {
    return into.load(folder(i), name(i), i == 0 ? std::nullopt : std::optional(name(i - 1)));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(snapshots)

BOOST_AUTO_TEST_CASE(rounding_to_bfloat16) {
  BOOST_REQUIRE(std::fegetround() == FE_TONEAREST);
  const auto check = [](float value) {
    const float expected = static_cast<float>(nearest_bf16(value));
    BOOST_REQUIRE_MESSAGE(from_bf16(to_bf16(value)) == expected, value << " " << from_bf16(to_bf16(value)));
    BOOST_REQUIRE(std::signbit(from_bf16(to_bf16(value))) == std::signbit(value));
  };
  std::mt19937 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(value) && std::abs(value) < 3.38e38F) check(value);
  }
  for (std::uint32_t word = 0; word < 65536; ++word) {
    const auto bits = static_cast<std::uint16_t>(word);
    const float value = from_bf16(bits);
    BOOST_REQUIRE(is_finite_bf16(bits) == static_cast<bool>(std::isfinite(value)));
    if (!std::isfinite(value)) continue;
    BOOST_REQUIRE(to_bf16(value) == bits);
    const float half = std::bit_cast<float>((word << 16) | 0x8000U);  // just between two
    if (std::abs(half) < 3.38e38F)
      check(half), check(std::nextafter(half, 0.0F)), check(std::nextafter(half, INFINITY));
  }
  BOOST_TEST(std::isnan(from_bf16(to_bf16(std::nanf("")))));
  BOOST_TEST(std::isnan(from_bf16(to_bf16(std::bit_cast<float>(0x7F800001U)))));
  BOOST_TEST(!is_finite_bf16(to_bf16(3.4e38F)));
}

BOOST_AUTO_TEST_CASE(a_base_and_twenty_deltas_load_bit_for_bit) {
  const a_chain chain(20);
  const auto& trainer = chain.trainer;
  loaded_snapshot held(trainer.base);
  BOOST_TEST(held.identity() == "");
  BOOST_TEST(held.weights().checksum() == trainer.base.checksum());
  for (int i = 0; i <= 20; ++i) {
    held = chain.load(held, i);
    const auto& expected = chain.weights[static_cast<std::size_t>(i)];
    BOOST_TEST_CONTEXT("snapshot " << i) {
      BOOST_TEST((held.weights().bf16() == expected));
      BOOST_TEST(held.identity() == chain.name(i));
      BOOST_TEST(held.sha256() == sha256_of(expected));
      BOOST_TEST((held.description().kind == (i == 0 ? snapshot_kind::full : snapshot_kind::delta)));
      BOOST_TEST(held.description().previous_identity == (i == 0 ? "" : chain.name(i - 1)));
      BOOST_TEST(held.description().step == i);
      if (i > 0) BOOST_TEST((expected != chain.weights[static_cast<std::size_t>(i) - 1]));
    }
  }
  // the same without a deployment, the same by one base of the end, and what is served is what these weights say
  BOOST_TEST(load_snapshot_chain(trainer.base, chain.folder(20)).sha256() == held.sha256());
  trained again(0);
  again.model = trainer.model;
  const auto whole = again.save(chain.at.path, "whole", snapshot_type::base);
  BOOST_TEST(loaded_snapshot(trainer.base).load(whole, "whole").sha256() == held.sha256());
  const std::vector<std::int32_t> tokens{72, 101, 108, 108};
  const std::vector<std::int64_t> targets{101, 108, 108, 111};
  const example one{tokens, targets};
  const auto served = held.weights().forward({&one, 1})[0];
  BOOST_TEST(served == trainer.model.snapshot().with_bf16(chain.weights[20]).forward({&one, 1})[0]);
  const auto exact = trainer.model.forward({&one, 1})[0];
  for (std::size_t t = 0; t < exact.size(); ++t) BOOST_TEST(std::abs(served[t] - exact[t]) < 0.05);
}

BOOST_AUTO_TEST_CASE(a_base_is_a_model_that_others_read) {
  temporary_folder at;
  trained it(0);
  it.step(1e-3, 3);
  const auto folder = it.save(at.path, "base", snapshot_type::base);
  BOOST_TEST(bytes_of(folder) > 2u * static_cast<std::uintmax_t>(it.model.trainable_parameters()));
  BOOST_TEST(bytes_of(folder) < 2u * static_cast<std::uintmax_t>(it.model.trainable_parameters()) + 20'000u);
  const auto read = frozen_model::load({.model = folder.string(), .threads = 1});
  BOOST_TEST((read.bf16() == rounded(it.model)));
  training_model warm(it.base, {.rank = 0});  // weights to go on from, in another run
  warm.load(folder, false);
  BOOST_TEST((warm.snapshot().bf16() == rounded(it.model)));
  BOOST_TEST(training_model::describe(folder).step == 3);
  safetensors_file file(folder / "model.safetensors");
  for (const auto& [name, entry] : file.entries()) BOOST_TEST(entry.dtype == "BF16");
}

BOOST_AUTO_TEST_CASE(a_missing_or_reordered_delta_is_refused_by_name) {
  const a_chain chain(4);
  const auto held = chain.deployment(1);
  const auto before = held.weights().checksum();
  // s2 is missing
  const auto missing = refused([&] { chain.load(held, 3); });
  BOOST_TEST(says(missing, "'s3' is a delta against 's2'"));
  BOOST_TEST(says(missing, "'s1' is loaded"));
  // s3 before s2, s1 again after s2
  const auto later = chain.load(held, 2);
  BOOST_TEST(says(refused([&] { chain.load(later, 1); }), "'s1' is a delta against 's0', and 's2' is loaded"));
  BOOST_TEST(says(refused([&] { chain.load(later, 4); }), "'s4' is a delta against 's3', and 's2' is loaded"));
  // nothing at all is loaded
  const loaded_snapshot nothing(chain.trainer.base);
  BOOST_TEST(says(refused([&] { chain.load(nothing, 1); }), "nothing is loaded"));
  // s2's content under the name of s3
  std::filesystem::rename(chain.folder(3), chain.at.path / "aside");
  std::filesystem::copy(chain.folder(2), chain.folder(3));
  BOOST_TEST(says(refused([&] { chain.load(later, 3); }), "which holds 's2'"));
  std::filesystem::remove_all(chain.folder(3));
  std::filesystem::rename(chain.at.path / "aside", chain.folder(3));
  // one of the folders is gone
  std::filesystem::remove_all(chain.folder(2));
  const auto gone = refused([&] { load_snapshot_chain(chain.trainer.base, chain.folder(4)); });
  BOOST_TEST(says(gone, "'s2' is missing, against which 's3' is a delta"));
  BOOST_TEST(says(refused([&] { chain.load(held, 2); }), "'s2'"));
  BOOST_TEST(held.weights().checksum() == before);
  BOOST_TEST(held.identity() == "s1");
}

BOOST_AUTO_TEST_CASE(a_delta_is_never_taken_for_full_weights) {
  const a_chain chain(2);
  const auto held = chain.deployment(1);
  const auto without = refused([&] { held.load(chain.folder(2), "s2"); });
  BOOST_TEST(says(without, "no previous snapshot was named"));
  BOOST_TEST(says(without, "'s1'"));
  BOOST_TEST(says(refused([&] { held.load(chain.folder(2), "s2", "s2"); }), "itself was named as previous"));
  BOOST_TEST(says(refused([&] { held.load(chain.folder(2), "s2", "s0"); }), "'s0' was named as previous"));
  BOOST_TEST(says(refused([&] { held.load(chain.folder(0), "s0", "s1"); }), "'s0' is no delta"));
  BOOST_TEST(says(refused([&] { held.load(chain.folder(1), "s2", "s1"); }), "which holds 's1'"));
  refused([&] { chain.trainer.base.with_checkpoint(chain.folder(2)); });
  training_model other(chain.trainer.base, {.rank = 0});
  refused([&] { other.load(chain.folder(2), false); });
  // by path, as the trainer answers it
  const auto path = [](const char* name) { return "tinker://run:train:0/sampler_weights/" + std::string(name); };
  BOOST_TEST((held.load(chain.folder(2), path("s2"), path("s1")).weights().bf16() == chain.weights[2]));
}

BOOST_AUTO_TEST_CASE(a_delta_twice_is_applied_once) {
  const a_chain chain(2);
  const auto held = chain.deployment(2);
  const auto again = chain.load(held, 2);
  BOOST_TEST((again.weights().bf16() == chain.weights[2]));
  BOOST_TEST((chain.load(again, 0).weights().bf16() == chain.weights[0]));  // a base at any time
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_is_refused_by_name) {
  const a_chain chain(1);
  const auto held = chain.deployment(0);
  std::mt19937 random(3);
  for (int i : {0, 1})
    for (const auto& entry : std::filesystem::directory_iterator(chain.folder(i))) {
      const std::string name = entry.path().filename().string(), whole = read_text(entry.path());
      for (int k = 0; k < 20; ++k) {
        std::string text = whole;
        const std::size_t place = k == 0 ? 0 : k == 1 ? text.size() - 1 : random() % text.size();
        text[place] = static_cast<char>(text[place] ^ (1 << (random() % 8)));
        write(entry.path(), text);
        BOOST_TEST_CONTEXT(name << " at " << place) {
          const auto why = refused([&] { chain.load(held, i); });
          BOOST_TEST(says(why, "'" + chain.name(i) + "'"));
          BOOST_TEST(says(why, "damaged"));
        }
      }
      write(entry.path(), whole.substr(0, whole.size() / 2));
      refused([&] { chain.load(held, i); });
      std::filesystem::remove(entry.path());
      refused([&] { chain.load(held, i); });
      write(entry.path(), whole);
      BOOST_TEST((chain.load(held, i).weights().bf16() == chain.weights[static_cast<std::size_t>(i)]));
    }
}

// Whoever writes checksums.txt anew cannot make other weights of it.
BOOST_AUTO_TEST_CASE(other_weights_under_the_same_name_are_refused) {
  const a_chain chain(3);
  const auto held = chain.deployment(1);
  const auto replace = [&](int i, const char* file, const std::string& text) {
    std::filesystem::remove(chain.folder(i) / checksums_name);
    write(chain.folder(i) / file, text);
    write(chain.folder(i) / checksums_name, checksums_of(chain.folder(i)));
  };
  const std::string delta = read_text(chain.folder(2) / delta_name);
  replace(2, delta_name, read_text(chain.folder(3) / delta_name));
  BOOST_TEST(says(refused([&] { chain.load(held, 2); }), "'s2' gives weights with the sha256"));
  replace(2, delta_name, delta.substr(0, delta.size() - 3));
  BOOST_TEST(says(refused([&] { chain.load(held, 2); }), "does not unpack"));
  replace(2, delta_name, encode_delta(bf16_words(5), bf16_words(5)));
  BOOST_TEST(says(refused([&] { chain.load(held, 2); }), "does not unpack"));
  replace(2, delta_name, delta);
  BOOST_TEST(chain.load(held, 2).identity() == "s2");
  // a description that says something impossible
  const std::string about = read_text(chain.folder(2) / snapshot_name);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = about;
    const auto at = text.find(from);
    BOOST_REQUIRE(at != text.npos);
    replace(2, snapshot_name, text.replace(at, from.size(), to));
    return refused([&] { chain.load(held, 2); });
  };
  BOOST_TEST(says(with("\"s1\"", "\"../../s1\""), "what it is the difference to"));
  BOOST_TEST(says(with("\"s1\"", "\"s0\""), "against 's0'"));
  BOOST_TEST(says(with("\"delta\"", "\"full\""), "'s2'"));
  BOOST_TEST(says(with("\"words\":", "\"words\":1"), "weights"));
  BOOST_TEST(says(with("gradwire-snapshot-1", "gradwire-snapshot-9"), "is not known"));
  replace(2, snapshot_name, "[]");
  refused([&] { chain.load(held, 2); });
  replace(2, snapshot_name, about);
  // two that are each other's previous
  replace(1, snapshot_name,
          read_text(chain.folder(1) / snapshot_name)
              .replace(read_text(chain.folder(1) / snapshot_name).find("\"s0\""), 4, "\"s2\""));
  BOOST_TEST(says(refused([&] { load_snapshot_chain(chain.trainer.base, chain.folder(2)); }), "is one against it"));
}

BOOST_AUTO_TEST_CASE(of_lora_a_base_is_the_adapter) {
  temporary_folder at;
  trained it(4);
  it.step(1e-2, 3);
  const auto base = it.save(at.path, "adapter", snapshot_type::base);
  const auto held = loaded_snapshot(it.base).load(base, "adapter");
  BOOST_TEST((held.description().kind == snapshot_kind::adapter));
  BOOST_TEST(held.description().lora_rank == 4);
  const std::vector<std::int32_t> tokens{72, 101, 108, 108};
  const std::vector<std::int64_t> targets{101, 108, 108, 111};
  const example one{tokens, targets};
  BOOST_TEST(held.weights().forward({&one, 1})[0] == it.model.forward({&one, 1})[0]);
  BOOST_TEST(says(refused([&] { it.save(at.path, "delta", snapshot_type::delta); }), "'delta' cannot be a delta"));
  it.step(1e-2);
  it.save(at.path, "second", snapshot_type::base);
  BOOST_TEST(held.load(at.path / "second", "second").weights().forward({&one, 1})[0] ==
             it.model.forward({&one, 1})[0]);  // in place of the first, not on top of it
  const auto merged = it.save(at.path, "merged", snapshot_type::merged_base);
  const auto full = held.load(merged, "merged");
  BOOST_TEST((full.description().kind == snapshot_kind::full));
  BOOST_TEST((full.weights().bf16() == it.model.snapshot().bf16()));
  BOOST_TEST(training_model::describe(merged).lora.rank == 0);
  trained untrained(4);
  const auto same = untrained.save(at.path, "untrained", snapshot_type::merged_base);
  BOOST_TEST((held.load(same, "untrained").weights().bf16() == it.base.bf16()));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_saved_leaves_the_chain_as_it_was) {
  temporary_folder at;
  trained it(0);
  BOOST_TEST(says(refused([&] { it.save(at.path, "d", snapshot_type::delta); }), "save a base"));
  BOOST_TEST(says(refused([&] { it.save(at.path, "m", snapshot_type::merged_base); }), "every parameter"));
  BOOST_TEST(it.snapshots.last() == "");
  it.save(at.path, "a", snapshot_type::base);
  refused([&] { it.save(at.path, "a", snapshot_type::base); });
  BOOST_TEST(std::distance(std::filesystem::directory_iterator(at.path), {}) == 1);
  // a weight that bfloat16 cannot hold
  std::vector<float> values, zero;
  it.model.with_arrays([&](const training_arrays& all) {
    values.assign(all.values.begin(), all.values.end());
    zero.assign(values.size(), 0.0F);
  });
  const float good = std::exchange(values[5], 3.4e38F);
  it.model.restore({1, values, zero, zero});
  for (const auto type : {snapshot_type::base, snapshot_type::delta})
    BOOST_CHECK_EXCEPTION(it.save(at.path, "b", type), error, [](const error& e) {
      return e.kind() == errc::data && e.details().column == "model.embed_tokens.weight";
    });
  BOOST_TEST(!std::filesystem::exists(at.path / "b"));
  BOOST_TEST(it.snapshots.last() == "a");
  values[5] = good;
  it.model.restore({1, values, zero, zero});
  it.step(1e-4);
  it.save(at.path, "b", snapshot_type::delta);
  BOOST_TEST((load_snapshot_chain(it.base, at.path / "b").weights().bf16() == rounded(it.model)));
}

namespace {

// A disk that is full from the k-th call on.
class full_disk : public loopback::detail::file_layer {
 public:
  explicit full_disk(int calls) : left_(calls) { loopback::detail::other_file_layer = this; }
  ~full_disk() override { loopback::detail::other_file_layer = nullptr; }
  ::ssize_t write(int file, const void* data, std::size_t bytes) override {
    return failed() ? -1 : file_layer::write(file, data, bytes);
  }
  int sync(int file) override { return failed() ? -1 : file_layer::sync(file); }
  int rename(int directory, const char* from, const char* to, unsigned flags) override {
    return failed() ? -1 : file_layer::rename(directory, from, to, flags);
  }

 private:
  bool failed() {
    errno = ENOSPC;
    return left_-- <= 0;
  }
  int left_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_nothing_and_the_chain_as_it_was) {
  temporary_folder at;
  trained it(0);
  it.save(at.path, "a", snapshot_type::base);
  it.step(1e-4);
  int failures = 0;
  for (const auto type : {snapshot_type::delta, snapshot_type::base}) {
    for (int calls = 0;; ++calls) {
      const std::string name = "n" + std::to_string(calls) + (type == snapshot_type::delta ? "d" : "b");
      bool saved = true;
      try {
        const full_disk disk(calls);
        it.save(at.path, name, type);
      } catch (const error& e) {
        BOOST_TEST(e.details().http_status == 507);
        saved = false;
        ++failures;
      }
      if (saved) break;
      BOOST_TEST(it.snapshots.last() == (type == snapshot_type::delta ? "a" : "d"));
      for (const auto& entry : std::filesystem::directory_iterator(at.path))
        BOOST_TEST(!describe_snapshot(entry.path()).identity.empty());  // whole, or not there
    }
    if (type == snapshot_type::base) continue;
    it.step(1e-4);
    it.save(at.path, "d", snapshot_type::delta);
    BOOST_TEST((load_snapshot_chain(it.base, at.path / "d").weights().bf16() == rounded(it.model)));
  }
  BOOST_TEST(failures > 10);
}

BOOST_AUTO_TEST_CASE(a_chain_goes_on_after_a_restart) {
  a_chain chain(2);
  saved_snapshots again;
  again.resume(chain.folder(2));
  BOOST_TEST(again.last() == "s2");
  chain.trainer.snapshots = std::move(again);
  chain.trainer.step(1e-5);
  chain.trainer.save(chain.at.path, "s3", snapshot_type::delta);
  const auto held = chain.load(chain.deployment(2), 3);
  BOOST_TEST((held.weights().bf16() == rounded(chain.trainer.model)));
  // if what it was is gone, only a base goes on
  chain.trainer.snapshots.resume(chain.folder(3));
  std::filesystem::remove_all(chain.folder(1));
  BOOST_TEST(says(refused([&] { chain.trainer.save(chain.at.path, "s4", snapshot_type::delta); }), "'s1' is missing"));
  chain.trainer.save(chain.at.path, "s4", snapshot_type::base);
  chain.trainer.step(1e-5);
  chain.trainer.save(chain.at.path, "s5", snapshot_type::delta);
  BOOST_TEST(
      (load_snapshot_chain(chain.trainer.base, chain.at.path / "s5").weights().bf16() == rounded(chain.trainer.model)));
}

BOOST_AUTO_TEST_CASE(a_delta_is_a_fraction_of_a_base) {
  for (const double learning_rate : {1e-6, 1e-5, 1e-4}) {
    temporary_folder at;
    trained it(0);
    it.step(learning_rate, 20);  // Adam's first steps are its largest
    const auto base = bytes_of(it.save(at.path, "base", snapshot_type::base));
    std::uintmax_t largest = 0, sum = 0;
    for (int i = 0; i < 5; ++i) {
      it.step(learning_rate);
      const auto bytes = bytes_of(it.save(at.path, "delta-" + std::to_string(i), snapshot_type::delta));
      largest = std::max(largest, bytes), sum += bytes;
    }
    const double ratio = 5.0 * static_cast<double>(base) / static_cast<double>(sum);
    BOOST_TEST_MESSAGE("full parameters, learning rate " << learning_rate << ": base " << base << " bytes, a delta "
                                                         << sum / 5 << " bytes, " << ratio << " times smaller");
    if (learning_rate <= 1e-5) BOOST_TEST(base >= 8 * largest);
  }
}

BOOST_AUTO_TEST_SUITE_END()
