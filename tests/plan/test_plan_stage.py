"""The plan says what will happen: the very steps and tokens that the engine will take."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_parts import CONFIG, locked_recipe, token_set
from tokenizers import models, pre_tokenizers, trainers

from lathe import control_group
from lathe import plan as stage
from lathe.errors import DataError, InputError, Refused
from lathe.plan import fit, memory, parameters, rates
from lathe.plan.answering import Answers
from lathe.plan.architecture import shapes
from lathe.plan.forecast import Machine, forecast
from lathe.plan.stage import read_config
from lathe.records import Example, LockedRecipe, Message, Plan, Score, TrainResult, TrainSpec, Validation
from lathe.runs import RunFolder
from lathe.schedule.steps import course_of
from lathe.storage import commit_rows
from lathe.text import render, tokenizer
from lathe.text import tokens as tokens_module
from lathe.text.shots import choose_shots, with_shots
from lathe.text.tokens import TokenSet, tokenise

PlanOf = Callable[..., Plan]
TEMPLATE = "{% for m in messages %}<t>{{ m.content }}<e>{% endfor %}{% if add_generation_prompt %}<t>{% endif %}"


RESULT = TrainResult(
    inputs="x",
    adapter_folder="a",
    num_steps=1,
    num_tokens=1,
    num_supervised=1,
    first_loss=None,
    last_loss=None,
    peak_bytes=1,
    train_seconds=12.5,
    tokens_per_second=1.0,
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        [], trainers.BpeTrainer(special_tokens=["<t>", "<e>"], initial_alphabet=alphabet, show_progress=False)
    )
    bpe.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<e>"}')
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def examples(count: int) -> list[Example]:
    return [
        Example(
            id=str(i),
            input="x",
            messages=(Message(role="user", content="a" * (i % 37)),),
            completion="yes" * (1 + i % 5),
        )
        for i in range(count)
    ]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    for side, count in (("train", 100), ("validation", 10), ("test", 20)):
        commit_rows(folder.rows(side), examples(count))
    return folder


def made(run: RunFolder, locked: LockedRecipe) -> Plan:
    return stage.plan(run, locked, "inputs", lambda told: None)


def test_the_stage_commits_what_it_returns(run: RunFolder, base: Path) -> None:
    record = made(run, locked_recipe(str(base)))
    assert run.load(run.plan, Plan) == record
    assert run.done(run.plan, Plan, "inputs") == record
    assert record.seconds > 0


def test_what_is_free_is_what_a_container_leaves(run: RunFolder, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_group, "free_memory", lambda: 300_000_000)
    record = made(run, locked_recipe(str(base)))
    assert record.free_bytes == 300_000_000
    assert not record.fits()


def test_steps_and_tokens_are_those_of_the_training_stage(run: RunFolder, base: Path) -> None:
    """Training encodes with the same function and asks the same schedule, so the two can only agree."""
    locked = locked_recipe(str(base), train={"epochs": 2.5, "examples_per_step": 7, "token_budget": 90})
    record = made(run, locked)
    rows = tokenise(tokenizer.load(base), examples(100))
    course = course_of(rows, locked.recipe.train, locked.recipe.seed, shared=True)
    taken = [(step, pack) for step in range(course.num_steps) for pack in course.packs(step)]
    assert record.schedule.num_steps == course.num_steps
    assert record.schedule.num_packs == len(taken)
    assert record.schedule.num_tokens == sum(int(rows.lengths[row]) for _, pack in taken for row in pack)
    assert record.schedule.num_supervised == sum(
        int(rows.row(row).supervised.sum()) for _, pack in taken for row in pack
    )
    assert record.schedule.longest_row == int(rows.lengths.max())


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=50),
    per_step=st.integers(1, 20),
    epochs=st.floats(0.1, 4),
    budget=st.integers(1, 200),
    most=st.one_of(st.none(), st.integers(1, 30)),
    every=st.integers(1, 60),
)
def test_a_drawn_recipe_is_planned_exactly(lengths, per_step, epochs, budget, most, every) -> None:
    train = {
        "epochs": epochs,
        "examples_per_step": per_step,
        "token_budget": budget,
        "max_steps": most,
        "checkpoint_every": every,
    }
    rows = token_set(lengths)
    answers = {"test": Answers(5, 10)}
    record = forecast(locked_recipe(train=train).recipe, CONFIG, rows, answers, 0, Machine(10**10, {}), "inputs")
    course = course_of(rows, TrainSpec.model_validate(train), 0, shared=True)
    packs = [pack for step in range(course.num_steps) for pack in course.packs(step)]
    assert record.schedule.num_packs == len(packs)
    assert record.schedule.num_tokens == sum(lengths[row] for pack in packs for row in pack)
    assert record.schedule.num_computed == record.schedule.num_tokens, "no two rows begin alike"
    assert record.schedule.checkpoint_steps[-1] == record.schedule.num_steps == course.num_steps


def test_the_cache_has_room_for_the_prompts_with_worked_examples_that_will_be_asked(run: RunFolder, base: Path) -> None:
    """The budget leaves room for one answer at a time."""
    tight = {"token_budget": 1}
    shots = choose_shots(
        examples(100), [len(one.messages[0].content) + len(one.completion) for one in examples(100)], (), 2
    )
    asked = render.prompts(tokenizer.load(base), [with_shots(one, shots) for one in examples(20)])
    plain = render.prompts(tokenizer.load(base), [one.messages for one in examples(20)])
    limit = math.ceil(1.25 * 16) + 16
    few = made(run, locked_recipe(str(base), evaluate={**tight, "few_shot": 2}))
    none = made(run, locked_recipe(str(base), evaluate={**tight, "few_shot": 0}))
    assert few.longest_answered == few.cache_tokens == max(map(len, asked)) + limit
    assert none.longest_answered == none.cache_tokens == max(map(len, plain)) + limit
    (base / "config.json").write_text(json.dumps(CONFIG | {"max_position_embeddings": few.longest_answered - 1}))
    short = made(run, locked_recipe(str(base), evaluate={**tight, "few_shot": 2}))
    assert short.longest_answered == few.longest_answered - 1, "fewer examples are shown where the context ends"


@pytest.mark.parametrize(("trainer", "precision"), [("native", "fp32"), ("trl", "bf16")])
def test_auto_is_fp32_for_the_reference_step_and_what_is_fast_for_trl(trainer: str, precision: str) -> None:
    """On a CPU the native trainer takes bf16 where its fused step applies, which computes no layer again."""
    recipe = locked_recipe(trainer=trainer, train={"recompute": True}).recipe
    machine = Machine(10**12, rates={}, computes_bf16=True)
    assert (
        forecast(recipe, CONFIG, token_set([50] * 32), {"test": Answers(1, 1)}, 0, machine, "").precision == precision
    )


@pytest.mark.parametrize(
    ("precision", "able", "said"), [("bf16", False, True), ("bf16", True, False), ("auto", False, False)]
)
def test_bf16_that_the_processor_emulates_is_pointed_out(precision: str, able: bool, said: bool) -> None:
    recipe = locked_recipe(train={"precision": precision}).recipe
    machine = Machine(10**12, rates={}, computes_bf16=able)
    plan = forecast(recipe, CONFIG, token_set([50] * 32), {"test": Answers(1, 1)}, 0, machine, "")
    assert any(finding.id == "bf16_emulated" for finding in plan.findings) == said


def test_evaluation_is_bounded_by_arms_rows_and_answer_length(plan_of: PlanOf) -> None:
    """Two base prompts answer validation and test, the tuned model test alone; each answer up to 1.25 x 20 + 16 tokens."""
    assert plan_of(test_rows=400, longest=20).evaluate_tokens == (2 * 100 + 3 * 400) * 41
    assert plan_of(test_rows=400, longest=20, evaluate={"max_new_tokens": 9}).evaluate_tokens == (2 * 100 + 3 * 400) * 9


def test_answers_to_validation_rows_are_planned_by_their_number_and_bounded(plan_of: PlanOf) -> None:
    """30 steps, a validation every 8 of them and at the end: 4 times 16 rows of 30 prompt tokens and 12 of the right answer."""
    planned = plan_of(longest=20, train={"validate": {"every": 8}}).validation
    assert planned is not None
    assert (planned.times, planned.rows) == (4, 16)
    assert (planned.prompt_tokens, planned.right_tokens) == (4 * 16 * 30, 4 * 16 * 12)
    assert planned.most_tokens == 4 * 16 * 41
    assert planned.seconds is None, "nobody has measured how fast this model answers here"
    assert plan_of().validation is None


def test_a_second_base_beside_the_training_is_part_of_the_peak(plan_of: PlanOf) -> None:
    """Short packs, so that what is given back between steps is less than what answering needs."""
    parts = {"lengths": [20] * 320, "longest": 200}
    plain, validating = (
        plan_of(**parts, train=train)
        for train in ({"token_budget": 64}, {"token_budget": 64, "validate": {"every": 8}})
    )
    (term,) = [term for term in validating.memory if term.name == "validation"]
    assert validating.peak_bytes.value == plain.peak_bytes.value + term.num_bytes
    assert "validation" not in {term.name for term in plain.memory}


def test_the_rate_of_answers_makes_the_seconds_of_the_next_plan(
    run: RunFolder, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    locked = locked_recipe(str(base), train={"validate": {"every": 1, "rows": 4}})
    before = made(run, locked).validation
    assert before is not None
    assert before.seconds is None
    stage.remember_answers(locked, 50.0)
    after = made(run, locked).validation
    assert after is not None
    assert after.seconds is not None
    assert after.seconds.value == pytest.approx(before.right_tokens / 50)
    validations = [
        Validation(
            step=step, score=Score(metric="m", value=0.1, n=4), answers=4, empty=0, cut=0, new_tokens=80, seconds=2
        )
        for step in (1, 2)
    ]
    stage.remember_rate(run, locked, RESULT.model_copy(update={"validations": tuple(validations), "stop": "early"}))
    assert list(rates.known("answers").values()) == [(50.0, 40.0)]
    assert rates.known() == {}, "a training that ended early says nothing about a whole one"


def test_a_finished_training_teaches_the_next_plan(
    run: RunFolder, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    locked = locked_recipe(str(base))
    assert made(run, locked).rate_source in ("catalogue", "none")  # the tokens that it leaves are those of the training
    stage.remember_rate(run, locked, RESULT)
    learned = made(run, locked)
    assert learned.train_seconds is not None
    assert learned.train_seconds.value == pytest.approx(12.5)
    assert learned.rate_source == "measured"
    assert len(rates.known()) == 1


def test_ranks_are_planned_as_processes_that_share_the_steps(
    run: RunFolder, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    alone, shared = (locked_recipe(str(base), train={"processes": count, "token_budget": 64}) for count in (1, 2))
    planned = made(run, shared)
    stage.remember_rate(run, shared, RESULT)
    assert rates.known() == {}, "one process of a recipe for two"
    stage.remember_rate(run, shared, RESULT.model_copy(update={"processes": 2}))
    assert made(run, alone).schedule.num_packs < planned.schedule.num_packs
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    among = made(run, alone)
    assert among.schedule == planned.schedule
    assert among.rate_source == "measured", "what two processes reached is what two ranks reach"
    assert [term.num_bytes for term in among.memory] == [term.num_bytes for term in planned.memory]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert "helpers" not in {term.name for term in made(run, alone).memory}, "the other one is on another machine"


@pytest.mark.parametrize("here", [1, 2])
@pytest.mark.parametrize(
    "parts",
    [{"train": {"token_budget": 64}}, {"method": {"kind": "full"}, "train": {"token_budget": 64, "shard": True}}],
    ids=["whole", "in shards"],
)
def test_the_search_for_what_fits_begins_with_what_the_ranks_hold(
    run: RunFolder, base: Path, parts: dict, here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun's, two in all, of which the plan counted those on this machine."""
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    locked = locked_recipe(str(base), **parts)
    planned = made(run, locked)
    recipe, config = locked.recipe, read_config(base)
    model = shapes(config)
    counted = parameters.count(
        model, None if recipe.method.kind == "full" else recipe.method.rank, recipe.method.targets
    )
    assert memory.training(model, counted, fit.as_planned(recipe, planned)) == planned.memory
    found = fit.fit(locked.recipe, config, planned, int(0.95 * planned.peak_bytes.high))
    assert found is None or found.sets


