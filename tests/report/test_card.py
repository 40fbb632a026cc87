# ruff: noqa: E501 - payloads stand side by side
"""The card is made of records, the Hub can read it, and text from outside stays text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import yaml

from lathe import records as r
from lathe.report.card import card, code, text
from lathe.report.story import gather
from lathe.runs import RunFolder

Make = Callable[..., tuple[RunFolder, r.LockedRecipe]]

HOSTILE = [
    "# Heading", "- item", "+ item", "1. item", "12) item", "> quote", "---", "===", "```", "`code`", "*bold*", "__init__", "_x_", "[a](http://evil.example)",
    "![a](http://evil.example/x.png)", "<script>alert(1)</script>", "<img src=x>", "http://evil.example", "https://evil.example/a?b",
    "www.evil.example", "ada@evil.example", "@ada", "a | b", "~~x~~", "$x$", "[^1]", "\\[a\\](b)", "&lt;b&gt;", "a\n\n# Heading\n\nb", "\x1b[31m", "|---|",
]  # fmt: skip


def prose(made: tuple[RunFolder, r.LockedRecipe]) -> str:
    """The body as it is read: links without their targets."""
    return re.sub(r"\[([^\[\]]*)\]\(CARD\.json [^)]*\)", r"\1", body(made))


def body(made: tuple[RunFolder, r.LockedRecipe]) -> str:
    return card(gather(*made)).split("\n---\n", 1)[1]


def test_the_front_matter_is_yaml_and_holds_each_measured_score(make_run: Make) -> None:
    front = yaml.safe_load(card(gather(*make_run())).split("---\n")[1])
    assert "base_model" not in front, "the Hub refuses what is none of its names"
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    assert {m["type"]: m["value"] for m in result["metrics"]}["json_exact"] == pytest.approx(0.7)


def test_a_base_in_the_hubs_cache_is_named_as_on_the_hub_however_the_recipe_says_it(make_run: Make) -> None:
    run, locked = make_run()
    folder = "/home/ada/hub/models--maker--small/snapshots/0123456789abcdef0123456789abcdef01234567"
    for said in ("maker/small@v2", folder):
        recipe = locked.recipe.model_copy(update={"base": said})
        made = card(gather(run, locked.model_copy(update={"base_folder": folder, "recipe": recipe})))
        assert yaml.safe_load(made.split("---\n")[1])["base_model"] == "maker/small"
        assert "`maker/small` tuned for the task" in made


def test_the_hub_library_reads_the_card(make_run: Make) -> None:
    hub = pytest.importorskip("huggingface_hub")
    read = hub.ModelCard(card(gather(*make_run())))
    assert read.data.eval_results[0].metric_type == "json_exact"


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_adds_no_structure_to_the_card(payload: str, make_run: Make) -> None:
    neutral = "".join(c if c.isalnum() else "x" for c in payload)
    hostile, harmless = (body(make_run(lambda t, p=p: f"{p} {t}", num_items=24)) for p in (payload, neutral))
    assert structure(hostile) == structure(harmless)
    yaml.safe_load(card(gather(*make_run(lambda t: f"{t} {payload}", num_items=24))).split("---\n")[1])


def structure(markdown: str) -> list[str]:
    """What a Markdown reader would see of each line: its leading mark, its unescaped bars, links, tags and addresses."""
    seen = []
    for line in markdown.split("\n"):
        prose = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "CODE", line)
        bare = re.sub(r"\\[\\`*_{}\[\]<>|~@^$!-/:-@\[-`{-~]", "", prose)
        lead = re.match(r"\s*(#{1,6} |[-+*] |\d+[.)] |>|```|---|===|\|)?", bare)
        marks = re.findall(r"\||(?<![0-9])\[[^\]0-9+-]|<[a-z/!]|https?://|www\.|[a-z]@[a-z]", bare)
        seen.append(f"{lead[1] if lead else ''}{marks}")
    return seen


@pytest.mark.parametrize(
    "plain", ["json_exact 0.41 [0.35, 0.48]", "took 49 s · next: 210 test rows", "0.1.0", "a-b (c)"]
)
def test_ordinary_words_stay_readable(plain: str) -> None:
    assert text(plain).replace("\\[", "[").replace("\\]", "]") == plain


def test_a_code_span_is_fenced_longer_than_the_backticks_in_it() -> None:
    assert code("a``b") == "```a``b```"
    assert code("`x`") == "`` `x` ``"


def test_what_limits_the_model_is_said(make_run: Make) -> None:
    found = prose(make_run())
    assert "72 of 240 test answers are not right" in found
    assert "Weakest complexity" in found
    assert "looked at 2 times" in found


def several_answers(made: tuple[RunFolder, r.LockedRecipe]) -> tuple[RunFolder, r.LockedRecipe]:
    """The run with its tuned arm as if three answers had been drawn for each item."""
    run, _ = made
    tuned = run.load(run.eval_report("tuned"), r.EvalReport)
    share = r.Score(metric="json_exact", value=0.8, low=0.74, high=0.85, n=240, kind="proportion")
    spread = r.SampleSpread(
        metric="json_exact", values=(0.68, 0.7, 0.72), standard_deviation=0.02, in_any=share,
        in_all=share.model_copy(update={"value": 0.6, "low": 0.53, "high": 0.66}),
    )  # fmt: skip
    run.commit(
        run.eval_report("tuned"),
        tuned.model_copy(update={"samples": 3, "temperature": 0.7, "spread": (spread,)}),
    )
    return made


def test_several_answers_to_an_item_are_told_with_their_spread(make_run: Make) -> None:
    found = prose(several_answers(make_run())).replace("\\[", "[").replace("\\]", "]")
    assert (
        "tuned: 3 answers to each item at temperature 0.7: json_exact 0.68 to 0.72 (standard deviation 0.02); "
        "right in any of them 0.80 [0.74, 0.85], in all 0.60 [0.53, 0.66]"
    ) in found
    assert "72 of 240 test items are not right in every answer" in found
    assert "answers to each item" not in prose(make_run())


def test_one_seed_of_training_is_said_to_be_one(make_run: Make) -> None:
    assert "0: one seed of training; what another would give is not known" in prose(make_run())


def test_a_rule_that_does_as_well_is_named(make_run: Make) -> None:
    run, locked = make_run()
    rule = run.load(run.eval_report("tuned"), r.EvalReport).model_copy(update={"arm": "rule"})
    run.commit(run.eval_report("rule"), rule)
    assert "A rule without any model scores 0.70" in prose((run, locked))


def test_a_licence_that_is_not_stated_is_said_to_be_missing(make_run: Make) -> None:
    run, locked = make_run()
    manifest = run.load(run.manifest, r.Manifest)
    sources = tuple(source.model_copy(update={"licence": None}) for source in manifest.sources)
    run.commit(run.manifest, manifest.model_copy(update={"sources": sources}))
    assert "not stated: settle it before you publish" in body((run, locked))


def test_a_run_without_measurements_makes_no_claims(make_run: Make) -> None:
    run, locked = make_run()
    for arm in ("tuned", "rule", "base-few", "base-zero"):
        run.eval_report(arm).unlink()
    run.decision.unlink()
    found = card(gather(run, locked))
    assert "model-index" not in found
    assert "## Results" not in found


@pytest.mark.parametrize(
    ("kinds", "library", "places"),
    [
        (("adapter", "merged", "gguf_q8_0", "ollama"), "transformers", ["`adapter/`", "at the top", "`model-gguf_q8_0.gguf`", "`ollama/`"]),
        (("adapter", "gguf_q8_0"), "peft", ["at the top", "`model-gguf_q8_0.gguf`"]),
        (("gguf_q8_0",), None, ["`model-gguf_q8_0.gguf`"]),
        ((), None, []),
    ],
)  # fmt: skip
def test_the_card_names_the_places_of_the_published_repository_and_what_loads_its_top(
    kinds: tuple[str, ...], library: str | None, places: list[str], make_run: Make
) -> None:
    run, locked = make_run()
    bundle = run.load(run.bundle_record, r.Bundle)
    shipped = tuple(
        bundle.shipped[0].model_copy(
            update={
                "kind": kind,
                "path": f"bundle/{kind}",
                "gguf": f"model-{kind}.gguf" if kind in ("gguf_q8_0", "ollama") else None,
            }
        )
        for kind in kinds
    )
    run.commit(run.bundle_record, bundle.model_copy(update={"shipped": shipped}))
    found = card(gather(run, locked))
    assert yaml.safe_load(found.split("---\n")[1]).get("library_name") == library
    rows = [line.split(" | ") for line in found.split("\n") if line.startswith(tuple(f"| {kind} |" for kind in kinds))]
    assert [row[1] for row in rows] == places
    assert "bundle/" not in re.sub(r"\]\([^)]*\)", "]", found)


def test_a_file_that_was_held_back_is_named_with_its_reason(make_run: Make) -> None:
    run, locked = make_run()
    bundle = run.load(run.bundle_record, r.Bundle)
    check = r.ModelCheck(id="chat_ids", ok=False, message="4 of 10 rendered chats differ")
    held = bundle.shipped[0].model_copy(update={"kind": "gguf_q4_0", "checked": (check,)})
    run.commit(run.bundle_record, bundle.model_copy(update={"withheld": (held,)}))
    # What a check quotes comes from the file: it stays text.
    assert re.search(r"- `gguf_q4_0` was held back: 4 of 10 rendered chats differ", body((run, locked)))


def test_the_number_format_of_answers_is_said_where_it_is_not_fp32(make_run: Make) -> None:
    run, locked = make_run()
    assert "answers computed in" not in prose((run, locked))
    tuned = run.load(run.eval_report("tuned"), r.EvalReport)
    run.commit(run.eval_report("tuned"), tuned.model_copy(update={"precision": "int8"}))
    assert re.search(r"tuned.*: answers computed in int8", prose((run, locked)))


def test_a_base_in_four_bits_is_said_since_the_scores_are_of_it(make_run: Make) -> None:
    run, locked = make_run()
    assert "NF4" not in prose((run, locked))
    quantised = locked.recipe.model_copy(update={"method": r.Method(kind="qlora")})
    assert "measured with the matrices of the base in NF4" in prose(
        (run, locked.model_copy(update={"recipe": quantised}))
    )
