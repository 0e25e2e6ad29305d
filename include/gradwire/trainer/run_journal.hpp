// SPDX-License-Identifier: Apache-2.0
// The journal of a run: a line a finished step, on disk before the next step begins, so that a run that was killed at
// any moment goes on at the right batch from the last saved state.
//
//   run_journal journal("runs/first/journal.jsonl");
//   journal.run(batches, [&](const std::string& state) { return state.empty() ? fresh(service) : from(service, state);
//   },
//               [&](training_client& trainer, std::size_t batch) { return step(trainer, data[batch]); });
//
// or by hand:
//
//   auto trainer = journal.state().empty() ? … : service.create_training_client_from_state(journal.state()).result();
//   for (std::size_t batch = journal.next_batch(); batch < batches; ++batch) {
//     …
//     journal.write({.batch = batch, .loss = step.loss, .state = saved.path});     // saved: "" where nothing was saved
//   }
//
//   {"batch":12,"seed":"7","loss":0.31,"digest":"2:9f2c…","state":"tinker://…","boot":"…","crc32c":"0a1b2c3d"}
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradwire/trainer/training_client.hpp>

namespace gradwire::inline v0 {

struct journal_entry {
  std::size_t batch = 0;   // that was trained on: the next one is batch + 1
  std::uint64_t seed = 0;  // whatever the batch was made of
  double loss = std::numeric_limits<double>::quiet_NaN();
  std::string digest{};   // digest_of(the batch): another batch under the same number is an error when it is repeated
  std::string state{};    // what save_state() gave after this step; "": nothing was saved
  std::string boot_id{};  // training_client::trainer_boot_id()
  friend bool operator==(const journal_entry&, const journal_entry&) = default;
};

namespace detail {

GRADWIRE_DECL std::string digest_of(const plain_batch& data);

// Before the digits; the next way to compute a digest has the next number. Digests of two ways are not compared.
inline constexpr std::string_view digest_mark = "2:";

// What writes to a journal's file; a test ends the process in the middle of it.
inline std::atomic<::ssize_t (*)(int, const void*, std::size_t)> journal_write{&::write};

}  // namespace detail

// SHA-256 of a batch's tokens, parts, pictures, columns, groups and roles: "2:" and 64 hexadecimal digits.
template <class T, class... Fields>
std::string digest_of(const batch<T, Fields...>& data) {
  return detail::digest_of(detail::erase_type(data));
}

struct run_options {
  std::size_t save_every = 10;                          // steps between two saved states, 0: none; the last is saved
  int restarts = 20;                                    // of the trainer, in a row without a step between them
  double patience_seconds = 600;                        // for a trainer that is away to come back
  std::function<void(const std::string&)> on_notice{};  // told what is repeated, and why; else standard error
};

class run_journal {
 public:
  // Reads what is there. A last line that was cut off is removed; errc::config if the file is another program's.
  GRADWIRE_DECL explicit run_journal(std::string file);
  GRADWIRE_DECL ~run_journal();
  run_journal(const run_journal&) = delete;
  run_journal& operator=(const run_journal&) = delete;

  // Where to go on: after the last step whose state was saved. Steps after it were finished, and are repeated.
  std::size_t next_batch() const noexcept { return kept_ == 0 ? 0 : entries_[kept_ - 1].batch + 1; }
  const std::string& state() const noexcept { return kept_ == 0 ? none_ : entries_[kept_ - 1].state; }

  // One line, on disk when the call returns. errc::data if the batch is not the one that had this number before.
  GRADWIRE_DECL void write(const journal_entry& finished);

  // The steps that count, in order: of a batch that was repeated the last time only.
  const std::vector<journal_entry>& entries() const noexcept { return entries_; }
  // What was found in the file: a line cut off, a damaged one, steps that will be repeated.
  const std::vector<std::string>& notices() const noexcept { return notices_; }
  const std::string& file() const noexcept { return file_; }

  // A line of the file without its end; nothing if it is not as it was written.
  GRADWIRE_DECL static std::optional<journal_entry> parse(std::string_view line);

  // A name for save_state() that no state has yet, also when a step is repeated: "batch-13-9f2c01ab".
  GRADWIRE_DECL static std::string state_name(std::size_t next_batch);

  // Trains on batches [next_batch(), batches). `open(state)` makes a training client, from the state unless that is "";
  // `step(trainer, batch)` trains on one and gives its journal_entry (batch, state and boot_id are filled in here).
  // When the trainer is restarted or lost in between, or an outcome is unknown, the last state is opened again and what
  // came after it is repeated; every other error comes out unchanged.
  template <class Open, class Step>
  training_client run(std::size_t batches, Open&& open, Step&& step, const run_options& options = {});

 private:
  // How often and since when the trainer has been away.
  struct absence {
    int times = 0;
    std::chrono::steady_clock::time_point since{};
  };

  GRADWIRE_DECL void read();
  GRADWIRE_DECL void take(journal_entry one);
  GRADWIRE_DECL void repeat_unsaved();
  // Goes back to the last state after `failure`, and waits a while; or throws it: it is not the trainer's going away,
  // or there were too many.
  GRADWIRE_DECL void go_back(const std::exception_ptr& failure, bool was_open, absence& away,
                             const run_options& options);
  GRADWIRE_DECL static void tell(const run_options& options, const std::string& sentence);

  std::string file_;
  int descriptor_ = -1;
  std::size_t size_ = 0;  // of the file
  std::vector<journal_entry> entries_;
  std::vector<journal_entry> repeated_;  // that were finished after the last saved state, before the run was ended
  std::size_t kept_ = 0;                 // entries up to the last saved state, that one included
  std::vector<std::string> notices_;
  const std::string none_;
};

template <class Open, class Step>
training_client run_journal::run(std::size_t batches, Open&& open, Step&& step, const run_options& options) {
  for (const std::string& notice : notices_) tell(options, notice);
  absence away;
  for (bool is_open = false;; is_open = false) {
    try {
      training_client trainer = open(state());
      is_open = true;
      for (std::size_t batch = next_batch(); batch < batches; ++batch) {
        journal_entry finished = step(trainer, batch);
        finished.batch = batch;
        finished.boot_id = trainer.trainer_boot_id();
        const bool is_due = options.save_every != 0 && (batch + 1) % options.save_every == 0;
        if (is_due || batch + 1 == batches) finished.state = trainer.save_state(state_name(batch + 1)).result().path;
        write(finished);
        away = {};
      }
      return trainer;
    } catch (const error&) {
      go_back(std::current_exception(), is_open, away, options);
    }
  }
}

}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/trainer/impl/run_journal.hpp>
#endif
