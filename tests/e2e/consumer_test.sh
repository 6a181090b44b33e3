#!/bin/sh
# usage: consumer_test.sh REPOSITORY BUILD COMPILER   Installs, builds a project against it, asks.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$2" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
mkdir "$work/consumer"
sed 's|"engine/engine.h"|<millrace/engine/engine.h>|' "$1/examples/ask.cc" >"$work/consumer/ask.cc"
cat >"$work/consumer/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(consumer CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(millrace REQUIRED)
add_executable(ask ask.cc)
target_link_libraries(ask millrace::engine)
CMAKE
cmake -S "$work/consumer" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$3" >"$work/log" ||
  { cat "$work/log"; exit 1; }
cmake --build "$work/build"
answer=$("$work/build/ask" "$1/models/nano" "What is 40 plus 2?")
echo "$answer"
case $answer in *42*) ;; *) exit 1 ;; esac
"$work/prefix/bin/millrace" --version
python3 "$1/tests/e2e/packaging_test.py" "$work/prefix" "$1"
