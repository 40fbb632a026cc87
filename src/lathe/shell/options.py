"""How a program reads its arguments: options bundled, split, long or shortened become one spelling.

read(GETOPTS["rm"], ["-fr", "--", "x"])      ->  Arguments(options={recursive: [""], force: [""]}, operands=["x"])
read(GETOPTS["rm"], ["--recurs", "x", "-f"]) ->  the same
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from lathe.shell.marks import HOLE

MODELS: Mapping[str, str] = {
    # one option each, all its spellings, the last is its name; a trailing = says that it takes a value
    "rm": "-r -R --recursive; -f --force; -i; -I; -v --verbose; -d --dir; --no-preserve-root; --one-file-system",
    "rmdir": "-p --parents; -v --verbose; --ignore-fail-on-non-empty",
    "cp": "-r -R --recursive; -a --archive; -f --force; -i --interactive; -p; -v --verbose; -n --no-clobber; -u --update; "
          "-t= --target-directory=; -T --no-target-directory; -l --link; -s --symbolic-link; -S= --suffix=; -d; -L; -P; -H",
    "mv": "-f --force; -i --interactive; -n --no-clobber; -v --verbose; -u --update; -t= --target-directory=; "
          "-T --no-target-directory; -b --backup; -S= --suffix=",
    "ln": "-s --symbolic; -f --force; -n --no-dereference; -v --verbose; -t= --target-directory=; -T --no-target-directory; -r --relative",
    "install": "-d --directory; -m= --mode=; -o= --owner=; -g= --group=; -t= --target-directory=; -D; -v --verbose; -b --backup; -p",
    "chmod": "-R --recursive; -v --verbose; -c --changes; -f --quiet; --reference=; --no-preserve-root",
    "chown": "-R --recursive; -v --verbose; -c --changes; -f --quiet; -h --no-dereference; -H; -L; -P; --reference=; --from=",
    "setfacl": "-R --recursive; -m= --modify=; -x= --remove=; -b --remove-all; -k --remove-default; -M=; -X=; --set=; --restore=; -d --default",
    "tee": "-a --append; -i --ignore-interrupts; -p",
    "truncate": "-s= --size=; -c --no-create; -r= --reference=; -o --io-blocks",
    "shred": "-u --remove; -n= --iterations=; -z --zero; -f --force; -v --verbose; -s= --size=; -x --exact",
    "sed": "-n --quiet; -i --in-place; -e= --expression=; -f= --file=; -r -E --regexp-extended; -s --separate; -z --null-data; -u",
    "xargs": "-0 --null; -n= --max-args=; -I= --replace=; -P= --max-procs=; -d= --delimiter=; -r --no-run-if-empty; -t --verbose; "
             "-p --interactive; -L= --max-lines=; -a= --arg-file=; -s= --max-chars=; -E=; -x --exit; -i; -l; -J=",
    "tar": "-c --create; -x --get --extract; -t --list; -r --append; -u --update; -z --gzip; -j --bzip2; -J --xz; -v --verbose; "
           "-f= --file=; -C= --directory=; -p --preserve-permissions; -P --absolute-names; -T= --files-from=; -X= --exclude-from=; "
           "--exclude=; --remove-files; --checkpoint; --checkpoint-action=; --to-command=; -I= --use-compress-program=; --delete; -O --to-stdout; "
           "--strip-components=; --wildcards; -k --keep-old-files; -h --dereference; -W --verify; --rsh-command=; --overwrite",
    "rsync": "-a --archive; -v --verbose; -z --compress; -n --dry-run; -r --recursive; -e= --rsh=; --delete; --delete-before; "
             "--delete-after; --delete-during; --delete-excluded; --del; --remove-source-files; --exclude=; --include=; -P; -h; -u; -t; -p; -o; -g; -D; -l; -H; -A; -X; "
             "--rsync-path=; --progress; -q --quiet; --partial; --bwlimit=; --filter=; -f=; --files-from=; --max-size=; --stats",
    "grep": "-r --recursive; -R; -i --ignore-case; -v --invert-match; -n --line-number; -l --files-with-matches; -L; -c --count; "
            "-E --extended-regexp; -F --fixed-strings; -P --perl-regexp; -G; -o --only-matching; -w --word-regexp; -x --line-regexp; -h --no-filename; "
            "-H --with-filename; -q --quiet; -s --no-messages; -A= --after-context=; -B= --before-context=; -C= --context=; "
            "-e= --regexp=; -f= --file=; -m= --max-count=; --include=; --exclude=; --exclude-dir=; -z; -a; -Z; --color",
    "ls": "-a --all; -A --almost-all; -l; -h --human-readable; -R --recursive; -t; -r --reverse; -S; -1; -d --directory; -i --inode; "
          "-s --size; -F --classify; -n; -U; -X; -c; -u; -Q; -b; -G; -o; -g; -T=; -w=; -I= --ignore=; --color; --sort=; --time=",
    "sort": "-n --numeric-sort; -r --reverse; -u --unique; -k= --key=; -t= --field-separator=; -o= --output=; -h --human-numeric-sort; "
            "-f --ignore-case; -g --general-numeric-sort; -V --version-sort; -R --random-sort; -b; -d; -i; -M; -c --check; -m --merge; -s --stable; -z; -S=; -T=",
    "head": "-n= --lines=; -c= --bytes=; -q --quiet; -v --verbose; -z",
    "tail": "-n= --lines=; -c= --bytes=; -f --follow; -F; -q --quiet; -v --verbose; -s=; --pid=; -r; -z",
    "wc": "-l --lines; -w --words; -c --bytes; -m --chars; -L --max-line-length; --files0-from=",
    "cut": "-d= --delimiter=; -f= --fields=; -c= --characters=; -b= --bytes=; -s --only-delimited; --complement; --output-delimiter=",
    "du": "-s --summarize; -h --human-readable; -a --all; -c --total; -k; -m; -b --bytes; -d= --max-depth=; -x --one-file-system; -S; -0; -L; --exclude=; -B=; --apparent-size; --time",
    "df": "-h --human-readable; -k; -m; -i --inodes; -T --print-type; -a --all; -P --portability; -t= --type=; -x= --exclude-type=; -l --local; --total; -H; --output; -B=",
    "mkdir": "-p --parents; -m= --mode=; -v --verbose",
    "cat": "-n --number; -b --number-nonblank; -s --squeeze-blank; -A --show-all; -E --show-ends; -T --show-tabs; -v; -e; -t; -u",
    "uniq": "-c --count; -d --repeated; -u --unique; -i --ignore-case; -f= --skip-fields=; -s= --skip-chars=; -w= --check-chars=; -D; -z",
    "touch": "-a; -m; -c --no-create; -t=; -d= --date=; -r= --reference=; -h",
    "kill": "-s= --signal=; -l --list; -n=; -L --table",
    "pkill": "-f --full; -u= --euid=; -U= --uid=; -x --exact; -t= --terminal=; -P= --parent=; -n --newest; -o --oldest; -g= --pgroup=; -G=; -s= --session=; --signal=; -e --echo; -i",
    "killall": "-s= --signal=; -u= --user=; -e --exact; -i --interactive; -q --quiet; -r --regexp; -v --verbose; -w --wait; -I; -g; -o=; -y=",
    "curl": "-o= --output=; -O --remote-name; -d= --data= --data-raw= --data-ascii=; --data-binary=; --data-urlencode=; -F= --form=; -T= --upload-file=; -X= --request=; -H= --header=; "
            "-s --silent; -S --show-error; -L --location; -k --insecure; -u= --user=; -x= --proxy=; -A= --user-agent=; -e= --referer=; -b= --cookie=; "
            "-c= --cookie-jar=; -I --head; -f --fail; -v --verbose; -i --include; -m= --max-time=; --connect-timeout=; --retry=; -w= --write-out=; -G --get; "
            "-K= --config=; --url=; -N; -C= --continue-at=; --cacert=; --cert=; --key=; --json=; -r= --range=; -4; -6; -# --progress-bar; -J; -n; -E=; --resolve=; --limit-rate=; --unix-socket=; -D= --dump-header=; -q; -R; -z=; --create-dirs; --compressed",
    "wget": "-O= --output-document=; -q --quiet; -c --continue; -P= --directory-prefix=; -r --recursive; -np --no-parent; -i= --input-file=; --post-file=; --post-data=; "
            "--body-file=; --body-data=; --method=; --header=; -U= --user-agent=; -N --timestamping; -t= --tries=; -T= --timeout=; --no-check-certificate; -nc --no-clobber; -nv; -nd; -nH; -l= --level=; "
            "-A= --accept=; -R= --reject=; -k; -p --page-requisites; -m --mirror; -b --background; -o= --output-file=; -a= --append-output=; -S --server-response; --spider; --user=; --password=; --use-askpass=; -e= --execute=; -D=; -H; -x; -w=; -Q=; --cut-dirs=; --limit-rate=; --load-cookies=; --save-cookies=; --referer=",
    "env": "-C= --chdir=; -u= --unset=; -i --ignore-environment; -0 --null; -S= --split-string=; -v --debug",
    "sudo": "-D= --chdir=; -u= --user=; -g= --group=; -h= --host=; -p= --prompt=; -C=; -r= --role=; -t= --type=; -T=; -U=; -R= --chroot=",
    "make": "-f= --file= --makefile=; -C= --directory=; -I=; -o=; -W=; --eval=; -n --just-print; -k; -s; -B; -j; -i; -q; -e; -r; -t; -w",
    "git": "-C=; -c=; --git-dir=; --work-tree=; --no-pager; -p; --namespace=; --bare; --exec-path; --version; --help",
    "scp": "-r; -P=; -i=; -p; -q; -C; -o=; -F=; -l=; -c=; -S=; -J=; -v; -B; -3; -4; -6; -O; -T; -D=",
    "base64": "-d -D --decode; -i --ignore-garbage; -w= --wrap=",
    "nc": "-e= --exec=; -c= --sh-exec=; -l --listen; -p= --source-port=; -z; -v --verbose; -n; -u --udp; -w= --wait=; -k --keep-open; -q=; -N; -s=; -i=; -x=; -X=; -4; -6; -U; -d; -h; -t; -r; -C; -o=; -I=; -O=; -P=; -T=; -b; -D; -S; -G=",
    "useradd": "-o --non-unique; -u= --uid=; -g= --gid=; -G= --groups=; -m --create-home; -d= --home-dir=; -s= --shell=; -c= --comment=; -p= --password=; -r --system; -M; -N; -k=; -e=; -f=; -D; -U; -R=",
}  # fmt: skip
ALIKE = {
    "chgrp": "chown", "egrep": "grep", "fgrep": "grep", "zgrep": "grep", "rgrep": "grep", "ncat": "nc", "netcat": "nc", "gsed": "sed",
    "bsdtar": "tar", "gtar": "tar", "dir": "ls", "vdir": "ls", "usermod": "useradd", "base32": "base64", "gxargs": "xargs", "gcp": "cp",
    "nc.openbsd": "nc", "nc.traditional": "nc", "gmv": "mv", "grm": "rm", "wget2": "wget",
}  # fmt: skip
"""Programs that read their options as another one does."""


@dataclass(frozen=True, slots=True)
class Getopt:
    """The options of one program: spelling to (name, takes a value)."""

    short: Mapping[str, tuple[str, bool]]
    long: Mapping[str, tuple[str, bool]]
    exact: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    """Options of several letters after one dash, as wget's -nc."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """Options by their one name, each with its values in order (an empty text where it takes none), and what is left."""

    options: Mapping[str, list[str]]
    operands: list[str]

    def __contains__(self, name: str) -> bool:
        return name in self.options

    def any(self, *names: str) -> bool:
        """Whether one of these options is given."""
        return any(name in self.options for name in names)

    def value(self, *names: str) -> str | None:
        """The last value of the first of these that is given."""
        return next((self.options[name][-1] for name in names if name in self.options), None)

    def values(self, *names: str) -> list[str]:
        """All values of these options."""
        return [value for name in names for value in self.options.get(name, [])]


