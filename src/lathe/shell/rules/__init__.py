"""What programs do: one module for each kind of thing that they do it to. Importing this fills the tables of `lathe.shell.calls`."""

from lathe.shell.rules import (
    accounts,
    cloud,
    disks,
    files,
    finding,
    git,
    interpreters,
    launchers,
    network,
    outputs,
    packages,
    system,
)

__all__ = (
    "accounts",
    "cloud",
    "disks",
    "files",
    "finding",
    "git",
    "interpreters",
    "launchers",
    "network",
    "outputs",
    "packages",
    "system",
)
