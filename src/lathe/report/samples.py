"""What chance does to a score, in words: answers drawn again, and training begun with another seed.

over_samples(report, "json_exact")
->  "5 answers to each item at temperature 0.7: json_exact 0.38 to 0.42 (standard deviation 0.02); right in any of them 0.61
     [0.54, 0.67], in all 0.21 [0.16, 0.27]"
over_seeds(spread, "json_exact")
->  "3 seeds of training (runs/A, runs/B, runs/C): json_exact 0.50 on average, 0.40 to 0.60, standard deviation 0.10"
"""

from __future__ import annotations

from lathe.records import EvalReport, SeedSpread
from lathe.report import figures

ONE_SEED = "one seed of training; what another would give is not known"


def drawn(report: EvalReport) -> str:
    """`5 answers to each item at temperature 0.7`; empty where the likeliest answer was taken."""
    if not report.temperature:
        return ""
    each = figures.counted(report.samples, "answer")
    return f"{each} to each item at temperature {report.temperature:g}"


def over_samples(report: EvalReport, metric: str) -> str:
    """How the answers to one item differ in a metric; of one answer only how it was drawn. Empty where none was drawn."""
    spread = next((one for one in report.spread if one.metric == metric), None)
    if spread is None or spread.standard_deviation is None:
        return drawn(report)
    known = [value for value in spread.values if value is not None]
    said = f"{drawn(report)}: {metric} {figures.score(min(known))} to {figures.score(max(known))}"
    said += f" (standard deviation {figures.score(spread.standard_deviation)})"
    if spread.in_any is None or spread.in_all is None:
        return said
    return f"{said}; right in any of them {figures.estimated(spread.in_any)}, in all {figures.estimated(spread.in_all)}"


def over_seeds(spread: SeedSpread, metric: str) -> str:
    """How runs of one recipe differ by their seed of training."""
    names = ", ".join(spread.names)
    if spread.standard_deviation is None:
        return f"{names}: {ONE_SEED}"
    return (
        f"{len(spread.names)} seeds of training ({names}): {metric} {figures.score(spread.mean)} on average, "
        f"{figures.score(spread.low)} to {figures.score(spread.high)}, standard deviation "
        f"{figures.score(spread.standard_deviation)}"
    )
