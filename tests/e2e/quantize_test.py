#!/usr/bin/env python3
"""`millrace quantize` as a person would use it. usage: quantize_test.py MILLRACE REPOSITORY"""
import json
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BINARY = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(sys.argv[2]).resolve()
NANO = str(ROOT / "models/nano")
MOE = str(ROOT / "tests/data/golden/moe_bf16")

# Type: bits a weight (of the nano model), and how far the logits may be from the source's: root mean square of the
# difference over the source's standard deviation.
TYPES = {"f32": (32.0, 0.001), "bf16": (16.03, 1e-6), "f16": (16.03, 0.001), "q8_0": (8.55, 0.02), "q6_k": (6.62, 0.06),
         "q5_k_m": (5.72, 0.08), "q5_1": (6.11, 0.08), "q5_0": (5.66, 0.1), "q4_k_m": (4.87, 0.13), "q4_1": (5.20, 0.16),
         "q4_0": (4.75, 0.18)}


def run(*arguments, status=0, stdin=""):
    done = subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, f"{arguments}: status {done.returncode}, {done.stderr}"
    return done


class Quantize(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.tokens = cls.folder / "tokens.json"
        cls.chat = '[{"role": "user", "content": "What is 12 plus 30?"}]'
        cls.prompt = run("template", NANO, "-", stdin=cls.chat).stdout
        ids = json.loads(run("tokenize", NANO, cls.prompt.removesuffix("\n"), "--json").stdout)
        cls.tokens.write_text(json.dumps(ids[1:]))  # the template has its own bos
        cls.source = cls.logits(NANO)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def logits(cls, model):
        out = cls.folder / "logits.safetensors"
        run("logits", model, "--tokens", cls.tokens, "--out", out)
        data = out.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        first, last = json.loads(data[8:8 + length])["logits"]["data_offsets"]
        return struct.unpack(f"<{(last - first) // 4}f", data[8 + length + first:8 + length + last])

    def test_random_weights_for_a_config(self):
        """A file for two engines to be timed on: no checkpoint, no vocabulary, full shapes."""
        config = ROOT / "tests/data/golden/dense_bf16/config.json"
        sizes = []
        for seed in ("1", "1", "2"):
            out = self.folder / "dummy.gguf"
            done = json.loads(run("quantize", config, out, "-t", "q8_0", "--load-format", "dummy", "--dummy-seed", seed, "--force",
                                  "--json").stdout)
            self.assertTrue(any("random weights" in note for note in done["notes"]), done["notes"])
            sizes.append(out.read_bytes())
        self.assertEqual(sizes[0], sizes[1])
        self.assertEqual(len(sizes[0]), len(sizes[2]))
        self.assertNotEqual(sizes[0], sizes[2])
        rows = json.loads(run("bench", out, "--prefill", "16", "--batch", "1", "--context-sizes", "0", "-r", "1", "--decode-steps",
                              "2", "--json").stdout)["rows"]
        self.assertEqual(len(rows), 2)
        run("quantize", config, self.folder / "dummy2.gguf", "-t", "q8_0", status=2)
        refused = run("quantize", out, self.folder / "dummy2.gguf", "-t", "q8_0", "--load-format", "dummy", status=2)
        self.assertIn("config.json", refused.stderr)
        # Full sizes without making full weights.
        dry = json.loads(run("quantize", "LFM2-8B-A1B", self.folder / "dummy2.gguf", "-t", "q4_0", "--load-format", "dummy", "--dry-run",
                             "--json").stdout)
        self.assertGreater(dry["weights"], 8_000_000_000)
        self.assertFalse((self.folder / "dummy2.gguf").exists())

    def test_every_type_runs(self):
        mean = sum(self.source) / len(self.source)
        spread = (sum((x - mean) ** 2 for x in self.source) / len(self.source)) ** 0.5
        for kind, (bits, tolerance) in TYPES.items():
            with self.subTest(kind):
                out = self.folder / f"nano-{kind}.gguf"
                report = json.loads(run("quantize", NANO, out, "-t", kind.upper(), "--json").stdout)
                self.assertEqual(report["file_bytes"], out.stat().st_size)
                self.assertAlmostEqual(report["bits_per_weight"], bits, delta=0.01)
                self.assertEqual(sum(t["bytes"] for t in report["types"]), report["tensor_bytes"])
                self.assertEqual(report["notes"], [])
                got = self.logits(out)
                off = (sum((a - b) ** 2 for a, b in zip(got, self.source)) / len(got)) ** 0.5 / spread
                self.assertLess(off, tolerance)
                answer = run("run", out, "What is 12 plus 30?", "--temperature", "0").stdout
                self.assertIn("42", answer)
                self.assertEqual(run("template", out, "-", stdin=self.chat).stdout, self.prompt)
                for text in ("Hello 123", " Lucy's <think>x</think>", "naïve 日本"):
                    self.assertEqual(run("tokenize", out, text, "--json").stdout, run("tokenize", NANO, text, "--json").stdout)
        self.assertEqual(self.logits(self.folder / "nano-bf16.gguf"), self.source)

    def test_experts(self):
        for kind in ("q8_0", "q4_k_m"):
            out = self.folder / f"moe-{kind}.gguf"
            report = json.loads(run("quantize", MOE, out, "-t", kind, "--json").stdout)
            names = {t["name"]: t for t in json.loads(run("inspect", out, "--tensors", "--json").stdout)["tensors"]}
            self.assertEqual(names["blk.2.ffn_down_exps.weight"]["shape"][0], 16)
            self.assertEqual(names["blk.2.ffn_gate_inp.weight"]["dtype"], "F32")
            # Rows of 64 hold no blocks of 256.
            self.assertEqual(any("no multiple of 256" in note for note in report["notes"]), kind == "q4_k_m")
            run("run", out, "hi", "-n", "4", "--temperature", "0")

    def test_files_are_not_replaced_unasked(self):
        out = self.folder / "there.gguf"
        out.write_text("precious")
        done = run("quantize", NANO, out, "-t", "q8_0", status=2)
        self.assertIn("--force", done.stderr)
        self.assertEqual(out.read_text(), "precious")
        text = run("quantize", NANO, out, "-t", "q4_0", "--dry-run").stdout
        self.assertIn("nothing written", text)
        self.assertEqual(out.read_text(), "precious")
        text = run("quantize", NANO, out, "-t", "q4_0", "--force", "--name", "mine").stdout
        self.assertIn("wrote", text)
        self.assertIn("Q6_K", text)
        # A file may replace itself.
        before = out.stat().st_size
        run("quantize", out, out, "-t", "q8_0", "--force", "--allow-requantize")
        self.assertGreater(out.stat().st_size, before)
        run("run", out, "hi", "-n", "2")

    def test_errors_are_one_line_with_their_status(self):
        file = self.folder / "x.gguf"
        quantised = self.folder / "quantised.gguf"
        run("quantize", NANO, quantised, "-t", "q8_0")
        cases = [((NANO,), 2), ((NANO, file), 2), ((NANO, file, "-t", "q9"), 2), ((NANO, self.folder / "x.bin", "-t", "q8_0"), 2),
                 ((NANO, "/none/such/x.gguf", "-t", "q8_0"), 3), (("no/such/folder/at/all", file, "-t", "q8_0"), 3),
                 ((ROOT / "tests/data/configs", file, "-t", "q8_0"), 3), ((ROOT / "README.md", file, "-t", "q8_0"), 2),
                 ((quantised, file, "-t", "q4_0"), 2)]
        for arguments, status in cases:
            with self.subTest(arguments):
                done = run("quantize", *arguments, status=status)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertTrue(done.stderr.startswith("millrace: "), done.stderr)
        self.assertFalse(file.exists())

    def test_an_interrupt_leaves_nothing_half_written(self):
        """Whether it comes before, while or after the file is written."""
        for wait in (0.01, 0.05, 0.15):
            place = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
            process = subprocess.Popen([BINARY, "quantize", NANO, place / "a.gguf", "-t", "q6_k", "--threads", "1"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, 130, -signal.SIGINT))
            left = [p.name for p in place.iterdir()]
            self.assertIn(left, ([], ["a.gguf"]))
            if left:
                run("inspect", place / "a.gguf")

    def test_the_gguf_package_reads_it(self):
        try:
            import gguf
        except ImportError:
            self.skipTest("the gguf package is not installed")
        out = self.folder / "package.gguf"
        run("quantize", NANO, out, "-t", "q4_k_m")
        reader = gguf.GGUFReader(out)
        self.assertEqual(reader.fields["general.architecture"].contents(), "lfm2")
        self.assertEqual(reader.fields["lfm2.attention.head_count_kv"].contents(), [0, 2, 0, 2, 0, 2])
        for tensor in reader.tensors:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            self.assertEqual(values.size, tensor.n_elements, tensor.name)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
