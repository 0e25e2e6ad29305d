// SPDX-License-Identifier: Apache-2.0
// The journal of a run as a file: what is in it, what is found again, and what a crash or another program may leave.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gradwire/datum/image.hpp>
#include <gradwire/trainer/run_journal.hpp>

#include "../support/temporary_folder.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

struct journal_file {
  temporary_folder folder;
  std::string name = (folder.path / "deep" / "journal.jsonl").string();

  std::string text() const {
    std::ifstream in(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& all) const { std::ofstream(name, std::ios::binary | std::ios::trunc) << all; }
  void steps(std::size_t from, std::size_t to, std::size_t saved_after) const {
    run_journal journal(name);
    for (std::size_t batch = from; batch < to; ++batch)
      journal.write({.batch = batch,
                     .seed = 7,
                     .loss = 0.1 * static_cast<double>(batch),
                     .digest = "d" + std::to_string(batch),
                     .state = batch + 1 == saved_after ? "tinker://m/weights/s" + std::to_string(batch) : "",
                     .boot_id = "b"});
  }
};

bool says(const error& e, std::string_view part) { return std::string_view(e.what()).find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(run_journal_file)

BOOST_AUTO_TEST_CASE(an_empty_one_begins_at_the_beginning) {
  const journal_file at;
  const run_journal journal(at.name);
  BOOST_TEST(journal.next_batch() == 0U);
  BOOST_TEST(journal.state().empty());
  BOOST_TEST(journal.notices().empty());
}

BOOST_AUTO_TEST_CASE(it_goes_on_after_the_last_saved_state_and_says_what_is_repeated) {
  const journal_file at;
  at.steps(0, 8, 5);
  run_journal journal(at.name);
  BOOST_TEST(journal.next_batch() == 5U);
  BOOST_TEST(journal.state() == "tinker://m/weights/s4");
  BOOST_TEST(journal.entries().size() == 5U);
  BOOST_TEST(journal.entries()[4].loss == 0.4);
  BOOST_TEST(journal.entries()[4].seed == 7U);
  BOOST_TEST(journal.entries()[4].boot_id == "b");
  BOOST_REQUIRE(journal.notices().size() == 1U);
  BOOST_TEST(journal.notices()[0] ==
             "batches 5 to 7 were finished after the last saved state (tinker://m/weights/s4) and are repeated");
  // the repeated ones count once
  journal.write({.batch = 5, .loss = 0.55, .digest = "d5"});
  journal.write({.batch = 6, .loss = 0.66, .digest = "d6", .state = "s6"});
  BOOST_TEST(journal.entries().size() == 7U);
  BOOST_TEST(journal.entries()[5].loss == 0.55);
  BOOST_TEST(journal.next_batch() == 7U);
}

BOOST_AUTO_TEST_CASE(another_batch_under_the_same_number_is_an_error) {
  const journal_file at;
  at.steps(0, 3, 2);
  run_journal journal(at.name);
  BOOST_CHECK_EXCEPTION(journal.write({.batch = 2, .digest = "other"}), error, [](const error& e) {
    return e.kind() == errc::data && says(e, "batch 2 is repeated with other data than it had before");
  });
  journal.write({.batch = 2, .digest = "d2"});
}

BOOST_AUTO_TEST_CASE(a_line_that_was_cut_off_is_removed_wherever_it_was_cut) {
  const journal_file at;
  at.steps(0, 3, 3);
  const std::string whole = at.text();
  const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t size = last + 1; size < whole.size(); ++size) {
    at.put(whole.substr(0, size));
    {
      run_journal journal(at.name);
      BOOST_TEST(journal.next_batch() == 0U);
      BOOST_REQUIRE(journal.notices().size() == 2U);
      BOOST_TEST(journal.notices()[0] == at.name + ", line 3: was cut off, and is removed");
      journal.write({.batch = 0, .loss = 1});
    }
    BOOST_TEST(at.text().substr(0, last) == whole.substr(0, last));
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_byte_is_noticed_and_the_line_not_used) {
  const journal_file at;
  at.steps(0, 3, 2);
  const std::string whole = at.text();
  const std::size_t begin = whole.find('\n') + 1, end = whole.find('\n', begin);
  for (std::size_t place = begin; place < end; ++place) {
    std::string bad = whole;
    bad[place] = static_cast<char>(bad[place] ^ 1);
    at.put(bad);
    const run_journal journal(at.name);
    BOOST_TEST(journal.next_batch() == 0U, "byte " << place);  // the only state was named there
    BOOST_TEST(journal.notices().at(0).find("damaged, and not used") != std::string::npos, journal.notices()[0]);
  }
}

BOOST_AUTO_TEST_CASE(a_line_has_the_checksum_of_what_is_before_it) {
  const journal_file at;
  {
    run_journal journal(at.name);
    journal.write({.batch = 12, .seed = 18446744073709551615U, .loss = 0.1, .digest = "9f", .state = "s"});
    journal.write({.batch = 13, .boot_id = "line\n\"quote"});
  }
  // The checksum was computed bit by bit in Python, with the reflected polynomial 0x82F63B78.
  BOOST_TEST(at.text().substr(0, at.text().find('\n')) ==
             R"({"batch":12,"seed":"18446744073709551615","loss":0.1,"digest":"9f","state":"s","boot":"","crc32c":")"
             "e274e684"
             R"("})");
  const auto second = run_journal::parse(std::string_view(at.text()).substr(at.text().find('\n') + 1));
  BOOST_TEST(!second);  // with its end
  const run_journal again(at.name);
  BOOST_TEST(again.entries().at(0).seed == 18446744073709551615U);
  BOOST_TEST(again.notices().at(0).find("batches 13 to 13") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_comes_back_as_nan) {
  const journal_file at;
  {
    run_journal journal(at.name);
    journal.write({.batch = 0, .loss = HUGE_VAL, .state = "s"});
  }
  BOOST_TEST(std::isnan(run_journal(at.name).entries().at(0).loss));
}

BOOST_AUTO_TEST_CASE(files_of_others_are_refused_and_left_alone) {
  const journal_file at;
  std::filesystem::create_directories(std::filesystem::path(at.name).parent_path());
  for (const char* text : {"{\"step\":1}\n", "hello\nworld\n", "hello", "{\"batch\":\n"}) {
    at.put(text);
    BOOST_CHECK_EXCEPTION(run_journal{at.name}, error,
                          [](const error& e) { return says(e, "has no line of a journal in it"); });
    BOOST_TEST(at.text() == text);
  }
}

BOOST_AUTO_TEST_CASE(two_programs_do_not_write_one) {
  const journal_file at;
  const run_journal first(at.name);
  BOOST_CHECK_EXCEPTION(run_journal{at.name}, error,
                        [](const error& e) { return says(e, "is written by another program"); });
}

BOOST_AUTO_TEST_CASE(names_of_states_do_not_repeat) {
  BOOST_TEST(run_journal::state_name(13).starts_with("batch-13-"));
  BOOST_TEST(run_journal::state_name(13) != run_journal::state_name(13));
}

BOOST_AUTO_TEST_CASE(a_digest_tells_batches_apart) {
  const auto make = [](int token, double weight) {
    return batch(std::vector{
        datum{prompt(std::vector{1, 2}) + response(std::vector{3, token}), weights = std::vector{weight, 1.0}}});
  };
  const std::string one = digest_of(make(4, 1));
  BOOST_TEST(one.size() == 66U);
  BOOST_TEST(one.starts_with("2:"));
  BOOST_TEST(one == digest_of(make(4, 1)));
  BOOST_TEST(one != digest_of(make(5, 1)));
  BOOST_TEST(one != digest_of(make(4, 0.5)));
}

BOOST_AUTO_TEST_CASE(a_digest_tells_groups_roles_parts_and_formats_apart) {
  const auto a = datum{prompt({1}) + response({2, 3})}, b = datum{prompt({2}) + response({3, 4})},
             c = datum{prompt({4}) + response({3, 5})};
  BOOST_TEST(digest_of(batch{group(a, b), group(c)}) != digest_of(batch{group(a), group(b, c)}));
  BOOST_TEST(digest_of(batch{group(a, b)}) != digest_of(batch{a, b}));
  BOOST_TEST(digest_of(batch{group(chosen(a), rejected(b))}) != digest_of(batch{group(rejected(a), chosen(b))}));
  BOOST_TEST(digest_of(batch{group(chosen(a), rejected(b))}) != digest_of(batch{group(a, b)}));
  BOOST_TEST(digest_of(batch{datum{prompt({1}) + response({2, 3}), weights = {1.0, 1.0}}}) !=
             digest_of(batch{datum{prompt({1, 2}) + response({3}), weights = {1.0, 1.0}}}));
  const auto seen = [](const char* format) {
    return batch{datum{prompt({5}) + image("bytes", format, 3) + prompt({8}) + response({9})}};
  };
  BOOST_TEST(digest_of(seen("png")) == digest_of(seen("png")));
  BOOST_TEST(digest_of(seen("png")) != digest_of(seen("jpeg")));
}

BOOST_AUTO_TEST_CASE(digests_of_two_ways_to_compute_them_are_not_compared) {
  const journal_file at;
  const std::string now = digest_of(batch{datum{prompt({1}) + response({2})}});
  at.steps(0, 3, 2);  // "d2" is not of this way
  {
    run_journal journal(at.name);
    journal.write({.batch = 2, .digest = now});
  }
  run_journal journal(at.name);
  BOOST_CHECK_EXCEPTION(journal.write({.batch = 2, .digest = "2:00"}), error,
                        [](const error& e) { return e.kind() == errc::data; });
  journal.write({.batch = 2, .digest = now});
}

BOOST_AUTO_TEST_SUITE_END()
