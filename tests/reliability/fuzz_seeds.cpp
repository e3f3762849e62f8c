// Writes what a fuzzer begins with: fuzz_seeds <directory>
#include <iostream>

#include "fuzz.h"
#include "mutation.h"
#include "support.h"

int main(int argc, char** argv) {
  using namespace progress_tracker::reliability;
  if (argc != 2) {
    std::cerr << "usage: fuzz_seeds <directory>\n";
    return 2;
  }
  const std::filesystem::path directory(argv[1]);
  std::filesystem::create_directories(directory / "database");
  std::filesystem::create_directories(directory / "calls");
  std::uint32_t seed = 1;
  for (const std::string& name : specimen_names()) {
    const Specimen specimen = make_specimen(name);
    progress_tracker::test::write_file(directory / "database" / name,
                                       fuzz_database_input(specimen.files, seed++));
  }
  for (const Specimen& damaged : damaged_by_sql(make_specimen("fine"), 10)) {
    progress_tracker::test::write_file(directory / "database" / ("sql" + std::to_string(seed)),
                                       fuzz_database_input(damaged.files, seed));
    ++seed;
  }
  Random random(1);
  for (int i = 0; i < 50; ++i) {
    std::string bytes(100 + 20 * static_cast<std::size_t>(i), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    progress_tracker::test::write_file(directory / "calls" / std::to_string(i), bytes);
  }
}
