"""What is printed: short lines made of records, in which no text of a row can do anything."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe import records as r
from lathe.cli import stage_lines, tables
from lathe.cli.progress import listen
from lathe.cli.show import Screen
from lathe.cli.tables import whisker


def screen(**options: object) -> tuple[Screen, io.StringIO, io.StringIO]:
    out, talk = io.StringIO(), io.StringIO()
    return Screen(out, talk, **options), out, talk  # type: ignore[arg-type]


def score(metric: str, value: float | None, low: float | None = None, high: float | None = None) -> r.Score:
    return r.Score(metric=metric, value=value, low=low, high=high, n=282)


def arm(name: str, value: float | None) -> r.EvalReport:
    scores = (score("json_exact", value, 0.35 if value else None, 0.48 if value else None), score("field_f1", 0.7))
    return r.EvalReport(
        inputs="",
        arm=name,
        test_hash="t",
        prompt_hash="p",
        scorer="s",
        n=282,
        scores=scores,
        finish={"stop": 280, "length": 2},
    )


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None)
def test_a_whisker_has_its_width_one_dot_and_its_ends_around_it(a: float, b: float, c: float) -> None:
    low, value, high = sorted((a, b, c))
    drawn = whisker(low, value, high)
    assert len(drawn) == tables.WHISKER_WIDTH
    assert drawn.count("●") == 1
    assert "├" not in drawn[drawn.index("●") :]
    assert "┤" not in drawn[: drawn.index("●")]


def test_what_was_not_measured_is_not_drawn() -> None:
    assert whisker(None, None, None) == ""


def test_arms_stand_with_their_intervals_the_tuned_one_first() -> None:
    view, out, _ = screen()
    tables.arms(
        view,
        {"rule": arm("rule", 0.38), "tuned": arm("tuned", 0.41), "base-zero": arm("base-zero", None)},
        "json_exact",
    )
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["tuned", "rule", "base-zero"]
    assert "0.41 [0.35, 0.48]" in lines[2]
    assert "not measured" in lines[4]
    assert all(line == line.rstrip() for line in lines)


def test_a_kind_of_step_that_was_not_tried_at_a_width_leaves_its_place_empty() -> None:
    tried = [("fused", 2, 256), ("fused", 2, 960), ("fused", 1, 256)]
    steps = tuple(
        r.StepRate(step=step, precision="bf16", threads=threads, width=width, product_seconds=1e-11)
        for step, threads, width in tried
    )
    view, out, _ = screen()
    tables.probe(view, r.MachineProbe(device="cpu", threads=2, steps=steps))
    assert [line.split() for line in out.getvalue().splitlines()[1:]] == [
        ["step", "threads", "256", "960"],
        ["fused", "bf16", "2", "100", "100"],
        ["fused", "bf16", "1", "100"],
    ]


def test_a_step_of_all_weights_does_not_stand_in_the_place_of_one_with_an_adapter() -> None:
    adapter = r.StepRate(step="fused", precision="bf16", threads=2, width=256, product_seconds=1e-11)
    full = adapter.model_copy(update={"full": True, "product_seconds": 2e-11})
    view, out, _ = screen()
    tables.probe(view, r.MachineProbe(device="cpu", threads=2, steps=(adapter, full)))
    assert [line.split() for line in out.getvalue().splitlines()[2:]] == [
        ["fused", "bf16", "2", "100"],
        ["fused", "bf16,", "all", "weights", "2", "50"],
    ]


def test_the_verdict_is_one_line() -> None:
    view, out, _ = screen()
    line = "ITERATE  json_exact 0.41 [0.35, 0.48] · base 0.02 · rule 0.38 · planned 47 s, took 49 s"
    tables.verdict(view, r.Decision(inputs="", verdict="iterate", primary="json_exact", line=line, gates=()))
    assert out.getvalue() == f"\n  {line}\n"


def test_a_stage_line_has_its_label_its_numbers_and_its_seconds() -> None:
    view, out, talk = screen()
    view.stage("data", "1,400 rows", 1.234)
    assert talk.getvalue().startswith("  data      1,400 rows ")
    assert talk.getvalue().endswith(" 1.2 s\n")
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    "payload",
    ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r hidden", "\u202e", "[red]markup[/red]", "\x1b]8;;http://x\x1b\\"],
)
def test_no_text_can_steer_the_terminal(payload: str) -> None:
    view, out, talk = screen()
    view.say(payload)
    view.stage(payload, payload, note=payload)
    view.detail(payload)
    view.line(payload)
    view.table([payload], [[payload]])
    view.error("X", payload, payload, 2)
    for text in (out.getvalue(), talk.getvalue()):
        assert not set(text) & {"\x1b", "\x9b", "\r", "\x07", "\u202e"}
        assert "[red]" in text or "[red]" not in payload, "nothing is taken for markup"


def test_the_manifest_line_says_what_was_left_out() -> None:
    sides = {
        name: r.SideCount(rows=n, sha256=name) for name, n in {"train": 978, "validation": 140, "test": 282}.items()
    }
    made = r.Manifest(inputs="", sources=(), sides=sides, dropped_from_train=3, rejected=2)
    line = stage_lines.line(made)
    assert line is not None
    assert (
        line.text
        == "1,400 rows: 978 train · 140 validation · 282 test · 3 near-duplicates dropped from train · 2 rejected"
    )


def test_an_arm_says_its_score_its_items_and_what_was_cut() -> None:
    line = stage_lines.line(arm("tuned", 0.41))
    assert line is not None
    assert line.text == "json_exact 0.41 [0.35, 0.48] · 282 test items · 2 cut at the token limit"


def test_arms_are_told_by_test_rows_and_not_by_the_validation_rows_they_were_chosen_on() -> None:
    view, _, talk = screen()
    listener = listen(view)
    sides = {name: r.SideCount(rows=1, sha256=name[0]) for name in ("train", "validation", "test")}
    listener({"stage": "prepare", "record": r.Manifest(inputs="", sources=(), sides=sides), "seconds": 0.1})
    listener({"stage": "rule", "record": arm("rule", 0.11).model_copy(update={"test_hash": "v"}), "seconds": 0.1})
    listener({"stage": "rule", "record": arm("rule", 0.41), "seconds": 0.1})
    assert "0.11" not in talk.getvalue()
    assert "0.41" in talk.getvalue()


def test_what_was_done_before_says_so_instead_of_seconds() -> None:
    view, _, talk = screen()
    listen(view)({"stage": "rule", "record": arm("rule", 0.41), "skipped": True, "seconds": 0.0})
    assert talk.getvalue().endswith("done before\n")


def test_a_document_is_json_and_loses_its_secrets() -> None:
    view, out, _ = screen(environment={"MY_TOKEN": "private-value"})
    view.document({"a": "b private-value"})
    assert out.getvalue() == '{\n  "a": "b [secret]"\n}\n'


def test_an_error_behind_lines_of_json_is_one_more_of_them() -> None:
    view, out, _ = screen(as_json=True)
    view.by_line = True
    view.row({"url": "http://127.0.0.1:8712"})
    view.error("InputError", "the disk is full", None, 74)
    assert [list(json.loads(line)) for line in out.getvalue().splitlines()] == [["url"], ["error"]]


def words(*events: dict) -> str:
    """The plain lines that a listener with no patience says."""
    view, _, talk = screen()
    listener = listen(view)
    listener._began -= 10.0
    for event in (events[0], *events):  # the first event of a work begins its five seconds of silence
        listener._said = -1e9
        listener({"stage": "tuned", **event})
    return talk.getvalue()


def test_the_rate_counts_from_the_end_of_the_last_stage_and_the_time_left_follows_from_it() -> None:
    said = words(*({"done": n, "total": 50, "unit": "items", "side": "test"} for n in (1, 10, 20)))
    assert "20 of 50 test items · 2.0 items/s · 15 s left" in said


def test_a_slow_rate_is_given_by_the_minute_and_a_single_unit_tells_none() -> None:
    first, last = words(*({"done": n, "total": 50, "unit": "step"} for n in (1, 4))).splitlines()
    assert first.endswith("1 of 50 steps")
    assert "24.0 steps/min" in last


def test_answers_that_were_there_before_do_not_count_into_the_rate() -> None:
    assert "2.0 items/s" in words(*({"done": n, "total": 500, "unit": "items"} for n in (401, 420)))


def test_a_unit_of_several_words_stays_as_it_is() -> None:
    assert "4 of 9 rows learned from" in words({"done": 4, "total": 9, "unit": "rows learned from"})


def test_a_validation_under_way_and_the_best_one_so_far_are_told() -> None:
    step = {
        "done": 40,
        "total": 93,
        "unit": "step",
        "metric": "json_exact",
        "value": 0.38,
        "best": 0.41,
        "best_step": 30,
    }
    assert "40 of 93 steps · validating, 12 of 64 rows · json_exact 0.38, best 0.41 at step 30" in words(
        step | {"validating": "12 of 64"}
    )
    assert "validating" not in words(step | {"loss": 0.5})


def test_the_status_of_a_run_tells_its_last_validation() -> None:
    view, out, _ = screen()
    beat = {"metric": "json_exact", "value": 0.38, "best": 0.41, "best_step": 30, "validating": "12 of 64"}
    now = r.Status(run="a-run", state="running", stage="train", done=40, total=93, **beat)
    tables.status(view, now)
    assert "train 40 of 93 · validating, 12 of 64 rows · json_exact 0.38, best 0.41 at step 30" in out.getvalue()
    tables.status(view, r.Status(run="another", state="running", stage="prepare", done=40))
    assert "another  running · prepare 40\n" in out.getvalue()


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ("done", "json_exact 0.41 at step 60"),
        ("early", "at step 60, ended early"),
        ("collapsed", "at step 60, collapsed"),
    ],
)
def test_the_line_of_a_training_says_what_the_kept_weights_reached(stop: str, said: str) -> None:
    kept = r.Validation(
        step=60, score=score("json_exact", 0.41), answers=64, empty=0, cut=0, new_tokens=900, seconds=1.0
    )
    record = r.TrainResult(
        inputs="", adapter_folder="a", num_steps=93, num_tokens=1, num_supervised=1, first_loss=2.0, last_loss=0.1,
        peak_bytes=1, train_seconds=1.0, tokens_per_second=1.0, stop=stop, validations=(kept,), chosen_step=60,
    )  # fmt: skip
    assert said in stage_lines.train(record)


def test_a_long_verdict_is_broken_between_its_parts() -> None:
    assert tables.folded("aaa · bbb · ccc", 9, "\n  ") == "aaa · bbb\n  ccc"
    assert tables.folded("a" * 20 + " · b", 9, "|") == "a" * 20 + "|b"


def test_a_document_stays_json_where_a_secret_is_a_number() -> None:
    view, out, _ = screen(environment={"MY_KEY": "12345678"})
    view.document({"num_bytes": 12345678, "said": "12345678"})
    assert json.loads(out.getvalue()) == {"num_bytes": 12345678, "said": "[secret]"}
