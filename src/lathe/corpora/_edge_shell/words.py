"""The words of the corpus `edge_shell`: names, and how each wish is said beside the piece of command that grants it."""

from __future__ import annotations

FOLDERS = (
    "src", "docs", "data", "reports", "backup", "build/cache", "assets/images", "lib/core", "exports", "inbox", "archive/2023", "logs/daily", "tests/unit",
    "web/static", "models", "scripts", "config/local", "notes/drafts", "media/audio", "/var/tmp/jobs", "/srv/shared/files", "/opt/tools/share", "results/run7",
    "storage/raw", "vendor/pkg", "tmp/work", "samples", "public/fonts",
)  # fmt: skip
STEMS = (
    "server", "access", "orders", "users", "metrics", "invoices", "stock", "events", "weather", "sensors", "grades", "payroll", "traffic", "survey", "billing",
    "audit", "catalog", "visits", "tickets", "shipments", "members", "routes", "readings", "budget", "inventory",
)  # fmt: skip
ENDINGS = (
    "log",
    "csv",
    "txt",
    "json",
    "tsv",
    "md",
    "xml",
    "conf",
    "dat",
    "py",
    "c",
    "h",
    "html",
    "yml",
    "png",
    "mp3",
    "bak",
    "sql",
)
PATTERNS = (
    "error", "timeout", "WARN", "failed", "login", "GET", "POST", "retry", "critical", "refused", "TODO", "admin", "debug", "expired", "pending", "shipped",
    "denied", "total", "north", "Berlin", "cancelled", "delayed", "unknown", "started",
)  # fmt: skip

FILES = ("files", "regular files", "plain files")
FOLDERS_SAID = ("directories", "folders")
PLACE = ("under {}", "below {}", "in the tree {}", "anywhere inside {}", "in {} and its subfolders")
NAMED = ("that end in .{}", "with the extension {}", "whose names end in .{}", "of the kind .{}")
ANY_CASE = ("that end in .{} in upper or lower case", "with the extension {}, whatever its case")
LARGER = ("larger than {}", "bigger than {}", "of more than {}")
SMALLER = ("smaller than {}", "of less than {}")
OLDER = ("last changed more than {} days ago", "not touched for more than {} days", "modified over {} days ago")
NEWER = ("changed within the last {} days", "modified less than {} days ago")
DEPTH = ("at most {} levels deep", "no deeper than {} levels")
OWNED = ("that belong to {}", "owned by {}")
EMPTY = ("that are empty", "without any content")
NOT_NAMED = ("except those that end in .{}", "leaving out the extension {}")
USERS = ("alice", "bob", "carol", "dave", "erin", "www-data", "deploy", "backup")
SIZES = (("{} kilobytes", "{}k"), ("{} megabytes", "{}M"), ("{} gigabytes", "{}G"))

ACTIONS = (
    (("List", "Find", "Show", "Print the paths of", "Locate"), ""),
    (("Delete", "Remove", "Get rid of"), "-delete"),
    (("Count", "Say how many there are of the", "Tell the number of"), "| wc -l"),
    (("List in long form", "Show with owner and size"), "-exec ls -l {{}} +"),
    (("Print the total lines of each of the", "Count the lines of each of the"), "-exec wc -l {{}} +"),
    (("Make read-only", "Take the write permission from"), "-exec chmod a-w {{}} +"),
    (("Compress with gzip", "Pack each with gzip"), "-exec gzip {{}} +"),
    (("List in alphabetical order", "Show sorted by path"), "| sort"),
    (("Show the first {n} of the", "List just {n} of the"), "| head -n {n}"),
    (("Copy to {to}", "Put copies into {to} of"), "-exec cp -t {to} {{}} +"),
    (("Move to {to}", "Shift into {to}"), "-exec mv -t {to} {{}} +"),
    (("List those that mention {pattern} among", "Name the ones with the word {pattern} in them among the"), "-exec grep -l {pattern} {{}} +"),
)  # fmt: skip
"""Ways to say what shall be done with what was found, and the end of the command."""

KEEP = ("the lines with {}", "lines that contain {}", "every line that mentions {}", "only lines with {}")
KEEP_ANY_CASE = ("the lines with {} in any case", "lines that contain {}, upper or lower case")
DROP = ("the lines without {}", "all lines but those with {}", "lines that do not contain {}")
COLUMN = ("column {} of them", "their field number {}", "just field {}")
UNIQUE = ("each value once", "without repeats")
RANKED = ("with how often each occurs, the most frequent first", "ranked by how often each comes up")
SORTED = ("in order", "sorted")
SORTED_DOWN = ("from the largest number to the smallest", "sorted as numbers, the highest first")
FIRST = ("the first {} of that", "no more than {} of them")
LAST = ("the last {} of that", "just the final {}")
COUNTED = ("and give their number", "and count them")
SAVED = ("and write the result to {}", "and save it as {}", "into the file {}")
SEPARATORS = (("commas", ","), ("tabs", "\\t"), ("semicolons", ";"), ("colons", ":"), ("blanks", " "))
