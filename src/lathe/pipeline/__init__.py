"""A run from recipe to report, and what people do with it: the one room that knows all stages.

    Run.start("demo").go()          one method a stage (chain.py); each is skipped where its record stands (stages.py)

Which folder, and the recipe locked: opening.py. What a stage does, and what it is handed of others: work.py. What is measured
beside the chain: on_demand.py. Runs side by side: comparing.py.
"""

from lathe.pipeline.chain import Run, demo, load, run
from lathe.pipeline.comparing import compare

__all__ = ["Run", "compare", "demo", "load", "run"]
