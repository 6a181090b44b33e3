"""LFM2 in plain PyTorch, with the parameter names of the Hugging Face checkpoint, so that state_dict() is the file."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    vocab_size: int = 1024
    hidden_size: int = 256
    intermediate_size: int = 256
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    rope_theta: float = 1e6
    norm_eps: float = 1e-5
    kernel: int = 3
    pattern: str = "cacaca"  # c: short convolution, a: attention


def config_of(state: dict[str, Tensor]) -> Config:
    """The shape of a checkpoint, read off its weights."""
    layers = 1 + max(int(name.split(".")[2]) for name in state if ".layers." in name)
    pattern = "".join("c" if f"model.layers.{i}.conv.conv.weight" in state else "a" for i in range(layers))
    vocab, hidden = state["model.embed_tokens.weight"].shape
    return Config(vocab_size=vocab, hidden_size=hidden, intermediate_size=state["model.layers.0.feed_forward.w1.weight"].shape[0], pattern=pattern)


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps))).to(x.dtype)


class ShortConv(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        h = cfg.hidden_size
        self.in_proj = nn.Linear(h, 3 * h, bias=False)
        self.conv = nn.Conv1d(h, h, cfg.kernel, groups=h, bias=False)  # holds the weight; run as shifted adds, which is faster
        self.out_proj = nn.Linear(h, h, bias=False)

    def forward(self, x: Tensor, _rope: tuple[Tensor, Tensor]) -> Tensor:
        gate_in, gate_out, z = self.in_proj(x).chunk(3, dim=-1)
        v = gate_in * z
        taps = self.conv.weight[:, 0, :].to(v.dtype)
        k = taps.shape[1]
        padded = F.pad(v, (0, 0, k - 1, 0))
        mixed = sum(padded[:, i:i + v.shape[1]] * taps[:, i] for i in range(k))
        return self.out_proj(gate_out * mixed)


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rope
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Attention(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.dim = cfg.num_attention_heads, cfg.num_key_value_heads, cfg.head_dim
        self.q_proj = nn.Linear(cfg.hidden_size, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(cfg.hidden_size, self.kv_heads * self.dim, bias=False)
        self.v_proj = nn.Linear(cfg.hidden_size, self.kv_heads * self.dim, bias=False)
        self.out_proj = nn.Linear(self.heads * self.dim, cfg.hidden_size, bias=False)
        self.q_layernorm = RMSNorm(self.dim, cfg.norm_eps)
        self.k_layernorm = RMSNorm(self.dim, cfg.norm_eps)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
        b, t, _ = x.shape
        q = rotate(self.q_layernorm(self.q_proj(x).view(b, t, self.heads, self.dim)).transpose(1, 2), rope)
        k = rotate(self.k_layernorm(self.k_proj(x).view(b, t, self.kv_heads, self.dim)).transpose(1, 2), rope)
        v = self.v_proj(x).view(b, t, self.kv_heads, self.dim).transpose(1, 2)
        # query heads that share a KV head stand under each other as rows of one product
        share = self.heads // self.kv_heads
        q = q.to(v.dtype).reshape(b, self.kv_heads, share * t, self.dim)
        scores = (q @ k.to(v.dtype).transpose(-1, -2)).float() * self.dim ** -0.5
        hidden = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1).repeat(share, 1)
        o = scores.masked_fill(hidden, float("-inf")).softmax(-1).to(v.dtype) @ v
        o = o.view(b, self.heads, t, self.dim)
        return self.out_proj(o.transpose(1, 2).reshape(b, t, -1))


class FeedForward(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.w1 = nn.Linear(cfg.hidden_size, cfg.intermediate_size, bias=False)
        self.w3 = nn.Linear(cfg.hidden_size, cfg.intermediate_size, bias=False)
        self.w2 = nn.Linear(cfg.intermediate_size, cfg.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Layer(nn.Module):
    def __init__(self, cfg: Config, kind: str) -> None:
        super().__init__()
        self.operator_norm = RMSNorm(cfg.hidden_size, cfg.norm_eps)
        self.ffn_norm = RMSNorm(cfg.hidden_size, cfg.norm_eps)
        self.feed_forward = FeedForward(cfg)
        self.mixer_name = "conv" if kind == "c" else "self_attn"
        self.add_module(self.mixer_name, ShortConv(cfg) if kind == "c" else Attention(cfg))

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
        x = x + getattr(self, self.mixer_name)(self.operator_norm(x), rope)
        return x + self.feed_forward(self.ffn_norm(x))


class Body(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(cfg.vocab_size, cfg.hidden_size)
        self.layers = nn.ModuleList(Layer(cfg, kind) for kind in cfg.pattern)
        self.embedding_norm = RMSNorm(cfg.hidden_size, cfg.norm_eps)


class Lfm2(nn.Module):
    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        self.model = Body(cfg)
        for name, p in self.named_parameters():
            if p.dim() == 3:
                nn.init.normal_(p, std=0.4)
            elif p.dim() == 2:
                nn.init.normal_(p, std=0.02 if "embed" in name else p.shape[1] ** -0.5)
            if name.endswith(("out_proj.weight", "w2.weight")):
                p.data.mul_(0.3)

    def rope(self, length: int) -> tuple[Tensor, Tensor]:
        half = self.cfg.head_dim // 2
        freq = self.cfg.rope_theta ** (-torch.arange(half, dtype=torch.float32) / half)
        angle = torch.outer(torch.arange(length, dtype=torch.float32), freq)
        angle = torch.cat((angle, angle), -1).to(self.model.embed_tokens.weight.device)
        return angle.cos(), angle.sin()

    def forward(self, ids: Tensor) -> Tensor:
        """Hidden states after the final norm; the caller projects only the positions it needs."""
        rope = self.rope(ids.shape[1])
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, rope)
        return self.model.embedding_norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.model.embed_tokens.weight.to(hidden.dtype))
