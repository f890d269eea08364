"""Folders of small decoders: a configuration for each kind that is known, and no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_USUAL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48,
    "vocab_size": 97, "max_position_embeddings": 600, "bos_token_id": 1, "eos_token_id": None,
    "initializer_range": 0.6,
}  # fmt: skip
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 32, "n_layer": 3, "n_head": 4, "vocab_size": 97,
             "n_positions": 600, "bos_token_id": 1, "eos_token_id": None, "initializer_range": 0.6},
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **_USUAL},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **_USUAL, "tie_word_embeddings": True},
    "mistral": {"architectures": ["MistralForCausalLM"], "model_type": "mistral", **_USUAL, "sliding_window": 16},
}  # fmt: skip
"""Of three blocks; Mistral's look back 16 tokens."""


def folder(place: Path, kind: str, **changes: Any) -> Path:
    """The folder of such a decoder, written here."""
    found = place / kind
    found.mkdir(exist_ok=True, parents=True)
    (found / "config.json").write_text(json.dumps(CONFIGURATIONS[kind] | changes))
    return found
