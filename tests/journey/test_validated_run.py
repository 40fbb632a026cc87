"""A run that answers validation rows while it trains: what was measured then is what the tuned arm measures afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lathe.pipeline import Run
from lathe.records import Plan, TrainResult
from tiny_base import examples

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = """\
name: small
base: {base}
task: chat
data: {{source: rows.jsonl, split: {{validation: 0.2, test: 0.1}}}}
method: {{kind: lora, rank: 4}}
train:
  epochs: 3
  examples_per_step: 8
  token_budget: 400
  learning_rate: 1.0e-2
  threads: 1
  checkpoint_every: 100
  validate: {{every: 5}}
evaluate: {{few_shot: 0, max_new_tokens: 12}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Run:
    folder = tmp_path_factory.mktemp("validated")
    (folder / "small.yaml").write_text(RECIPE.format(base=tiny_base))
    rows = [{"input": row.input, "target": row.completion} for row in examples(60)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = Run.start(folder / "small.yaml", root=folder / "runs")
    run.prepare()
    run.plan()
    run.train()
    return run


def test_the_kept_weights_answer_the_validation_rows_as_they_did_while_they_were_trained(trained: Run) -> None:
    result = trained.folder.load(trained.folder.train_result, TrainResult)
    report = trained.evaluate("tuned", "validation")
    (chosen,) = [one for one in result.validations if one.step == result.chosen_step]
    assert report.n == chosen.answers, "all of them, since there are fewer than train.validate.rows"
    assert report.score(chosen.score.metric) == chosen.score
    assert report.new_tokens == chosen.new_tokens
    assert report.finish.get("length", 0) == chosen.cut


def test_the_plan_knew_when_and_how_many_rows_would_be_answered(trained: Run) -> None:
    plan = trained.folder.load(trained.folder.plan, Plan)
    result = trained.folder.load(trained.folder.train_result, TrainResult)
    assert plan.validation is not None
    assert plan.validation.times == len(result.validations) > 1
    assert plan.validation.rows == result.validations[0].answers
    assert sum(one.new_tokens for one in result.validations) <= plan.validation.most_tokens


def test_a_finished_training_is_not_done_again_and_another_patience_is_another_training(trained: Run) -> None:
    told: list[dict] = []
    trained.train(lambda event: told.append(dict(event)))
    assert told[-1]["skipped"]
    other = Run.start(trained.folder.path, ("train.validate.patience=2",))
    assert other.hashes["train"] != trained.hashes["train"]
    assert other.hashes["base-zero"] == trained.hashes["base-zero"]
