# ruff: noqa: E501 - code of child processes stands on one line
"""Every ending has its exit code, its words and its stream."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from lathe.cli.arguments import VERBS
from lathe.errors import Exit

ROOT = Path(__file__).parents[2]

# A verb that opens a run folder in the current directory and then does what BODY says.
STAGED = """
from lathe.cli import verbs
from lathe.cli.progress import listen
def body(args, screen):
    from pathlib import Path
    from lathe.runs import RunFolder
    screen.folder = RunFolder(Path('.'))
    listener = listen(screen)
    {body}
verbs.ls = body
"""


def staged(body: str) -> str:
    return STAGED.format(body=body.replace("\n", "\n    "))


# ------------------------------------------------------------------------------------------ help


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_names_every_verb_and_is_no_error(words: tuple[str, ...], lathe) -> None:
    done = lathe(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    for verb in VERBS:
        assert re.search(rf"^  {verb.name} ", done.stdout, re.MULTILINE), verb.name


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_each_verb_explains_itself(verb: str, lathe) -> None:
    done = lathe(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: lathe {verb}")
    assert "--json" in done.stdout


def test_the_version_is_one_line(lathe) -> None:
    assert re.fullmatch(r"lathe \d+\.\d+\.\d+\n", lathe("--version").stdout)


# ------------------------------------------------------------------------------------------ bad usage


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dmo",), "Did you mean `lathe demo`?"),
        (("frobnicate",), "The verbs are: demo, run"),
        (("run",), "RECIPE|RUN"),
        (("run", "nowhere.yaml"), "nowhere.yaml"),
        (("run", "demo", "--sett", "a=b"), "--sett"),
        (("status", "nowhere"), "no run folder"),
        (("status",), "no run"),
        (("ask", "nowhere", "text"), "no run folder"),
        (("plan",), "--config"),
        (("plan", "--config", "nowhere.json"), "nowhere.json"),
        (("plan", "--config", "x.json", "--lora-rank", "many"), "many"),
    ],
)
def test_bad_usage_is_two_lines_on_stderr_and_exit_code_2(words: tuple[str, ...], said: str, lathe) -> None:
    done = lathe(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [("--json", "run", "nowhere.yaml"), ("run", "nowhere.yaml", "--json"), ("dmo", "--json")]
)
def test_under_json_an_error_is_one_document_on_stdout(words: tuple[str, ...], lathe) -> None:
    done = lathe(*words)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["exit_code"] == 2
    assert error["kind"] == "InputError"
    assert error["message"]
    assert done.stderr == ""


def test_faults_of_a_recipe_come_all_at_once_with_their_lines(lathe, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: x\nbase: lathe:nano\ntask: json_extraction\ndata: {source: lathe:edge_json}\nepohs: 3\ntrain: {epochs: -1}\n"
    )
    done = lathe("plan", "r.yaml")
    assert done.returncode == 2
    assert "r.yaml:5" in done.stderr
    assert "r.yaml:6" in done.stderr


def test_the_schema_is_a_json_schema_of_the_recipe(lathe) -> None:
    schema = json.loads(lathe("schema").stdout)
    assert {"name", "base", "task", "data"} <= set(schema["properties"])


def test_an_empty_folder_has_no_runs_and_that_is_no_error(lathe) -> None:
    done = lathe("ls", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == []


# ------------------------------------------------------------------------------------------ errors of every kind


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("InputError('x')", 2), ("Diverged('x')", 1), ("Unavailable('x', hint='pip install x')", 69), ("LatheError('x')", 70),
        ("RunInUse('x')", 73), ("StorageError('x')", 74), ("Interrupted('x')", 75), ("Refused('x')", 76),
    ],
)  # fmt: skip
def test_each_error_of_the_tree_ends_with_its_exit_code(error: str, code: int, lathe) -> None:
    before = staged(f"from lathe import errors\nraise errors.{error}")
    done = lathe("ls", before=before)
    assert done.returncode == code
    assert re.match(r"(error|stopped): x\n", done.stderr)
    assert json.loads(lathe("ls", "--json", before=before).stdout)["error"]["exit_code"] == code


def test_an_unforeseen_error_is_one_line_on_the_screen_and_a_traceback_in_the_journal(lathe, tmp_path: Path) -> None:
    secret = "hf_" + "aB3" * 11
    before = staged(f"raise ZeroDivisionError('by {secret} and private-value')")
    done = lathe("ls", before=before, MY_TOKEN="private-value")
    assert done.returncode == 70
    assert "Traceback" not in done.stderr
    assert "journal.jsonl" in done.stderr
    journal = (tmp_path / "journal.jsonl").read_text()
    assert "Traceback" in json.loads(journal)["traceback"]
    for text in (journal, done.stderr, done.stdout):
        assert secret not in text
        assert "private-value" not in text


def test_a_journal_that_cannot_be_written_hides_no_error(lathe) -> None:
    body = "from lathe import errors, runs\ndef full(*_, **__): raise errors.StorageError('no room')\nrunsfolder = runs.RunFolder\nrunsfolder.journal = full\nprint('noise')\n"
    unforeseen = lathe("ls", before=staged(body + "raise ZeroDivisionError('x')"))
    assert unforeseen.returncode == 70
    assert "ZeroDivisionError: x" in unforeseen.stderr
    assert "Traceback" not in unforeseen.stderr
    meant = lathe("ls", before=staged(body + "raise errors.StorageError('disk full')"))
    assert meant.returncode == 74
    assert meant.stderr == "error: disk full\n"


def test_with_v_the_traceback_is_on_the_screen(lathe) -> None:
    assert "Traceback" in lathe("ls", "-v", before=staged("raise ZeroDivisionError('x')")).stderr


def test_used_up_memory_is_no_bug(lathe) -> None:
    done = lathe("ls", before=staged("raise MemoryError"))
    assert done.returncode == 69
    assert "token_budget" in done.stderr


def test_memory_that_torch_cannot_get_is_no_bug(lathe) -> None:
    """Under `ulimit -v` and in some containers it is refused in these words, which no error of Python's is made of."""
    words = (
        "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 2 bytes."
    )
    done = lathe("ls", before=staged(f'raise RuntimeError("{words}")'))
    assert done.returncode == 69
    assert "token_budget" in done.stderr


