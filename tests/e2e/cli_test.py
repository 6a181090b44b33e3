#!/usr/bin/env python3
"""Runs the binary as a person would. usage: cli_test.py MILLRACE REPOSITORY"""
import json
import os
import pathlib
import pty
import select
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
GOLDEN = ROOT / "tests/data/golden"


def run(*arguments, stdin="", status=0, timeout=120):
    done = subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == status, f"{arguments}: status {done.returncode}, {done.stderr}"
    return done


class Cli(unittest.TestCase):
    def test_help_teaches(self):
        text = run("--help").stdout
        for word in ("run", "inspect", "kernels", "bench", "tokenize", "template", "logits", "doctor", "pull", "quantize",
                     "parse", "serve", "Exit status"):
            self.assertIn(word, text)
        for command in ("run", "bench", "inspect"):
            self.assertIn("--load-format", run(command, "--help").stdout)

    def test_run_answers(self):
        done = run("run", NANO, "What is 12 plus 30?", "--temperature", "0")
        self.assertIn("42", done.stdout)
        self.assertIn("tok/s", done.stderr)

    def test_flags_stand_before_arguments_too(self):
        done = run("run", "--kernel", "linear=reference", "--logit-bias", "5=0.5", NANO, "--stop", "zebra", "--stop", "yak",
                   "What is 12 plus 30?", "--temperature", "0")
        self.assertIn("42", done.stdout)
        rows = json.loads(run("bench", "--prefill", "16", "--batch", "1", "--context-sizes", "0", NANO, "-r", "1",
                              "--decode-steps", "2", "--json").stdout)["rows"]
        self.assertEqual(len(rows), 2)

    def test_run_json_and_pipe(self):
        answer = json.loads(run("run", NANO, "--temperature", "0", "--json", "--logprobs", "2",
                                stdin="What is 12 plus 30?\n").stdout)
        self.assertIn("42", answer["text"])
        self.assertEqual(answer["finish_reason"], "stop")
        self.assertEqual(len(answer["logprobs"]), len(answer["tokens"]))
        self.assertEqual(len(answer["logprobs"][0]["top"]), 2)

    def test_tools(self):
        tools = [{"type": "function", "function": {"name": "get_time", "description": "Tells the time in a city.",
                  "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(tools, file)
            file.flush()
            done = run("run", NANO, "What time is it in Oslo?", "--tools", file.name, "--temperature", "0")
        self.assertIn("<|tool_call_start|>[get_time(city=", done.stdout)

    def test_inspect(self):
        text = json.loads(run("inspect", str(ROOT / "tests/data/configs/LFM2-1.2B.json"), "--json", "-c", "1024").stdout)
        self.assertEqual(text["parameters"], 1170340608)
        self.assertEqual(text["kv_bytes_per_token"], 12288)
        # A CPU that packs its weights keeps the tied head as stored, too.
        self.assertIn(text["memory"]["weights_bytes"] - 1170340608 * 2, (0, 65536 * 2048 * 2))
        tensors = json.loads(run("inspect", NANO, "--tensors", "--json").stdout)["tensors"]
        embedding = next(t for t in tensors if t["name"] == "model.embed_tokens.weight")
        self.assertEqual(embedding["dtype"], "BF16")
        self.assertEqual(len(embedding["shape"]), 2)

    def test_kernels(self):
        rows = json.loads(run("kernels", NANO, "--json", "--accuracy", "exact").stdout)["kernels"]
        self.assertEqual({row["op"] for row in rows},
                         {"embedding", "gather_rows", "rms_norm", "short_conv", "rope_kv", "attention", "sample", "silu_mul", "linear"})
        forced = json.loads(run("kernels", NANO, "--json", "--kernel", "linear=reference").stdout)["kernels"]
        self.assertTrue(all(r["kernel"] == "reference" for r in forced if r["op"] == "linear"))
        run("kernels", NANO, "--kernel", "linear=magic", status=2)

    def test_tokenize_and_template(self):
        ids = json.loads(run("tokenize", NANO, "Hello 123", "--json").stdout)
        self.assertEqual(ids[0], 1)
        self.assertEqual(run("tokenize", NANO, "--decode", json.dumps(ids[1:])).stdout, "Hello 123\n")
        text = run("template", NANO, "-", stdin='[{"role": "user", "content": "Hi"}]').stdout
        self.assertEqual(text, "<|startoftext|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
        run("template", NANO, "-", stdin="[]", status=2)

    def test_logits_equal_the_reference(self):
        golden = json.loads((GOLDEN / "dense_f32/golden.json").read_text())
        prompt = golden["prompts"][0]
        with tempfile.TemporaryDirectory() as folder:
            tokens = pathlib.Path(folder, "tokens.json")
            tokens.write_text(json.dumps(prompt["ids"]))
            out = pathlib.Path(folder, "out.safetensors")
            run("logits", str(GOLDEN / "dense_f32"), "--tokens", str(tokens), "--out", str(out), "--chunk", "7")
            got = read_floats(out, "logits")
            want = read_floats(GOLDEN / "dense_f32/golden.safetensors", prompt["name"] + ".logits")
        self.assertEqual(len(got), len(want))
        self.assertLess(max(abs(a - b) for a, b in zip(got, want)), 1e-3)

    def test_experts_of_mixed_types(self):
        """Ups in F32 beside gates and downs in BF16: what kernels of packed weights do not take, the others do."""
        source = GOLDEN / "moe_bf16"
        raw = (source / "model.safetensors").read_bytes()
        length = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + length])
        header.pop("__metadata__", None)
        tensors, place = {}, b""
        for name, tensor in header.items():
            begin, end = tensor["data_offsets"]
            data = raw[8 + length + begin:8 + length + end]
            if ".experts." in name and name.endswith("w3.weight"):
                self.assertEqual(tensor["dtype"], "BF16")
                data = b"".join(b"\0\0" + data[i:i + 2] for i in range(0, len(data), 2))
                tensor["dtype"] = "F32"
            tensors[name] = {**tensor, "data_offsets": [len(place), len(place) + len(data)]}
            place += data
        with tempfile.TemporaryDirectory() as folder:
            for file in source.glob("*.json"):
                pathlib.Path(folder, file.name).write_bytes(file.read_bytes())
            head = json.dumps(tensors).encode()
            head += b" " * (-len(head) % 8)
            pathlib.Path(folder, "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + place)
            tokens = pathlib.Path(folder, "tokens.json")
            tokens.write_text(json.dumps(list(range(20, 60))))
            out = pathlib.Path(folder, "logits.safetensors")
            run("logits", folder, "--tokens", str(tokens), "--out", str(out))
            got = read_floats(out, "logits")
            run("logits", str(source), "--tokens", str(tokens), "--out", str(out))
            want = read_floats(out, "logits")
        size = (sum(x * x for x in want) / len(want)) ** 0.5
        off = (sum((a - b) ** 2 for a, b in zip(got, want)) / len(want)) ** 0.5
        self.assertLess(off, 0.2 * size)  # a row may have gone to other experts

    def test_bench_reports_fractions(self):
        with tempfile.TemporaryDirectory() as folder:
            svg = pathlib.Path(folder, "plot.svg")
            report = json.loads(run("bench", NANO, "--prefill", "16", "--batch", "1,2", "--context-sizes", "0", "-r", "1",
                                    "--decode-steps", "2", "--json", "--svg", str(svg)).stdout)
            self.assertIn("<svg", svg.read_text())
        self.assertEqual(len(report["rows"]), 3)
        self.assertGreater(report["read_gb_per_second"], 0.5)
        for row in report["rows"]:
            self.assertGreater(row["fraction"], 0)

    def test_bench_beside_a_peer(self):
        """A program that reports as llama-bench does: what it is asked, whose turn it is, what is made of it."""
        gguf = GOLDEN / "dense_f32/gguf/dense_f32-Q8_0.gguf"
        with tempfile.TemporaryDirectory() as folder:
            peer = pathlib.Path(folder, "llama-bench")
            calls = pathlib.Path(folder, "calls")
            peer.write_text(f"""#!{sys.executable}
import json, sys
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
open({str(calls)!r}, "a").write(json.dumps(arguments) + "\\n")
if arguments.get("-fa") == "broken":
    sys.exit("no such model")
row = {{"build_commit": "abc", "build_number": 7, "model_type": "lfm2", "backends": "CPU", "n_prompt": int(arguments["-p"]),
       "n_gen": int(arguments["-n"]), "n_depth": int(arguments.get("-d", 0)), "avg_ts": 0.5}}
if arguments.get("-fa") == "other":
    row["n_prompt"] += 1
print(json.dumps([row]))
""")
            peer.chmod(0o755)
            command = ["bench", str(gguf), "--prefill", "16", "--batch", "1,2", "--context-sizes", "0,32", "-r", "2",
                       "--decode-steps", "2", "--threads", "1", "--peer", str(peer)]
            report = json.loads(run(*command, "--json", "--peer-argument=-fa", "--peer-argument=1").stdout)
            self.assertEqual(report["peer"], "llama.cpp abc (7), lfm2, CPU")
            asked = [json.loads(line) for line in calls.read_text().splitlines()]
            self.assertEqual([(a["-p"], a["-n"], a.get("-d")) for a in asked],
                             [("16", "0", None), ("0", "2", None), ("0", "2", "32")] * 2)
            self.assertTrue(all(a["-m"] == str(gguf) and a["-t"] == "1" and a["-fa"] == "1" for a in asked))
            for row in report["rows"]:
                if row["batch"] == 1:
                    self.assertAlmostEqual(row["ratio"], row["tokens_per_second"] / 0.5)
                else:  # llama-bench decodes one sequence
                    self.assertNotIn("ratio", row)
            table = run(*command).stdout
            self.assertIn("peer: llama.cpp abc (7), lfm2, CPU", table)
            self.assertIn("ratio", table)
            self.assertIn("no such model", run(*command, "--peer-argument=-fa", "--peer-argument=broken", status=7).stderr)
            self.assertIn("n_prompt 17", run(*command, "--peer-argument=-fa", "--peer-argument=other", status=5).stderr)
            self.assertIn("--peer-model", run("bench", NANO, "--peer", str(peer), status=2).stderr)
            self.assertIn("/none", run(*command[:-1], "/none", status=3).stderr)

    def test_doctor(self):
        report = json.loads(run("doctor", "--json").stdout)
        for what in ("version", "processor", "instruction sets", "memory", "NVIDIA GPUs", "AMD GPUs", "model cache"):
            self.assertTrue(report[what], what)
        for what in report["advice"]:
            self.assertIn(what, report)

    def test_errors_are_one_line_with_their_status(self):
        cases = [(("run", "no/such/folder/at/all", "x"), 3), (("inspect", str(ROOT / "README.md")), 2),
                 (("run", NANO, "x", "--top-p", "7"), 2), (("run", NANO, "x", "-c", "999999999"), 2),
                 (("run", NANO, ""), 2), (("frobnicate",), 2), ((), 2), (("run",), 2), (("run", NANO, "x", "--frobnicate"), 2),
                 (("run", NANO, "x", "--kernel", "frobnicate=reference"), 2), (("tokenize", NANO, "--decode", "[9999]"), 2),
                 (("inspect", "/dev/null"), 2), (("bench", NANO, "--prefill", "99999"), 2), (("kernels",), 2),
                 (("logits", NANO, "--tokens", "/none", "--out", "/dev/null"), 3)]
        for arguments, status in cases:
            done = run(*arguments, status=status)
            self.assertTrue(done.stderr.strip(), arguments)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("millrace: "), done.stderr)

    def test_bit_flips_never_crash(self):
        source = (GOLDEN / "dense_f32/gguf/dense_f32-Q8_0.gguf").read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "flipped.gguf")
            for i in range(40):
                damaged = bytearray(source)
                damaged[(i * 7919) % 30000] ^= 1 << (i % 8)
                file.write_bytes(damaged)
                done = subprocess.run([BINARY, "run", file, "hi", "-n", "2"], capture_output=True, text=True, timeout=60)
                self.assertIn(done.returncode, (0, 2, 4, 5, 6), done.stderr)

    def test_interactive_chat(self):
        """Line editing, memory over turns, an interrupt that stops the answer alone, end of input."""
        pid, terminal = pty.fork()
        if pid == 0:
            # The slow kernels leave time to interrupt an answer of a thousand tokens.
            os.execv(BINARY, [str(BINARY), "run", NANO, "--temperature", "0", "--ignore-eos",
                              "--kernel", "linear=reference", "--threads", "1"])
        try:
            self.read_until(terminal, "> ")
            os.write(terminal, b"My name is Lucy.\n")
            self.read_until(terminal, "Lucy.")  # what the terminal echoes
            self.read_until(terminal, "Lucy")   # what is answered
            os.write(terminal, b"\x03")  # the terminal turns it into SIGINT
            self.read_until(terminal, "cancelled]")
            self.read_until(terminal, "> ")
            os.write(terminal, b"/reset\n")
            self.read_until(terminal, "starts over")
            self.read_until(terminal, "> ")  # a key sent before the prompt would meet a terminal in line mode
            os.write(terminal, b"\x04")
            deadline = time.time() + 20
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                self.assertLess(time.time(), deadline, "Ctrl-D did not end the chat")
                time.sleep(0.02)
            pid = None
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(terminal)

    def read_until(self, terminal, text):
        """Reads up to and including the text; what comes behind it stays for the next call."""
        deadline = time.time() + 60
        while text not in self.unread:
            self.assertLess(time.time(), deadline, f"waited for {text!r}, saw {self.unread!r}")
            if select.select([terminal], [], [], 0.2)[0]:
                self.unread += os.read(terminal, 4096).decode(errors="replace")
        self.unread = self.unread.split(text, 1)[1]

    unread = ""


def read_floats(path, name):
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    first, last = json.loads(data[8:8 + length])[name]["data_offsets"]
    body = data[8 + length + first:8 + length + last]
    return struct.unpack(f"<{len(body) // 4}f", body)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
