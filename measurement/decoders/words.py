"""Text to token ids and back, by the tokenizer that lies in a decoder's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmos_opt.errors import THEIR_ERRORS, InputError, first_line

_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")


class Words:
    """The tokenizer of a folder. InputError if it holds none, or none that can be read; nothing is downloaded, and no code of
    the folder is run."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        if not any(Path(folder, name).is_file() for name in _FILES):
            raise InputError("--prompt", f"{folder} holds no tokenizer, such as tokenizer.json; give --prompt-ids")
        from transformers import AutoTokenizer

        try:
            self._own: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except THEIR_ERRORS as error:
            raise InputError("--prompt", f"the tokenizer in {folder} cannot be read: {first_line(error)}") from None

    def ids(self, text: str) -> list[int]:
        """The ids of a text, with those that the tokenizer puts before it. InputError for a text of none."""
        found = [int(one) for one in self._own(text)["input_ids"]]
        if not found:
            raise InputError("--prompt", f"{text!r:.60} has no tokens in {self._folder}")
        return found

    def text(self, ids: Sequence[int]) -> str:
        """What ids say."""
        return str(self._own.decode([*ids]))
