"""What is measured of an arm beyond its score, on demand: a sandbox, probabilities, prompts for harm or a judge are needed.

    execute       commands are run beside the right ones, in a sandbox
    labels        every label is scored after each prompt: accuracy, top 3, calibration
    adversarial   requests for harm are put to the model, and the answers are judged
    judge         a bigger model behind an endpoint compares answers of free text with the base's and with the reference

A probe writes eval/ARM/report.PROBE.json and touches no other report, so no verdict changes by it.
"""

from lathe.evaluate.probes.measured import Files, Judge
from lathe.evaluate.probes.stage import NAMES, PROBES, probe

__all__ = ["NAMES", "PROBES", "Files", "Judge", "probe"]
