"""What every generated corpus keeps: the same rows for the same seed, whatever the number; rows that its task takes."""

from __future__ import annotations

from itertools import islice

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from lathe import plugins
from lathe.contracts import Corpus
from lathe.records import TaskSetup, canonical

NAMES = plugins.names("corpora")


@pytest.fixture(params=NAMES)
def corpus(request: pytest.FixtureRequest) -> Corpus:
    return plugins.load("corpora", request.param)


def test_a_corpus_is_a_pure_function_of_its_seed(corpus: Corpus) -> None:
    assert canonical(list(corpus.rows(7, 20))) == canonical(list(corpus.rows(7, 20)))
    assert canonical(list(corpus.rows(7, 20))) != canonical(list(corpus.rows(8, 20)))


def test_more_rows_never_change_the_earlier_ones(corpus: Corpus) -> None:
    assert canonical(list(corpus.rows(1, 5))) == canonical(list(islice(corpus.rows(1, 50), 5)))


def test_rows_are_as_many_as_asked(corpus: Corpus) -> None:
    assert [len(list(corpus.rows(0, n))) for n in (0, 1, 17)] == [0, 1, 17]


def test_a_corpus_says_its_version_and_licence(corpus: Corpus) -> None:
    assert corpus.version
    assert corpus.licence
    assert corpus.task == "" or corpus.task in plugins.names("tasks")


def test_schemas_are_valid_json_schemas(corpus: Corpus) -> None:
    for schema in corpus.schemas().values():
        validator_for(schema, default=Draft202012Validator).check_schema(schema)


def test_rows_are_taken_by_the_task_and_targets_fit_their_schemas(corpus: Corpus) -> None:
    if not corpus.task:
        pytest.skip("a pretraining corpus has no task")
    task = plugins.load("tasks", corpus.task)
    setup = TaskSetup(schemas=dict(corpus.schemas()))
    ids = set()
    for row in corpus.rows(11, 200):
        example = task.example(row, setup)
        ids.add(example.id)
        if setup.schemas:
            schema = setup.schemas[example.meta["schema"]]
            validator_for(schema, default=Draft202012Validator)(schema).validate(example.target)
    assert len(ids) == 200
