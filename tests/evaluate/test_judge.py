"""A judge behind an endpoint: pairs read in both orders, ties, agreement with itself, what it costs, and nothing paid for twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lathe import endpoint as endpoints
from lathe import plugins
from lathe.cli.main import main
from lathe.contracts import Endpoint
from lathe.errors import InputError, OverBudget, Unavailable
from lathe.evaluate.probes import Judge, probe
from lathe.evaluate.probes.comparing import METRICS, judged, verdict
from lathe.pipeline import Run
from lathe.records import (
    EvalReport,
    LockedRecipe,
    Manifest,
    Prediction,
    RunRecord,
    Score,
    Side,
    SideCount,
    TaskSetup,
    digest,
)
from lathe.records.paid import Prices
from lathe.runs import RunFolder
from lathe.storage import commit_rows
from local_endpoint import Answer, Server, said
from tiny_run import locked, quiet

Rule = Callable[[int, dict[str, Any]], Answer]
QUESTIONS = [
    "sort a list",
    "read a file",
    "join two texts",
    "count words",
    "wait a second",
    "open a page",
    "add numbers",
]
REFERENCES = [f"To {question}, call the function for it." for question in QUESTIONS]
TUNED = [f"To {question}, call it." for question in QUESTIONS]
BASES = ["no idea", *("perhaps" for _ in QUESTIONS[1:])]
PRICES = Prices(input=1000.0, output=1000.0)
"""A server's 7 tokens read and 3 written cost 0.01."""
NAMES = [metric.name for metric in METRICS]


def measured_run(
    folder: Path, tuned: Sequence[str] = TUNED, base: Sequence[str] = BASES
) -> tuple[RunFolder, LockedRecipe]:
    """A run of the chat task whose base and tuned model have answered all test rows, as far as a judge looks at it."""
    run, task, fixed = RunFolder(folder), plugins.load("tasks", "chat"), locked(folder.parent)
    fixed = fixed.model_copy(update={"recipe": fixed.recipe.model_copy(update={"task": "chat"})})
    rows = [
        {"id": question, "input": f"How do I {question}?", "target": reference}
        for question, reference in zip(QUESTIONS, REFERENCES, strict=True)
    ]
    examples = [task.example(row, TaskSetup()) for row in rows]
    sides: dict[Side, SideCount] = {
        side: SideCount(rows=len(rows), sha256=commit_rows(run.rows(side), examples))
        for side in ("train", "validation", "test")
    }
    run.commit(run.setup, TaskSetup())
    run.commit(run.manifest, Manifest(inputs="data", sources=(), sides=sides))
    run.commit(run.run_record, RunRecord(id=folder.name, name="toy", created="now", lathe_version="0"))
    run.commit(run.lock_record, fixed)
    for arm, texts in (("tuned", tuned), ("base-zero", base)):
        answers = [Prediction(id=one.id, text=text, finish="stop") for one, text in zip(examples, texts, strict=True)]
        commit_rows(run.predictions(arm), answers)
        report = EvalReport(
            inputs=Run(run, fixed).hashes[arm], arm=arm, test_hash=sides["test"].sha256, prompt_hash=digest("prompts"),
            scorer="chat@1", n=len(rows), scores=(), max_new_tokens=20,
        )  # fmt: skip
        run.commit(run.eval_report(arm), report)
    return run, fixed


def shown(body: dict[str, Any]) -> tuple[str, str]:
    """The two answers of a request, as the judge reads them."""
    content = body["messages"][-1]["content"]
    first, second = (
        re.search(f"<{place}_answer>\n(.*?)\n</{place}_answer>", content, re.DOTALL) for place in ("first", "second")
    )
    assert first is not None
    assert second is not None
    return first[1], second[1]


def saying(better: str) -> Answer:
    return said(json.dumps({"reason": "it is", "better": better}))


def longer(_: int, body: dict[str, Any]) -> Answer:
    """A judge that agrees with itself: the longer answer is better."""
    first, second = (len(text) for text in shown(body))
    return saying("neither" if first == second else "first" if first > second else "second")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Rule], Server]]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(endpoints, "LONGEST_PAUSE", 0.01)
    servers: list[Server] = []

    def start(rule: Rule) -> Server:
        servers.append(Server(rule))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def score(report: EvalReport, metric: str) -> Score:
    found = report.score(metric)
    assert found is not None
    return found


