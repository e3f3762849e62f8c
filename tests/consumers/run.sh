#!/usr/bin/env bash
# Installs the library, moves what was installed, and uses it as other projects do.
#
#   run.sh CASE SOURCE_DIR BUILD_DIR CONFIG
#
# CASE is a function below. Everything happens in a temporary directory of its own. CXX and
# CMAKE_GENERATOR are taken from the environment, as CMake itself does.
set -euo pipefail

case=$1 source=$2 build=$3 config=$4
consumers=$source/tests/consumers
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Leaves an installed tree in $work/moved that was installed elsewhere.
install_and_move() {
  cmake --install "$build" --config "$config" --prefix "$work/first" >"$work/install.log"
  mv "$work/first" "$work/moved"
}

# configure NAME [ARGUMENT...]: the consumer project NAME, with the moved prefix to be found.
configure() {
  local name=$1
  shift
  cmake -S "$consumers/$name" -B "$work/$name" -DCMAKE_PREFIX_PATH="$work/moved" "$@"
}

configure_without_gtest() {
  configure "$@" -DCMAKE_DISABLE_FIND_PACKAGE_GTest=ON
}

build() {
  cmake --build "$work/$1" --parallel 2
}

find_package() {
  install_and_move
  configure_without_gtest app
  build app
  "$work/app/app" "$work/jobs.db"
}

add_subdirectory() {
  configure_without_gtest app -DTRACKER_SOURCE="$source"
  build app
  "$work/app/app" "$work/jobs.db"
}

pkg_config() {
  install_and_move
  PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name progress_tracker.pc)")
  export PKG_CONFIG_PATH
  # The flags are words to be split.
  # shellcheck disable=SC2046
  "${CXX:-c++}" -std=c++20 "$consumers/app/main.cpp" -o "$work/app" \
    $(pkg-config --cflags --libs progress_tracker)
  "$work/app" "$work/jobs.db"
}

testing_component() {
  install_and_move
  configure unit_test
  build unit_test
  ctest --test-dir "$work/unit_test" --output-on-failure
}

# Generating fails if a target that the test support links is not visible.
testing_by_add_subdirectory() {
  configure unit_test -DTRACKER_SOURCE="$source"
}

testing_component_without_gmock() {
  install_and_move
  if configure_without_gtest app -DFIND_ARGUMENTS="COMPONENTS;testing" >"$work/log" 2>&1; then
    fail "configured although gmock is missing"
  fi
  cat "$work/log"
  grep -q 'needs gmock.*libgmock-dev' "$work/log" || fail "the reason does not name libgmock-dev"
}

optional_testing_component_without_gmock() {
  install_and_move
  configure_without_gtest app -DFIND_ARGUMENTS="OPTIONAL_COMPONENTS;testing"
  build app
  "$work/app/app" "$work/jobs.db"
}

unknown_component() {
  install_and_move
  if configure app -DFIND_ARGUMENTS="COMPONENTS;telepathy"; then
    fail "configured with a component that does not exist"
  fi
}

version() {
  install_and_move
  configure app -DFIND_ARGUMENTS="0.1.0"
  if configure app -DFIND_ARGUMENTS="0.2"; then
    fail "0.1 was taken for 0.2, whose interface may differ"
  fi
}

# The checks on variables and targets are in the project itself.
subproject_changes_nothing() {
  local with_ctest prefix
  for with_ctest in OFF ON; do
    prefix=$work/installed-$with_ctest
    configure parent -DTRACKER_SOURCE="$source" -DWITH_CTEST=$with_ctest --fresh
    cmake --install "$work/parent" --prefix "$prefix"
    [ "$(find "$prefix" -type f)" = "$prefix/own/CMakeLists.txt" ] ||
      fail "the parent installs: $(find "$prefix" -type f)"
  done
  ctest --test-dir "$work/parent" --show-only | tee "$work/tests"
  grep -q 'Total Tests: 1$' "$work/tests" || fail "the parent has tests of ours"
}

own_spdlog() {
  install_and_move
  configure_without_gtest own_spdlog
  build own_spdlog
  "$work/own_spdlog/own_spdlog" "$work/jobs.db"
}

nothing_installed_names_this_machine() {
  install_and_move
  if grep -rIF -e "$source" -e "$build" -e "$work" "$work/moved"; then
    fail "the files above name a directory of this machine"
  fi
}

# Development alone is enough to compile against; Runtime holds the tool, what describes it and what
# completes its words.
install_components() {
  cmake --install "$build" --config "$config" --prefix "$work/dev" --component Development
  cmake --install "$build" --config "$config" --prefix "$work/run" --component Runtime
  [ ! -e "$work/dev/bin" ] || fail "component Development has programs"
  [ ! -e "$work/dev/share/man" ] || fail "component Development has the tool's manual page"
  (cd "$work/run" && find . -type f | LC_ALL=C sort) >"$work/runtime"
  diff "$work/runtime" - <<'END' || fail "component Runtime has other files than these"
./bin/progress-tracker
./share/bash-completion/completions/progress-tracker
./share/fish/vendor_completions.d/progress-tracker.fish
./share/man/man1/progress-tracker.1
./share/zsh/site-functions/_progress-tracker
END
}

"$case"
