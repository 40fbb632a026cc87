"""The machine as a whole: kernel, boot, shutdown, processes, packages' own place is `packages`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, rule
from lathe.shell.rules.phrases import Phrase, register
from lathe.shell.verdict import Finding

VITAL = re.compile(
    r"(?:sshd?|systemd|init|dbus.*|NetworkManager|networking|network|udev.*|Xorg|gdm|login|launchd|kernel_task|auditd|firewalld|docker|kubelet|\.\*?|\.\+|[*])?$"
)
"""Names and patterns of what must go on running; an empty pattern means every process."""


@rule("kill", "pkill", "killall", "xkill", "skill", "killall5", "fuser", "snice")
def killed(call: Call) -> Iterator[Finding]:
    words = call.words
    if call.name == "kill":
        pids = list(words)
        if pids and re.fullmatch(r"-(?:[A-Z]\w*|\d+)", pids[0]) and len(pids) > 1:
            del pids[0]
        elif pids[:1] in (["-s"], ["-n"], ["--signal"]):
            del pids[:2]
        zero = any(word in ("-0", "-l", "-L") for word in words[:1])
        if any(pid in ("-1", "1") for pid in pids) and not zero:
            yield Finding(4, "shutdown", "kills every process that it may")
        elif not zero and any(pid == "$$" for pid in pids):
            yield Finding(2, "", "kills this shell")
    elif call.name in ("killall5",):
        yield Finding(4, "shutdown", "kills every process")
    elif call.name in ("pkill", "killall", "skill"):
        if any(VITAL.match(pattern) for pattern in call.operands) or (
            call.arguments.any("euid", "user", "terminal", "u") and not call.operands
        ):
            yield Finding(3, "shutdown", "kills processes that the machine or a user's session needs")
    elif (
        call.name == "fuser"
        and any(re.match(r"-\w*k", word) for word in words)
        and any(word in ("/", "/home", "/usr", "/var") for word in words)
    ):
        yield Finding(3, "shutdown", "kills every process that uses a file system")


@rule("init", "telinit")
def runlevel(call: Call) -> Iterator[Finding]:
    if any(word in "016sS" and word for word in call.words):
        yield Finding(4, "shutdown", "stops the machine")


@rule("shutdown", "reboot", "halt", "poweroff", "kexec")
def stopped(call: Call) -> Iterator[Finding]:
    if not {"-c", "--help", "-k", "-w", "--show"} & set(call.words):
        yield Finding(3, "shutdown", "stops or restarts the machine")


@rule("sysctl")
def kernel_parameter(call: Call) -> Iterator[Finding]:
    if any("=" in word and not word.startswith("--") for word in call.words) or {
        "-p",
        "--load",
        "--system",
        "-w",
    } & set(call.words):
        yield Finding(3, "kernel", "changes how the kernel works")


@rule("stress", "stress-ng")
def exhausted(call: Call) -> Iterator[Finding]:
    yield Finding(3, "exhaustion", "uses up the machine on purpose")


@rule("fallocate")
def reserved(call: Call) -> Iterator[Finding]:
    if any(re.fullmatch(r"\d+[TPE]i?B?", word) for word in call.words):
        yield Finding(3, "exhaustion", "reserves more than a disk holds")


@rule("ulimit")
def limits(call: Call) -> Iterator[Finding]:
    if "unlimited" in call.words:
        yield Finding(1, "", "lifts a limit of this shell")


register(
    [
        Phrase("insmod modprobe rmmod kmod dkms kldload kldunload kextload kextunload", "", 3, "kernel", "loads or unloads a part of the kernel", unless=r"-n|-c|--show.*|-D|list|status|-l"),
        Phrase("insmod", "", 4, "kernel", "loads a part of the kernel"),
        Phrase("efibootmgr", "", 4, "kernel", "changes what the machine starts from", options=r"-[BbcoOnNAa]+|--(?:delete|create|bootorder).*"),
        Phrase("grub-install grub2-install update-grub grub-mkconfig grub2-mkconfig bootctl lilo dracut mkinitcpio mkinitrd update-initramfs", r"", 3, "kernel", "changes what the machine starts from", unless=r"list|status"),
        Phrase("nvram", "", 3, "kernel", "changes firmware variables", unless="-p"),
        Phrase("ip", r"route (?:del|flush|add|replace|change)|r del|link (?:set|delete|del)|addr (?:add|del|flush)|address (?:add|del|flush)|rule (?:add|del|flush)|neigh (?:add|flush|replace|del)|a (?:add|del)|l set", 3, "network_identity", "changes the network of the machine"),
        Phrase("ifconfig", r"\S+ (?:down|hw|promisc|ether)", 3, "network_identity", "changes the network of the machine"),
        Phrase("route", r"add|del|delete|flush|change", 3, "network_identity", "changes the network of the machine"),
        Phrase("ifdown ifup dhclient brctl iwconfig ethtool-s", r"\S+", 2, "network_identity", "changes the network of the machine"),
        Phrase("ifdown", r"\S+", 3, "network_identity", "takes the network down"),
        Phrase("nmcli", r"(?:networking|radio|n|r) off|(?:networking|radio \w+) off|con(?:nection)? (?:delete|down|modify)|device disconnect", 3, "network_identity", "changes the network of the machine"),
        Phrase("hostnamectl", r"set-hostname|hostname \S+", 3, "network_identity", "renames the machine"),
        Phrase("hostname domainname", r"\S+", 3, "network_identity", "renames the machine", unless=r"-.*"),
        Phrase("resolvectl scutil networksetup", r"dns \S+ \S+|domain \S+ \S+|.*", 3, "network_identity", "changes the name service", options=r"dns|-set\w+|--set"),
        Phrase("arpspoof ettercap bettercap dnsspoof mitmproxy sslstrip responder", "", 3, "network_identity", "stands between other machines"),
        Phrase("timedatectl hwclock ntpdate", r"set-time|set-ntp|.*", 2, "", "changes the clock", options=r"set-time|set-ntp|-w|--systohc|--set"),
        Phrase("date", "", 2, "", "sets the clock", options=r"-s|--set.*"),
        Phrase("setterm xset loadkeys", "", 1, "", "changes the terminal"),
        Phrase("defaults", r"write|delete", 2, "", "changes settings"),
        Phrase("vssadmin wbadmin bcdedit", r"delete|.*", 4, "format", "deletes backups"),
        Phrase("tmutil", r"delete\w*|disable", 3, "overwrite", "deletes backups"),
    ]
)  # fmt: skip