def judge_of(server: Server, **budget: Any) -> Judge:
    return Judge(Endpoint(server.url, "big"), **budget)


# ------------------------------------------------------------------------------------------ what verdicts say


@pytest.mark.parametrize(
    ("answer_first", "answer_second", "values"),
    [
        ("first", "second", (1.0, 0.0, 1.0, 0.0)),
        ("second", "first", (0.0, 0.0, 1.0, 0.0)),
        ("neither", "neither", (0.5, 1.0, 1.0, 0.0)),
        ("first", "first", (0.5, 0.0, 0.0, 1.0)),
        ("second", "second", (0.5, 0.0, 0.0, -1.0)),
        ("first", "neither", (0.75, 0.0, 0.0, 0.5)),
        ("neither", "first", (0.25, 0.0, 0.0, 0.5)),
    ],
)
def test_two_verdicts_make_one_and_tell_a_preference_for_a_place(
    answer_first: Any, answer_second: Any, values: tuple[float, ...]
) -> None:
    assert tuple(judged(answer_first, answer_second, "base").values()) == values


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ('{"reason": "clear", "better": "first"}', "first"),
        ('<think>{"better": "first"}</think>\n```json\n{"better": "neither"}\n```', "neither"),
        ('{"better": "both"}', None),
        ('{"better": ["first"]}', None),
        ('["first"]', None),
        ("The first one.", None),
        ('{"better": "first"', None),
        ("", None),
    ],
)
def test_a_verdict_is_read_or_there_is_none(text: str, better: str | None) -> None:
    assert verdict(text) == better


# ------------------------------------------------------------------------------------------ asking


def test_each_pair_is_read_in_both_orders_against_the_base_and_against_the_reference(
    tmp_path: Path, serve: Callable[[Rule], Server]
) -> None:
    server = serve(longer)
    run, fixed = measured_run(tmp_path / "run")
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server))
    pairs = [shown(body) for body in server.asked]
    assert sorted(pairs) == sorted((second, first) for first, second in pairs)
    assert len(pairs) == 2 * 2 * len(QUESTIONS)
    over, against = score(report, "judge_over_base"), score(report, "judge_over_reference")
    assert (over.value, over.n, against.value) == (1.0, len(QUESTIONS), 0.0)
    agrees = score(report, "judge_agrees_base")
    assert (agrees.value, agrees.high, agrees.method) == (1.0, 1.0, "wilson")
    assert agrees.low == pytest.approx(0.646, abs=1e-3)
    assert score(report, "judge_first_base").value == 0.0
    assert [finding.id for finding in report.findings] == ["judge_base", "judge_reference"]
    assert report.findings[0].message.startswith(
        "the judge finds the answer better than the base's answer: 1.00 [0.59, 1.00]"
    )
    assert report.findings[1].message.startswith(
        "the judge finds the answer worse than the reference: 0.00 [0.00, 0.41]"
    )
    assert {body["temperature"] for body in server.asked} == {0.0}
    assert "user: How do I sort a list?" in server.asked[0]["messages"][0]["content"]


def test_a_judge_that_prefers_a_place_decides_nothing_and_is_named(
    tmp_path: Path, serve: Callable[[Rule], Server]
) -> None:
    server = serve(lambda number, body: saying("first"))
    run, fixed = measured_run(tmp_path / "run")
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server))
    assert score(report, "judge_over_base").value == 0.5
    assert score(report, "judge_agrees_base").value == 0.0
    assert score(report, "judge_first_base").value == 1.0
    told = {finding.id: finding.message for finding in report.findings}
    assert "neither better nor worse, surely, than the base's" in told["judge_base"]
    assert told["judge_bias_base"].startswith(
        "beside the base's answer the judge prefers what it reads first: it chose the first 1.00 [0.59, 1.00]"
    )


def test_a_few_pairs_that_all_go_one_way_prove_nothing(tmp_path: Path, serve: Callable[[Rule], Server]) -> None:
    """Three pairs differ; four are the same words."""
    run, fixed = measured_run(tmp_path / "run", base=[*BASES[:3], *TUNED[3:]])
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(serve(longer)))
    over = score(report, "judge_over_base")
    assert over.value == pytest.approx((3 + 4 / 2) / 7)
    assert "neither better nor worse, surely," in report.findings[0].message


