// Valid databases of the library, and damage done to them.
#ifndef PROGRESS_TRACKER_TESTS_RELIABILITY_MUTATION_H_
#define PROGRESS_TRACKER_TESTS_RELIABILITY_MUTATION_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "temp_directory.h"

namespace progress_tracker::reliability {

using Random = std::mt19937;

using test::MemoryDirectory;

// A database's files as bytes. An empty log, or index of it, is one that is not there.
struct Files {
  std::string database;
  std::string log;    // "-wal"
  std::string index;  // "-shm"
};

struct Specimen {
  std::string name;
  Files files;
};

// What a pipeline leaves behind: jobs with splits and images in every state, messages, batches, a
// chain, a worker that died with its images, a load and a removal that were cut off. Each of them
// made another way:
//   whole      everything in the file
//   logged     the same, and then some in a log that its worker's death left
//   unfolded   all of it in the log
//   version_1  with the tables of version 1
//   copied     by snapshot(), so without a log
//   fine       in pages of 512 bytes, so that its trees have more than one level
//   large      some 40 pages of 4,096 bytes, likewise
std::vector<std::string> specimen_names();
Specimen make_specimen(const std::string& name);

// What another program can do to a file in SQL: rules of the schema broken, values of the wrong
// kind, wrong counts, a schema with something of its own smuggled in. Each names itself. Only each
// `step`-th of them, from number `first` modulo `step` on; the schema's damages in any case.
std::vector<Specimen> damaged_by_sql(const Specimen& specimen, std::int64_t step = 1,
                                     std::int64_t first = 0);

// One kind of damage after the other: each byte of the first page set to 0, to 0xff and with one
// bit turned; each page emptied, and replaced by each other; the file cut at each 512 bytes.
std::int64_t systematic_mutations(const Files& files);
// Number `which` of them.
Files mutated_systematically(const Files& files, std::int64_t which, Random& random);

// Damage drawn at random, some of it by the rules of the format, so that SQLite takes it for good:
// where a log is damaged its checksums are mostly made again. `others` lend pages, logs and
// indexes.
Files mutated_at_random(const Files& files, const std::vector<Specimen>& others, Random& random);

// Makes the checksums of a log those of its content.
void sum_up_again(std::string& log);

Files files_at(const std::filesystem::path& database);

// Writes a file, its log and its index in place of what was there. Nobody may have them open.
void put(const Files& files, const std::filesystem::path& database);

}  // namespace progress_tracker::reliability

#endif  // PROGRESS_TRACKER_TESTS_RELIABILITY_MUTATION_H_
