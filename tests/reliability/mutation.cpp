// Damage. The numbers are those of sqlite.org/fileformat2.html.
#include "mutation.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace progress_tracker::reliability {
namespace {

constexpr std::size_t kFileHeader = 100;
constexpr std::size_t kLogHeader = 32;
constexpr std::size_t kFrameHeader = 24;

std::size_t below(Random& random, std::size_t bound) { return random() % bound; }

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}
std::uint32_t big_endian(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8U | byte_at(bytes, at + i);
  return value;
}
void put_big_endian(std::string& bytes, std::size_t at, std::size_t size, std::uint32_t value) {
  for (std::size_t i = size; i > 0; --i, value >>= 8U) {
    bytes[at + i - 1] = static_cast<char>(value & 0xffU);
  }
}

// Of a file or a log that was sound.
std::size_t page_size(std::string_view database) {
  const std::uint32_t size = database.size() < kFileHeader ? 4096 : big_endian(database, 16, 2);
  return size == 1 ? 65536 : std::max<std::size_t>(size, 512);
}

// Where a number is likely to hurt.
std::uint32_t odd_number(Random& random) {
  constexpr std::array<std::uint32_t, 12> kOdd{
      0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
  return kOdd.at(below(random, kOdd.size()));
}

char odd_byte(Random& random) {
  return static_cast<char>(below(random, 2) == 0 ? odd_number(random) : random());
}

// ---- By the bytes ------------------------------------------------------------------------------

void flip_bits(std::string& bytes, Random& random) {
  for (std::size_t left = 1 + below(random, 8); left > 0; --left) {
    bytes[below(random, bytes.size())] ^= static_cast<char>(1U << below(random, 8));
  }
}

void overwrite_run(std::string& bytes, Random& random) {
  const std::size_t at = below(random, bytes.size());
  const std::size_t length = std::min(bytes.size() - at, 1 + below(random, 64));
  const std::size_t kind = below(random, 4);
  const std::size_t from = below(random, bytes.size() - length + 1);
  const std::string copy = bytes.substr(from, length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[at + i] = kind == 0   ? '\0'
                    : kind == 1 ? static_cast<char>(0xff)
                    : kind == 2 ? static_cast<char>(random())
                                : copy[i];
  }
}

void resize(std::string& bytes, Random& random) {
  if (below(random, 2) == 0) {
    bytes.resize(below(random, bytes.size() + 1));
  } else {
    bytes.append(1 + below(random, 8192), odd_byte(random));
  }
}

// ---- By the pages ------------------------------------------------------------------------------

void move_page(std::string& bytes, std::string_view source, std::size_t size, Random& random) {
  const std::size_t pages = bytes.size() / size;
  const std::size_t of_source = source.size() / size;
  if (pages < 2 || of_source < 1) return flip_bits(bytes, random);
  const std::size_t to = below(random, pages);
  const std::size_t from = below(random, of_source);
  const std::string moved(source.substr(from * size, size));
  if (below(random, 2) == 0 && source.data() == bytes.data()) {
    bytes.replace(from * size, size, bytes.substr(to * size, size));
  }
  bytes.replace(to * size, size, moved);
}

void change_header(std::string& page_1, Random& random) {
  struct Field {
    std::size_t at;
    std::size_t size;
  };
  constexpr std::array<Field, 20> kFields{
      {{16, 2}, {18, 1}, {19, 1}, {20, 1}, {21, 1}, {22, 1}, {23, 1}, {24, 4}, {28, 4}, {32, 4},
       {36, 4}, {40, 4}, {44, 4}, {48, 4}, {52, 4}, {56, 4}, {60, 4}, {64, 4}, {68, 4}, {92, 4}}};
  const Field field = kFields.at(below(random, kFields.size()));
  put_big_endian(page_1, field.at, field.size, odd_number(random));
}

// Where the pointers to a page's cells are, and to where they point.
struct Cells {
  std::size_t pointers{0};
  std::size_t count{0};
};
Cells cells_of(std::string_view page, std::size_t header) {
  const std::uint8_t type = byte_at(page, header);
  if (type != 2 && type != 5 && type != 10 && type != 13) return {};
  const std::size_t pointers = header + (type < 8 ? 12 : 8);
  const std::size_t count = big_endian(page, header + 3, 2);
  return pointers + 2 * count <= page.size() ? Cells{pointers, count} : Cells{};
}

// By the format of a page of a tree: its header, its pointers, the beginning of a cell, where the
// sizes and kinds of the values are.
void damage_tree(std::string& page, bool is_first, Random& random) {
  const std::size_t header = is_first ? kFileHeader : 0;
  const Cells cells = cells_of(page, header);
  if (cells.count == 0) return overwrite_run(page, random);
  const std::size_t pointer = cells.pointers + 2 * below(random, cells.count);
  switch (below(random, 6)) {
    case 0:
      page[header + below(random, 12)] = odd_byte(random);
      break;
    case 1:
      put_big_endian(page, pointer, 2, odd_number(random));
      break;
    case 2:  // to another cell
      put_big_endian(page, pointer, 2,
                     big_endian(page, cells.pointers + 2 * below(random, cells.count), 2));
      break;
    case 3: {  // to another page
      if (byte_at(page, header) < 8) {
        put_big_endian(page, header + 8, 4, static_cast<std::uint32_t>(below(random, 40)));
        break;
      }
      [[fallthrough]];
    }
    default: {
      const std::size_t cell = big_endian(page, pointer, 2);
      const std::size_t at = cell + below(random, 16);
      if (at < page.size()) page[at] = odd_byte(random);
    }
  }
}

// A byte of the schema's text becomes another letter, so that the rest still has a meaning.
void misspell_schema(std::string& bytes, std::size_t size, Random& random) {
  constexpr std::string_view kLetters = "abeijmnoprstIN0123456789 ,()'\"";
  for (int tries = 0; tries < 100; ++tries) {
    const std::size_t at = below(random, std::min(bytes.size(), 4 * size));
    if (at > kFileHeader && byte_at(bytes, at) >= ' ' && byte_at(bytes, at) <= 'z') {
      bytes[at] = kLetters[below(random, kLetters.size())];
      return;
    }
  }
}

void damage_page(std::string& bytes, std::size_t at, std::size_t size, Random& random) {
  std::string page = bytes.substr(at, size);
  damage_tree(page, at == 0, random);
  bytes.replace(at, page.size(), page);
}

void damage_database(std::string& bytes, std::string_view other, Random& random) {
  const std::size_t size = page_size(bytes);
  if (bytes.size() < size) return;
  switch (below(random, 12)) {
    case 0:
    case 1:
      return flip_bits(bytes, random);
    case 2:
      return overwrite_run(bytes, random);
    case 3:
      return move_page(bytes, bytes, size, random);
    case 4:
      return move_page(bytes, other, size, random);
    case 5:
      return below(random, 2) == 0 ? resize(bytes, random) : change_header(bytes, random);
    case 6:
      return misspell_schema(bytes, size, random);
    default:
      return damage_page(bytes, size * below(random, bytes.size() / size), size, random);
  }
}

// ---- The log -----------------------------------------------------------------------------------

std::size_t page_size_of_log(std::string_view log) {
  const std::size_t size = log.size() < kLogHeader ? 0 : big_endian(log, 8, 4);
  return size < 512 || size > 65536 ? 4096 : size;
}

void damage_frame(std::string& log, Random& random) {
  const std::size_t size = page_size_of_log(log);
  const std::size_t frames = (log.size() - kLogHeader) / (size + kFrameHeader);
  if (frames == 0) return;
  const std::size_t frame = kLogHeader + below(random, frames) * (size + kFrameHeader);
  const std::size_t page = frame + kFrameHeader;
  switch (below(random, 6)) {
    case 0:  // of another page
      put_big_endian(log, frame, 4, static_cast<std::uint32_t>(below(random, 45)));
      return;
    case 1:  // of a file of another length
      put_big_endian(log, frame + 4, 4, odd_number(random));
      return;
    case 2: {  // as another one
      const std::size_t other = kLogHeader + below(random, frames) * (size + kFrameHeader);
      log.replace(page, size, log.substr(other + kFrameHeader, size));
      return;
    }
    default: {
      std::string content = log.substr(page, size);
      if (below(random, 3) == 0) {
        flip_bits(content, random);
      } else {
        damage_tree(content, big_endian(log, frame, 4) == 1, random);
      }
      log.replace(page, size, content);
    }
  }
}

void damage_log(std::string& log, const std::string& other, Random& random) {
  if (log.size() <= kLogHeader) {
    log = other;  // somebody else's, or an old one
    return;
  }
  switch (below(random, 8)) {
    case 0:
      return flip_bits(log, random);
    case 1:
      return resize(log, random);
    case 2:
      log = other;
      return;
    case 3:
      put_big_endian(log, 4 * below(random, 8), 4, odd_number(random));
      break;
    default:
      for (std::size_t left = 1 + below(random, 2); left > 0; --left) damage_frame(log, random);
  }
  if (below(random, 8) != 0) sum_up_again(log);
}

// ---- Files -------------------------------------------------------------------------------------

void put_file(const std::string& path, const std::string& bytes) {
  if (bytes.empty()) {
    ::unlink(path.c_str());
    return;
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool good =
      fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!good) throw std::system_error(error, std::generic_category(), path);
}

}  // namespace

