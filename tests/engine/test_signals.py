"""Signals: the first is noted, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from lathe.engine.signals import stop_requested

ROOT = Path(__file__).parents[2]
CHILD = """
import sys, time
from lathe.engine.signals import stop_requested
with stop_requested() as asked:
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
        if asked() and len(sys.argv) == 1:
            print(asked(), flush=True)
            sys.exit(75)
        if asked():
            print(asked(), flush=True)
            sys.argv.append("told")
"""


def child(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_waits_for_a_safe_point(number: signal.Signals) -> None:
    process = child()
    process.send_signal(number)
    assert process.communicate(timeout=20)[0] == f"{number.name}\n"
    assert process.returncode == 75


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_the_process_at_once(number: signal.Signals, code: int) -> None:
    process = child("never stops")
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{number.name}\n"
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == code


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_requested() as asked:
        assert signal.getsignal(signal.SIGTERM) != before
        assert asked() is None
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_the_main_thread_nothing_is_heeded_and_nothing_fails() -> None:
    seen: list[object] = []

    def work() -> None:
        with stop_requested() as asked:
            seen.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]


ECHO = """
import time
time.sleep(0.3)  # what a process beside loads before it comes to its work

def echo(line):
    while True:
        line.send(line.recv())
"""
BESIDE = """
import os, signal
from echoing import echo
from lathe.engine.signals import stop_requested
from lathe.processes import beside

print("begun", flush=True)
with stop_requested() as asked, beside(echo) as line:
    os.killpg(0, signal.{name})
    line.send("still here")
    print(line.recv(), asked(), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_leaves_the_process_beside_at_its_work(
    number: signal.Signals, tmp_path: Path
) -> None:
    """And does not run the script once more, though nothing in it asks whether it is the main one."""
    (tmp_path / "echoing.py").write_text(ECHO)
    script = tmp_path / "script.py"
    script.write_text(BESIDE.format(name=number.name))
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"begun\nstill here {number.name}\n"), done.stderr


OF_ITSELF = """
from lathe.processes import beside

def echo(line):
    line.send(line.recv())

if __name__ == "__main__":
    with beside(echo) as line:
        line.send("heard")
        print(line.recv(), flush=True)
"""


def test_a_module_that_is_run_by_its_name_may_have_its_own_functions_beside_it(tmp_path: Path) -> None:
    """As the probe of `lathe doctor` is."""
    (tmp_path / "of_itself.py").write_text(OF_ITSELF)
    done = subprocess.run(
        [sys.executable, "-m", "of_itself"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{tmp_path}"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


SHADOWED = """
import os, sys
sys.path.pop(0)  # the script's own folder, which holds a file that is called like a package
from echoing import echo
from lathe.processes import beside, load_ahead

load_ahead("echoing")
os.environ["SAID"] = "now"
with beside(echo) as line:
    line.send(None)
    print(line.recv(), flush=True)
"""
SAYING = """
import os, sys
import yaml

def echo(line):
    line.recv()
    begun = "copied" if "forkserver" in " ".join(sys.orig_argv) else "loaded anew"
    told = os.environ["SAID"], os.getcwd(), os.environ.get("PYTHONSAFEPATH"), hasattr(yaml, "safe_load")
    line.send((begun, *told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
@pytest.mark.parametrize("begun", ["copied", "loaded anew"])
def test_a_process_beside_has_the_environment_and_folder_of_this_one_and_no_module_from_there(
    begun: str, tmp_path: Path
) -> None:
    """Also where the temporary folder's name is too long for the socket at which copies are asked for."""
    here, modules, too_long = (tmp_path / name for name in ("here", "modules", "t" * 100))
    for made in (here, modules, too_long):
        made.mkdir()
    folder = tempfile.gettempdir() if begun == "copied" else str(too_long)
    (here / "yaml.py").write_text("raise SystemExit('a file of the current folder was loaded')")
    (here / "script.py").write_text(SHADOWED)
    (modules / "echoing.py").write_text(SAYING)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        cwd=here,
        env={**environment, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{modules}", "TMPDIR": folder, "SAID": "before"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"('{begun}', 'now', '{here}', None, True)\n"), done.stderr
