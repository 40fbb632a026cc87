"""Shell commands parsed, made canonical, judged for risk. A lint, not a boundary: the sandbox is the boundary.

from lathe.shell.judge import judge
judge("rm -rf / tmp").why        "deletes the root of the file system: “/”; ..."
"""