def test_the_same_words_are_a_tie_that_nobody_is_asked_about(tmp_path: Path, serve: Callable[[Rule], Server]) -> None:
    server = serve(longer)
    run, fixed = measured_run(tmp_path / "run", tuned=[*REFERENCES[:6], BASES[6]])
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server))
    ties, agrees = score(report, "judge_ties_reference"), score(report, "judge_agrees_reference")
    assert (ties.n, round((ties.value or 0) * 7)) == (7, 6)
    assert (agrees.n, agrees.not_measured) == (1, 6), "nothing is known of the judge where it was not asked"
    assert len(server.asked) == 2 * (6 + 1)


def test_the_base_itself_is_held_against_the_reference_alone(tmp_path: Path, serve: Callable[[Rule], Server]) -> None:
    run, fixed = measured_run(tmp_path / "run")
    report = probe(run, fixed, "judge", "base-zero", quiet, judging=judge_of(serve(longer)))
    assert score(report, "judge_over_base").value is None
    assert score(report, "judge_over_reference").value == 0.0


def test_what_cannot_be_read_is_not_measured_and_counted(tmp_path: Path, serve: Callable[[Rule], Server]) -> None:
    """One answer says nothing of the two, one is cut at the limit."""

    def rule(number: int, body: dict[str, Any]) -> Answer:
        content = body["messages"][-1]["content"]
        if "sort a list?" in content:
            return said("I would rather not say.")
        return said('{"better": "first"}', "length") if "read a file?" in content else longer(number, body)

    run, fixed = measured_run(tmp_path / "run")
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(serve(rule)))
    over = score(report, "judge_over_base")
    assert (over.n, over.not_measured) == (5, 2)
    unread = next(finding for finding in report.findings if finding.id == "judge_unread")
    assert unread.message == "of 4 of 14 pairs no verdict can be read: they are not measured"


def test_a_judge_that_answers_under_another_models_name_is_warned_of(
    tmp_path: Path, serve: Callable[[Rule], Server]
) -> None:
    run, fixed = measured_run(tmp_path / "run")
    server = serve(lambda number, body: (200, longer(number, body)[1] | {"model": "small"}))
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server))
    assert any(
        one.id == "other_model" and "asked for big, the endpoint answered as small" in one.message
        for one in report.findings
    )


def test_a_request_that_is_not_taken_leaves_its_pair_unmeasured(
    tmp_path: Path, serve: Callable[[Rule], Server]
) -> None:
    def rule(number: int, body: dict[str, Any]) -> Answer:
        if "sort a list?" in body["messages"][-1]["content"]:
            return 400, {"error": {"message": "filtered"}}
        return longer(number, body)

    run, fixed = measured_run(tmp_path / "run")
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(serve(rule)))
    assert score(report, "judge_over_base").not_measured == 1
    assert score(report, "judge_requests").value == 2 * 2 * 6


# ------------------------------------------------------------------------------------------ paid once


def test_a_stopped_call_goes_on_where_it_was_and_comes_to_the_same_report(
    tmp_path: Path, serve: Callable[[Rule], Server]
) -> None:
    refusing = True

    def rule(number: int, body: dict[str, Any]) -> Answer:
        return (401, {"error": {"message": "expired"}}) if refusing and number > 9 else longer(number, body)

    server = serve(rule)
    run, fixed = measured_run(tmp_path / "run")
    with pytest.raises(Unavailable, match="expired"):
        probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server))
    kept = run.verdicts.read_text().count("\n")
    refusing, before = False, len(server.asked)
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server))
    assert 6 <= kept <= 9
    # A set: a request of the first call may still arrive that never got an answer.
    assert len({body["messages"][-1]["content"] for body in server.asked[before:]}) == 28 - kept
    before = len(server.asked)
    again = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server))
    assert (again.scores, again.items, len(server.asked)) == (report.scores, report.items, before)


