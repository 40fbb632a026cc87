"""What a judgement of a command is: a level, the classes of harm, and sentences.

0  reads, here                     1  makes or edits something here; can be undone
2  deletes something named, reads the network, installs, restarts     3  irreversible or wide, privilege, persistence,
   sends data away, runs remote or hidden code      4  destroys host, disk, identity or fleet      U  cannot be analysed
"""

from __future__ import annotations

from dataclasses import dataclass

UNANALYSABLE = "U"

CLASSES: dict[str, str] = {
    "recursive_delete": "recursive deletion of root, home or system directories",
    "mass_delete": "mass deletion through find, xargs, rsync or tar",
    "overwrite": "truncating, shredding or overwriting files",
    "raw_disk": "writing to a raw disk",
    "format": "formatting, partitioning or encrypting a disk",
    "exhaustion": "fork bomb or exhaustion of a resource",
    "remote_code": "running code from the network",
    "obfuscated": "running code that is hidden or unknown",
    "permissions": "permissions or ownership opened widely",
    "setuid": "setuid or capability backdoor",
    "accounts": "users, sudoers or authentication changed",
    "credentials": "reading credentials",
    "exfiltration": "sending local data away",
    "remote_shell": "a shell bound to the network",
    "login_persistence": "code or keys that act at login",
    "scheduled_persistence": "code that is started by schedule or service",
    "traces": "history, logs or audit wiped",
    "security_off": "firewall or access control switched off",
    "kernel": "kernel, modules or boot changed",
    "shutdown": "host, service or all processes stopped",
    "package_removal": "packages removed that the system needs",
    "untrusted_install": "installing from an unusual place",
    "git_loss": "git history or work lost",
    "container": "container escape or destruction",
    "cloud": "orchestrator or cloud resources destroyed",
    "database": "databases dropped or emptied",
    "network_identity": "hosts, routes or name service changed",
    "privilege": "a way from a privileged program to a shell",
    "suspicious_text": "signs that make a command look like another",
}  # fmt: skip
"""The 28 classes of harm, in the order of their numbers, and what the gate of texts adds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a command does. level 0 to 4; kind is a key of CLASSES; `safer` is what to do instead, or empty."""

    level: int
    kind: str
    why: str
    safer: str = ""


@dataclass(frozen=True, slots=True)
class Risk:
    """The judgement of one command. level: 0 to 4, or "U"; findings: worst first; fault: why it is U, else empty."""

    level: int | str
    findings: tuple[Finding, ...] = ()
    fault: str = ""

    @property
    def severity(self) -> int:
        """The level for gates: what cannot be analysed counts as 3."""
        return 3 if isinstance(self.level, str) else self.level

    @property
    def dangerous(self) -> bool:
        """Whether a person should look before it runs: irreversible, wide, or not to be analysed."""
        return self.severity >= 3

    @property
    def kind(self) -> str | None:
        """The class of the worst finding, if there is one."""
        return (self.findings[0].kind or None) if self.findings else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence for each thing found, worst first; the words are ours, pieces of the command stand in quotes."""
        told = list(dict.fromkeys(finding.why for finding in self.findings))[:3]
        return (self.fault, *told) if self.fault else tuple(told) or ("changes nothing that matters",)

    @property
    def why(self) -> str:
        """The reasons on one line."""
        return "; ".join(self.reasons)

    @property
    def safer(self) -> str:
        """What would make it safe, where that is known."""
        return next((finding.safer for finding in self.findings if finding.safer), "")


def quoted(text: str, most: int = 40) -> str:
    """A piece of a command inside an explanation: one line, short, in quotes, so that it can claim nothing itself."""
    shown = "".join(sign if sign.isprintable() else "…" for sign in text)
    shown = shown if len(shown) <= most else shown[: most - 1] + "…"
    return "“" + shown.replace("“", '"').replace("”", '"') + "”"
