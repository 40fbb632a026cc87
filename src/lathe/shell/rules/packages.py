"""Package managers: what they remove, and where they install from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell import marks
from lathe.shell.calls import Call, rule
from lathe.shell.rules.phrases import Phrase, register
from lathe.shell.verdict import Finding

VITAL = re.compile(
    r"(?:libc6?|glibc|bash|coreutils|systemd|sudo|openssh-server|linux-image\S*|kernel\S*|util-linux|apt|dpkg|rpm|yum|dnf|pacman|init|grub\S*|login|passwd|python3?|"
    r"network-manager|udev|base-files|e2fsprogs|perl-base|filesystem|musl|busybox|apk-tools)(?:[:=].*)?$"
)
SIMULATED = {
    "-s",
    "--simulate",
    "--dry-run",
    "--just-print",
    "--no-act",
    "--recon",
    "--assumeno",
    "--print",
    "-p",
    "--test",
}


@rule("apt", "yum", "zypper", "pacman", "apk", "dpkg", "rpm", "brew", "emerge", "pkg", "pkg_delete", "xbps-remove", "snap", "flatpak", "port", "nix-env", "slackpkg",
      "removepkg", "swupd", "eopkg", "opkg", "choco", "winget", "urpme", "guix")  # fmt: skip
def removed(call: Call) -> Iterator[Finding]:
    words = call.words
    if SIMULATED & set(words) and call.name != "snap":
        return
    said = {word for word in words if not word.startswith("-")}
    flags = "".join(word[1:] for word in words if re.fullmatch(r"-[A-Za-z]+", word))
    removing = bool(
        said & {"remove", "purge", "autoremove", "erase", "uninstall", "del", "deinstall", "rm", "autopurge", "delete"}
    )
    removing = removing or {"pacman": "R" in flags, "dpkg": bool({"r", "P"} & set(flags)) or bool({"--remove", "--purge"} & set(words)),
                            "rpm": ("e" in flags and "q" not in flags) or "--erase" in words, "emerge": "C" in flags or "--unmerge" in words}.get(call.name, False)  # fmt: skip
    removing = removing or call.name in ("pkg_delete", "xbps-remove", "removepkg", "urpme")
    forced = (
        any(re.match(r"--(?:force|nodeps|allow-remove-essential|noscripts)", word) for word in words)
        or flags.count("d") > 1
    )
    if removing:
        vital = any(VITAL.match(word) for word in words if not word.startswith("-"))
        wide = any(word in ("*", ".*") or word.endswith("*") or marks.HOLE in word for word in words)
        unasked = any(re.fullmatch(r"-\w*y\w*|--yes|--assume-yes|--noconfirm", word) for word in words)
        level = 4 if vital else 3 if forced or wide or (unasked and "purge" in said) else 2
        yield Finding(
            level, "package_removal", "removes packages that the system needs" if vital else "removes packages"
        )
    elif any(
        re.match(
            r"--(?:force-all|nodeps|allow-unauthenticated|force-yes|no-gpg-check|nogpgcheck|allow-untrusted|force-bad-verify|force-depends)",
            word,
        )
        for word in words
    ):
        yield Finding(3, "untrusted_install", "installs without checking where it comes from")
    local = [
        word if "://" in word else call.path(word) for word in words if re.search(r"\.(?:deb|rpm|pkg|apk|snap)$", word)
    ]
    if local and not removing:
        listing = bool(set(flags) & {"q", "c", "I", "l"}) or any(
            word in ("--info", "--contents", "-qpl", "-qip", "--list", "-L") for word in words
        )
        if not listing:
            yield Finding(
                3 if any(re.match(r"https?://|/tmp/", word) for word in local) else 2,
                "untrusted_install",
                "installs a package from a file or address",
            )


@rule("pip", "pipx", "uv", "poetry", "easy_install", "conda")
def python_packages(call: Call) -> Iterator[Finding]:
    words = call.words
    text = call.words_of()
    if "config" in words and re.search(r"trusted-host|index-url", text):
        yield Finding(3, "network_identity", "changes where packages come from")
    if "uninstall" in words:
        wide = any(word in ("-r", "--requirement") for word in words) or marks.UNKNOWN.search(text) is not None
        yield Finding(
            3 if wide and any(word in ("-y", "--yes") for word in words) else 2, "package_removal", "removes packages"
        )
    if {"install", "add", "run"} & set(words):
        if re.search(r"--(?:index-url|extra-index-url|trusted-host|find-links)|(?:^| )-[if] ", text) and not re.search(
            r"https://(?:pypi\.org|download\.pytorch\.org)", text
        ):
            yield Finding(3, "untrusted_install", "installs from an unusual index")
        elif re.search(r"(?:git\+|https?|svn\+|hg\+)\S*://", text):
            insecure = re.search(r"\bhttp://", text)
            yield Finding(3 if insecure else 2, "untrusted_install", "installs from an address")


@rule("npm", "npx", "gem", "cargo", "go", "bun", "deno", "composer", "pipx", "uvx", "bunx", "luarocks", "cpan", "cpanm")
def other_packages(call: Call) -> Iterator[Finding]:
    text = call.words_of()
    if re.search(r"(?:^| )(?:i|install|add|ci|exec|get|update|run) ", text + " ") and re.search(
        r"(?:git\+|https?|git)://|--registry|github:|--source", text
    ):
        official = re.search(r"registry\.npmjs\.org|https://rubygems\.org", text)
        yield Finding(2 if official else 3, "untrusted_install", "installs from an address or an unusual registry")
    if re.search(r"^(?:unpublish|owner add|yank|deprecate)\b", text):
        yield Finding(3, "package_removal", "takes a published package away")
    runner = call.name in ("npx", "bunx", "uvx") or (call.name in ("deno", "go", "pipx") and "run" in call.words)
    if runner and re.search(r"https?://", text):
        yield Finding(3, "remote_code", "runs code that comes from the network unseen")


register(
    [
        Phrase("apt-key", r"add|adv", 3, "untrusted_install", "trusts another source of packages"),
        Phrase("add-apt-repository apt-add-repository", r"\S+", 3, "untrusted_install", "trusts another source of packages"),
        Phrase("rpm", r"", 3, "untrusted_install", "trusts another source of packages", options="--import"),
        Phrase("yum zypper", r"config-manager|addrepo|ar", 3, "untrusted_install", "trusts another source of packages", options=r"--add-repo.*|addrepo|ar|config-manager"),
        Phrase("update-alternatives", r"\S+", 2, "", "changes which program a name means", options=r"--(?:set|install|remove|remove-all|config).*"),
        Phrase("do-release-upgrade", "", 3, "kernel", "upgrades the whole system"),
        Phrase("npm", r"config set", 3, "network_identity", "changes where packages come from", options=r"registry|strict-ssl|registry=.*"),
        Phrase("update-ca-certificates trust certutil security", r"", 3, "network_identity", "changes which certificates are trusted", options=r"-A|anchor|add-trusted-cert|--fresh"),
        Phrase("mokutil", "", 3, "security_off", "changes what may start", options=r"--disable-validation|--import"),
    ]
)  # fmt: skip
