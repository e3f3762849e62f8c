#include <algorithm>

#include "fuzz.h"
#include "hostile_calls.h"
#include "mutation.h"
#include "progress_tracker/log.h"

namespace progress_tracker::reliability {
namespace {

constexpr std::size_t kHead = 8;

std::uint32_t number_at(Bytes input, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4 && at + i < input.size(); ++i) {
    number |= std::uint32_t{input[at + i]} << (8 * i);
  }
  return number;
}

}  // namespace

std::string fuzz_database_input(const Files& files, std::uint32_t seed) {
  std::string input;
  for (const auto number : {seed, static_cast<std::uint32_t>(files.log.size())}) {
    for (unsigned i = 0; i < 4; ++i) input += static_cast<char>(number >> (8 * i) & 0xffU);
  }
  return input + files.database + files.log;
}

std::uint32_t seed_of_input(Bytes input) { return number_at(input, 0); }

Files files_of_input(Bytes input) {
  const Bytes content = input.subspan(std::min(kHead, input.size()));
  const std::size_t log = std::min<std::size_t>(number_at(input, 4), content.size());
  const std::string bytes(content.begin(), content.end());
  return {bytes.substr(0, bytes.size() - log), bytes.substr(bytes.size() - log), {}};
}

void fuzz_database(Bytes input) {
  static const MemoryDirectory kDirectory;
  const auto database = kDirectory.path() / "jobs.db";
  set_log_handler([](LogLevel, std::string_view) {});
  put(files_of_input(input), database);
  Answers answers;
  Random random(seed_of_input(input));
  call_some(database, random, answers);
  if (!answers.wrong.empty()) throw Wrong(answers.wrong.front());
}

}  // namespace progress_tracker::reliability