@pytest.mark.parametrize(
    ("refusal", "hint"), [("EMFILE", "ulimit -n"), ("EACCES", "chmod"), ("EFBIG", "ulimit -f"), ("ENOSPC", "TMPDIR")]
)
def test_what_the_system_refuses_is_its_own_word_and_no_bug(refusal: str, hint: str, lathe) -> None:
    body = f"import errno, os\nraise OSError(errno.{refusal}, os.strerror(errno.{refusal}), 'probe')"
    done = lathe("ls", before=staged(body))
    assert done.returncode == 74
    assert done.stderr.startswith("error: probe: ")
    assert hint in done.stderr


def test_a_file_that_may_not_be_written_says_what_to_do_and_nothing_of_free_space(lathe) -> None:
    body = """import errno, os
from pathlib import Path
from lathe.storage import writing
with writing(Path('run.json')):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))"""
    done = lathe("ls", before=staged(body))
    assert done.returncode == 74
    assert done.stderr.startswith("error: could not write run.json: Read-only file system\nhint: Name a folder")


# ------------------------------------------------------------------------------------------ streams

ANSWER = staged("screen.say('talk')\nscreen.line('an answer')\nreturn 1")


def ended(words: list[str], tmp_path: Path, shell: str, before: str = "") -> tuple[int, str]:
    """Exit code and stderr of `lathe WORDS` with its streams as a shell turns them, in bash."""
    code = f"import sys\n{before}\nfrom lathe.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        ["bash", "-c", f'"$@" {shell}; exit ${{PIPESTATUS[0]}}', "bash", sys.executable, "-c", code, *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("shell", ["| true", "2>&1 | true", ">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_a_reader_that_goes_away_or_was_never_there_changes_no_exit_code(shell: str, tmp_path: Path) -> None:
    """0 is deploy, or nothing found: `lathe decide RUN | head -1` must not say so of another verdict."""
    code, said = ended(["ls"], tmp_path, shell, before=ANSWER)
    assert code == 1
    assert "Traceback" not in said
    assert "Exception" not in said