def test_a_state_folder_that_cannot_be_written_stops_nothing(
    run: RunFolder, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "occupied").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "occupied"))
    run.train.mkdir()
    tokenise(tokenizer.load(base), examples(100)).save(run.tokens)
    stage.remember_rate(run, locked_recipe(str(base)), RESULT)
    assert rates.known() == {}


def test_no_training_rows_are_said_so(run: RunFolder, base: Path) -> None:
    commit_rows(run.rows("train"), [])
    with pytest.raises(DataError, match="no rows to train on"):
        made(run, locked_recipe(str(base)))
    assert not run.plan.exists()


def test_what_no_training_of_a_base_could_be_is_foreseen_without_its_weights(base: Path) -> None:
    """Of models that repeat their embedding as the head a look at them takes seconds; a plan takes it once."""
    (base / "model.safetensors").write_bytes(b"no weights")
    stage.foresee(locked_recipe(str(base)).recipe, base)
    with pytest.raises(Refused, match="not a safetensors file"):
        read_config(base)


def test_answers_to_validation_rows_that_are_not_there_stop_the_plan(run: RunFolder, base: Path) -> None:
    """Training would refuse them too, after all baselines were measured."""
    commit_rows(run.rows("validation"), [])
    with pytest.raises(InputError, match="asks for answers to validation rows, and there are none"):
        made(run, locked_recipe(str(base), train={"validate": {"every": 8}}))
    assert not run.plan.exists()


