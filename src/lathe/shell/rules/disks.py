"""Disks: written raw, formatted, partitioned, encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, rule
from lathe.shell.places import Place
from lathe.shell.rules.files import written
from lathe.shell.rules.phrases import Phrase, register
from lathe.shell.verdict import Finding, quoted

FORMATTERS = ("mkfs", "mkswap", "wipefs", "blkdiscard", "sgdisk", "sfdisk", "parted", "fdisk", "gdisk", "cfdisk", "cgdisk", "badblocks", "hdparm", "nvme",
              "zpool", "mkudffs", "mkisofs-", "dmsetup", "partprobe-", "e2label-", "tune2fs", "resize2fs", "fsck", "debugfs", "format", "diskutil")  # fmt: skip
LOOKING = {"-l", "--list", "-p", "--print", "print", "-n", "--no-act", "--dry-run", "-d", "--dump", "-s", "-I", "-i", "--info", "list", "status", "info",
           "-N", "-V", "--version", "-h", "--help", "-v", "-J", "--verify"}  # fmt: skip


@rule("dd", "dcfldd", "dc3dd")
def copy_blocks(call: Call) -> Iterator[Finding]:
    values = dict(word.split("=", 1) for word in call.words if "=" in word)
    target = values.get("of")
    if target is not None:
        yield from written(call, target)
        if (
            values.get("if") in ("/dev/zero", "/dev/urandom", "/dev/random")
            and "count" not in values
            and call.place(target) < Place.DEVICE
        ):
            yield Finding(3, "exhaustion", "writes without end until the disk is full", "say count=")
        content = call.shell.read_file(values["if"]) if "if" in values else call.stdin
        call.shell.write_file(target, content)
    if call.place(values.get("if", "x")) == Place.DEVICE:
        yield Finding(2, "", "reads a raw disk")


@rule(*FORMATTERS)
def formatted(call: Call) -> Iterator[Finding]:
    name = call.name
    words = set(call.words)
    devices = [
        word for word in call.words if not word.startswith("-") and call.place(word) in (Place.DEVICE, Place.UNKNOWN)
    ]
    if name in (
        "parted",
        "fdisk",
        "sfdisk",
        "sgdisk",
        "gdisk",
        "hdparm",
        "nvme",
        "tune2fs",
        "fsck",
        "dmsetup",
        "zpool",
        "badblocks",
        "debugfs",
        "diskutil",
        "wipefs",
    ):
        yield from _partitioned(call, devices, words)
    elif devices:
        yield Finding(4, "format", f"formats {quoted(devices[0])}; what it holds is gone")
    elif name in ("mkfs", "mkswap") and any(
        call.path(word).startswith(("/dev/", "~")) or word.startswith("/") for word in call.operands
    ):
        yield Finding(3, "format", "formats a file or device outside this folder")


@rule("mount")
def remounted(call: Call) -> Iterator[Finding]:
    """The root or a system folder mounted again with other rights."""
    if any("remount" in word for word in call.words):
        system = any(
            call.place(word) in (Place.ROOT, Place.SYSTEM)
            for word in call.words
            if word.startswith("/") and not word.startswith("/dev/")
        )
        yield Finding(
            3 if system or "suid" in call.words_of() else 2, "kernel", "mounts a file system again with other rights"
        )


CHANGING = {
    "fdisk": set(), "cfdisk": set(), "gdisk": set(),
    "parted": {"mklabel", "mkpart", "rm", "mktable", "resizepart", "mkpartfs", "resize", "set", "rescue"},
    "hdparm": {"--security-erase", "--security-erase-enhanced", "--trim-sector-ranges", "--write-sector", "--yes-i-know-what-i-am-doing"},
    "nvme": {"format", "sanitize", "write-zeroes", "dsm", "delete-ns"}, "zpool": {"destroy", "create", "labelclear"},
    "dmsetup": {"remove", "remove_all", "wipe_table", "clear"}, "badblocks": {"-w", "-wsv", "-wv", "-ws", "-n", "-nsv"},
    "wipefs": {"-a", "--all", "-af", "-o", "-fa"}, "diskutil": {"eraseDisk", "eraseVolume", "zeroDisk", "secureErase", "partitionDisk", "reformat"},
    "tune2fs": {"-O", "-U"}, "debugfs": {"-w"}, "fsck": {"-y"},
}  # fmt: skip


def _partitioned(call: Call, devices: list[str], words: set[str]) -> Iterator[Finding]:
    changing = CHANGING.get(call.name)
    if changing is None or changing == set():
        if not words & LOOKING and devices:
            yield Finding(
                4 if call.stdin or call.name in ("sfdisk", "sgdisk") else 3,
                "format",
                f"changes the partitions of {quoted(devices[0])}",
            )
    elif (
        words & changing
        or (call.name == "badblocks" and any(re.fullmatch(r"-\w*w\w*", word) for word in words))
        or any(word.split("=")[0] in changing for word in words)
    ):
        soft = call.name in ("fsck", "tune2fs")
        yield Finding(
            2 if soft else 4,
            "format",
            "erases or repartitions a disk" if not soft else "repairs or tunes a file system",
        )


register(
    [
        Phrase("cryptsetup", r"luksFormat|luksErase|erase|reencrypt|luksKillSlot|luksRemoveKey|luksHeaderRestore", 4, "format", "makes an encrypted disk unreadable"),
        Phrase("lvremove vgremove pvremove lvreduce", "", 4, "format", "removes a volume"),
        Phrase("mdadm", "", 4, "format", "takes a disk array apart", options=r"--zero-superblock|--create|-C|--fail|--remove|--stop"),
        Phrase("zfs", "destroy|rollback", 4, "format", "destroys a file system"),
        Phrase("btrfs", r"subvolume delete|device remove|device delete", 4, "format", "destroys a volume"),
        Phrase("swapoff umount", "", 3, "format", "takes all file systems or all swap away", options=r"-a|-al|-la|-fa|-af|--all"),
        Phrase("losetup", "", 2, "", "changes loop devices", unless=r"-a|-l|--list|-f"),
        Phrase("flashrom flash_erase nandwrite", "", 4, "raw_disk", "writes firmware or flash", unless=r"-r|--read"),
        Phrase("pvcreate vgcreate mkfs_msdos", "", 4, "format", "takes a disk over"),
    ]
)  # fmt: skip