RUN = staged("""import time
from pathlib import Path
from lathe.runs import RunFolder
screen.folder = RunFolder(Path('runs/one'))
for number in range(3):
    screen.line('an answer')
    time.sleep(0.05)
Path('went on').touch()
return 1""")


@pytest.mark.parametrize("shell", ["| head -n 1", "2>&1 | head -n 1"])
def test_a_run_whose_reader_goes_away_goes_on_and_says_once_where_it_is(shell: str, tmp_path: Path) -> None:
    """Where both streams go to that reader there is nobody to tell."""
    code, said = ended(["ls"], tmp_path, shell, before=RUN)
    assert (code, (tmp_path / "went on").exists()) == (1, True)
    told = "nobody read stdout to its end; the work went on, and the run is in runs/one\n"
    assert said == ("" if "2>&1" in shell else told)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["schema"], ["nonsense"]])
def test_a_reader_that_goes_away_is_no_error(words: list[str], tmp_path: Path) -> None:
    code, said = ended(words, tmp_path, "| true")
    assert code == (2 if words == ["nonsense"] else 0)
    assert "Traceback" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk at hand")
@pytest.mark.parametrize("words", [["ls"], ["ls", "--json"], ["ls", "-v"], ["--help"]])
def test_an_answer_that_cannot_be_written_is_not_given(words: list[str], tmp_path: Path) -> None:
    code, said = ended(words, tmp_path, "> /dev/full", before=staged("screen.document({})\nreturn 0"))
    assert code == 74
    assert said == "error: could not write to stdout: No space left on device\n"


def test_a_pipe_that_does_not_wait_gets_the_whole_answer(tmp_path: Path) -> None:
    """Node and some terminals' multiplexers leave such pipes to the programs that they start."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = staged("screen.document({'answer': 'x' * 1_000_000})\nreturn 0")
    code = f"import sys\n{before}\nfrom lathe.cli.main import main\nsys.exit(main(['ls']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=write, cwd=tmp_path)
    os.close(write)
    time.sleep(0.5)
    with os.fdopen(read, "rb") as answer:
        assert len(json.load(answer)["answer"]) == 1_000_000
    assert process.wait(timeout=20) == 0


def test_talk_that_cannot_be_written_takes_no_answer_away(lathe, tmp_path: Path) -> None:
    assert ended(["ls"], tmp_path, "2> /dev/full", before=ANSWER)[0] == 1


@pytest.mark.parametrize("columns", ["wide", "-5", "0", ""])
def test_a_width_that_is_none_is_passed_over(columns: str, lathe) -> None:
    assert lathe("ls", before=staged("screen.line('x' * 90)\nreturn 0"), COLUMNS=columns).stdout == "x" * 90 + "\n"


@pytest.mark.parametrize("words", [["check", ""], ["ls", "--runs", ""], ["run", "", "--smoke"]])
def test_a_variable_that_is_not_set_does_not_name_the_folder_one_is_in(words: list[str], lathe, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: not-meant\n")
    done = lathe(*words)
    assert done.returncode == 2
    assert "one of the words is empty" in done.stderr


@pytest.mark.parametrize("words", [["--json"], ["-q"], ["-q", "--json"]])
def test_options_without_a_verb_are_bad_usage(words: list[str], lathe) -> None:
    assert lathe(*words).returncode == 2


@pytest.mark.parametrize("words", [["ls", "--js"], ["ls", "--quie"], ["check", "rows.jsonl", "--doub"]])
def test_a_part_of_an_options_name_is_no_option(words: list[str], lathe) -> None:
    """Taken for `--json`, it would bring a table to a script that reads JSON."""
    done = lathe(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {words[0]} takes no {words[-1]}\nhint: `lathe {words[0]} --help` shows")


@pytest.mark.parametrize("words", [["ls", "-qv"], ["-q", "ls"], ["ls", "--quiet"]])
def test_short_options_may_stand_in_one_word(words: list[str], lathe) -> None:
    done = lathe(*words, before=ANSWER)
    assert (done.returncode, done.stdout, done.stderr) == (1, "an answer\n", "")


@pytest.mark.parametrize("words", [["--version", "--json"], ["--json", "--version"], ["--json", "-V"]])
def test_the_version_is_a_document_too(words: list[str], lathe) -> None:
    assert json.loads(lathe(*words).stdout)["version"]


# ------------------------------------------------------------------------------------------ what libraries say

NOISE = """
import ctypes, logging, os, subprocess, sys, warnings
print('printed by a library')
warnings.warn('warned by a library')
logging.getLogger('transformers').warning('logged by a library')
os.write(1, b'written by compiled code\\n'); os.write(2, b'token hf_aB3aB3aB3aB3aB3aB3aB3\\n')
subprocess.run([sys.executable, '-c', "print('said by a child')"])
screen.document({'answer': 42})
return 0
"""


def test_libraries_are_heard_in_the_journal_and_not_on_the_screen(lathe, tmp_path: Path) -> None:
    done = lathe("ls", "--json", before=staged(NOISE))
    assert json.loads(done.stdout) == {"answer": 42}
    assert done.stderr == ""
    lines = "\n".join(json.loads((tmp_path / "journal.jsonl").read_text())["lines"])
    for said in ("printed", "warned", "logged", "written by compiled code", "said by a child", "token [secret]"):
        assert said in lines, said


def test_with_v_libraries_are_heard_on_the_screen(lathe, tmp_path: Path) -> None:
    done = lathe("ls", "-v", before=staged(NOISE))
    assert "printed by a library" in done.stdout
    assert "warned by a library" in done.stderr
    assert not (tmp_path / "journal.jsonl").exists()


def test_quiet_leaves_only_the_answer(lathe) -> None:
    body = "screen.say('talk')\nlistener({'stage': 'train', 'done': 1, 'total': 2})\nscreen.line('answer')\nreturn 0"
    done = lathe("ls", "-q", before=staged(body))
    assert (done.stdout, done.stderr) == ("answer\n", "")


# ------------------------------------------------------------------------------------------ signals

WORK = """
import time
for step in range(600):
    listener({'stage': 'train', 'done': step, 'total': 600, 'unit': 'step'})
    if step == 0: screen.line('started')
    time.sleep(0.05)
