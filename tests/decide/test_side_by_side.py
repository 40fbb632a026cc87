"""Several arms on the same items: what is compared, what is refused, and what the verb shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reports import report, right

from lathe.cli.main import main
from lathe.decide import Entry, side_by_side
from lathe.errors import InputError
from lathe.pipeline import Run
from lathe.records import EvalReport, FileHash, LockedRecipe, RunRecord
from lathe.report.samples import over_seeds
from lathe.runs import RunFolder
from tiny_run import locked

SMALL = FileHash(path="tokenizer.json", sha256="small", num_bytes=1)
LARGE = FileHash(path="tokenizer.json", sha256="large", num_bytes=1)


def recipe(seed: int = 0, base: FileHash = SMALL) -> LockedRecipe:
    return locked(Path("base"), seed=seed).model_copy(update={"base_files": (base,)})


def entry(name: str, values: list[float], seed: int = 0, base: FileHash = SMALL, **fields: object) -> Entry:
    return Entry(name, report("tuned", values, **fields), recipe(seed, base))  # type: ignore[arg-type]


def test_every_arm_is_held_against_the_first_and_many_arms_cost() -> None:
    first = entry("A", right(60, 120))
    found = side_by_side([first, entry("B", right(75, 120)), entry("C", right(90, 120))], "json_exact", None, 0.95)
    assert found.reference == "A"
    b, c = found.pairs
    assert (b.difference.difference, c.difference.difference) == (0.125, 0.25)
    assert (b.difference.wins, b.difference.losses) == (15, 0)
    assert b.adjusted == pytest.approx(max(2 * (c.difference.p_value or 0), b.difference.p_value or 0))
    assert c.adjusted == pytest.approx(2 * (c.difference.p_value or 0))


def test_what_could_have_been_found_is_said() -> None:
    found = side_by_side([entry("A", right(60, 120)), entry("B", right(62, 120, 10))], "json_exact", None, 0.95)
    (pair,) = found.pairs
    assert pair.difference.low < 0 < pair.difference.high  # type: ignore[operator]
    assert 0.09 < (pair.detectable or 0) < 0.12


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"test_hash": "others"}, "B: tuned and tuned were measured on different rows"),
        ({"scorer": "json_extraction@2"}, "scored by different scorers"),
        ({"prompt_hash": "otherwise"}, "A and B were asked with different prompts"),
    ],
)
def test_what_was_not_measured_alike_is_refused(changed: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        side_by_side([entry("A", right(5, 20)), entry("B", right(6, 20), **changed)], "json_exact", None, 0.95)


def test_two_bases_read_the_same_turns_in_their_own_tokens() -> None:
    other = entry("B", right(6, 20), base=LARGE, prompt_hash="the tokens of another tokenizer")
    found = side_by_side([entry("A", right(5, 20)), other], "json_exact", None, 0.95)
    assert found.pairs[0].difference.n == 20


def test_worked_examples_and_rules_are_no_other_prompt() -> None:
    few = entry("A:base-few", right(6, 20), prompt_hash="longer", few_shot_ids=("row-1",))
    rule = entry("A:rule", right(6, 20), prompt_hash="")
    assert len(side_by_side([entry("A", right(5, 20)), few, rule], "json_exact", None, 0.95).pairs) == 2


def test_a_metric_or_slice_that_is_not_there_is_named_with_those_that_are() -> None:
    arms = [entry("A", right(5, 20)), entry("B", right(6, 20))]
    with pytest.raises(InputError, match="no metric 'json_exakt'"):
        side_by_side(arms, "json_exakt", None, 0.95)
    with pytest.raises(InputError, match="no slice 'colour'"):
        side_by_side(arms, "json_exact", "colour", 0.95)
    with pytest.raises(InputError, match="has no slices"):
        meta = [{"kind": "a"}] * 20
        side_by_side([entry(name, right(5, 20), meta=meta) for name in "AB"], "peak_bytes", "kind", 0.95)


def test_slices_are_compared_by_value_and_as_if_they_were_equally_many() -> None:
    """Ten rare items lost, ninety frequent ones won: over the rows a gain, over the kinds none."""
    meta = [{"kind": "rare" if i < 10 else "frequent"} for i in range(100)]
    before = [1.0] * 10 + [0.0] * 90
    after = [0.0] * 10 + [1.0] * 90
    found = side_by_side([entry("A", before, meta=meta), entry("B", after, meta=meta)], "json_exact", "kind", 0.95)
    (pair,) = found.pairs
    assert pair.difference.difference == 0.8
    assert [(part.value, part.difference, part.n) for part in pair.slices] == [
        ("frequent", 1.0, 90), ("rare", -1.0, 10), (None, 0.0, 100),
    ]  # fmt: skip
    assert pair.slices[-1].low < 0 < pair.slices[-1].high  # type: ignore[operator]


def test_runs_that_differ_by_their_seed_alone_show_what_chance_does() -> None:
    arms = [entry(f"seed {seed}", right(k, 20), seed=seed) for seed, k in enumerate((8, 10, 12))]
    (spread,) = side_by_side(arms, "json_exact", None, 0.95).seeds
    assert (spread.low, spread.mean, spread.high) == (0.4, 0.5, 0.6)
    assert spread.standard_deviation == pytest.approx(0.1)
    assert over_seeds(spread, "json_exact") == (
        "3 seeds of training (seed 0, seed 1, seed 2): json_exact 0.50 on average, 0.40 to 0.60, standard deviation 0.10"
    )


def test_each_recipe_has_a_spread_of_its_own_and_one_seed_is_said_to_be_one() -> None:
    arms = [entry("A", right(8, 20)), entry("B", right(10, 20), seed=1), entry("C", right(9, 20), base=LARGE)]
    several, single = side_by_side(arms, "json_exact", None, 0.95).seeds
    assert (several.names, single.names) == (("A", "B"), ("C",))
    assert single.standard_deviation is None
    assert over_seeds(single, "json_exact") == "C: one seed of training; what another would give is not known"


def test_a_seed_that_ran_twice_counts_once_and_arms_without_training_have_no_seed() -> None:
    base = Entry("A:base-zero", report("base-zero", right(2, 20)), recipe())
    arms = [entry("A", right(8, 20)), entry("again", right(8, 20)), entry("B", right(10, 20), seed=1), base]
    (spread,) = side_by_side(arms, "json_exact", None, 0.95).seeds
    assert spread.names == ("A", "B")


# ------------------------------------------------------------------------------------------ several answers to an item


def test_means_over_answers_are_compared_item_by_item() -> None:
    """Half of each item's answers right in one arm, a quarter in the other: no item is right or wrong, the arms differ surely."""
    found = side_by_side(
        [
            entry("A", [0.25, 0.5] * 30, samples=4, temperature=0.7),
            entry("B", [0.5, 0.75] * 30, samples=4, temperature=0.7),
        ],
        "json_exact", None, 0.95,
    )  # fmt: skip
    (pair,) = found.pairs
    assert pair.difference.method == "paired bootstrap"
    assert (pair.difference.difference, pair.difference.n, pair.difference.wins) == (0.25, 60, 60)
    assert pair.difference.low == pytest.approx(0.25)
    assert pair.detectable is None


