"""Pretraining: data, steps and resume on a network of a few thousand numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from lathe.corpora.structured_text import CORPUS
from lathe.engine import pretrain as engine
from lathe.engine import step
from lathe.engine.base_folder import new_network, write_base
from lathe.engine.copying import copy_prompts, copy_scores
from lathe.engine.devices import computes_bf16
from lathe.engine.fused.stack import FusedStep
from lathe.engine.packs import pack_of_windows
from lathe.engine.rare_tokens import TokenKinds
from lathe.engine.tokenizer_training import SPECIAL_TOKENS, train_tokenizer
from lathe.engine.windows import best_fit, encoded, make_chunk, stretched_positions, thinned, token_weights
from lathe.errors import InputError, RecipeError, StorageError
from lathe.pretraining import card, find_pretrain_recipe, pretrain, read_pretrain_recipe
from lathe.pretraining.recipe import makings
from lathe.records.pretrain import CopyScore, HeldOut, Mix, NetworkShape, Phase, PretrainRecipe, PretrainRecord, Start

SHAPE = NetworkShape(vocabulary=320, hidden=16, layers=2, heads=2, kv_heads=1, intermediate=16, context=512)


SHORT = Mix(longest_characters=200, drill_share=0.5)
_documents = CORPUS.documents


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(
        (d.text for d in islice(_documents(1, 0, Mix(longest_characters=400, drill_share=0.3)), 60)), SHAPE.vocabulary
    )


@pytest.fixture(autouse=True)
def few_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base of a few thousand numbers is examined on as little text as it is trained on."""
    monkeypatch.setattr("lathe.engine.windows._BATCH", 32)
    monkeypatch.setattr("lathe.engine.pretrain._COUNTED_TOKENS", 60_000)
    monkeypatch.setattr("lathe.engine.examine._HELD_OUT_TOKENS", 5_000)
    monkeypatch.setattr("lathe.engine.examine._RARE_TOKENS", 5_000)


def _chunk(tokenizer, tokens: int):
    return make_chunk(encoded(_documents(1, 0, SHORT), tokenizer, tokens), window=128, pad=3, seed=0)


def _trainee(recipe: PretrainRecipe, tokenizer) -> engine.Trainee:
    return engine.Trainee(recipe, new_network(recipe.network, tokenizer, recipe.seed))


def _recipe(**changes: object) -> PretrainRecipe:
    phase = Phase(
        tokens=60_000,
        window=128,
        rate=(1.0, 0.1),
        step_tokens=4096,
        micro_tokens=2048,
        longest_characters=200,
        drill_share=0.5,
        stretch=0.3,
    )
    values = {
        "name": "tiny",
        "network": SHAPE,
        "tokenizer_documents": 60,
        "phases": (phase,),
        "warmup_tokens": 500,
        "chunk_tokens": 2048,
    }
    return PretrainRecipe.model_validate({**values, **changes})


def test_special_tokens_come_first_and_any_bytes_come_back(tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3]
    for text in ("naïve Größe", "日本🙂\x00\x7f", " \t\r\n  ", "a1b22 3.14"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_digits_stand_alone(tokenizer) -> None:
    assert len(tokenizer.encode("2031").ids) == 4


def test_best_fit_places_every_document_once_and_overfills_none() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 500).tolist()
    windows = best_fit(lengths, 128)
    assert sorted(index for window in windows for index in window) == list(range(500))
    used = [sum(lengths[index] for index in window) for window in windows]
    assert max(used) <= 128
    assert sum(used) / (128 * len(used)) > 0.95


def test_a_token_takes_the_weight_of_its_last_character() -> None:
    weights = ((0, 3, 0.1), (3, 6, 1.0))
    assert token_weights([(0, 2), (2, 3), (2, 4), (5, 6)], weights).tolist() == pytest.approx(
        [0.1, 0.1, 1.0, 1.0], abs=1e-3
    )


def test_documents_stay_whole_in_their_window(tokenizer) -> None:
    chunk = _chunk(tokenizer, 3000)
    for row, weights in zip(chunk.ids_WT, chunk.weights_WT, strict=True):
        text = row[row != 3]
        assert text[-1] == 0
        assert not weights[row == 3].any()
    assert (chunk.ids_WT == 0).sum() == chunk.num_documents


def test_stretched_positions_rise_and_stay_inside_the_context() -> None:
    positions = stretched_positions(200, 64, 512, 0.5, 0)
    assert (np.diff(positions, axis=1) >= 1).all()
    assert positions.max() < 512
    assert 50 < (positions[:, -1] > 63).sum() < 150


