"""A recipe with a teacher on the command line: planned without being asked, asked within a budget, killed and continued."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lathe.endpoint import AT_ONCE
from lathe.errors import Exit
from local_endpoint import Answer, Server, said

TEXTS = [f"Parcel {number} is {'late' if number % 2 else 'lost'}." for number in range(24)]


def rule(number: int, body: dict[str, Any]) -> Answer:
    return said("late" if "late" in body["messages"][-1]["content"] else "lost")


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server(rule)
    yield started
    started.close()


@pytest.fixture
def recipe(tmp_path: Path, server: Server) -> Path:
    return written(tmp_path, server)


def written(tmp_path: Path, server: Server) -> Path:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"""
name: parcels
base: lathe:nano
task: intent
data: {{source: teacher}}
teacher:
  endpoint: {server.url}
  model: big
  inputs: texts.txt
  max_new_tokens: 10
  price_per_million: {{input: 1000, output: 1000}}
"""
    )
    return path


def test_a_plan_names_the_cost_and_sends_nothing(lathe, recipe: Path, server: Server) -> None:
    done = lathe("plan", str(recipe), "--json")
    assert done.returncode == Exit.DONE, done.stderr
    told = json.loads(done.stdout)
    assert (told["fits"], told["plan"], told["teacher"]["requests"]) == (True, None, len(TEXTS))
    assert 0 < told["teacher"]["cost"]["low"] < told["teacher"]["cost"]["high"]
    shown = lathe("plan", str(recipe), "--set", "teacher.max_cost=0.0001")
    assert shown.returncode == Exit.NO
    assert "DOES NOT FIT" in shown.stdout
    assert "Nothing was sent." in shown.stdout
    assert server.asked == []


def test_preparing_asks_shows_the_bill_and_then_there_is_a_plan(lathe, recipe: Path, server: Server) -> None:
    done = lathe("prepare", str(recipe), OPENAI_API_KEY="the-key-of-a-person")
    assert done.returncode == Exit.DONE, done.stderr
    assert (
        f"24 requests to big at 127.0.0.1:{server.url.rpartition(':')[2].partition('/')[0]} for 24 rows" in done.stderr
    )
    assert "24 answers · 240 tokens · cost 0.24" in done.stderr
    assert set(server.keys) == {"Bearer the-key-of-a-person"}
    assert "the-key-of-a-person" not in done.stdout + done.stderr
    plan = json.loads(lathe("plan", str(recipe), "--json").stdout)
    assert plan["plan"]["schedule"]["num_examples"] > 0
    again = json.loads(lathe("prepare", str(recipe), "--json").stdout)
    assert (again["teacher"]["requests"], again["teacher"]["cost"]) == (24, pytest.approx(0.24))
    assert len(server.asked) == 24


def test_a_spent_budget_is_a_no_with_a_way_on(lathe, recipe: Path, server: Server) -> None:
    done = lathe("prepare", str(recipe), "--set", "teacher.max_cost=0.15", "--json")
    assert done.returncode == Exit.NO
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "OverBudget"
    assert "rows are there" in error["message"]
    assert "Raise teacher.max_cost" in error["hint"]
    sent = len(server.asked)
    assert 0.01 * sent <= 0.15
    assert lathe("prepare", str(recipe)).returncode == Exit.DONE
    assert len(server.asked) == 24


def test_an_endpoint_that_is_not_there_is_unavailable(lathe, recipe: Path, tmp_path: Path) -> None:
    """Asked in vain once, with the pauses between the tries left out."""
    quick = "import lathe.endpoint\nlathe.endpoint.LONGEST_PAUSE = 0.01"
    done = lathe("prepare", str(recipe), "--set", "teacher.endpoint=http://127.0.0.1:9/v1", before=quick)
    assert done.returncode == Exit.UNAVAILABLE
    assert "http://127.0.0.1:9/v1 does not answer" in done.stderr


def test_a_killed_run_pays_again_for_no_more_than_was_under_way(lathe, tmp_path: Path) -> None:
    """The server answers eight requests and holds back the others until the process is dead."""
    dead = threading.Event()

    def hesitant(number: int, body: dict[str, Any]) -> Answer:
        if number > 8:
            dead.wait(60)
        return rule(number, body)

    server = Server(hesitant)
    try:
        recipe = written(tmp_path, server)
        words = [sys.executable, "-m", "lathe.cli.main", "prepare", str(recipe)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
        child = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
        while len(server.asked) < 8 + AT_ONCE and child.poll() is None:
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        dead.set()
        (kept,) = tmp_path.glob("runs/*/data/answers.jsonl")
        answered = [json.loads(line)["messages"][-1]["content"] for line in kept.read_text().split("\n")[:-1]]
        done = lathe("prepare", str(recipe))
        assert done.returncode == Exit.DONE, done.stderr
        asked = Counter(body["messages"][-1]["content"] for body in server.asked)
    finally:
        server.close()
    assert len(answered) == 8
    assert {asked[text] for text in answered} == {1}
    assert len(asked) == len(TEXTS)
    assert sum(asked.values()) <= len(TEXTS) + AT_ONCE
    rows = [json.loads(line) for line in kept.with_name("taught.jsonl").read_text().split("\n")[:-1]]
    assert [row["input"] for row in rows] == TEXTS
