#!/usr/bin/env python3
"""`millrace quantize` against llama.cpp: its quantize makes the same files, and it computes the same logits from them.

usage: compare.py MILLRACE REPOSITORY
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import cyllama.llama.llama_cpp as cyllama
import gguf
import numpy as np

import library

BINARY = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(sys.argv[2]).resolve()
NANO = ROOT / "models/nano"
GOLDEN = ROOT / "tests/data/golden"
# llama.cpp's numbers of the types it can make.
MADE = {"q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q5_1": 9, "q5_0": 8, "q4_k_m": 15, "q4_1": 3, "q4_0": 2}
# Root mean square of the differences of logits, whose standard deviation is 6; about three times what was measured.
# llama.cpp's cache is in F16, and it rounds activations as weights are: to F16, BF16, or 8 bits in blocks of 32 or 256.
TOLERANCES = {"f32": 0.005, "f16": 0.02, "bf16": 0.04, "q8_0": 0.15, "q6_k": 0.3, "q5_k_m": 0.3, "q5_1": 0.15, "q5_0": 0.15,
              "q4_k_m": 0.3, "q4_1": 0.15, "q4_0": 0.15}


def run(*arguments, stdin=""):
    done = subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{arguments}: status {done.returncode}, {done.stderr}"
    return done.stdout


class LlamaCpp(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())

    def tearDown(self):
        shutil.rmtree(self.folder)

    def test_quantize_makes_the_same_files(self):
        for source in (NANO, GOLDEN / "dense_f32", GOLDEN / "moe_f32", GOLDEN / "moe_bf16"):
            plain = self.folder / "f32.gguf"
            run("quantize", source, plain, "-t", "f32", "--force")
            for kind, number in MADE.items():
                with self.subTest(source=source.name, kind=kind):
                    ours, theirs = self.folder / "ours.gguf", self.folder / "theirs.gguf"
                    run("quantize", source, ours, "-t", kind, "--force")
                    theirs.unlink(missing_ok=True)
                    params = cyllama.LlamaModelQuantizeParams()
                    params.ftype, params.nthread = number, 1
                    cyllama.model_quantize(str(plain), str(theirs), params)
                    a, b = gguf.GGUFReader(ours), gguf.GGUFReader(theirs)
                    self.assertEqual({k: f.contents() for k, f in a.fields.items()}, {k: f.contents() for k, f in b.fields.items()})
                    tensors = {t.name: t for t in b.tensors}
                    self.assertEqual({t.name for t in a.tensors}, set(tensors))
                    for tensor in a.tensors:
                        other = tensors[tensor.name]
                        self.assertEqual(tensor.tensor_type, other.tensor_type, tensor.name)
                        self.assertEqual(tensor.shape.tolist(), other.shape.tolist(), tensor.name)
                        self.assertEqual(tensor.data.tobytes(), other.data.tobytes(), tensor.name)

    def logits(self, model, ids):
        tokens, out = self.folder / "tokens.json", self.folder / "logits.safetensors"
        tokens.write_text(json.dumps(ids))
        run("logits", model, "--tokens", tokens, "--out", out)
        data = out.read_bytes()
        length = int.from_bytes(data[:8], "little")
        entry = json.loads(data[8:8 + length])["logits"]
        first, last = entry["data_offsets"]
        return np.frombuffer(data[8 + length + first:8 + length + last], np.float32).reshape(entry["shape"])

    def test_logits_agree(self):
        prompt = run("template", NANO, "-", stdin='[{"role": "user", "content": "What is 12 plus 30?"}]').removesuffix("\n")
        prompt += "\n12 plus 30 is 42.<|im_end|>"
        for kind, tolerance in TOLERANCES.items():
            with self.subTest(kind):
                file = self.folder / "nano.gguf"
                run("quantize", NANO, file, "-t", kind, "--force")
                model = library.Model(file)
                ids = model.tokenize(prompt, bos=False)
                self.assertEqual(ids, json.loads(run("tokenize", NANO, prompt, "--json"))[1:])
                for text in ("Hello 123", " Lucy's <think>x</think>", "naïve 日本\n\n  x"):
                    self.assertEqual(model.tokenize(text), json.loads(run("tokenize", NANO, text, "--json")))
                self.assertEqual(model.template(), (NANO / "chat_template.jinja").read_text())
                ours, theirs = self.logits(file, ids), model.logits(ids)
                off = np.abs(ours - theirs)
                mean = float(np.sqrt((off ** 2).mean()))
                print(f"{kind:7} logits differ by at most {off.max():.4f}, {mean:.4f} in root mean square")
                self.assertLess(mean, tolerance)

    def test_experts_agree(self):
        ids = [1, 158, 514, 194, 197, 339, 631, 137]
        for variant in ("moe_f32", "dense_f32"):
            file = self.folder / "experts.gguf"
            run("quantize", GOLDEN / variant, file, "-t", "f32", "--force")
            off = np.abs(self.logits(file, ids) - library.Model(file).logits(ids)).max()
            print(f"{variant}: {off:.5f}")
            self.assertLess(off, 0.03)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
