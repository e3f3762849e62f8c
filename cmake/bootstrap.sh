#!/usr/bin/env bash
# From a fresh Debian machine to a result, in one command:
#
#   cmake/bootstrap.sh demo       builds the tool and runs it over real images, killing it half-way
#   cmake/bootstrap.sh test       builds everything and runs every test
#   cmake/bootstrap.sh sanitize   runs the tests under ASan+UBSan and under TSan
#   cmake/bootstrap.sh coverage   runs the tests, and says which lines and branches of src/ they miss
#   cmake/bootstrap.sh soak       makes everything fail that can, at the size of a release: hours
#   cmake/bootstrap.sh mutants    changes the library in one place at a time, and says which changes
#                                 no test notices: a minute or more each
#   cmake/bootstrap.sh benchmark  measures the library beside plain programs
#
# Packages that are missing (cmake/packages.txt) are installed with apt-get; where none is missing,
# nothing is downloaded. sanitize builds in build-asan/ and build-tsan/, coverage in
# build-coverage/, mutants in build-mutants/, the others in build/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The packages listed in the given sections of packages.txt.
packages_of() {
  local section
  for section in "$@"; do
    sed -n "/^\[$section\]/,/^\[/p" cmake/packages.txt | grep -v -e '^\[' -e '^#' -e '^$'
  done | sort -u
}

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
  local package missing=() as_root=()
  for package in $(packages_of "$@"); do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return

  echo "installing: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${missing[@]}"
}

# Configures and builds the directory $1; the rest goes to cmake's configure step.
build() {
  local directory=$1
  shift
  cmake -S . -B "$directory" "$@"
  cmake --build "$directory" --parallel "$(nproc)"
}

# A build directory keeps the generator it was first configured with.
if [ -z "${CMAKE_GENERATOR:-}" ] && command -v ninja >/dev/null; then
  export CMAKE_GENERATOR=Ninja
fi

case "${1:-}" in
  demo)
    install_packages build demo
    build build -DPROGRESS_TRACKER_BUILD_TESTING=OFF -DPROGRESS_TRACKER_BUILD_BENCHMARKS=OFF
    exec bash tests/demo/demo.sh
    ;;
  test)
    install_packages build test
    build build -DPROGRESS_TRACKER_BUILD_TESTING=ON -DPROGRESS_TRACKER_BUILD_BENCHMARKS=ON
    ctest --test-dir build --output-on-failure --parallel "$(nproc)"
    ;;
  sanitize)
    install_packages build test
    for sanitizer in asan tsan; do
      build "build-$sanitizer" --preset "$sanitizer"
    done
    ctest --preset asan --parallel "$(nproc)"
    ctest --preset tsan --parallel "$(nproc)"
    ;;
  coverage)
    install_packages build test coverage
    build build-coverage --preset coverage
    find build-coverage -name '*.gcda' -delete
    ctest --preset coverage --parallel "$(nproc)"
    # The branches that an exception takes out of a call are the compiler's, not ours.
    gcovr --root . --filter src/ --object-directory build-coverage --exclude-throw-branches \
      --exclude-unreachable-branches --print-summary --branches \
      --html-details build-coverage/coverage.html
    ;;
  soak)
    install_packages build test
    build build -DPROGRESS_TRACKER_BUILD_TESTING=ON -DPROGRESS_TRACKER_BUILD_BENCHMARKS=ON
    exec python3 tests/reliability/soak.py build "${@:2}"
    ;;
  mutants)
    install_packages build test
    exec python3 tests/reliability/mutants.py build-mutants "${@:2}"
    ;;
  benchmark)
    install_packages build benchmark
    build build -DCMAKE_BUILD_TYPE=Release -DPROGRESS_TRACKER_BUILD_TESTING=OFF \
      -DPROGRESS_TRACKER_BUILD_BENCHMARKS=ON
    cmake --build build --target benchmark
    ;;
  *)
    echo "usage: cmake/bootstrap.sh demo|test|sanitize|coverage|soak|mutants|benchmark" >&2
    exit 2
    ;;
esac
