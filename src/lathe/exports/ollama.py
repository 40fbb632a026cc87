"""A folder for Ollama: the GGUF file (Q8_0) and a Modelfile with its template, end tokens and greedy decoding.

Ollama renders with Go templates, not with the Jinja of the base. The Go template is derived from what the base's own writes for
some probes (`engine.gguf.go_template`), and only written where it gives the same prompts. Where the program `ollama` is found, the
model is created in it; nothing is pushed anywhere.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lathe.contracts import Ability, Exporter, Model
from lathe.exports._gguf import Gguf, measured
from lathe.records import Example, ModelCheck, ShippedFile
from lathe.storage import hashed_files

MODEL_NAME = "lathe-tuned"
CREATE_SECONDS = 600


class Ollama(Exporter):
    def __init__(self) -> None:
        self._gguf = Gguf("Q8_0")

    def ability(self) -> Ability:
        return self._gguf.ability()

    def foresee(self, base_folder: Path) -> None:
        """Raises InputError as the GGUF file does, and where the base's template cannot be told as a Go template."""
        from lathe.engine.gguf import go_template
        from lathe.text import tokenizer

        self._gguf.foresee(base_folder)
        go_template.derive(tokenizer.load(base_folder))

    def export(self, model: Model, folder: Path, examples: Sequence[Example] = ()) -> ShippedFile:
        """Writes the file and its Modelfile. Raises InputError where the base's template cannot be told as a Go template."""
        from lathe.engine.gguf import go_template
        from lathe.text import tokenizer

        tok = tokenizer.load(model.base_folder)
        template = go_template.derive(tok)
        path = folder / "model-q8_0.gguf"
        self._gguf.write(model, path)
        (folder / "Modelfile").write_text(go_template.modelfile(path.name, template, tok), encoding="utf-8")
        found = (*self._gguf.check(model, path, examples), _created(folder))
        return ShippedFile(
            kind="ollama",
            path=folder.name,
            files=hashed_files(folder),
            checks=measured(found),
            checked=found,
            gguf=path.name,
        )


def _created(folder: Path) -> ModelCheck:
    """`ollama create`, where there is an ollama."""
    program = shutil.which("ollama")
    if program is None:
        return ModelCheck(
            id="ollama_create", ok=None, message="ollama is not installed here, so the Modelfile has not run in it"
        )
    command = [program, "create", MODEL_NAME, "-f", "Modelfile"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=CREATE_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return ModelCheck(
            id="ollama_create", ok=False, message=f"ollama create did not run: {error}", fix="Start ollama serve."
        )
    if done.returncode == 0:
        return ModelCheck(id="ollama_create", ok=True, message=f"ollama took it as {MODEL_NAME}")
    said = (done.stderr or done.stdout).strip().split("\n")[-1][:200]
    return ModelCheck(
        id="ollama_create",
        ok=False,
        message=f"ollama create refused it: {said}",
        fix="Start ollama serve and ship again.",
    )


EXPORTER = Ollama()