def test_thinning_keeps_large_weights_and_the_expected_sum_of_small_ones() -> None:
    weights = np.tile(np.array([[0.1, 1.0]], dtype=np.float16), (10_000, 1))
    thin = thinned(weights, 0)
    assert (thin[:, 1] == 1).all()
    assert thin[:, 0].mean() == pytest.approx(0.1, rel=0.05)
    assert 0.4 < (thin[:, 0] == 0).mean() < 0.6


def test_windows_are_rows_of_a_pack_whose_tokens_are_scored_by_their_weights(tokenizer) -> None:
    """Loss and gradients are those of cross-entropy over all positions of each window by itself."""
    step.register_attention()
    network = new_network(SHAPE, tokenizer, 0).double()
    draw = np.random.default_rng(0)
    ids, positions = draw.integers(0, 320, (2, 9)), np.sort(draw.choice(512, (2, 9), replace=False))
    weights = draw.random((2, 9)).round(1)
    weights[:, 3] = 0
    logits = network(input_ids=torch.from_numpy(ids), position_ids=torch.from_numpy(positions)).logits
    losses = functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), torch.from_numpy(ids[:, 1:]).flatten(), reduction="none"
    )
    expected = (losses * torch.from_numpy(weights[:, 1:]).flatten()).sum() / 5.0
    expected.backward()
    wanted = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    pack = pack_of_windows(ids, positions, weights)
    step.register_attention()
    for take in (FusedStep(network).gradients, partial(step.gradients, network)):
        network.set_attn_implementation(step.ATTENTION)
        assert take([pack], 5.0) == pytest.approx(expected.item(), rel=1e-6)
        for parameter, gradient in zip(network.parameters(), wanted, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-7)
        network.zero_grad()


def test_micro_batches_and_processes_do_not_change_the_gradient(tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _recipe()
    chunk = _chunk(tokenizer, 2000)
    positions, weights = stretched_positions(len(chunk.ids_WT), 128, 512, 0.0, 0), chunk.weights_WT.astype(np.float32)
    found = []
    for micro, workers in ((256, 1), (512, 1), (256, 2)):
        phase = recipe.phases[0].model_copy(update={"micro_tokens": micro})
        master = _trainee(recipe, tokenizer).master
        with engine.shared_step(master, workers) as take:
            loss = take(*engine.step_packs(chunk, positions, weights, slice(0, 6), phase))
        found.append((loss, torch.cat([p.grad.flatten() for p in master.parameters()])))
    for loss, gradient in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        assert float((gradient - found[0][1]).norm() / gradient.norm()) < (1e-2 if computes_bf16() else 1e-5)


def test_the_step_of_a_gpu_forms_the_same_gradient(tokenizer) -> None:
    chunk, phase = _chunk(tokenizer, 2000), _recipe().phases[0]
    positions, weights = stretched_positions(len(chunk.ids_WT), 128, 512, 0.0, 0), chunk.weights_WT.astype(np.float32)
    found = []
    for step_of in (engine.shared_step, lambda master, _: contextlib.nullcontext(engine.reference_step(master))):
        master = _trainee(_recipe(), tokenizer).master
        with step_of(master, 1) as take:
            loss = take(*engine.step_packs(chunk, positions, weights, slice(0, 6), phase))
        found.append((loss, torch.cat([p.grad.flatten() for p in master.parameters()])))
    (loss, gradient), (expected_loss, expected) = found
    assert loss == pytest.approx(expected_loss, rel=1e-3 if computes_bf16() else 1e-5)
    assert float((gradient - expected).norm() / expected.norm()) < (3e-2 if computes_bf16() else 1e-5)


def test_a_killed_run_continues_to_the_same_weights(tmp_path: Path) -> None:
    recipe, seen = _recipe(), []
    whole = engine.pretrain(recipe, _documents, tmp_path / "whole", seen.append)
    assert whole.position.tokens >= 60_000

    class Killed(Exception):
        pass

    def kill_at_second(numbers: object) -> None:
        seen.append(numbers)
        if len(seen) == 2:
            raise Killed

    seen.clear()
    with pytest.raises(Killed):
        engine.pretrain(recipe, _documents, tmp_path / "cut", kill_at_second)
    assert (tmp_path / "cut" / "checkpoint" / "state.json").exists()
    resumed = engine.pretrain(recipe, _documents, tmp_path / "cut", seen.append)
    assert replace(resumed.position, seconds=0) == replace(whole.position, seconds=0)
    for (name, a), b in zip(whole.network.named_parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_a_run_goes_on_with_other_phases_to_come_and_with_nothing_else_changed(tmp_path: Path) -> None:
    phase = _recipe().phases[0].model_copy(update={"tokens": 4096})
    begun = _recipe(phases=(phase,), chunk_tokens=4096)
    done = engine.pretrain(begun, _documents, tmp_path, lambda _: None)
    for change in ({"seed": 5}, {"phases": (phase.model_copy(update={"swap_share": 0.5}),)}):
        with pytest.raises(InputError, match=f"begun with another recipe: {next(iter(change))}"):
            engine.pretrain(begun.model_copy(update=change), _documents, tmp_path, lambda _: None)
    longer = begun.model_copy(update={"name": "other", "phases": (phase, phase.model_copy(update={"window": 64}))})
    base = engine.pretrain(longer, _documents, tmp_path, lambda _: None)
    assert base.position.phase == 2
    assert base.position.tokens > done.position.tokens


def test_a_written_base_loads_with_the_same_logits(tmp_path: Path, tokenizer) -> None:
    network = new_network(SHAPE, tokenizer, 0)
    assert sum(p.numel() for p in network.parameters()) == SHAPE.num_params()
    network.bfloat16().float()
    write_base(tmp_path, network, tokenizer)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.arange(4, 20)[None]
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, network(ids).logits)
    read = AutoTokenizer.from_pretrained(tmp_path)
    assert (read.eos_token, read.pad_token) == ("<|im_end|>", "<|pad|>")
    assert read("ab 12").input_ids == tokenizer.encode("ab 12").ids
    chat = read.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False, add_generation_prompt=True)
    assert chat == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"