void sum_up_again(std::string& log) {
  if (log.size() < kLogHeader) return;
  const bool big = (big_endian(log, 0, 4) & 1U) != 0;
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  const auto word = [&](std::size_t at) {
    const std::uint32_t value = big_endian(log, at, 4);
    return big ? value : __builtin_bswap32(value);
  };
  const auto add = [&](std::size_t at, std::size_t size) {
    for (std::size_t i = at; i + 8 <= at + size; i += 8) {
      first += word(i) + second;
      second += word(i + 4) + first;
    }
  };
  const auto write = [&](std::size_t at) {
    put_big_endian(log, at, 4, first);
    put_big_endian(log, at + 4, 4, second);
  };
  add(0, 24);
  write(24);
  const std::size_t size = page_size_of_log(log);
  for (std::size_t frame = kLogHeader; frame + kFrameHeader + size <= log.size();
       frame += kFrameHeader + size) {
    log.replace(frame + 8, 8, log.substr(16, 8));  // the salts
    add(frame, 8);
    add(frame + kFrameHeader, size);
    write(frame + 16);
  }
}

std::int64_t systematic_mutations(const Files& files) {
  const std::size_t size = page_size(files.database);
  const std::size_t pages = files.database.size() / size;
  return static_cast<std::int64_t>(3 * size + pages + pages * pages + files.database.size() / 512);
}

