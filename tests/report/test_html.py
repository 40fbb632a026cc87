# ruff: noqa: E501 - payloads stand side by side
"""The report says what the records say, needs no network, and no text of a row can change what it is."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from lathe import records as r
from lathe.records.results import Doubt, Doubts
from lathe.report import report
from lathe.report.html import MOST_FAILURES, chosen, page
from lathe.report.story import gather, read_losses
from lathe.runs import RunFolder
from lathe.storage import commit_rows, read_rows

Make = Callable[..., tuple[RunFolder, r.LockedRecipe]]

HOSTILE = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    "</td></tr></table><h1>Deploy</h1>", "</pre><b>", "</style><style>*{display:none}", "<style>@import url(//evil.example/x.css)</style>",
    "<link rel=stylesheet href=//evil.example/x.css>", "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example>", "<iframe src=//evil.example></iframe>", "<object data=//evil.example>", "<form action=//evil.example>",
    "<a href='javascript:alert(1)'>x</a>", "\"><script>alert(1)</script>", "' onmouseover='alert(1)", "\" style=\"display:none",
    "<!--", "--><script>1</script>", "]]>", "<![CDATA[<script>1</script>]]>", "{{ 7*7 }}", "{% for x in y %}", "{{ story.locked }}",
    "&lt;script&gt;", "&#60;script&#62;", "<details open ontoggle=alert(1)>", "<math><mtext></mtext></math>", "<template><b></template>",
    "\x1b]8;;http://evil.example\x07x\x1b]8;;\x07", "\u202egnp.exe", "\x00<b>", "<title>x</title></title><b>", "<plaintext>", "<xmp>",
]  # fmt: skip


class Reader(HTMLParser):
    """Elements and attributes of a document, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()
        self.values: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes.update(name for name, _ in attrs)
        self.values += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(made: tuple[RunFolder, r.LockedRecipe]) -> Reader:
    return Reader(page(gather(*made)))


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_changes_no_element_of_the_page(payload: str, make_run: Make) -> None:
    neutral = "".join(c if c.isalnum() else "x" for c in payload)
    hostile = read(make_run(lambda text: f"{text} {payload}", num_items=24))
    harmless = read(make_run(lambda text: f"{text} {neutral}", num_items=24))
    spans = {"span", "ins", "del"}  # how finely two texts are cut depends on the texts
    assert {t: n for t, n in hostile.tags.items() if t not in spans} == {
        t: n for t, n in harmless.tags.items() if t not in spans
    }
    assert set(hostile.attributes) == set(harmless.attributes)
    assert hostile.tags["script"] == 0
    assert not [name for name in hostile.attributes if name.startswith("on") or name in ("style", "src", "href")]


def test_nothing_on_the_page_can_load_anything(make_run: Make) -> None:
    found = read(make_run())
    assert not set(found.tags) & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "a",
        "image",
        "use",
    }
    assert not set(found.attributes) & {"src", "href", "action", "style", "srcset", "xlink:href", "data"}
    (policy,) = [value for name, value in found.values if name == "content" and "default-src" in value]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_policy_names_the_hash_of_the_very_style_sheet(make_run: Make) -> None:
    text = page(gather(*make_run()))
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    expected = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{expected}'" in text
    assert "url(" not in style[1]
    assert "@import" not in style[1]


@pytest.mark.parametrize("verdict", ["deploy", "iterate", "abort"])
def test_the_verdict_is_the_first_thing_after_the_title(verdict: str, make_run: Make) -> None:
    found = read(make_run(verdict=verdict)).text
    assert found.index(verdict.capitalize()) < found.index("0.70 [0.64, 0.75]") < found.index("Gates")


def test_every_number_of_the_records_that_a_reader_needs_is_there(make_run: Make) -> None:
    found = read(make_run()).text
    for words in (
        "240 test items", "0.05", "[0.03, 0.09]", "json_exact at least 0.60", "450 would decide", "571,203", "843 MB", "within, +4%",
        "look 2", "97.5 %", "0.40 to 0.60", "+0.65 [+0.57, +0.72]", "exact McNemar", "7,105,536 parameters × 4 bytes", "Apache-2.0",
        "torch 2.13.0", "adapter_model.safetensors", "seeds training 0",
    ):  # fmt: skip
        assert words in found, words


def test_twenty_failures_are_shown_and_each_reason_among_them(make_run: Make) -> None:
    story = gather(*make_run())
    items = chosen(story)
    assert len(items) == MOST_FAILURES
    assert {item.reason for item in items} == set(story.arms["tuned"].reasons)
    assert len({item.id for item in items}) == MOST_FAILURES


def test_a_failure_shows_the_right_value_beside_the_wrong_one(make_run: Make) -> None:
    found = page(gather(*make_run()))
    assert '<th scope="row">customer.city</th>' in found
    assert re.search(r"<span>&#34;Bo</span><ins>n</ins><span>n&#34;</span>", found)
    assert re.search(r"<span>&#34;Bo</span><del>r</del><span>n&#34;</span>", found)