@pytest.mark.parametrize("turned", [False, True])
def test_right_or_wrong_beside_means_is_compared_as_means_whichever_comes_first(turned: bool) -> None:
    meta = [{"kind": "a" if place % 2 else "b"} for place in range(40)]
    rule = Entry("rule", report("rule", right(10, 40), meta=meta), recipe())
    drawn = entry("B", [0.5] * 40, samples=2, temperature=0.7, meta=meta)
    arms = [drawn, rule] if turned else [rule, drawn]
    (pair,) = side_by_side(arms, "json_exact", "kind", 0.95).pairs
    assert pair.difference.method == "paired bootstrap"
    assert pair.difference.difference == (-0.25 if turned else 0.25)
    assert all(part.low is not None and part.low <= part.difference <= (part.high or 0) for part in pair.slices)


def test_answers_at_different_temperatures_are_not_compared() -> None:
    arms = [entry("A", right(5, 20), temperature=0.0), entry("B", right(6, 20), temperature=0.7)]
    with pytest.raises(InputError, match=r"answered at different temperatures \(0 and 0.7\)"):
        side_by_side(arms, "json_exact", None, 0.95)


# ------------------------------------------------------------------------------------------ the verb


def run_folder(path: Path, values: dict[str, list[float]], smoke: bool = False, **fields: object) -> Path:
    """A run with measured arms, as far as `compare` looks at it."""
    folder, fixed = RunFolder(path), recipe()
    path.mkdir()
    folder.commit(folder.run_record, RunRecord(id=path.name, name="toy", created="now", lathe_version="0", smoke=smoke))
    folder.commit(folder.lock_record, fixed)
    for arm, items in values.items():
        made = report(arm, items, inputs=Run(folder, fixed).hashes[arm], **fields)  # type: ignore[arg-type]
        folder.commit(folder.eval_report(arm), made)
    return path


