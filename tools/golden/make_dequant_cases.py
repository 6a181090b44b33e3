#!/usr/bin/env python3
"""Random blocks of every quantised format with the values that the `gguf` package gives for them, and rows of floats
with the blocks it encodes them to.

    pip install numpy gguf safetensors        # made with gguf 0.19.0, numpy 2.4.6
    make_dequant_cases.py --out tests/data/dequant/cases.safetensors

FORMAT.blocks (raw bytes as int32) and FORMAT.values (float32) for all formats;
FORMAT.rows (float32) and FORMAT.encoded (raw bytes as int32) for those that can be encoded. The first blocks have the
scales at the edges of float16, the rest any finite ones; every other bit is random.
"""
import argparse

import numpy as np
from gguf import GGMLQuantizationType as Q
from gguf import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

BLOCKS = 32
# Byte offsets of the float16 scales in a block.
SCALES = {Q.Q8_0: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
ENCODED = [Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1]
# Zero, both signs, the smallest and largest subnormals, the smallest normal, the largest.
EDGES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x8400, 0x7BFF, 0xFBFF, 0x3C00, 0xBC00]


def random_blocks(rng, kind):
    size = GGML_QUANT_SIZES[kind][1]
    blocks = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for k, offset in enumerate(SCALES[kind]):
        bits = rng.integers(0, 0x7C00, BLOCKS, dtype=np.uint16) | (rng.integers(0, 2, BLOCKS, dtype=np.uint16) << 15)
        for i in range(len(EDGES)):
            bits[i] = EDGES[(i + 4 * k) % len(EDGES)]
        blocks[:, offset:offset + 2] = bits.view(np.uint8).reshape(BLOCKS, 2)
    return blocks


def random_rows(rng):
    """Rows of 32: of many sizes, all equal, one value alone, ties between both signs, zeros, halves to round."""
    rows = rng.standard_normal((BLOCKS, 32)).astype(np.float32)
    rows *= (10.0 ** rng.uniform(-3, 3, (BLOCKS, 1))).astype(np.float32)
    rows[0] = 0
    rows[1] = 1.5
    rows[2] = -1.5
    rows[3] = 0
    rows[3, 7] = -2
    rows[4, ::2], rows[4, 1::2] = 3, -3
    rows[5, ::2], rows[5, 1::2] = -3, 3
    rows[6] = np.arange(32) - 15.5
    rows[7] = np.linspace(-127, 127, 32).round() + np.where(np.arange(32) % 31 == 0, 0, 0.5)
    rows[8] = -np.abs(rows[8])
    return rows


def as_int32(raw):
    return np.ascontiguousarray(raw).reshape(-1).view(np.int32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    tensors = {}
    for kind in SCALES:
        blocks = random_blocks(rng, kind)
        values = dequantize(blocks, kind).astype(np.float32)
        assert np.isfinite(values).all(), kind
        tensors[f"{kind.name}.blocks"] = as_int32(blocks)
        tensors[f"{kind.name}.values"] = values.reshape(-1)
    for kind in ENCODED:
        rows = random_rows(rng)
        tensors[f"{kind.name}.rows"] = rows.reshape(-1)
        tensors[f"{kind.name}.encoded"] = as_int32(quantize(rows, kind))
    save_file(tensors, arguments.out)


if __name__ == "__main__":
    main()