Files mutated_systematically(const Files& files, std::int64_t which, Random& random) {
  Files mutated = files;
  std::string& bytes = mutated.database;
  const std::size_t size = page_size(bytes);
  const std::size_t pages = bytes.size() / size;
  auto number = static_cast<std::size_t>(which);
  if (number < 3 * size) {
    char& byte = bytes[number / 3];
    byte = number % 3 == 0   ? '\0'
           : number % 3 == 1 ? static_cast<char>(0xff)
                             : static_cast<char>(byte ^ (1 << below(random, 8)));
    return mutated;
  }
  number -= 3 * size;
  if (number < pages) {
    bytes.replace(number * size, size, size, '\0');
    return mutated;
  }
  number -= pages;
  if (number < pages * pages) {
    bytes.replace(number / pages * size, size, files.database, number % pages * size, size);
    return mutated;
  }
  bytes.resize((number - pages * pages) * 512);
  return mutated;
}

Files mutated_at_random(const Files& files, const std::vector<Specimen>& others, Random& random) {
  Files mutated = files;
  const Files& other = others[below(random, others.size())].files;
  const bool in_log = !files.log.empty() ? below(random, 2) == 0 : below(random, 16) == 0;
  if (in_log) {
    damage_log(mutated.log, other.log, random);
  }
  if (!in_log || below(random, 4) == 0) {
    for (std::size_t left = below(random, 3) == 0 ? 1 + below(random, 4) : 1; left > 0; --left) {
      damage_database(mutated.database, other.database, random);
    }
  }
  if (below(random, 32) == 0) {
    mutated.index = other.index;
    if (!mutated.index.empty() && below(random, 2) == 0) flip_bits(mutated.index, random);
  }
  return mutated;
}

void put(const Files& files, const std::filesystem::path& database) {
  put_file(database, files.database);
  put_file(database.native() + "-wal", files.log);
  put_file(database.native() + "-shm", files.index);
  ::unlink((database.native() + "-journal").c_str());
}

}  // namespace progress_tracker::reliability