@pytest.mark.parametrize(
    "missing", ["doctor", "manifest", "plan", "train_result", "metrics", "decision", "bundle_record"]
)
def test_a_run_that_has_not_come_so_far_is_shown_as_far_as_it_came(missing: str, make_run: Make) -> None:
    run, locked = make_run()
    getattr(run, missing).unlink()
    assert "Lathe report" in Reader(page(gather(run, locked))).text


def test_a_run_with_nothing_but_its_recipe_has_a_report_too(make_run: Make) -> None:
    run, locked = make_run()
    for path in (*run.path.glob("*/**/*.json*"), run.decision, run.plan, run.bundle_record, run.doctor):
        path.unlink()
    assert "No verdict yet" in Reader(page(gather(run, locked))).text


def test_a_metric_that_was_not_measured_is_said_to_be_so_and_is_no_nought(make_run: Make) -> None:
    run, locked = make_run()
    before = run.load(run.eval_report("rule"), r.EvalReport)
    scores = (*before.scores[:2], r.Score(metric="schema_valid", value=None, n=0, not_measured=240))
    run.commit(run.eval_report("rule"), before.model_copy(update={"scores": scores}))
    assert "not measured" in Reader(page(gather(run, locked))).text


def test_secrets_do_not_reach_the_page_even_where_the_difference_would_cut_them(make_run: Make) -> None:
    secret = "hf_" + "aB3" * 11
    made = make_run(lambda text: f"{text} {secret}")
    text = page(gather(*made), ["private-value-of-ada"])
    assert secret not in text
    assert secret not in re.sub(r"<[^>]+>", "", text)
    assert "[secret]" in text


def test_the_same_records_give_the_same_page(make_run: Make) -> None:
    made = make_run()
    assert page(gather(*made)) == page(gather(*made))


def test_the_stage_writes_both_documents_and_its_record_last(make_run: Make) -> None:
    run, locked = make_run()
    record = report(run, locked, "the inputs")
    assert (run.path / record.html).read_text().startswith("<!doctype html>")
    assert (run.path / record.card).read_text().startswith("---\n")
    written = [path.stat().st_mtime_ns for path in (run.report_html, run.card, run.report_record)]
    assert written == sorted(written)
    assert run.done(run.report_record, r.ReportRecord, "the inputs") == record


def test_losses_of_repeated_steps_count_once_and_torn_lines_not_at_all() -> None:
    lines = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "loss": 2.5}, {"note": "resumed"}]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"step": 3, "lo'
    assert read_losses(text) == ((1.0, 3.0), (2.0, 2.5))


def test_scores_without_rows_that_an_earlier_run_was_trained_on_stand_beside_the_full_ones(make_run: Make) -> None:
    run, locked = make_run()
    for arm in ("tuned", "base-zero", "base-few", "rule"):
        found = run.load(run.eval_report(arm), r.EvalReport)
        clean = tuple(score.model_copy(update={"value": 0.125, "low": 0.0625, "high": 0.25}) for score in found.scores)
        known = tuple(item.id for item in found.items[:40])
        run.commit(run.eval_report(arm), found.model_copy(update={"seen_before": known, "clean_scores": clean}))
    text = " ".join(Reader(page(gather(run, locked))).words)
    assert "40 of 240 test items stand in the training rows of a run that the base grew out of" in text
    assert "the 200 not seen before" in text


def test_answers_that_the_tuned_model_doubts_are_shown_while_they_are_those_of_the_model_that_was_trained_last(
    make_run: Make,
) -> None:
    run, locked = make_run()
    trained = run.load(run.train_result, r.TrainResult)
    doubt = Doubt(place="train.jsonl:17", id="row-16", text="order of <b>", given="zzz top", loss=3.21)
    doubts = Doubts(inputs=trained.inputs, rows=1200, of=5000, median=0.0421, worst=(doubt,))
    run.commit(run.doubts, doubts)
    text = " ".join(Reader(page(gather(run, locked))).words)
    assert "zzz top" in text
    assert "order of <b>" in text
    assert "1,200 training rows of 5,000, the hardest first" in text
    run.commit(run.doubts, doubts.model_copy(update={"inputs": "another training"}))
    assert "zzz top" not in " ".join(Reader(page(gather(run, locked))).words)


def test_of_several_answers_the_one_is_shown_that_the_reason_is_about(make_run: Make) -> None:
    run, locked = make_run(num_items=24)
    report_, predictions = (
        run.load(run.eval_report("tuned"), r.EvalReport),
        read_rows(run.predictions("tuned"), r.Prediction),
    )
    first = next(item for item in report_.items if item.reason)
    items = tuple(
        item.model_copy(
            update={"samples": 2, "sample": int(item is first), "values": item.values | {"json_exact": 0.5}}
        )
        for item in report_.items
    )
    run.commit(run.eval_report("tuned"), report_.model_copy(update={"items": items, "samples": 2, "temperature": 0.7}))
    again = [one.model_copy(update={"sample": 1, "text": f"second answer to {one.id}"}) for one in predictions]
    commit_rows(run.predictions("tuned"), [*predictions, *again])
    shown = read((run, locked)).text
    assert f"second answer to {first.id}" in shown
    assert shown.count("second answer to") < len(items)
    assert "24 of 24 items of the tuned model are not right in every answer" in shown
    assert "2 answers to each item at temperature 0.7" in shown
