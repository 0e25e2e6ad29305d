// SPDX-License-Identifier: Apache-2.0
// What the platform was asked, in a file: a line of JSON for each request with a key that is known, in the order in
// which they came.
//
//   {"method":"POST","target":"/v1/accounts/…?…","headers":[["Content-Type","application/json"],…],"body":"{…}"}
//
// A body that is not UTF-8 is "body_base64". Keys are not in it: "(key)" stands where one was. When a line cannot be
// written (the disk is full) that is told once as a lost error, the file ends before it, and the platform goes on.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include <gradwire/loopback/files/open_file.hpp>
#include <gradwire/loopback/platform/completion_text.hpp>
#include <gradwire/loopback/platform/options.hpp>
#include <gradwire/transport/http_message.hpp>
#include <gradwire/transport/lost_error.hpp>
#include <gradwire/transport/secret.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/base64.hpp>
#include <gradwire/wire/json_writer.hpp>

namespace gradwire::inline v0 {
namespace loopback {
namespace hosting {

class request_log {
 public:
  explicit request_log(const platform_options& options)
      : keys_{secret(options.token), secret(options.inference_token)} {
    if (options.requests.empty()) return;
    std::error_code ignored;  // open() says what is wrong
    std::filesystem::create_directories(std::filesystem::absolute(options.requests).parent_path(), ignored);
    file_.emplace(options.requests, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, "open");
  }

  void add(const http_request& asked) {
    if (!file_) return;
    wire::json_writer line(wire::nonfinite::refuse, asked.body.size() + 1024);
    line.begin_object();
    line.key("method").string(asked.method);
    line.key("target").string(without_keys(asked.target));
    line.key("headers").begin_array();
    for (const http_header& each : asked.headers) {
      line.begin_array();
      line.string(each.name);
      line.string(without_keys(each.value));
      line.end_array();
    }
    line.end_array();
    const std::string body = without_keys(asked.body);
    if (valid_utf8(body) == body)
      line.key("body").string(body);
    else
      line.key("body_base64").string(wire::to_base64(body));
    line.end_object();
    const std::string text = std::move(line).take() + '\n';
    try {
      file_->write(text.data(), text.size());
      size_ += static_cast<::off_t>(text.size());
    } catch (const error& full) {
      (void)!::ftruncate(file_->descriptor(), size_);  // no half a line
      file_.reset();
      gradwire::detail::report_lost_error(std::make_exception_ptr(
          error(full.kind(), "the record of requests ends here: " + gradwire::detail::sentence_of(full.what()),
                full.details())));
    }
  }

 private:
  std::string without_keys(std::string text) const {
    for (const secret& key : keys_) text = key.removed_from(std::move(text));
    return text;
  }

  const secret keys_[2];
  std::optional<detail::open_file> file_;
  ::off_t size_ = 0;
};

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
