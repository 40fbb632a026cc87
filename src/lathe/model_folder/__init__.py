"""May this model folder be opened? Nothing in it is executed, and nothing is allocated, before the answer is yes.

    check_model(Path("smollm-135m"))     -> its config.json as a dictionary
    check_model(Path("with-pickle"))     -> Refused: with-pickle/pytorch_model.bin is a pickle ...

Loaded are *.safetensors, JSON and tokenizer files only. What could run code is refused by its name and by its content
(`executable`), the numbers of config.json are held against bounds (`configuration`), and the headers of the weights are read as
strictly as a stranger's file deserves (`weights`). Reads the heads of files, never the weights. Needs no torch.
"""

from lathe.model_folder.check import check_adapter, check_base, check_model, is_full_model
from lathe.model_folder.locked import refuse_another
from lathe.model_folder.weights import StoredTensor, has_own_head, stored_tensors

__all__ = [
    "StoredTensor",
    "check_adapter",
    "check_base",
    "check_model",
    "has_own_head",
    "is_full_model",
    "refuse_another",
    "stored_tensors",
]
