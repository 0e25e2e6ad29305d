// SPDX-License-Identifier: Apache-2.0
// A file layer that knows what a disk would still have after a power cut: the content of a file as of its last sync,
// the names of a folder as of its last sync. It ends a run at a given call, and writes what is left into another
// folder.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gradwire/loopback/files/file_layer.hpp>

class forgetful_files : public gradwire::loopback::detail::file_layer {
 public:
  struct power_cut {};

  explicit forgetful_files(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // This layer instead of the system's, until `moment` calls were made.
  class in_place {
   public:
    in_place(forgetful_files& files, std::size_t moment) {
      files.left_ = moment;
      gradwire::loopback::detail::other_file_layer = &files;
    }
    ~in_place() { gradwire::loopback::detail::other_file_layer = nullptr; }
    in_place(const in_place&) = delete;
    in_place& operator=(const in_place&) = delete;
  };

  std::vector<std::string> calls{};  // "write m.a.tmp", …; the process's id is left out, the folder is "."

  int open(int directory, const char* path, int flags, ::mode_t mode) override {
    count();
    const std::filesystem::path given(path);
    const bool is_folder = (flags & O_DIRECTORY) != 0;
    const std::string name = is_folder ? "." : given.filename().string();
    if (!is_folder) calls.push_back("open " + shown(name));
    const int file = file_layer::open(directory, path, flags, mode);
    if (file < 0) return file;
    open_[file] = name;
    if ((flags & O_CREAT) != 0) names_[name] = std::make_shared<content>();
    return file;
  }
  ::ssize_t write(int file, const void* data, std::size_t bytes) override {
    count();
    const std::string& name = open_.at(file);
    calls.push_back("write " + shown(name));
    names_.at(name)->now.append(static_cast<const char*>(data), bytes);
    return file_layer::write(file, data, bytes);
  }
  int sync(int file) override {
    count();
    const std::string& name = open_.at(file);
    calls.push_back("sync " + shown(name));
    if (name == ".")
      durable_names_ = names_;
    else
      names_.at(name)->durable = names_.at(name)->now;
    return file_layer::sync(file);
  }
  int close(int file) override {
    const std::string& name = open_.at(file);
    if (name != ".") calls.push_back("close " + shown(name));
    open_.erase(file);
    return file_layer::close(file);
  }
  int rename(int directory, const char* from, const char* to, unsigned flags) override {
    count();
    calls.push_back("rename " + shown(from) + " " + to);
    names_[to] = names_.at(from);
    names_.erase(from);
    return file_layer::rename(directory, from, to, flags);
  }

  // What the disk has: with the names as of the folder's last sync, or, `names_survive`, with all of them: a file
  // system may write a name before the content that it stands for.
  void restore_to(const std::filesystem::path& target, bool names_survive) const {
    for (const auto& [name, file] : names_survive ? names_ : durable_names_)
      std::ofstream(target / name, std::ios::binary) << file->durable;
  }

 private:
  struct content {
    std::string now{}, durable{};
  };

  void count() {
    if (left_ == 0) throw power_cut{};
    --left_;
  }
  static std::string shown(const std::string& name) { return name.substr(0, name.rfind('-')); }

  std::filesystem::path folder_;
  std::size_t left_ = 0;
  std::map<int, std::string> open_;
  std::map<std::string, std::shared_ptr<content>> names_, durable_names_;
};
