"""A finished run on the Hub: the shipped files with their card, and its rows where asked. Nothing is sent unless `push` is said.

    publish(run, locked, [Target("ada/tickets-135m", "model")], told)                 what would be sent, and what stands against it
    publish(run, locked, [Target("ada/tickets-135m", "model")], told, push=True)      the same, and sends it where nothing does

Whether the files are as they were written, what the card should say and what looks like a secret is known to other stages; the
caller brings it (`Told`).
"""

from lathe.publish.checks import Told
from lathe.publish.stage import Target, publish

__all__ = ["Target", "Told", "publish"]
