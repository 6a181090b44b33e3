#!/bin/sh
# Makes models/nano again: weights, configuration, held-out cases, checks, scores; the tokenizer too if there is none. Arguments go to train.py.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$here/../../models/nano
cd "$here"
[ -f "$folder/tokenizer.json" ] || python3 tokenizer.py "$folder"
python3 train.py "$folder" --compile "$@"
python3 export.py "$folder"
python3 heldout.py heldout.jsonl
python3 check.py "$folder"
python3 evaluate.py "$folder" heldout.jsonl --misses --least 90
