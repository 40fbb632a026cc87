"""Axolotl, from the configuration and the rows that `lathe export-config` writes."""

from lathe.trainers._elsewhere import Elsewhere

TRAINER = Elsewhere(
    "axolotl",
    "axolotl>=0.19",
    "0.19 pins transformers 5.16.1, trl 1.9.0 and datasets 4.8.4",
    "../axolotl-env/bin/axolotl train axolotl.yaml",
)
