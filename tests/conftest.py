"""What every folder of tests shares: the settings of property tests, and a tiny model for those that need one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from lathe.processes import STOP_SIGNALS, heeded_signals

# Property tests draw the same cases each time and never look at the clock.
settings.register_profile("lathe", deadline=None, derandomize=True)
settings.load_profile("lathe")

# Tests of stopping hold where the tests themselves were started to ignore such signals: under nohup, or behind `&` in a script.
for number in set(STOP_SIGNALS) - set(heeded_signals()):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer model folder; see tiny_base.py."""
    from tiny_base import write_base

    return write_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch on one thread, as results to the last bit need it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of the tests' own, for child processes too."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder
