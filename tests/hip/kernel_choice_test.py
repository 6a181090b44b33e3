#!/usr/bin/env python3
"""What `millrace kernels` says for AMD GPUs on a machine without one.

    kernel_choice_test.py MILLRACE
"""
import json
import subprocess
import sys
import unittest

# Op -> the kernel that a dense BF16 model must get. "stream", "flash": on matrix instructions.
DENSE = {
    "embedding": "gpu",
    "bring_inputs": "gpu",
    "gather_rows": "gpu",
    "rms_norm": "gpu",
    "short_conv": "gpu",
    "rope_kv": "gpu",
    "attention": "flash",
    "silu_mul": "gpu",
    "sample": "gpu",
    "linear": "stream",
    "norm_linear": "stream",
    "norm_short_conv": "stream",
    "norm_swiglu": "stream",
}
MIXED = {**DENSE, "moe_route": "gpu", "moe_experts": "mfma"}
MODELS = {
    "LFM2-350M": DENSE,
    "LFM2-700M": DENSE,
    "LFM2-1.2B": DENSE,
    "LFM2-2.6B": DENSE,
    "LFM2.5-1.2B": DENSE,
    "LFM2-8B-A1B": MIXED,
}


def millrace(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.argv[1], "kernels", *arguments], capture_output=True, text=True)


class KernelChoice(unittest.TestCase):
    def test_every_model_on_both_targets(self):
        for arch in ("gfx942", "gfx950"):
            for model, wanted in MODELS.items():
                with self.subTest(arch=arch, model=model):
                    done = millrace("--backend", "hip", "--arch", arch, "--model", model, "--json")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    rows = json.loads(done.stdout)["kernels"]
                    found = {op: {row["kernel"] for row in rows if row["op"] == op} for op in wanted}
                    self.assertEqual(found, {op: {kernel} for op, kernel in wanted.items()})

    def test_caches_in_fp8_have_attention_on_matrix_instructions(self):
        for arch in ("gfx942", "gfx950"):
            done = millrace("--backend", "hip", "--arch", arch, "--model", "LFM2-1.2B", "--kv-dtype", "fp8", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = json.loads(done.stdout)["kernels"]
            self.assertEqual({row["kernel"] for row in rows if row["op"] == "attention"}, {"flash"})

    def test_the_whole_step_kernel_is_not_for_amd(self):
        for arch in ("gfx942", "gfx950"):
            done = millrace("--backend", "hip", "--arch", arch, "--model", "LFM2-1.2B", "--json")
            self.assertNotIn("decode_step", {row["op"] for row in json.loads(done.stdout)["kernels"]})

    def test_text_and_products(self):
        done = millrace("--arch", "MI325X", "--model", "LFM2-1.2B")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("AMD Instinct MI325X (hip), not asked but described", done.stdout)
        self.assertIn("  * flash", done.stdout)
        self.assertIn("flash has a higher priority", done.stdout)

    def test_a_kernel_can_be_forced(self):
        done = millrace("--arch", "gfx950", "--model", "LFM2-1.2B", "--kernel", "attention=gpu")
        self.assertIn("--kernel attention=gpu was given", done.stdout)

    def test_strangers_are_named(self):
        for arguments, status, said in (
            (("--arch", "gfx90a", "--model", "LFM2-1.2B"), 2, "found 'gfx90a', expected one of gfx942"),
            (("--backend", "metal", "--model", "LFM2-1.2B"), 2, "found 'metal', expected cuda or hip"),
            (("--arch", "gfx942", "--model", "LFM9-1T"), 3, "LFM9-1T"),
            (("--arch", "gfx942", "--backend", "cuda", "--model", "LFM2-1.2B"), 2, "found 'gfx942'"),
        ):
            with self.subTest(arguments=arguments):
                done = millrace(*arguments)
                self.assertEqual((done.returncode, done.stdout), (status, ""))
                self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