return 0
"""
DEAF = "import time\nscreen.line('started')\nuntil = time.monotonic() + 30\nwhile time.monotonic() < until: time.sleep(0.05)\nreturn 0"


def started(body: str, folder: Path) -> subprocess.Popen[str]:
    code = f"import sys\n{staged(body)}\nfrom lathe.cli.main import main\nsys.exit(main(['ls']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_at_a_safe_point_with_75(number: signal.Signals, tmp_path: Path) -> None:
    process = started(WORK, tmp_path)
    process.send_signal(number)
    _, talk = process.communicate(timeout=20)
    assert process.returncode == 75
    assert f"stopped: stopped by {number.name}" in talk
    assert "The same command continues." in talk


def test_work_without_a_safe_point_is_stopped_after_a_moment(tmp_path: Path) -> None:
    process = started(DEAF, tmp_path)
    process.send_signal(signal.SIGTERM)
    _, talk = process.communicate(timeout=20)
    assert process.returncode == 75
    assert "stopped: stopped by SIGTERM" in talk


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_at_once(number: signal.Signals, code: int, tmp_path: Path) -> None:
    process = started(DEAF, tmp_path)
    process.send_signal(number)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(number)
    process.communicate(timeout=5)
    assert process.returncode == code


def test_a_signal_that_was_ignored_from_the_start_as_nohup_does_stops_nothing(tmp_path: Path) -> None:
    ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)"
    body = "import os, signal\nos.kill(os.getpid(), signal.SIGHUP)\nlistener({'stage': 'train', 'done': 1, 'total': 2})\nreturn 0"
    assert ended(["ls"], tmp_path, "", f"{ignoring}\n{staged(body)}") == (0, "")


LOADING = """
import os, signal
class Interrupting:
    @staticmethod
    def find_spec(name, *_):
        if name == "lathe.cli.show":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting)