def test_rows_beyond_the_limit_stop_the_plan_and_are_counted_where_they_may_be_cut(run: RunFolder, base: Path) -> None:
    with pytest.raises(InputError, match="rows are longer than 40 tokens"):
        made(run, locked_recipe(str(base), train={"max_tokens": 40}))
    record = made(run, locked_recipe(str(base), train={"max_tokens": 40, "truncate": True}))
    assert record.schedule.truncated_rows > 0
    assert record.schedule.longest_row == 40


def test_a_base_without_a_chat_template_is_told_before_it_is_trained(run: RunFolder, base: Path) -> None:
    assert "no_template" not in {finding.id for finding in made(run, locked_recipe(str(base))).findings}
    (base / "chat_template.jinja").unlink()
    record = made(run, locked_recipe(str(base)))
    assert "no chat template" in str(next(finding for finding in record.findings if finding.id == "no_template"))
    assert record.fits()


def test_answers_that_the_tokenizer_cannot_write_are_told_before_a_model_is_trained_on_them(
    run: RunFolder, base: Path
) -> None:
    told = "unwritable_answers"
    assert told not in {finding.id for finding in made(run, locked_recipe(str(base))).findings}
    lowering = tokenizers.Tokenizer.from_file(str(base / "tokenizer.json"))
    lowering.normalizer, lowering.decoder = tokenizers.normalizers.Lowercase(), tokenizers.decoders.ByteLevel()
    lowering.save(str(base / "tokenizer.json"))
    assert told not in {finding.id for finding in made(run, locked_recipe(str(base))).findings}
    answers = [one.model_copy(update={"completion": "Yes"}) if n < 3 else one for n, one in enumerate(examples(20))]
    commit_rows(run.rows("test"), answers)
    (finding,) = [one for one in made(run, locked_recipe(str(base))).findings if one.id == told]
    assert finding.message.startswith("3 of 30 right answers of the held-out rows come back")
    assert "('yes' for 'Yes')" in finding.message


