"""Where a task writes answers for other tools, they lie beside the report of every arm."""

from __future__ import annotations

from pathlib import Path

import networkx
import pytest

from lathe.evaluate import evaluate
from lathe.pipeline import Run
from lathe.runs import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    started = Run.start(
        "edge-graph", ("data.rows=150", "data.split.validation=0.2"), root=tmp_path_factory.mktemp("runs")
    )
    started.go(until="prepare")
    return started


def files(folder: RunFolder) -> set[str]:
    return {path.name for path in (folder.path / "eval" / "rule").iterdir()}


def test_graphs_are_written_and_read_back_by_networkx(run: Run) -> None:
    evaluate(run.folder, run.locked, "rule", "test", "inputs", lambda _: None)
    assert files(run.folder) == {"predictions.jsonl", "report.json", "graph.graphml", "graph.cypher"}
    graph = networkx.read_graphml(run.folder.answers("graph.graphml", "rule"))
    kinds = networkx.get_node_attributes(graph, "kind")
    assert "entity" in kinds.values()
    assert all(kinds[fact] != "entity" and kinds[member] == "entity" for fact, member in graph.edges)
    script = run.folder.answers("graph.cypher", "rule").read_text()
    assert script.count("MERGE (n:Lathe:") == len(graph)


def test_the_two_sides_do_not_overwrite_each_other(run: Run) -> None:
    evaluate(run.folder, run.locked, "rule", "validation", "inputs", lambda _: None)
    assert {"graph.validation.graphml", "graph.validation.cypher"} <= files(run.folder)


def test_a_file_of_answers_has_the_name_that_the_task_gives_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.answers("graph.graphml", "tuned") == tmp_path / "eval" / "tuned" / "graph.graphml"
    assert folder.answers("graph.graphml", "tuned", "validation").name == "graph.validation.graphml"