from {module} import {function}
sys.exit({function}())
"""


def test_ctrl_c_while_the_program_is_loaded_leaves_no_traceback(tmp_path: Path) -> None:
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["lathe"]
    module, _, function = script.partition(":")
    code = "import sys" + LOADING.format(module=module, function=function)
    done = subprocess.run(
        [sys.executable, "-c", code, "ls"], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (Exit.INTERRUPTED, "", "")


# ------------------------------------------------------------------------------------------ terminals


def on_a_terminal(body: str, folder: Path, **environment: str) -> str:
    """What a person's terminal receives."""
    code = f"import sys\n{staged(body)}\nfrom lathe.cli.main import main\nsys.exit(main(['ls']))"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    assert process.wait(timeout=20) == 0
    return seen.decode()


BAR = """
import time
for step in range(12):
    listener({'stage': 'train', 'done': step, 'total': 12, 'unit': 'step', 'loss': 0.5})
    time.sleep(0.04)
listener.close()
screen.stage('train', 'done', 1.0)
screen.error('X', 'y', None, 2)
return 0
"""


def test_a_terminal_gets_a_bar_with_count_loss_rate_and_time_left(tmp_path: Path) -> None:
    seen = on_a_terminal(BAR, tmp_path)
    assert "━" in seen
    assert re.search(r"11 of 12 steps · loss 0\.500 · \d+\.\d steps/s · \d\.\d s left", seen)
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l"), "the cursor is shown again"


def test_a_library_that_warns_while_a_bar_stands_is_not_seen(tmp_path: Path) -> None:
    noisy = BAR.replace("    time.sleep(0.04)", "    time.sleep(0.04); print('noise', file=sys.stderr); print('noise')")
    assert "noise" not in on_a_terminal(noisy, tmp_path)
    assert "noise" in (tmp_path / "journal.jsonl").read_text()


def test_no_color_is_honoured(tmp_path: Path) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*(?:3[0-9]|9[0-7])[0-9;]*m")
    assert colour.search(on_a_terminal(BAR, tmp_path))
    assert not colour.search(on_a_terminal(BAR, tmp_path, NO_COLOR="1"))


def test_a_terminal_that_cannot_draw_gets_plain_lines(tmp_path: Path) -> None:
    """An editor's shell, say: a bar would be nothing but empty lines there."""
    quick = "from lathe.cli import progress\nprogress.PLAIN_EVERY_SECONDS = 0.1\n"
    seen = on_a_terminal(quick + BAR, tmp_path, TERM="dumb")
    assert "\x1b" not in seen
    assert re.match(r"  train +\d+ of 12 steps", seen)


# ------------------------------------------------------------------------------------------ verbs that need no model


def test_check_of_a_file_says_what_is_wrong_with_its_rows(lathe, tmp_path: Path) -> None:
    rows = [{"prompt": f"What is {n} and {n}?", "completion": f"It is {2 * n}."} for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = lathe("check", "rows.jsonl", "--json")
    assert done.returncode in (0, 1), done.stderr
    assert json.loads(done.stdout)["files"][0]["rows"] == 40


def test_a_plan_of_a_config_counts_its_parameters(lathe, tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": True,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = lathe("plan", "--config", "config.json", "--lora-rank", "8", "--lora-targets", "q_proj,k_proj", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["parameters_trainable"] == 2 * 8 * ((32 + 32) + (32 + 16))
    assert said["parameters_total"] == sum(n for group, n in said["parameters_by_group"].items() if group != "adapter")


def test_a_config_that_is_no_json_is_named(lathe, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    done = lathe("plan", "--config", "config.json")
    assert done.returncode == 2
    assert "config.json is no JSON" in done.stderr


@pytest.mark.parametrize("words", [["risk", "-q", "rm -rf build"], ["schema"]])
def test_a_reader_that_has_read_enough_ends_a_verb_without_a_word(words: list[str], tmp_path: Path) -> None:
    """As in `lathe schema | true`."""
    nobody_reads, write = os.pipe()
    os.close(nobody_reads)
    command = [sys.executable, "-m", "lathe.cli.main", *words]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, timeout=60)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")