def test_a_network_that_looks_back_copies_without_a_fault() -> None:
    """The measure itself: an oracle that knows the distance scores 1, a blind one 0."""

    class Oracle(torch.nn.Module):
        def __init__(self, back: int) -> None:
            super().__init__()
            self.back = back

        def forward(self, input_ids: torch.Tensor, use_cache: bool) -> object:
            nxt = torch.roll(input_ids, self.back - 1, dims=1)
            return type("Out", (), {"last_hidden_state": functional.one_hot(nxt, 40).float()})()

    arguments = {
        "mark": [1, 2],
        "close": [3],
        "filler": torch.full((200,), 5),
        "tokens": torch.arange(10, 40),
        "lengths": (4,),
        "distances": (30,),
        "count": 16,
    }
    assert copy_prompts([1, 2], [3], torch.full((200,), 5), 4, 30, 2, torch.arange(10, 40), 0).shape == (2, 36)
    assert next(copy_scores(Oracle(30), torch.eye(40), **arguments)).exact == 1.0
    assert next(copy_scores(Oracle(7), torch.eye(40), **arguments)).exact == 0.0


def test_the_bundled_base_fits_the_package_and_its_recipe_makes_what_it_begins_with_first(tmp_path: Path) -> None:
    source = find_pretrain_recipe("nano")
    made = list(makings(source, tmp_path / "base", tmp_path))
    lookup, nesting = tmp_path / "nano-lookup", tmp_path / "nano-nesting"
    assert [one.folder for one in made] == [lookup, lookup, nesting, tmp_path / "base"]
    assert [one.starts for one in made] == [(), (), (lookup,), (lookup, nesting)]
    recipe = read_pretrain_recipe(source)
    assert recipe.num_params() * 2 <= 15_000_000
    assert recipe.network.context == 8192
    assert all(one.recipe.network == recipe.network for one in made)
    assert all(phase.window <= recipe.network.context for one in made for phase in one.recipe.phases)


def test_a_finished_folder_is_left_alone_and_another_recipe_is_refused(tmp_path: Path) -> None:
    recipe = _recipe()
    record = PretrainRecord(
        name="tiny",
        recipe=recipe,
        num_params=1,
        file_bytes=1,
        tokens=1,
        documents=1,
        steps=1,
        seconds=1.0,
        held_out=HeldOut(documents=1, bits_per_byte=2.5, answer_bits_per_byte=1.5),
        copying=(CopyScore(strings="words", length=4, distance=128, exact=0.75, num_strings=8),),
        versions={"torch": "0"},
        sha256={},
    )
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "pretrain.json").write_text(record.to_json())
    (tmp_path / "same.yaml").write_text(recipe.model_dump_json())
    (tmp_path / "other.yaml").write_text(recipe.model_copy(update={"seed": 9}).model_dump_json())
    assert pretrain(tmp_path / "same.yaml", folder) == record
    with pytest.raises(InputError, match="another recipe"):
        pretrain(tmp_path / "other.yaml", folder)
    assert "2.500 bits per byte" in card(record)
    assert "| 4 | 0.75 |" in card(record)


