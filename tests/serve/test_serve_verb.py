"""`lathe serve` as a person starts it: the models that were trained, a shipped file, TLS, and what cannot be served."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from web_client import TOKEN, Serve, Server

from gguf_base import write_gguf_base
from lathe import ship as shipping
from lathe.ask import Questions
from lathe.cli.main import main
from lathe.conformity import conforms
from lathe.pipeline import Run
from tiny_base import examples
from tiny_run import quiet

pytestmark = pytest.mark.usefixtures("one_thread")
LATHE = Path(sys.modules["lathe"].__file__ or "").parent / "cli" / "main.py"


def taught(folder: Path, base: Path) -> Run:
    """A run that learned to name the first word."""
    (folder / "rows.jsonl").write_text(
        "".join(json.dumps({"input": row.input, "target": row.completion.lower()}) + "\n" for row in examples(40))
    )
    (folder / "r.yaml").write_text(
        f"name: words\nbase: {base}\ntask: intent\ndata: {{source: rows.jsonl, split: {{validation: 0.1, test: 0.2}}}}\n"
        "method: {kind: lora, rank: 8}\nevaluate: {few_shot: 0, max_new_tokens: 12}\n"
        "train: {epochs: 12, examples_per_step: 8, token_budget: 2000, learning_rate: 0.03, threads: 1}\n"
    )
    run = Run.start(folder / "r.yaml", root=folder / "runs")
    run.prepare(quiet)
    run.plan(quiet)
    run.train(quiet)
    return run


@pytest.fixture(scope="module")
def words_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return taught(tmp_path_factory.mktemp("words"), tiny_base)


def said(server: Server, model: str, text: str) -> dict[str, Any]:
    reply = server.ask(
        "POST", "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}]}
    )
    assert reply.status == 200, reply.body
    return reply.json()


def test_the_trained_model_and_its_base_answer_as_lathe_ask_does(words_run: Run, serving: Serve) -> None:
    server = serving(words_run.folder.path, program=LATHE)
    for row in examples(3):
        asked = words_run.ask(row.input)
        for arm, model in zip(("tuned", "base"), server.models, strict=True):
            reply = said(server, model, row.input)
            assert reply["choices"][0]["message"]["content"] == asked[arm]
            request = Questions(words_run.folder, words_run.locked).request(
                Questions(words_run.folder, words_run.locked).example(row.input)
            )
            assert reply["usage"]["prompt_tokens"] == len(request.prompt_ids)


def in_form(server: Server, schema: Any, **more: Any) -> dict[str, Any]:
    """The body of a request to the tuned model, which never learned to write JSON."""
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": True}}
    return {
        "model": server.models[0],
        "messages": [{"role": "user", "content": "alder 3"}],
        "response_format": form,
        "max_tokens": 120,
        **more,
    }


THING = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["tree", "größer"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "at": {"type": ["string", "null"], "maxLength": 6, "format": "by-hand"},
    },
    "required": ["kind", "count", "at"],
    "additionalProperties": False,
}


def test_a_model_is_held_to_the_schema_of_the_request_while_it_writes(words_run: Run, serving: Serve) -> None:
    server = serving(words_run.folder.path, "--no-base", program=LATHE)
    reply = server.ask("POST", "/v1/chat/completions", in_form(server, THING)).json()
    assert conforms(THING, json.loads(reply["choices"][0]["message"]["content"]))
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["lathe"]["format"] == {"constrained": True, "left_out": ["format"], "kept": True, "problem": None}
    # What is told is not taken back, though the answer goes back.
    longer = {
        **THING,
        "properties": {**THING["properties"], "note": {"type": "string", "maxLength": 40}},
        "required": ["note"],
    }
    body = in_form(server, longer, max_tokens=200)
    body["response_format"]["json_schema"]["strict"] = False
    whole = server.ask("POST", "/v1/chat/completions", body).json()["choices"][0]["message"]["content"]
    streamed = server.ask("POST", "/v1/chat/completions", {**body, "stream": True}).body
    pieces = [json.loads(line[6:])["choices"][0]["delta"].get("content") for line in streamed.split(b"\n\n")[:-2]]
    assert len([piece for piece in pieces if piece]) > 2
    assert "".join(piece or "" for piece in pieces) == whole
    assert (
        said(server, server.models[0], "alder 3")["choices"][0]["message"]["content"]
        == words_run.ask("alder 3")["tuned"]
    )

    anything = in_form(server, THING, response_format={"type": "json_object"})
    begun = server.ask("POST", "/v1/chat/completions", anything).json()["choices"][0]
    assert begun["message"]["content"].startswith("{")


def test_a_schema_that_no_grammar_can_follow_is_refused_or_looked_at_afterwards(words_run: Run, serving: Serve) -> None:
    server = serving(words_run.folder.path, "--no-base", program=LATHE)
    refused = server.ask("POST", "/v1/chat/completions", in_form(server, {"$ref": "https://example.com/x"}))
    assert (refused.status, "no answer can be held to the schema" in refused.why) == (400, True)
    # Followed as grammars, each of these takes longer than anybody waits.
    many = [{"type": "string", "pattern": f".*{n}.*", "maxLength": 9} for n in range(30)]
    for schema, later in (
        ({"type": "integer", "multipleOf": 1_000_003, "minimum": 0, "maximum": 10}, ["multipleOf"]),
        ({"allOf": many}, ["pattern"]),
    ):
        reply = server.ask("POST", "/v1/chat/completions", in_form(server, schema)).json()
        assert reply["lathe"]["format"]["constrained"] is True
        assert reply["lathe"]["format"]["left_out"] == later


def test_two_hundred_requests_at_sixteen_at_once_are_all_answered_alike(words_run: Run, serving: Serve) -> None:
    server = serving(words_run.folder.path, "--no-base", program=LATHE)
    rows = examples(20) * 10
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda row: said(server, server.models[0], row.input), rows))
    texts: dict[str, set[str]] = {}
    for row, reply in zip(rows, replies, strict=True):
        texts.setdefault(row.input, set()).add(reply["choices"][0]["message"]["content"])
    assert all(len(found) == 1 for found in texts.values())


def test_a_shipped_file_is_served_through_llama_cpp(tmp_path: Path, words_run: Run, serving: Serve) -> None:
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    base = write_gguf_base(tmp_path / "base")
    run = taught(tmp_path, base)
    recipe = run.locked.model_copy(update={"recipe": run.locked.recipe.model_copy(update={"ship": ("gguf_f16",)})})
    bundle = shipping.ship(run.folder, recipe, "inputs", quiet)
    assert bundle.shipped, bundle.withheld
    server = serving(run.folder.path, "--file", "gguf_f16", "--no-base", program=LATHE)
    for row in examples(3):
        assert (
            said(server, server.models[0], row.input)["choices"][0]["message"]["content"] == run.ask(row.input)["tuned"]
        )
    about = server.ask("GET", "/v1/models").json()["data"][0]["lathe"]
    assert about["file"] == "gguf_f16"


def test_with_tls_it_may_be_reached_by_another_name(objects_run: Path, tmp_path: Path, serving: Serve) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=models.example", "-addext", "subjectAltName=DNS:models.example,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    server = serving(objects_run, "--tls-cert", str(certificate), "--tls-key", str(key), "--name", "models.example")
    assert server.url.startswith("https://")
    trusting = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=certificate)),
    )
    for host in (server.host, "models.example", f"models.example:{server.place[1]}"):
        asked = urllib.request.Request(f"{server.url}/v1/models", headers=server.headers(Host=host))
        with trusting.open(asked, timeout=20) as answer:
            assert answer.status == 200


Refused = Callable[..., tuple[int, str]]


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """What `lathe serve` says where it does not come to serving: exit code and stderr."""

    def run(run: Path, *words: str, token: str = TOKEN) -> tuple[int, str]:
        monkeypatch.setenv("LATHE_SERVE_TOKEN", token)
        code = main(["serve", str(run), *words])
        return code, capfd.readouterr().err

    return run


def test_what_cannot_be_served_is_said_before_anything_is_loaded(
    objects_run: Path, tmp_path: Path, refused: Refused
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in refused(objects_run, "--port", str(taken.getsockname()[1]))[1]
    for words, why in (
        (("--host", "0.0.0.0"), "without TLS"),
        (("--host", "::"), "without TLS"),
        (("--file", "gguf_q8_0", "--port", "0"), "it has none"),
        (("--tls-cert", str(tmp_path / "none.pem"), "--tls-key", "x"), "none.pem"),
        (("--tls-key", str(tmp_path / "none.pem")), "--tls-cert"),
        (("--port", "70000"), "70000"),
    ):
        code, told = refused(objects_run, *words)
        assert code == 2
        assert why in told
    assert "16 or more" in refused(objects_run, token="short")[1]
    assert "no run folder" in refused(tmp_path)[1]


def test_a_run_without_a_tuned_model_has_nothing_to_serve(tiny_base: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "rows.jsonl").write_text('{"input": "a", "target": "b"}\n')
    (tmp_path / "r.yaml").write_text(f"name: n\nbase: {tiny_base}\ntask: intent\ndata: {{source: rows.jsonl}}\n")
    run = Run.start(tmp_path / "r.yaml", root=tmp_path / "runs")
    code, told = refused(run.folder.path)
    assert code == 2
    assert "no tuned model yet" in told


def test_a_signal_is_its_usual_end(objects_run: Path, serving: Serve) -> None:
    server = serving(objects_run)
    server.chat()
    server.process.send_signal(signal.SIGINT)
    _, told = server.process.communicate(timeout=30)
    assert server.process.returncode == 0
    assert "1 requests (1 x 200)" in told
