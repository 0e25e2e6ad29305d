// SPDX-License-Identifier: Apache-2.0
// Archives of checkpoints, read by the system's tar.
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <fstream>

#include <gradwire/loopback/files/tar.hpp>

#include "../support/temporary_folder.hpp"

using namespace gradwire;
using loopback::detail::tar_of;

namespace {

std::string said_by(const std::string& command) {
  std::string text;
  char part[4096];
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  BOOST_REQUIRE(pipe != nullptr);
  for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  BOOST_TEST(::pclose(pipe) == 0, command);
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tar)

BOOST_AUTO_TEST_CASE(every_name_that_a_checkpoint_may_have) {
  const temporary_folder at;
  std::filesystem::create_directory(at.path / "c");
  std::ofstream(at.path / "c" / "adapter_model.safetensors") << std::string(700, 'x');
  std::ofstream(at.path / "c" / "training.json") << "{}";
  for (const std::size_t length : {1u, 73u, 74u, 99u, 100u, 128u}) {
    const std::string name(length, 'n');
    const auto file = at.path / "a.tar";
    std::ofstream(file, std::ios::binary) << tar_of(at.path / "c", name, 1'700'000'000);
    BOOST_TEST(said_by("tar -tf '" + file.string() + "'") ==
               name + "/adapter_model.safetensors\n" + name + "/training.json\n");
    BOOST_TEST(said_by("tar -xOf '" + file.string() + "' " + name + "/adapter_model.safetensors") ==
               std::string(700, 'x'));
  }
  BOOST_CHECK_THROW(tar_of(at.path / "c", std::string(200, 'n'), 0), error);
}

BOOST_AUTO_TEST_SUITE_END()