@cache
def getopt(program: str) -> Getopt:
    """The model of a program; one that is not known has options without values."""
    short: dict[str, tuple[str, bool]] = {}
    long: dict[str, tuple[str, bool]] = {}
    exact: dict[str, tuple[str, bool]] = {}
    for line in MODELS.get(ALIKE.get(program, program), "").split(";"):
        spellings = line.split()
        takes = any(spelling.endswith("=") for spelling in spellings)
        bare = [spelling.rstrip("=") for spelling in spellings]
        for spelling in bare:
            name = bare[-1].lstrip("-")
            table = long if spelling.startswith("--") else short if len(spelling) == 2 else exact
            table[spelling.lstrip("-") or "-"] = (name, takes)
    return Getopt(short, long, exact)


def read(program: str, words: Sequence[str]) -> Arguments:
    """The arguments of a call of the program; `words` are those after its name. Options may stand after operands, as GNU takes them."""
    model = getopt(program)
    options: dict[str, list[str]] = {}
    operands: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            operands.extend(rest)
        elif word[:2] == "--":
            name, sign, value = word[2:].partition("=")
            known, takes = _long(model, name)
            if takes and not sign:
                value = next(rest, HOLE)
            options.setdefault(known, []).append(value)
        elif word[:1] == "-" and len(word) > 1:
            if word[1:] in model.exact:
                known, takes = model.exact[word[1:]]
                options.setdefault(known, []).append(next(rest, HOLE) if takes else "")
                continue
            for place, letter in enumerate(word[1:], start=2):
                known, takes = model.short.get(letter, (letter, False))
                if takes:
                    options.setdefault(known, []).append(word[place:] or next(rest, HOLE))
                    break
                if known == "in-place":  # sed -i.bak: the rest of the word is a suffix
                    options.setdefault(known, []).append(word[place:])
                    break
                options.setdefault(known, []).append("")
        else:
            operands.append(word)
    return Arguments(options, operands)


def _long(model: Getopt, name: str) -> tuple[str, bool]:
    """A long option by its name or by the start of it, as getopt_long takes it."""
    if name in model.long:
        return model.long[name]
    near = {known for spelling, known in model.long.items() if name and spelling.startswith(name)}
    return near.pop() if len(near) == 1 else (name, False)
