"""The tuned model as one GGUF file for llama.cpp, Ollama and LM Studio, held against the trained model before it is let out.

The adapter is merged into the base in float32; the sum is rounded or quantised once. Every format is a leaf of its own, so that a
recipe says `ship: [gguf_q8_0, gguf_q4_k_m]`. Blocks of the K formats are written by llama.cpp's own code (`engine.gguf.kernel`).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lathe import hub
from lathe.contracts import Ability, Exporter, Model
from lathe.records import Example, ModelCheck, ShippedFile
from lathe.storage import hashed_files

if TYPE_CHECKING:
    from lathe.engine.gguf.storage import Format

PACKAGES = ("torch", "transformers", "peft", "gguf", "xllamacpp")


class Gguf(Exporter):
    """Writes one format, then checks the file through llama.cpp."""

    def __init__(self, format: Format) -> None:
        self._format: Format = format

    @property
    def kind(self) -> str:
        """The name that a recipe gives it."""
        return f"gguf_{self._format.lower()}"

    def ability(self) -> Ability:
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            return Ability(False, f"not installed: {', '.join(missing)}", "pip install 'lathe-slm[train,gguf]'")
        if "_K" in self._format:
            from lathe.engine.gguf import kernel

            if said := kernel.problem():
                return Ability(False, said, kernel.HINT)
        return Ability(True, f"installed: {', '.join(PACKAGES)}")

    def foresee(self, base_folder: Path) -> None:
        """Raises InputError where llama.cpp has no such architecture or tokenizer, and where no row fits the format's blocks."""
        from lathe.engine.gguf import families, storage, vocabulary
        from lathe.engine.model import read_config
        from lathe.model_folder import stored_tensors
        from lathe.text import tokenizer

        config = read_config(base_folder)
        families.of(config)
        matrices = (one for one in stored_tensors(base_folder).values() if len(one.shape) > 1)
        storage.refuse_narrow(self._format, {one.shape[-1] for one in matrices})
        vocabulary.read(tokenizer.load(base_folder), config.vocab_size)

    def export(self, model: Model, folder: Path, examples: Sequence[Example] = ()) -> ShippedFile:
        """Writes one file. Raises InputError where llama.cpp has no such architecture or tokenizer."""
        path = folder / f"model-{self._format.lower()}.gguf"
        self.write(model, path)
        found = self.check(model, path, examples)
        return ShippedFile(
            kind=self.kind,
            path=folder.name,
            files=hashed_files(folder),
            checks=measured(found),
            checked=found,
            gguf=path.name,
        )

    def write(self, model: Model, path: Path) -> None:
        """The file alone, unchecked."""
        from lathe.engine.gguf.write import write
        from lathe.engine.model import load_merged
        from lathe.text import tokenizer

        write(
            load_merged(model),
            tokenizer.load(model.base_folder),
            path,
            self._format,
            f"{hub.model_of(model.base_folder) or model.base_folder.name} tuned",
        )

    def check(self, model: Model, path: Path, examples: Sequence[Example]) -> tuple[ModelCheck, ...]:
        """What llama.cpp makes of the file, against the trained model, merged."""
        from lathe.engine.fidelity.adapter_folder import check_other_base
        from lathe.engine.fidelity.gguf_file import check_gguf_file

        return (*check_gguf_file(model, path, examples, self._format), *check_other_base(model))


def measured(checks: Sequence[ModelCheck]) -> dict[str, object]:
    """All numbers of some checks, one flat mapping, for tables."""
    return {name: value for check in checks for name, value in check.numbers().items()}
