"""Users, groups, passwords, sudoers; schedules and services; history and audit; firewalls and access control."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, rule
from lathe.shell.rules.phrases import NEVER, Phrase, register
from lathe.shell.verdict import Finding

NOW_ROOT = r"sudo|wheel|root|admin|docker|disk|shadow|lxd|adm"


@rule("useradd", "usermod", "adduser", "gpasswd", "addgroup")
def user_changed(call: Call) -> Iterator[Finding]:
    words = call.words
    if any(re.fullmatch(NEVER, word) for word in words):
        return
    rooted = any(word in ("0",) and before in ("-u", "--uid", "-g", "-ou") for before, word in zip(words, words[1:]))
    grouped = any(re.search(rf"(?:^|,|=)(?:{NOW_ROOT})(?:,|$)", word) for word in words)
    yield Finding(
        4 if rooted or grouped or "non-unique" in call.arguments else 3,
        "accounts",
        "changes who may log in and with which rights",
    )


@rule("crontab")
def schedule(call: Call) -> Iterator[Finding]:
    words = set(call.words)
    if "-r" in words or any(re.fullmatch(r"-\w*r\w*", word) for word in words):
        yield Finding(3, "scheduled_persistence", "removes all scheduled commands of a user")
    elif (
        "-l" not in words
        and "-e" not in words
        and "-h" not in words
        and "--help" not in words
        and (words or call.stdin)
    ):
        yield Finding(3, "scheduled_persistence", "replaces the scheduled commands of a user")


@rule("history")
def history(call: Call) -> Iterator[Finding]:
    if any(re.fullmatch(r"-\w*[cdw]\w*", word) for word in call.words):
        wiped = any(re.fullmatch(r"-\w*[cd]\w*", word) for word in call.words)
        yield Finding(
            3 if wiped else 1,
            "traces" if wiped else "",
            "wipes the history of commands" if wiped else "writes the history",
        )


@rule("unset", "set", "shopt")
def shell_set(call: Call) -> Iterator[Finding]:
    if call.name == "unset" and {"HISTFILE", "HISTSIZE", "PROMPT_COMMAND"} & set(call.words):
        yield Finding(3, "traces", "switches the history of commands off")
    if call.name == "set" and call.words[:2] == ["+o", "history"]:
        yield Finding(3, "traces", "switches the history of commands off")
    if call.name == "set" and call.words[:1] == ["--"]:
        call.shell.state.positional = tuple(call.words[1:])
    elif call.name == "set" and call.words and not call.words[0].startswith(("-", "+")):
        call.shell.state.positional = tuple(call.words)


@rule("ln")
def history_linked(call: Call) -> Iterator[Finding]:
    if call.operands[:1] == ["/dev/null"] and any("history" in word for word in call.operands[1:]):
        yield Finding(3, "traces", "sends the history of commands to nowhere")


@rule("iptables")
def firewall(call: Call) -> Iterator[Finding]:
    words = call.words
    if any(re.fullmatch(r"-[FXZ]|--flush|--delete-chain", word) for word in words):
        yield Finding(4, "security_off", "removes the rules of the firewall")
    elif any(word in ("-P", "--policy") for word in words):
        yield Finding(4 if "ACCEPT" in words else 3, "security_off", "changes what the firewall does by default")
    elif any(re.fullmatch(r"-[AIDRNE]|--(?:append|insert|delete|replace|new-chain).*", word) for word in words):
        yield Finding(3, "security_off", "changes the rules of the firewall")


register(
    [
        Phrase("userdel deluser groupdel delgroup", "", 3, "accounts", "removes a user or group"),
        Phrase("passwd", "", 3, "accounts", "changes a password or locks a user", unless=r"-S|--status"),
        Phrase("chpasswd newusers vipw vigr visudo groupadd groupmod chsh pwconv pwunconv grpconv dscl", "", 3, "accounts", "changes accounts", unless=r"-c|-cf|--check|-l"),
        Phrase("chpasswd newusers", "", 4, "accounts", "sets passwords of users"),
        Phrase("gpg gpg2", "", 3, "overwrite", "deletes keys", options=r"--delete-(?:secret-)?keys?|--delete-secret-and-public-key"),
        Phrase("gpg gpg2", "", 3, "credentials", "writes secret keys out", options=r"--export-secret-.*"),
        Phrase("security", r"find-generic-password|find-internet-password|dump-keychain|export", 3, "credentials", "shows keys and passwords"),
        Phrase("systemd-run", "", 3, "scheduled_persistence", "has code run later or again and again", options=r"--on-\w+(?:=.*)?|--timer-property.*"),
        Phrase("ssh-copy-id", "", 3, "login_persistence", "lets a key log in on another machine"),
        Phrase("systemctl", r"enable|mask|link|edit|set-default|unmask|preset|add-wants", 3, "scheduled_persistence", "changes what starts with the machine"),
        Phrase("systemctl", r"disable", 3, "shutdown", "changes what starts with the machine"),
        Phrase("systemctl", r"stop|kill|isolate", 3, "shutdown", "stops services"),
        Phrase("systemctl", r"poweroff|reboot|halt|kexec|suspend|hibernate|rescue|emergency|exit|switch-root", 4, "shutdown", "stops the machine"),
        Phrase("systemctl", r"set-property|daemon-reexec|set-environment", 3, "kernel", "changes how services work"),
        Phrase("launchctl", r"load|bootstrap|submit|enable|unload|bootout", 3, "scheduled_persistence", "changes what starts with the machine"),
        Phrase("update-rc.d chkconfig rc-update sysv-rc-conf", r".*", 3, "scheduled_persistence", "changes what starts with the machine", unless=r"--list|show|status"),
        Phrase("service rc-service initctl", r"\S+ stop|stop \S+", 3, "shutdown", "stops a service"),
        Phrase("incrontab", "", 3, "scheduled_persistence", "changes scheduled commands", unless="-l"),
        Phrase("schtasks", "", 3, "scheduled_persistence", "changes scheduled commands", unless="/query"),
        Phrase("journalctl", "", 3, "traces", "deletes logs", options=r"--vacuum.*|--rotate"),
        Phrase("auditctl", "", 3, "traces", "changes what is audited", options=r"-e0?|-D|-d|-W", unless="-l|-s"),
        Phrase("dmesg", "", 3, "traces", "clears the log of the kernel", options=r"-c|-C|--clear|--read-clear"),
        Phrase("logrotate", "", 2, "traces", "rotates logs", unless=r"-d|--debug", options=r"-f|--force"),
        Phrase("utmpdump", "", 3, "traces", "writes the list of logins", options=r"-r|--reverse"),
        Phrase("nft", r"flush|delete|add|insert|replace|destroy", 3, "security_off", "changes the rules of the firewall"),
        Phrase("nft", r"flush|destroy", 4, "security_off", "removes the rules of the firewall"),
        Phrase("ufw", r"disable|reset|allow|delete|default allow", 3, "security_off", "opens the firewall"),
        Phrase("ufw", r"disable|reset", 4, "security_off", "switches the firewall off"),
        Phrase("firewall-cmd", "", 3, "security_off", "changes the firewall", options=r"--(?:add|remove|set|panic|zone|delete|complete-reload|change).*", unless=r"--list.*|--get.*|--query.*"),
        Phrase("pfctl ipfw", "", 3, "security_off", "changes the firewall", options=r"-[dFe].*|flush|delete|disable"),
        Phrase("iptables-restore ip6tables-restore ebtables arptables ipset", "", 3, "security_off", "changes the firewall", unless=r"-L|list|--list|-t"),
        Phrase("setenforce", "0|Permissive|permissive", 4, "security_off", "switches access control off"),
        Phrase("setsebool semanage semodule restorecon chcon", "", 2, "security_off", "changes access control", unless=r"-l|list"),
        Phrase("aa-disable aa-teardown aa-complain apparmor_parser", "", 3, "security_off", "switches access control off"),
        Phrase("csrutil spctl", r"disable|.*", 3, "security_off", "changes access control", options=r"disable|--master-disable|--global-disable"),
        Phrase("spctl csrutil", r"disable", 4, "security_off", "switches access control off"),
        Phrase("swupdate fail2ban-client", r"stop|unban|set", 3, "security_off", "opens the machine"),
    ]
)  # fmt: skip
