// SPDX-License-Identifier: Apache-2.0
// Fuzz targets: functions of any bytes that throw `broken` when something is not as it must be. With libFuzzer (run)
// they are called without end; in the tests (corpus.cpp) with their seeds, the inputs that once broke them, and
// mutations of both from a fixed seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

struct broken : std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool condition, const std::string& what) {
  if (!condition) throw broken(what);
}

struct target {
  std::string name{};
  void (*run)(std::string_view input) = nullptr;
  std::vector<std::string> (*seeds)() = nullptr;
  unsigned runs = 2000;  // mutations in a test run
};

inline std::vector<target>& targets() {
  static std::vector<target> all;
  return all;
}

struct registered {
  explicit registered(const target& each) { targets().push_back(each); }
};

// Reads choices off the input; an input that is used up chooses 0 for ever.
class choices {
 public:
  explicit choices(std::string_view input) noexcept : rest_(input) {}

  template <class T>
  T value() noexcept {
    T taken{};
    const std::size_t count = rest_.size() < sizeof(T) ? rest_.size() : sizeof(T);
    if (count != 0) std::memcpy(&taken, rest_.data(), count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::size_t below(std::size_t bound) noexcept { return bound == 0 ? 0 : value<std::uint8_t>() % bound; }
  bool flag() noexcept { return (value<std::uint8_t>() & 1) != 0; }
  bool empty() const noexcept { return rest_.empty(); }
  std::string_view rest() const noexcept { return rest_; }
  std::string text(std::size_t most) {
    const std::size_t count = below(most + 1);
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return std::string(taken);
  }

 private:
  std::string_view rest_;
};

}  // namespace fuzz