def test_the_verb_shows_arms_and_says_what_is_decided(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    a = run_folder(tmp_path / "a", {"tuned": right(60, 120), "base-zero": right(2, 120)})
    b = run_folder(tmp_path / "b", {"tuned": right(64, 120)})
    assert main(["compare", str(a), str(b), f"{a}:base-zero"]) == 0
    shown = capfd.readouterr().out
    assert f"{a}: one seed of training; what another would give is not known" in " ".join(shown.split())
    assert "not decided" in shown
    assert "each value alike" not in shown
    assert "lower" in shown
    assert main(["compare", str(a), str(b), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["n"], found["metric"], found["pairs"][0]["difference"]["wins"]) == (120, "json_exact", 4)


def test_the_verb_shows_slices_by_value(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    meta = [{"kind": "rare" if i < 10 else "frequent"} for i in range(40)]
    a = run_folder(tmp_path / "a", {"tuned": right(10, 40)}, meta=meta)
    b = run_folder(tmp_path / "b", {"tuned": right(20, 40, 10)}, meta=meta)
    assert main(["compare", str(a), str(b), "--by", "kind"]) == 0
    shown = capfd.readouterr().out
    assert all(word in shown for word in ("rare", "frequent", "each value alike", "-1.00", "+0.67"))


def test_the_verb_says_where_answers_were_computed_in_different_number_formats(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    a = run_folder(tmp_path / "a", {"tuned": right(10, 40), "base-zero": right(1, 40)}, precision="fp32")
    b = run_folder(tmp_path / "b", {"tuned": right(20, 40, 10)}, precision="int8")
    assert main(["compare", str(a), f"{a}:base-zero"]) == 0
    assert "number formats" not in capfd.readouterr().out
    assert main(["compare", str(a), str(b)]) == 0
    assert f"different number formats: {a} in fp32, {b} in int8." in " ".join(capfd.readouterr().out.split())


def test_the_verb_says_which_arms_are_of_smoke_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    a = run_folder(tmp_path / "a", {"tuned": right(10, 40)})
    b = run_folder(tmp_path / "b", {"tuned": right(20, 40, 10)}, smoke=True)
    assert main(["compare", str(a), str(b)]) == 0
    assert f"Of smoke runs, whose scores mean nothing: {b}." in " ".join(capfd.readouterr().out.split())
    assert main(["compare", str(a), str(b), "--json"]) == 0
    assert [arm["smoke"] for arm in json.loads(capfd.readouterr().out)["arms"]] == [False, True]


def test_the_verb_refuses_with_code_2(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    a = run_folder(tmp_path / "a", {"tuned": right(6, 12)})
    b = run_folder(tmp_path / "b", {"tuned": right(6, 12)}, test_hash="other rows")
    assert main(["compare", str(a), str(b)]) == 2
    assert "different rows" in capfd.readouterr().err
    assert main(["compare", str(a)]) == 2
    assert main(["compare", str(a), f"{a}:gguf"]) == 2


def test_a_report_of_another_recipe_than_the_runs_present_one_is_not_compared(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    a = run_folder(tmp_path / "a", {"tuned": right(6, 12)})
    b = run_folder(tmp_path / "b", {"tuned": right(6, 12)})
    path = RunFolder(b).eval_report("tuned")
    stale = EvalReport.from_json(path.read_text()).model_copy(update={"inputs": "of an earlier recipe"})
    path.write_text(stale.to_json())
    assert main(["compare", str(a), str(b)]) == 2
    assert "before the recipe of its run was changed" in capfd.readouterr().err