@pytest.mark.parametrize("targets", [["lm_head"], ["q_proj", "lm_head"]])
def test_an_adapter_on_the_output_head_is_refused_before_anything_is_measured(
    plan_of: PlanOf, targets: list[str]
) -> None:
    with pytest.raises(InputError, match="hold the output head") as raised:
        plan_of(method={"targets": targets})
    assert "q_proj" in str(raised.value.hint)
    assert "lm_head" not in str(raised.value.hint)


def test_a_base_without_a_configuration_is_bad_input(run: RunFolder, base: Path) -> None:
    (base / "config.json").unlink()
    with pytest.raises(InputError, match=r"config.json is not there"):
        made(run, locked_recipe(str(base)))


def test_planning_loads_no_torch() -> None:
    program = "import sys, lathe.plan; assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_tokens_are_left_for_training_and_for_the_next_plan(
    run: RunFolder, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another learning rate asks for no other tokens; other limits or other rows do."""
    encoded: list[int] = []
    encode = tokens_module.tokenise

    def counting(tok, rows, *rest):
        encoded.append(len(rows))
        return encode(tok, rows, *rest)

    monkeypatch.setattr(tokens_module, "tokenise", counting)
    first = made(run, locked_recipe(str(base)))
    second = made(run, locked_recipe(str(base), train={"learning_rate": 1e-4}))
    assert encoded == [100]
    assert second.schedule == first.schedule
    made(run, locked_recipe(str(base), train={"max_tokens": 400}))
    commit_rows(run.rows("train"), examples(50))
    assert made(run, locked_recipe(str(base))).schedule.num_examples == 50
    assert encoded == [100, 100, 50]
    assert (
        TokenSet.load(run.tokens).row(7).ids.tolist() == tokenise(tokenizer.load(base), examples(8)).row(7).ids.tolist()
    )