def test_a_place_where_no_folder_can_be_made_is_said_and_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(_recipe().model_dump_json())
    with pytest.raises(StorageError, match="could not write"):
        pretrain(tmp_path / "tiny.yaml", tmp_path / "tiny.yaml" / "base")


def test_a_recipe_becomes_a_folder_that_loads_with_its_record_and_card(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(_recipe(chunk_tokens=30_000).model_dump_json())
    heard: list[Mapping[str, object]] = []
    record = pretrain(tmp_path / "tiny.yaml", tmp_path / "base", heard.append, examine_every=2)
    assert record.tokens == heard[-1]["tokens"] >= 60_000
    assert "bits_per_byte" not in heard[0]
    assert heard[1]["bits_per_byte"] > record.held_out.bits_per_byte * 0.9
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    assert loaded.num_parameters() == record.num_params == SHAPE.num_params()
    assert f"{record.held_out.bits_per_byte:.3f} bits per byte" in (tmp_path / "base" / "CARD.md").read_text()
    assert record.rare is not None
    assert record.rare.num_tokens > 20
    assert (
        f"{record.rare.num_tokens} tokens stand in hardly any document" in (tmp_path / "base" / "CARD.md").read_text()
    )
    assert {(score.strings, score.distance) for score in record.copying} == {("words", 128), ("tokens", 128)}
    assert "began with random weights" in (tmp_path / "base" / "CARD.md").read_text()


def test_a_training_goes_on_from_a_base_and_says_from_which(tmp_path: Path) -> None:
    phase = {**_recipe().phases[0].model_dump(), "tokens": 4096, "swap_share": 0.5, "rate": (1e-6, 1e-6)}
    first = _recipe(phases=(phase,), chunk_tokens=4096)
    (tmp_path / "first.yaml").write_text(first.model_dump_json())
    before = pretrain(tmp_path / "first.yaml", tmp_path / "first")
    (tmp_path / "on.yaml").write_text(first.model_copy(update={"start": ("first",), "seed": 5}).model_dump_json())
    record = pretrain(tmp_path / "on.yaml", tmp_path / "on")
    start = Start(name="first", sha256=before.sha256["model.safetensors"], tokens=before.tokens)
    assert record.start == (start,)
    assert record.all_tokens() == record.tokens + before.tokens
    assert record.sha256["tokenizer.json"] == before.sha256["tokenizer.json"]
    assert "Of `first`, which it began with: not measured." in (tmp_path / "on/CARD.md").read_text()
    assert record.versions["structured_text"] == CORPUS.version
    assert f"began with `first` (weights of SHA-256 {start.sha256[:16]}" in (tmp_path / "on/CARD.md").read_text()
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "on"))
    moved = (old["model.embed_tokens.weight"] != new["model.embed_tokens.weight"]).any(dim=1)
    assert not moved[len(SPECIAL_TOKENS) :].any(), "rows of rare tokens that are spread already are not drawn anew"


def test_rows_of_rare_tokens_that_lie_in_one_place_are_drawn_anew_where_they_are_to_be_learned(
    tmp_path: Path, tokenizer
) -> None:
    start = new_network(SHAPE, tokenizer, 0)
    kinds = TokenKinds(rare=np.arange(300, 320), ordinary=np.arange(100, 200))
    with torch.no_grad():
        start.model.embed_tokens.weight[300:320] = 1.0
    (tmp_path / "start").mkdir()
    write_base(tmp_path / "start", start, tokenizer)
    plain = _recipe(start=("start",))
    swapping = plain.model_copy(update={"phases": (plain.phases[0].model_copy(update={"swap_share": 0.5}),)})
    for recipe, moved in ((plain, []), (swapping, list(range(300, 320)))):
        text = engine.Text(recipe, _documents, tokenizer, kinds)
        begun = engine._network(text, [tmp_path / "start"]).model.embed_tokens.weight
        there = (begun != start.model.embed_tokens.weight.bfloat16().float()).any(dim=1).nonzero().flatten()
        assert there.tolist() == moved


