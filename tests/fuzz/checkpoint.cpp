// SPDX-License-Identifier: Apache-2.0
// Bytes as the files of a checkpoint: tensors, the state file of a run, a model's description. Each is read as a whole
// or refused with a sentence that names the file; every value that is handed out lies inside of it.
#include "fuzz.hpp"

#include <gradwire/error.hpp>
#include <gradwire/loopback/files/safetensors.hpp>
#include <gradwire/loopback/files/state_file.hpp>
#include <gradwire/loopback/model_config.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace {

using namespace gradwire;
namespace files = std::filesystem;

// A file in memory, under a name that lives as long as the process.
class memory_file {
 public:
  memory_file()
      : descriptor_(::memfd_create("checkpoint", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {}
  const files::path& filled(std::string_view bytes) {
    if (::ftruncate(descriptor_, 0) != 0 ||
        ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error("no memory for a file");
    return path_;
  }

 private:
  int descriptor_;
  files::path path_;
};

void tensors(std::string_view bytes) {
  static memory_file file;
  try {
    loopback::safetensors_file opened(file.filled(bytes));
    for (const auto& [name, entry] : opened.entries()) {
      std::uint64_t cells = 1;
      for (const auto extent : entry.shape) cells *= static_cast<std::uint64_t>(extent);
      if (cells > bytes.size()) {  // a type that is not read has no size of its own
        fuzz::require(entry.dtype != "F32", "more values than bytes");
        continue;
      }
      std::vector<float> values(cells);
      try {
        opened.read(name, values);
        fuzz::require(cells * 2 <= bytes.size(), "more values than there are bytes");
      } catch (const error& refused) {
        fuzz::require(refused.kind() == errc::config, refused.what());
      }
    }
  } catch (const error& refused) {
    fuzz::require(refused.kind() == errc::config, std::string("refused as something else: ") + refused.what());
    fuzz::require(std::string_view(refused.what()).find("/proc/self/fd/") != std::string_view::npos,
                  std::string("the sentence does not name the file: ") + refused.what());
  }
}

void state(std::string_view bytes) {
  std::string why;
  const auto found = loopback::detail::parse_state(std::string(bytes), why);
  fuzz::require(found.has_value() == why.empty(), "neither content nor a reason");
  if (!found) return;
  const std::string_view content = found->bytes;
  fuzz::require(loopback::detail::state_header(found->generation, {&content, 1}) + found->bytes == bytes,
                "taken, although it is not what would have been written");
}

void description(std::string_view bytes) {
  try {
    const loopback::model_config config = loopback::parse_model_config(bytes);
    loopback::check(config);
    const std::string written = to_json(config);
    fuzz::require(to_json(loopback::parse_model_config(written)) == written, "read again it is another: " + written);
  } catch (const error& refused) {
    fuzz::require(refused.kind() == errc::config || refused.kind() == errc::decode,
                  std::string("refused as something else: ") + refused.what());
  }
}

void run(std::string_view input) {
  if (input.empty()) return;
  constexpr void (*readers[])(std::string_view) = {tensors, state, description};
  readers[static_cast<unsigned char>(input.front()) % std::size(readers)](input.substr(1));
}

std::string file_of(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

std::vector<std::string> seeds() {
  const std::string_view content = R"({"step":3,"seq_id":9})";
  return {
      std::string(1, '\0') +
          file_of(
              R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F32","shape":[],"data_offsets":[24,28]}})",
              std::string(28, 'x')),
      std::string(1, '\0') +
          file_of(
              R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"g":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]},"d":{"dtype":"F64","shape":[1],"data_offsets":[12,20]}})",
              std::string(20, '\x40')),
      std::string(1, '\0') +
          file_of(R"({"i":{"dtype":"I8","shape":[9223372036854775807,2],"data_offsets":[0,4]}})", "abcd"),
      "\1" + loopback::detail::state_header(7, {&content, 1}) + std::string(content),
      "\1" + loopback::detail::state_header(0, {}),
      "\2" + to_json(loopback::tiny_config())};
}

const fuzz::registered here({"checkpoint", run, seeds, 10000});

}  // namespace
