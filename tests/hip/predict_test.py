#!/usr/bin/env python3
"""tools/gpu/predict: agrees with what was measured, and its tables are those of docs/amd.md.

    predict_test.py MILLRACE
"""
import json
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PREDICT = ROOT / "tools/gpu/predict"
sys.path.insert(0, str(PREDICT.parent))
import step_model  # noqa: E402


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([PREDICT, *map(str, arguments)], capture_output=True, text=True)


def config(model: str) -> dict:
    return json.loads((ROOT / f"tests/data/configs/{model}.json").read_text())


class Predict(unittest.TestCase):
    def test_the_h200_takes_what_it_should_within_15_percent(self):
        done = run("--check", ROOT / "tests/data/steps/h200.txt")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreaterEqual(done.stdout.count("| H200 |"), 20)

    def test_a_measurement_that_is_far_off_fails(self):
        wrong = Path(self.id() + ".txt")
        wrong.write_text("H200 LFM2-1.2B 1 1 1024 0.700\n")
        try:
            self.assertEqual(run("--check", wrong).returncode, 1)
        finally:
            wrong.unlink()

    def test_the_documents_tables_are_these(self):
        done = run("--table", ROOT / "docs/amd.md")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_model_on_every_gpu(self):
        done = run("LFM2-1.2B")
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("MI300X", "MI325X", "MI350X", "MI355X", "prompt of 8192"):
            self.assertIn(word, done.stdout)
        self.assertIn("no configuration LFM9", run("LFM9").stderr)
        self.assertEqual(run("LFM2-8B-A1B").returncode, 0)

    def test_weights_are_counted_as_the_engine_counts_them(self):
        for model in ("LFM2-350M", "LFM2-700M", "LFM2-1.2B", "LFM2-2.6B"):
            done = subprocess.run(
                [sys.argv[1], "inspect", f"{ROOT}/tests/data/configs/{model}.json", "--load-format", "dummy", "--accuracy",
                 "exact", "--json"],
                capture_output=True,
                text=True,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            engine = json.loads(done.stdout)["memory"]["weights_bytes"]
            launches = step_model.launches_of(config(model), step_model.Step(1, 1, 0), step_model.GPUS["H200"])
            counted = sum(launch.bytes for launch in launches if launch.kind == "stream")
            self.assertAlmostEqual(counted / engine, 1, delta=0.002, msg=model)

    def test_of_experts_those_are_read_that_some_row_chose(self):
        mixture = config("LFM2-8B-A1B")

        def expert_bytes(rows):
            step = step_model.Step(rows, rows, 0)
            launches = step_model.launches_of(mixture, step, step_model.GPUS["H200"])
            return sum(launch.bytes for launch in launches if launch.kind == "experts")

        one = 22 * 3 * 2048 * 1792 * 2  # an expert of every layer
        self.assertAlmostEqual(expert_bytes(1) / one, 4, delta=0.01)
        self.assertAlmostEqual(expert_bytes(1000) / one, 32, delta=4)  # and the rows

    def test_more_work_takes_longer(self):
        for name in step_model.GPUS:
            gpu = step_model.GPUS[name]

            def ms(rows, context):
                step = step_model.Step(rows, rows, context)
                return step_model.seconds_of(gpu, step_model.launches_of(config("LFM2-1.2B"), step, gpu))

            self.assertLess(ms(1, 1024), ms(8, 1024))
            self.assertLess(ms(16, 1024), ms(256, 1024))
            self.assertLess(ms(64, 1024), ms(64, 8192))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
