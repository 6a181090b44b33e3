#!/usr/bin/env python3
"""Rows of floats and the K-quant blocks that ggml's reference encodes them to. The `gguf` package cannot encode these
formats; ggml itself does, in the library inside a wheel of PyPI.

    pip install numpy safetensors xllamacpp==2026.10.11549     # made with numpy 2.4.6
    make_k_quant_cases.py --out tests/data/dequant/k_cases.safetensors

rows (float32) are the same for all formats; Q4_K.encoded, Q5_K.encoded and Q6_K.encoded are raw bytes as int32.
"""
import argparse
import ctypes
import pathlib

import numpy as np
import xllamacpp
from safetensors.numpy import save_file

ROWS = 28
FORMATS = {"Q4_K": 144, "Q5_K": 176, "Q6_K": 210}


def random_rows(rng):
    """Rows of 256: of many sizes; groups of very different ones; all equal; zeros; one sign; bfloat16; tiny; an outlier."""
    rows = rng.standard_normal((ROWS, 256)).astype(np.float32)
    rows *= (10.0 ** rng.uniform(-5, 2, (ROWS, 1))).astype(np.float32)
    rows[0] = 0
    rows[1] = 1
    rows[2] = -1
    rows[3, ::2] = 0
    rows[4, :32] = 0
    rows[5, :64] *= np.float32(1e-6)
    rows[6] = np.abs(rows[6])
    rows[7] = -np.abs(rows[7])
    rows[8] = np.arange(256) % 16 - 8
    rows[9] = 1e-20
    rows[10, 5] = 1e4
    rows[11:20] *= np.repeat(10.0 ** rng.uniform(-4, 2, (9, 8)), 32, axis=1).astype(np.float32)
    rows[20:] = (rows[20:].view(np.uint32) & 0xFFFF0000).view(np.float32)
    return np.ascontiguousarray(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    ggml = ctypes.CDLL(str(next(pathlib.Path(xllamacpp.__file__).parent.glob("*.abi3.so"))))
    rows = random_rows(np.random.default_rng(arguments.seed))
    tensors = {"rows": rows.reshape(-1)}
    for name, size in FORMATS.items():
        encode = getattr(ggml, f"quantize_row_{name[:-1].lower()}K_ref")
        encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        blocks = np.zeros(ROWS * size, dtype=np.uint8)
        encode(rows.ctypes.data, blocks.ctypes.data, rows.size)
        tensors[f"{name}.encoded"] = blocks.view(np.int32)
    save_file(tensors, arguments.out)


if __name__ == "__main__":
    main()
