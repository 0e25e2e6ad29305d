// SPDX-License-Identifier: Apache-2.0
// What a run leaves behind, from events made by hand: the ledger counts retries once as calls, the trace survives a
// missing end, the progress line says why it waits. Their files are read by the real readers in conformance/run_log.py.
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gradwire/trainer/ledger.hpp>
#include <gradwire/trainer/progress.hpp>
#include <gradwire/trainer/run_log.hpp>
#include <gradwire/trainer/timeline.hpp>
#include <gradwire/wire/json_document.hpp>

#include "../support/temporary_folder.hpp"

using namespace gradwire;

namespace {

client_event event(client_event::type what, std::uint64_t operation, std::size_t bytes = 0, double seconds = 0) {
  client_event made;
  made.what = what;
  made.at = std::chrono::steady_clock::now();
  made.operation = operation;
  made.name = "optim_step";
  made.tokens = 10;
  made.bytes = bytes;
  made.seconds = seconds;
  return made;
}

struct folder_of_texts : temporary_folder {
  std::string text_of(const char* name) const {
    std::ifstream file(path / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(run_log_files)

BOOST_AUTO_TEST_CASE(a_retry_is_a_request_and_no_call) {
  const ledger books;
  const auto tell = books.handler();
  using type = client_event::type;
  tell(event(type::sent, 1, 100));
  tell(event(type::retrying, 1));
  tell(event(type::sent, 1, 100));
  tell(event(type::accepted, 1));
  tell(event(type::finished, 1, 30, 0.5));
  tell(event(type::sent, 2, 7));
  tell(event(type::failed, 2, 0, 0.25));
  tell(event(type::failed, 3));  // never sent
  const auto row = books.rows().at("optim_step");
  BOOST_TEST(row.calls == 3u);
  BOOST_TEST(row.requests == 3u);
  BOOST_TEST(row.failed == 2u);
  BOOST_TEST(row.tokens == 10u);
  BOOST_TEST(row.bytes_sent == 207u);
  BOOST_TEST(row.bytes_received == 30u);
  BOOST_TEST(row.seconds == 0.75);
  BOOST_TEST(books.total().calls == 3u);
  BOOST_TEST(books.table().find("optim_step") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_line_says_why_it_waits) {
  BOOST_TEST(detail::queue_text("paused_capacity", 192) == "paused: capacity, 3m12s");
  BOOST_TEST(detail::queue_text("paused_rate_limit", 7.9) == "paused: rate limit, 7s");
  BOOST_TEST(detail::queue_text("paused: billing", 7500) == "paused: billing, 2h05m");
  BOOST_TEST(detail::queue_text("paused", 60) == "paused: 1m00s");
  BOOST_TEST(detail::queue_text("active", 60) == "");
}

BOOST_AUTO_TEST_CASE(a_trace_is_whole_at_every_moment) {
  const folder_of_texts folder;
  {
    const timeline trace((folder.path / "trace.json").string());
    const auto tell = trace.handler();
    tell(event(client_event::type::sent, 1, 100));
    tell(event(client_event::type::accepted, 1));
    trace.mark("a \"step\"");
    const std::string so_far = folder.text_of("trace.json");
    BOOST_TEST(so_far.starts_with("[\n{\"ph\":\"b\",\"name\":\"optim_step\""));
    BOOST_TEST(so_far.ends_with("},\n"));  // a reader adds the bracket
    BOOST_TEST(so_far.find("a \\\"step\\\"") != std::string::npos);
    tell(event(client_event::type::finished, 1));
    tell(event(client_event::type::finished, 1));  // a second end of one operation writes nothing
  }
  const std::string whole = folder.text_of("trace.json");
  BOOST_TEST(whole.ends_with("{}]\n"));
  std::size_t ends = 0;
  for (std::size_t at = 0; (at = whole.find("\"ph\":\"e\"", at)) != std::string::npos; ++at) ++ends;
  BOOST_TEST(ends == 3u);  // the upload, the wait and the whole
}

BOOST_AUTO_TEST_CASE(a_second_run_replaces_the_trace) {
  const folder_of_texts folder;
  for (const char* name : {"a long first run", "second"}) {
    const timeline trace((folder.path / "trace.json").string());
    trace.mark(name);
  }
  const std::string text = folder.text_of("trace.json");
  BOOST_TEST(text.find("first") == std::string::npos);
  BOOST_TEST(text.find("second") != std::string::npos);
  BOOST_CHECK_NO_THROW(wire::json_document{text});
}

BOOST_AUTO_TEST_CASE(a_folder_that_cannot_be_made_is_named) {
  const folder_of_texts folder;
  std::ofstream(folder.path / "file") << "in the way";
  const auto inside_a_file = (folder.path / "file" / "runs").string();
  BOOST_CHECK_EXCEPTION(run_log({.folder = inside_a_file}), error, [&](const error& e) {
    return e.kind() == errc::config && std::string(e.what()).find(inside_a_file) != std::string::npos;
  });
  BOOST_CHECK_THROW(run_log({}), error);
  const std::string first = new_run_folder(folder.path.string(), "7"),
                    second = new_run_folder(folder.path.string(), "7");
  BOOST_TEST(first != second);
  BOOST_TEST(std::filesystem::is_directory(second));
}

BOOST_AUTO_TEST_CASE(lines_are_appended_and_a_value_without_a_number_is_null) {
  const folder_of_texts folder;
  for (int run = 0; run < 2; ++run) {
    run_log log({.folder = folder.path.string(), .tensorboard = false});
    log.write(run, {{"loss", 0.5}, {"kl", std::numeric_limits<double>::infinity()}});
  }
  const std::string text = folder.text_of("metrics.jsonl");
  BOOST_TEST(text.starts_with("{\"step\":0,\"time\":"));
  BOOST_TEST(text.find("\"loss\":0.5,\"kl\":null}\n{\"step\":1,") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