def test_bases_that_a_recipe_begins_with_are_made_first_and_their_mean_is_what_it_goes_on_from(tmp_path: Path) -> None:
    phase = {**_recipe().phases[0].model_dump(), "tokens": 4096, "rate": (1e-6, 1e-6)}
    still = _recipe(phases=({**phase, "rate": (0, 0)},), chunk_tokens=4096, start=("one.yaml", "two.yaml"))
    (tmp_path / "one.yaml").write_text(_recipe(phases=(phase,), chunk_tokens=4096).model_dump_json())
    (tmp_path / "two.yaml").write_text(
        _recipe(phases=(phase,), chunk_tokens=4096, start=("one.yaml",), muon_learning_rate=1.0).model_dump_json()
    )
    (tmp_path / "still.yaml").write_text(still.model_dump_json())
    heard: list[Mapping[str, object]] = []
    record = pretrain(tmp_path / "still.yaml", tmp_path / "still", heard.append)
    assert [start.name for start in record.start] == ["one.yaml", "two.yaml"]
    assert len(heard) == 3, "each base is trained once, though two begin with the first"
    one, two, mean = (
        load_file(tmp_path / folder / "model.safetensors")
        for folder in ("still.work/starts/one", "still.work/starts/two", "still")
    )
    for name, tensor in mean.items():
        assert torch.equal(tensor, ((one[name].float() + two[name].float()) / 2).to(tensor.dtype)), name
    assert any(not torch.equal(one[name], two[name]) for name in one)


def test_a_recipe_that_begins_with_its_own_base_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(_recipe(start=("two.yaml",)).model_dump_json())
    (tmp_path / "two.yaml").write_text(_recipe(start=("one.yaml",)).model_dump_json())
    with pytest.raises(InputError, match=r"one\.yaml begins with its own base"):
        pretrain(tmp_path / "one.yaml", tmp_path / "one")


def test_starts_with_different_tokenizers_are_refused(tmp_path: Path, tokenizer) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_base(tmp_path / name, new_network(SHAPE, tokenizer, 0), tokenizer)
    (tmp_path / "two" / "tokenizer.json").write_text((tmp_path / "one" / "tokenizer.json").read_text() + "\n")
    (tmp_path / "on.yaml").write_text(_recipe(start=("one", "two")).model_dump_json())
    with pytest.raises(InputError, match="start 'two' has another tokenizer than start 'one'"):
        pretrain(tmp_path / "on.yaml", tmp_path / "on")


def test_a_start_of_another_shape_is_refused(tmp_path: Path, tokenizer) -> None:
    (tmp_path / "other").mkdir()
    write_base(tmp_path / "other", new_network(SHAPE.model_copy(update={"layers": 1}), tokenizer, 0), tokenizer)
    (tmp_path / "on.yaml").write_text(_recipe(start=("other",)).model_dump_json())
    with pytest.raises(InputError, match="start 'other' has num_hidden_layers 1, the recipe's 2"):
        pretrain(tmp_path / "on.yaml", tmp_path / "on")
    assert not (tmp_path / "on").exists()
    assert not list((tmp_path / "on.work").iterdir()), "another start would be taken with this one's tokenizer"


def test_windows_must_divide_micro_batches() -> None:
    with pytest.raises(ValueError, match="multiple"):
        Phase(tokens=1, window=100, step_tokens=512, micro_tokens=256, longest_characters=10)


def test_heads_that_the_position_code_cannot_turn_are_told() -> None:
    with pytest.raises(ValueError, match="gives heads 15 wide"):
        NetworkShape(hidden=45, heads=3, kv_heads=1)


def test_a_fault_of_a_pretraining_recipe_has_its_line_and_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    phase = "{tokens: 1000, window: 300, step_tokens: 512, micro_tokens: 256, longest_characters: 10}"
    path.write_text(f"name: x\nnetwork: {{hiden: 64}}\nphases:\n  - {phase}\n")
    with pytest.raises(RecipeError) as caught:
        read_pretrain_recipe(path)
    first, second = caught.value.faults
    assert (first.key, first.line, first.hint) == ("network.hiden", 2, "Did you mean `hidden`?")
    assert (second.line, "multiple of micro_tokens" in second.message) == (4, True)
    path.write_text(
        f"name: x\nnetwork: {{context: 256}}\nphases: [{phase.replace('300', '512').replace('256', '512')}]\n"
    )
    with pytest.raises(RecipeError, match=r"a window of 512 positions is longer than network\.context 256"):
        read_pretrain_recipe(path)


def test_a_faulty_recipe_is_answered_with_all_its_faults(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\nphases: []\nsteps: 3\n")
    with pytest.raises(RecipeError) as caught:
        read_pretrain_recipe(tmp_path / "bad.yaml")
    assert {fault.key for fault in caught.value.faults} == {"phases", "steps"}
    with pytest.raises(InputError, match="no pretraining recipe"):
        find_pretrain_recipe("pico")