def test_the_bill_counts_tokens_and_money_and_a_budget_is_never_exceeded(
    tmp_path: Path, serve: Callable[[Rule], Server]
) -> None:
    server = serve(longer)
    run, fixed = measured_run(tmp_path / "run")
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(server, prices=PRICES))
    numbers = {
        name: score(report, f"judge_{name}").value for name in ("requests", "prompt_tokens", "new_tokens", "cost")
    }
    assert numbers == {"requests": 28, "prompt_tokens": 28 * 7, "new_tokens": 28 * 3, "cost": pytest.approx(0.28)}

    before = len(server.asked)
    with pytest.raises(
        OverBudget, match=r"0 of 14 verdicts on base-zero are there, and 0\.3 allows no more"
    ) as stopped:
        probe(run, fixed, "judge", "base-zero", quiet, judging=judge_of(server, prices=PRICES, max_cost=0.3))
    assert "every verdict is kept" in str(stopped.value.hint)
    assert len(server.asked) == before, "the verdicts on the other arm have spent it"
    probe(run, fixed, "judge", "base-zero", quiet, judging=judge_of(server, prices=PRICES, max_cost=30.0))
    assert len(server.asked) == before + 14


def test_without_prices_no_cost_is_made_up(tmp_path: Path, serve: Callable[[Rule], Server]) -> None:
    run, fixed = measured_run(tmp_path / "run")
    report = probe(run, fixed, "judge", "tuned", quiet, judging=judge_of(serve(longer)))
    assert (score(report, "judge_cost").value, score(report, "judge_cost").n) == (None, 0)


def test_the_key_goes_into_one_header_and_into_no_file(
    tmp_path: Path, serve: Callable[[Rule], Server], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    key = "sk-" + "q" * 40
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server = serve(lambda number, body: said(json.dumps({"reason": f"I was told {key}", "better": "first"})))
    run, _ = measured_run(tmp_path / "run")
    assert main(["evaluate", str(run.path), "--probe", "judge", "--endpoint", server.url, "--model", "big"]) == 0
    assert set(server.keys) == {f"Bearer {key}"}
    out = capfd.readouterr()
    assert key not in out.out + out.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert run.verdicts in files
    assert not [path for path in files if key.encode() in path.read_bytes()]


# ------------------------------------------------------------------------------------------ the verb


def test_the_verb_shows_both_arms_and_leaves_their_reports_alone(
    tmp_path: Path, serve: Callable[[Rule], Server], capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(longer)
    run, _ = measured_run(tmp_path / "run")
    before = run.eval_report("tuned").read_bytes()
    words = ["evaluate", str(run.path), "--probe", "judge", "--endpoint", server.url, "--model", "big"]
    assert main([*words, "--price", "1000,1000", "--max-cost", "90"]) == 0
    shown = capfd.readouterr().out
    assert "judge_over_base" in shown
    assert "tuned: the judge finds the answer better than the base's" in shown
    assert run.eval_report("tuned").read_bytes() == before
    assert main([*words, "--json"]) == 0
    arms = json.loads(capfd.readouterr().out)["arms"]
    assert list(arms) == ["tuned", "base-zero"]
    assert [one["metric"] for one in arms["tuned"]["scores"]][: len(NAMES)] == NAMES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--probe", "judge"], "none was named"),
        (["--probe", "judge", "--endpoint", "http://a/v1"], "--endpoint and --model go together"),
        (["--probe", "judge", "--endpoint", "nowhere", "--model", "m"], "no address of an endpoint"),
        (
            ["--probe", "judge", "--endpoint", "http://a/v1", "--model", "m", "--max-cost", "1"],
            "--max-cost needs --price",
        ),
        (["--probe", "judge", "--endpoint", "http://a/v1", "--model", "m", "--price", "3"], "expected two prices"),
        (
            ["--probe", "labels", "--endpoint", "http://a/v1", "--model", "m"],
            "--probe labels does not read --endpoint and --model",
        ),
    ],
)
def test_what_a_judge_needs_is_said_before_anything_is_asked(
    tmp_path: Path, words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run, _ = measured_run(tmp_path / "run")
    assert main(["evaluate", str(run.path), *words]) == 2
    assert said in capfd.readouterr().err


def test_a_judge_is_for_free_text(tmp_path: Path) -> None:
    run, fixed = measured_run(tmp_path / "run")
    fixed = fixed.model_copy(update={"recipe": fixed.recipe.model_copy(update={"task": "intent"})})
    with pytest.raises(InputError, match="the probe judge is for tasks whose answers are a text"):
        probe(run, fixed, "judge", "tuned", quiet, judging=Judge(Endpoint("http://a/v1", "m")))
