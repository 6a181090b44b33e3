#!/bin/sh
# usage: isa_symbols.sh OBJECT ...   fails if one defines a weak symbol (one that may be merged)
bad=0
for object in "$@"; do
  weak=$("$NM" -C "$object" | grep -E ' [WVu] ' || true)
  [ -z "$weak" ] || { echo "$object:"; echo "$weak"; bad=1; }
done
[ $# -gt 1 ] || { echo "no objects given"; exit 1; }
exit $bad
