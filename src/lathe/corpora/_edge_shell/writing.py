"""Wishes and their commands, one function for each family."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from lathe.corpora._edge_shell import words as w


@dataclass(frozen=True)
class Wish:
    """What is wanted, the command that does it, and how many parts it is made of."""

    text: str
    command: str
    parts: int


def quoted(text: str) -> str:
    """A text as the corpus writes it in a command: bare where the shell would not touch it."""
    return text if text.isalnum() else f"'{text}'"


def find(rng: Random) -> Wish:
    """Files or folders by what is said about them, in any order, and something done with them."""
    place = rng.choice(w.FOLDERS)
    folders = rng.random() < 0.12
    kind = rng.choice(w.FOLDERS_SAID if folders else w.FILES)
    makers = (_empty, _older, _newer, _owned) if folders else (_named, _any_case, _not_named, _larger, _smaller, _older, _newer, _owned, _empty, _depth)  # fmt: skip
    chosen = [make(rng) for make in rng.sample(makers, rng.choice((1, 1, 2, 2, 2, 3)) if not folders else rng.choice((1, 2)))]  # fmt: skip
    names = {word for _, test in chosen for word in test.split()[:1]}
    if any(pair <= names for pair in ({"-name", "-iname"}, {"-empty", "-size"})) or _twice(chosen):
        chosen = chosen[:1]
    said, end = rng.choice(w.ACTIONS[:1] if folders else w.ACTIONS)
    values = {"n": rng.randint(2, 30), "to": rng.choice(w.FOLDERS), "pattern": rng.choice(w.PATTERNS)}
    action = rng.choice(said).format(**values)
    where = rng.choice(w.PLACE).format(place)
    phrases = [phrase for phrase, _ in chosen]
    spot = rng.randint(0, len(phrases))
    listed = [*phrases[:spot], where, *phrases[spot:]]
    all_of_them = kind if action.rsplit(" ", 1)[-1] in ("the", "of", "from", "among") else f"all {kind}"
    text = f"{action} {all_of_them} {' '.join(_joined(listed))}"
    depth = [test for _, test in chosen if test.startswith("-maxdepth")]
    others = [test for _, test in chosen if not test.startswith("-maxdepth")]
    command = " ".join(
        [
            "find",
            place,
            *depth,
            f"-type {'d' if folders else 'f'}",
            *others,
            end.format(**values),
        ]
    )
    return Wish(text, command.strip(), len(chosen) + bool(end))


def _twice(chosen: list[tuple[str, str]]) -> bool:
    """Whether two of the tests look at the same thing, and may contradict each other."""
    looked_at = [test.split()[0] for _, test in chosen]
    return len(set(looked_at)) < len(looked_at)


def _joined(phrases: list[str]) -> list[str]:
    """Phrases one after the other; the last of several gets a comma and an and, unless it tells the place."""
    return [f"{phrase}," if place < len(phrases) - 2 else phrase for place, phrase in enumerate(phrases)]


def _named(rng: Random) -> tuple[str, str]:
    ending = rng.choice(w.ENDINGS)
    return rng.choice(w.NAMED).format(ending), f"-name '*.{ending}'"


def _any_case(rng: Random) -> tuple[str, str]:
    ending = rng.choice(w.ENDINGS)
    return rng.choice(w.ANY_CASE).format(ending), f"-iname '*.{ending}'"


def _not_named(rng: Random) -> tuple[str, str]:
    ending = rng.choice(w.ENDINGS)
    return rng.choice(w.NOT_NAMED).format(ending), f"! -name '*.{ending}'"


def _size(rng: Random) -> tuple[str, str]:
    said, written = rng.choice(w.SIZES)
    number = rng.choice((1, 2, 5, 10, 20, 50, 100, 200, 500))
    return said.format(number), written.format(number)


def _larger(rng: Random) -> tuple[str, str]:
    said, written = _size(rng)
    return rng.choice(w.LARGER).format(said), f"-size +{written}"


def _smaller(rng: Random) -> tuple[str, str]:
    said, written = _size(rng)
    return rng.choice(w.SMALLER).format(said), f"-size -{written}"


def _older(rng: Random) -> tuple[str, str]:
    days = rng.randint(2, 120)
    return rng.choice(w.OLDER).format(days), f"-mtime +{days}"


def _newer(rng: Random) -> tuple[str, str]:
    days = rng.randint(2, 60)
    return rng.choice(w.NEWER).format(days), f"-mtime -{days}"


def _owned(rng: Random) -> tuple[str, str]:
    user = rng.choice(w.USERS)
    return rng.choice(w.OWNED).format(user), f"-user {user}"


def _empty(rng: Random) -> tuple[str, str]:
    return rng.choice(w.EMPTY), "-empty"


def _depth(rng: Random) -> tuple[str, str]:
    levels = rng.randint(2, 6)
    return rng.choice(w.DEPTH).format(levels), f"-maxdepth {levels}"


def text(rng: Random) -> Wish:
    """Lines of a file chosen, cut, counted, ordered and shortened, one step after the other."""
    file = f"{rng.choice(w.FOLDERS)}/{rng.choice(w.STEMS)}.{rng.choice(w.ENDINGS[:6])}"
    pattern = rng.choice(w.PATTERNS)
    kept, option = rng.choice(((w.KEEP, ""), (w.KEEP_ANY_CASE, "-i "), (w.DROP, "-v ")))
    said = [f"From {file} take {rng.choice(kept).format(quoted(pattern))}"]
    steps = [f"grep {option}{pattern} {file}"]
    if rng.random() < 0.5:
        name, sign = rng.choice(w.SEPARATORS)
        number = rng.randint(1, 9)
        said.append(f"{rng.choice(w.COLUMN).format(number)} (fields are separated by {name})")
        steps.append(f"cut -f {number}" if sign == "\\t" else f"cut -d {quoted(sign)} -f {number}")
    order = rng.choice(
        (
            (),
            (w.UNIQUE, "sort -u"),
            (w.RANKED, "sort | uniq -c | sort -rn"),
            (w.SORTED, "sort"),
            (w.SORTED_DOWN, "sort -rn"),
        )
    )
    if order:
        said.append(rng.choice(order[0]))
        steps.append(str(order[1]))
    end = rng.choice(((), (), (w.FIRST, "head -n {}"), (w.LAST, "tail -n {}"), (w.COUNTED, "wc -l")))
    if end:
        number = rng.randint(2, 40)
        said.append(rng.choice(end[0]).format(number))
        steps.append(str(end[1]).format(number))
    command = " | ".join(steps)
    if rng.random() < 0.25:
        target = f"{rng.choice(w.STEMS)}.out"
        said.append(rng.choice(w.SAVED).format(target))
        command = f"{command} > {target}"
    return Wish(", ".join(said), command, len(said))


def tree(rng: Random) -> Wish:
    """Folders and archives: packed, unpacked, copied, measured, searched, linked."""
    return rng.choice((_pack, _unpack, _copy, _measure, _search, _link, _make, _mode))(rng)


def _pack(rng: Random) -> Wish:
    sources = rng.sample(w.FOLDERS[:20], rng.randint(1, 3))
    name = rng.choice(w.STEMS)
    said, option, ending = rng.choice(
        (("gzip", "z", "tar.gz"), ("bzip2", "j", "tar.bz2"), ("xz", "J", "tar.xz"), ("no", "", "tar"))
    )
    left_out = rng.choice((None, rng.choice(w.ENDINGS)))
    wish = f"Pack {' and '.join(sources)} into {name}.{ending} with {said} compression"
    exclude = f" --exclude='*.{left_out}'" if left_out else ""
    wish += f", leaving out files that end in .{left_out}" if left_out else ""
    return Wish(wish, f"tar -c{option}f {name}.{ending}{exclude} {' '.join(sources)}", len(sources) + bool(left_out))


def _unpack(rng: Random) -> Wish:
    name, place = rng.choice(w.STEMS), rng.choice(w.FOLDERS)
    option, ending = rng.choice((("z", "tar.gz"), ("j", "tar.bz2"), ("J", "tar.xz")))
    if rng.random() < 0.3:
        return Wish(
            rng.choice(("Show what is in the archive {}", "List the members of {}")).format(f"{name}.{ending}"),
            f"tar -t{option}f {name}.{ending}",
            1,
        )
    told = rng.choice(("Unpack {} into {}", "Extract the archive {} to {}")).format(f"{name}.{ending}", place)
    spoken = rng.random() < 0.4
    return Wish(
        told + (" and name each file as it comes" if spoken else ""),
        f"tar -x{'v' if spoken else ''}{option}f {name}.{ending} -C {place}",
        2 + spoken,
    )


def _copy(rng: Random) -> Wish:
    source, goal = rng.sample(w.FOLDERS[:20], 2)
    extras = rng.sample(
        (("keeping times and owners", "p"), ("only where newer", "u"), ("naming each file", "v")), rng.randint(0, 3)
    )
    wish = ", ".join([f"Copy the folder {source} with all that is in it to {goal}", *(said for said, _ in extras)])
    return Wish(wish, f"cp -r{''.join(sorted(letter for _, letter in extras))} {source} {goal}", 1 + len(extras))


def _measure(rng: Random) -> Wish:
    place, number = rng.choice(w.FOLDERS), rng.randint(3, 25)
    depth = rng.randint(1, 3)
    if rng.random() < 0.5:
        return Wish(
            f"Show the {number} largest entries directly in {place}, sizes in kilobytes",
            f"du -k -s {place}/* | sort -rn | head -n {number}",
            3,
        )
    return Wish(
        f"Show in readable units how much room folders in {place} take, {depth} levels deep",
        f"du -h --max-depth={depth} {place}",
        2,
    )


def _search(rng: Random) -> Wish:
    place, pattern, ending = rng.choice(w.FOLDERS), rng.choice(w.PATTERNS), rng.choice(w.ENDINGS)
    options = rng.sample(
        (("in any case", "i"), ("as a whole word", "w"), ("with line numbers", "n"), ("naming the files alone", "l")),
        rng.randint(1, 3),
    )
    letters = "".join(sorted(letter for _, letter in options))
    only = rng.random() < 0.5
    wish = ", ".join([f"Search for {quoted(pattern)} in everything under {place}", *(said for said, _ in options)])
    wish += f", in .{ending} files only" if only else ""
    include = f" --include='*.{ending}'" if only else ""
    return Wish(wish, f"grep -r{letters}{include} {pattern} {place}", 1 + len(options) + only)


def _link(rng: Random) -> Wish:
    source, goal = f"{rng.choice(w.FOLDERS)}/{rng.choice(w.STEMS)}.{rng.choice(w.ENDINGS)}", rng.choice(w.STEMS)
    hard = rng.random() < 0.3
    return Wish(
        f"Make a {'hard' if hard else 'symbolic'} link called {goal} to {source}",
        f"ln {'' if hard else '-s '}{source} {goal}",
        2,
    )


def _make(rng: Random) -> Wish:
    places = [f"{rng.choice(w.FOLDERS[:20])}/{stem}" for stem in rng.sample(w.STEMS, rng.randint(1, 3))]
    return Wish(
        f"Create the folders {' and '.join(places)}, with all folders on the way",
        f"mkdir -p {' '.join(places)}",
        len(places),
    )


def _mode(rng: Random) -> Wish:
    place = rng.choice(w.FOLDERS[:19])
    who, letter = rng.choice((("the owner", "u"), ("the group", "g"), ("others", "o")))
    said, change = rng.choice(
        (
            ("let {} write", "+w"),
            ("let {} read", "+r"),
            ("take the right to run from {}", "-x"),
            ("take the right to write from {}", "-w"),
        )
    )
    if letter == "o" and change == "+w":
        letter, who = "g", "the group"
    return Wish(f"In all of {place}, {said.format(who)}", f"chmod -R {letter}{change} {place}", 2)
