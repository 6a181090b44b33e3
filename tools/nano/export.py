"""Writes the small files of the checkpoint beside the weights: config.json and generation_config.json."""
from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors.torch import load_file

from model import Config, config_of

KINDS = {"c": "conv", "a": "full_attention"}


def config(cfg: Config) -> dict[str, object]:
    h = cfg.hidden_size
    return {
        "architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2",
        "vocab_size": cfg.vocab_size, "hidden_size": h, "intermediate_size": cfg.intermediate_size,
        "num_hidden_layers": len(cfg.pattern), "num_attention_heads": cfg.num_attention_heads, "num_key_value_heads": cfg.num_key_value_heads,
        "layer_types": [KINDS[kind] for kind in cfg.pattern],
        "block_auto_adjust_ff_dim": False, "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 256, "block_ff_dim": cfg.intermediate_size,
        "block_dim": h, "conv_dim": h, "conv_L_cache": cfg.kernel, "conv_bias": False,
        "norm_eps": cfg.norm_eps, "max_position_embeddings": 1024, "rope_parameters": {"rope_theta": cfg.rope_theta, "rope_type": "default"},
        "initializer_range": 0.02, "tie_embedding": True, "tie_word_embeddings": True, "use_cache": True, "use_pos_enc": True,
        "bos_token_id": 1, "eos_token_id": 7, "pad_token_id": 0, "dtype": "bfloat16",
    }


# no repetition penalty: digits and letters have to repeat
GENERATION = {"bos_token_id": 1, "eos_token_id": 7, "pad_token_id": 0, "do_sample": True, "temperature": 0.3, "top_k": 50, "top_p": 0.95,
              "max_new_tokens": 320}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("folder", type=Path)
    folder = ap.parse_args().folder
    for name, content in (("config.json", config(config_of(load_file(folder / "model.safetensors")))), ("generation_config.json", GENERATION)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
