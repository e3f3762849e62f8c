// A fuzz function for libFuzzer, chosen at compile time; fuzz_database with damage that knows the
// format beside libFuzzer's own.
#include <algorithm>
#include <cstring>
#include <vector>

#include "fuzz.h"
#include "mutation.h"

namespace reliability = progress_tracker::reliability;

extern "C" {

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  reliability::PROGRESS_TRACKER_FUZZ_TARGET({data, size});
  return 0;
}

#ifdef PROGRESS_TRACKER_FUZZ_BY_FORMAT
std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  static const std::vector<reliability::Specimen> kOthers{reliability::make_specimen("fine"),
                                                          reliability::make_specimen("logged")};
  reliability::Random random(seed);
  const reliability::Files files = reliability::files_of_input({data, size});
  if (random() % 4 == 0 || files.database.size() < 512) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const std::string mutated = reliability::fuzz_database_input(
      reliability::mutated_at_random(files, kOthers, random),
      random() % 2 == 0 ? static_cast<std::uint32_t>(random())
                        : reliability::seed_of_input({data, size}));
  const std::size_t kept = std::min(mutated.size(), max_size);
  std::memcpy(data, mutated.data(), kept);
  return kept;
}
#endif

}  // extern "C"
