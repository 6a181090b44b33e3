"""`millrace bench serve` against the real server: exact counts, hits, files, going on after a break."""
import json
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from harness import BINARY, ServerTest


def bench(*arguments, status=0):
    done = subprocess.run([BINARY, "bench", "serve", *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done


class BenchServe(ServerTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def json(self, *arguments):
        return json.loads(bench("--url", self.server.url, "--json", *arguments).stdout)

    def test_random_prompts_have_exact_lengths(self):
        page = self.folder / "report.html"
        report = self.json("-n", 12, "--input-len", 64, "--output-len", 16, "--concurrency", "1,4", "--warmup", 2,
                           "--sample-seconds", 0.02, "--return-token-ids", "--goodput", "ttft:60000", "--html", page)
        self.assertEqual([s["load"] for s in report["stages"]], ["concurrency 1", "concurrency 4"])
        for stage in report["stages"]:
            self.assertEqual((stage["completed"], stage["failed"]), (12, 0), stage["errors"])
            self.assertEqual(stage["input_tokens"], 12 * 64)
            self.assertEqual(stage["output_tokens"], 12 * 16)
            self.assertEqual(stage["itl_ms"]["count"], 12 * 15)
            self.assertEqual(stage["within_goal"], 12)
            self.assertGreater(stage["ttft_ms"]["min"], 0)
            self.assertLessEqual(stage["ttft_ms"]["max"], stage["e2e_ms"]["max"])
            self.assertGreater(stage["server"][0]["resident_bytes"], 1 << 20)
            self.assertAlmostEqual(stage["output_tokens_per_second"] * stage["duration_s"], 12 * 16, delta=1)
        # The second stage asks the same once more: all but the last token of each prompt is remembered.
        self.assertGreater(report["stages"][1]["prefix_hit_rate"], 0)
        text = page.read_text()
        self.assertIn("<svg", text)
        self.assertNotIn("<script", text)

    def test_agents_hit_what_they_share(self):
        report = self.json("--workload", "agents", "-n", 6, "--turns", 4, "--system-words", 60, "--user-words", 8,
                           "--tool-words", 12, "--answer-tokens", 16, "--concurrency", 3, "--no-tools")
        stage = report["stages"][0]
        self.assertEqual((stage["completed"], stage["failed"]), (24, 0), stage["errors"])
        later = stage["by_turn"][1:]
        hits, asked = sum(t["cached_tokens"] for t in later), sum(t["prompt_tokens"] for t in later)
        self.assertGreater(hits, 0.5 * asked, "later turns find their beginning")

    def test_arrivals(self):
        begin = time.time()
        report = self.json("-n", 10, "--input-len", 8, "--output-len", 4, "--request-rate", 20, "--ramp", "10,30")
        self.assertEqual([s["completed"] for s in report["stages"]], [10, 10])
        self.assertEqual([s["load"] for s in report["stages"]], ["rate 20/s", "rate 10/s to 30/s"])
        self.assertGreater(time.time() - begin, 0.4)

    def test_text_prompts_and_table(self):
        done = bench("--url", self.server.url, "-n", 4, "--input-len", 10, "--output-len", 4, "--text-prompts",
                     "--concurrency", 2)
        self.assertIn("TTFT ms", done.stdout)
        self.assertIn("concurrency 2", done.stdout)

    def test_goes_on_after_an_interrupt(self):
        records = self.folder / "records.jsonl"
        arguments = ["-n", 60, "--input-len", 16, "--output-len", 120, "--concurrency", 2, "--records", records]
        process = subprocess.Popen([BINARY, "bench", "serve", "--url", self.server.url, *map(str, arguments)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not records.exists() or records.read_text().count('"request"') < 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, error)
        self.assertIn("(part)", out)
        self.assertIn("--resume goes on", error)
        had = records.read_text().count('"request"')
        self.assertLess(had, 60)
        self.server.wait_until_idle()
        begun = self.server.metric("vllm:request_success_total")
        report = self.json(*arguments, "--resume")
        self.assertEqual(report["stages"][0]["completed"], 60)
        self.assertEqual(self.server.metric("vllm:request_success_total") - begun, 60 - had)
        # Nothing is left: the same once more asks nothing, and says the same.
        again = self.json(*arguments, "--resume")
        self.assertEqual(self.server.metric("vllm:request_success_total") - begun, 60 - had)
        for share in ("p50", "p99"):  # kept to the microsecond
            self.assertAlmostEqual(again["stages"][0]["ttft_ms"][share], report["stages"][0]["ttft_ms"][share], delta=0.01)
        other = bench("--url", self.server.url, "-n", 3, "--records", records, "--resume", status=2)
        self.assertIn("another benchmark", other.stderr)

    def test_workloads_as_files(self):
        first, second = self.folder / "a.jsonl", self.folder / "b.jsonl"
        made = ["--workload", "agents", "-n", 3, "--turns", 2, "--system-words", 9, "--answer-tokens", 8, "--seed", 7]
        bench("--url", "", *made, "--export", first)
        bench("--url", "", *made, "--export", second)
        self.assertEqual(first.read_bytes(), second.read_bytes())
        from_file = self.json("--workload", first, "--concurrency", 1)
        generated = self.json(*made, "--concurrency", 1)
        self.assertEqual(from_file["workload"].split("fingerprint")[1], generated["workload"].split("fingerprint")[1])
        self.assertEqual(from_file["stages"][0]["completed"], 6)
        first.write_text('{"id": "x", "turns": [{"text": 3}]}\n')
        damaged = bench("--url", self.server.url, "--workload", first, status=4)
        self.assertIn("a.jsonl, line 1: turn 0", damaged.stderr)

    def test_errors_are_lines(self):
        self.assertIn("does not serve a model 'other'", bench("--url", self.server.url, "--model", "other", status=3).stderr)
        self.assertIn("connecting", bench("--url", "http://127.0.0.1:9", status=7).stderr)
        self.assertIn("expected http://", bench("--url", "ftp://x", status=2).stderr)
        failed = bench("--url", self.server.url, "-n", 2, "--input-len", 4000, "--output-len", 4, status=7)
        self.assertIn("context", failed.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
