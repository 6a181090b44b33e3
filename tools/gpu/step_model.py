"""What a step of an LFM2 model launches, what each launch moves and computes, and how long that takes.

A launch takes
    cost of a launch + rows that every block stages / L2 rate + hypot(bytes / memory rate, FLOPs / matrix rate)
where hypot stands between "the larger of the two", which assumes that reading and computing overlap
perfectly, and their sum. The constants of the H200 are measured or fitted to its measured steps; those of
AMD's GPUs are published peaks, the H200's shares of its peaks, and instruction counts of compiled kernels.

All rows go through all of the last layer here, as they did when the H200 was measured; since then those of a prompt that
give no logits end at its mixer, so prompts are predicted up to 6% too slow.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/amd.md"
STREAM_ROWS = 8  # up to so many, products read weights only once: ops/stream
MEMORY_SHARE = 0.81  # of the read ceiling that launches reach beyond their fixed cost; fitted on the H200
EXPERTS_SHARE = 0.90  # the same of products that read whole experts, ten times as many bytes; fitted there too
MATRIX_SHARE = 751 / 989  # of the peak: the H200's library on 8192^3
BF16, F32 = 2, 4


@dataclass(frozen=True)
class Gpu:
    arch: str  # a column of the table of kernels; empty: constants are measured
    processors: int
    read_gb_s: float  # ceiling of a kernel that only reads
    matrix_tflop_s: float  # BF16 products, dense, as a large one reaches them
    attention_tflop_s: float  # of prompts
    expert_tflop_s: float  # of products whose rows are sorted by expert
    sorts_rows: bool  # are rows copied in the experts' order first?
    l2_gb_s: float
    launch_us: float  # from kernel to kernel in a graph, with filling and emptying the GPU
    clock_ghz: float = 0
    blocks_each: int = 2  # of a product of few rows, a processor
    tile_columns: int = 8  # that a block of it works on at a time


@dataclass(frozen=True)
class Step:
    tokens: int  # rows of the step
    sequences: int
    context: int  # positions of each sequence, after the step


@dataclass(frozen=True)
class Launch:
    name: str
    bytes: float = 0  # from and to memory
    flops: float = 0
    staged: float = 0  # bytes that come from the L2 cache, all blocks together
    kind: str = "other"  # "product", "experts" or "attention" where FLOPs count


def ffn_width(config: dict) -> int:
    """Spec 3.1."""
    raw = config.get("block_ff_dim", config.get("intermediate_size", 12288))
    if not config.get("block_auto_adjust_ff_dim", True):
        return raw
    multiple = config.get("block_multiple_of", 256)
    width = int(config.get("block_ffn_dim_multiplier", 1.0) * (2 * raw // 3))
    return (width + multiple - 1) // multiple * multiple


def attends(config: dict) -> list[bool]:
    if "layer_types" in config:
        return [kind == "full_attention" for kind in config["layer_types"]]
    chosen = set(config["full_attn_idxs"])
    return [i in chosen for i in range(config["num_hidden_layers"])]


def launches_of(config: dict, step: Step, gpu: Gpu) -> list[Launch]:
    hidden, vocab, width = config["hidden_size"], config["vocab_size"], ffn_width(config)
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    dim = config.get("head_dim") or hidden // heads
    rows, few = step.tokens, step.tokens <= STREAM_ROWS
    out = [Launch("embedding", rows * hidden * (BF16 + F32))]

    def product(name: str, n: int, k: int, normed: bool, parts: int = 1, m: int = rows, wide: bool = False):
        """out[m][n] = in[m][k] * weight[n][k]^T; for few rows with the norm before it."""
        weights = n * k * BF16
        flops = 2.0 * m * n * k
        if not few:
            if normed:
                out.append(Launch("rms_norm", m * k * (F32 + BF16)))
            moved = m * k * BF16 + m * n * (2 * F32 if wide else BF16)
            out.append(Launch(name, weights + moved, flops, kind="product"))
            return
        # Every block reads all rows once, also where they do not fit its shared memory.
        blocks = min(gpu.blocks_each * gpu.processors, math.ceil(n / parts / gpu.tile_columns))
        staged = blocks * m * k * (F32 if normed else BF16)
        out.append(Launch(name, weights, flops, staged, "stream"))

    def experts(count: int, top_k: int, inner: int):
        """Rows sorted by expert; every expert that some row chose is read once. Choices are even."""
        pairs = rows * top_k
        touched = count * (1 - (1 - top_k / count) ** rows)
        out.append(Launch("rms_norm", rows * hidden * (F32 + BF16)))
        out.append(Launch("router", count * hidden * BF16 + rows * hidden * BF16))
        out.append(Launch("route"))
        out.append(Launch("sort"))
        if gpu.sorts_rows:
            out.append(Launch("sort_rows", pairs * 2 * hidden * BF16))
        for name, n, k, width_out in (("gate_up", 2 * inner, hidden, inner * BF16), ("down", hidden, inner, hidden * F32)):
            moved = touched * n * k * BF16 + pairs * (k * BF16 + width_out)
            out.append(Launch(name, moved, 2.0 * pairs * n * k, kind="experts"))
        out.append(Launch("add_up", pairs * hidden * F32 + rows * 2 * hidden * F32))

    context_bytes = 2 * kv_heads * dim * BF16
    dense_layers = config.get("num_dense_layers", 0) if config.get("num_experts") else config["num_hidden_layers"]
    for layer, attention in enumerate(attends(config)):
        if attention:
            product("qkv", (heads + 2 * kv_heads) * dim, hidden, True)
            out.append(Launch("rope_kv", rows * (heads + 2 * kv_heads) * dim * 2 * BF16))
            if step.tokens > step.sequences:  # a prompt: every position sees those before it
                pairs = step.tokens * (step.context - step.tokens / 2 / step.sequences)
                moved = rows * heads * dim * 2 * BF16 + step.context * context_bytes
                out.append(Launch("attention", moved, 4.0 * heads * dim * pairs, kind="attention"))
            else:
                out.append(Launch("attention", step.sequences * step.context * context_bytes))
            product("out_proj", hidden, heads * dim, False, wide=True)
        else:
            product("in_proj", 3 * hidden, hidden, True, parts=3)
            if not few:
                out.append(Launch("short_conv", rows * 4 * hidden * BF16))
            product("out_proj", hidden, hidden, False, wide=True)
        if layer >= dense_layers:
            experts(config["num_experts"], config["num_experts_per_tok"], config["moe_intermediate_size"])
            continue
        product("w13", 2 * width, hidden, True, parts=2)
        if not few:
            out.append(Launch("silu_mul", rows * 3 * width * BF16))
        product("w2", hidden, width, False, wide=True)
    product("head", vocab, hidden, True, m=step.sequences, wide=True)
    out.append(Launch("sample", step.sequences * vocab * F32))
    out.append(Launch("sample"))
    return out


def seconds_of(gpu: Gpu, launches: list[Launch], launch_share: float = 1.0) -> float:
    total = 0.0
    for launch in launches:
        share = EXPERTS_SHARE if launch.kind == "experts" else MEMORY_SHARE
        memory = launch.bytes / (gpu.read_gb_s * share * 1e9)
        if launch.kind == "stream":
            memory = max(memory, launch.bytes / stream_rate(gpu))
        rate = {"attention": gpu.attention_tflop_s, "experts": gpu.expert_tflop_s}.get(launch.kind, gpu.matrix_tflop_s)
        compute = launch.flops / (rate * 1e12)
        cached = launch.staged / (gpu.l2_gb_s * 1e9)
        total += launch_share * gpu.launch_us * 1e-6 + cached + math.hypot(memory, compute)
    return total


# Counted instructions.

MATRIX_CYCLES = 16  # of a SIMD: 16x16x16 on gfx942, 16x16x32 on gfx950
VECTOR_CYCLES = 4  # of a SIMD: 64 lanes on 16
SHARED_CYCLES = 32  # 64 lanes * 16 bytes at 128 bytes a cycle, which four SIMDs share
LOAD_CYCLES = 64  # the same at 64 bytes a cycle


@dataclass(frozen=True)
class Loop:
    matrix: int
    vector: int
    shared: int
    loads: int  # of 16 bytes
    waves: int  # of a SIMD

    def cycles(self) -> float:
        """Of a SIMD for one turn of one wave, where others fill the other units meanwhile."""
        units = (
            MATRIX_CYCLES * self.matrix,
            VECTOR_CYCLES * self.vector,
            SHARED_CYCLES * self.shared,
            LOAD_CYCLES * self.loads,
        )
        return max(units) if self.waves > 1 else sum(units)

    def matrix_share(self) -> float:
        return MATRIX_CYCLES * self.matrix / self.cycles()


def loop_of(kernel: str, arch: str) -> Loop:
    """From the table in docs/amd.md: "A / B" are gfx942's and gfx950's."""
    which = ("gfx942", "gfx950").index(arch)
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 12 or cells[2] != f"`{kernel}`":
            continue
        values = [int(re.split(" / ", cell)[which if " / " in cell else 0]) for cell in cells[8:12]]
        waves = int(re.split(" / ", cells[7])[which if " / " in cells[7] else 0])
        return Loop(*values, waves)
    raise SystemExit(f"predict: no kernel {kernel} in the table of {DOCUMENT}")


# The kernel with most instructions for what it reads.
STREAM = "stream::stream_product<3, stream::NormedRows, Epilogue>"


def stream_rate(gpu: Gpu) -> float:
    """Bytes a second that the instructions of a product of few rows allow."""
    if not gpu.arch:
        return math.inf
    loop = loop_of(STREAM, gpu.arch)
    return gpu.processors * gpu.clock_ghz * 1e9 * 4 * 64 * 16 * loop.loads / loop.cycles()


def amd(arch: str, processors: int, clock_ghz: float, hbm_gb_s: float) -> Gpu:
    """From peaks: rates and shares as docs/amd.md says."""
    flops_a_cycle = {"gfx942": 2048, "gfx950": 4096}[arch]  # of a compute unit, dense BF16
    peak = processors * clock_ghz * flops_a_cycle / 1e3
    return Gpu(
        arch=arch,
        processors=processors,
        read_gb_s=0.80 * hbm_gb_s,
        matrix_tflop_s=MATRIX_SHARE * loop_of("linear_mfma<128, 64>", arch).matrix_share() * peak,
        attention_tflop_s=MATRIX_SHARE * loop_of("mfma_prefill<BF16, 64>", arch).matrix_share() * peak,
        expert_tflop_s=MATRIX_SHARE * loop_of("gate_and_up_mfma<128, 128, 64>", arch).matrix_share() * peak,
        sorts_rows=False,
        l2_gb_s=processors * clock_ghz * 16,  # 16 bytes a cycle and compute unit of 64
        launch_us=6.0,
        clock_ghz=clock_ghz,
        tile_columns=16,
    )


class _Gpus(dict):
    """Made when asked for: AMD's read the table of kernels."""

    _AMD = {
        "MI300X": ("gfx942", 304, 2.1, 5300),
        "MI325X": ("gfx942", 304, 2.1, 6000),
        "MI350X": ("gfx950", 256, 2.2, 8000),
        "MI355X": ("gfx950", 256, 2.4, 8000),
    }

    def __init__(self):
        super().__init__(
            H200=Gpu(
                arch="",
                processors=132,
                read_gb_s=4450,
                matrix_tflop_s=751,
                attention_tflop_s=159,
                expert_tflop_s=500,
                sorts_rows=True,
                l2_gb_s=5500,
                launch_us=2.9,
            )
        )
        self.update(dict.fromkeys(self._AMD))

    def __getitem__(self, name: str) -> Gpu:
        if super().__getitem__(name) is None:
            self[name] = amd(*self._AMD[name])
        return super().__getitem__(name)


GPUS = _Gpus()
