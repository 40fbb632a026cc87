"""What can be wanted: seven things to do with seven things, each said in several ways.

A wish is an infinitive, so that it stands after any clause that ends with "to".
"""

from __future__ import annotations

from collections.abc import Mapping

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "cancel": ("cancel {}", "call off {}", "scrap {}", "get out of {}", "give up {}", "have {} struck off the list"),
    "move": ("move {} to another day", "put {} off", "reschedule {}", "have {} on a later date", "find a new time for {}"),
    "confirm": ("confirm {}", "say yes to {}", "make {} definite", "tell everybody that {} stands", "give my word on {}"),
    "share": ("send {} on to my partner", "forward {}", "pass the details of {} to a friend", "let my flatmate see {}"),
    "price": ("find out what {} costs", "get a price for {}", "hear how much {} is", "know the cost of {}", "see the fee for {}"),
    "repeat": ("have {} once more", "repeat {}", "get {} a second time", "do {} all over again", "have another round of {}"),
    "extend": ("make {} longer", "extend {}", "stretch {} by a while", "add time to {}", "keep {} going for longer"),
}  # fmt: skip

THINGS: Mapping[str, tuple[str, ...]] = {
    "lesson": ("the piano lesson", "my driving lesson", "the class with Ana", "the tutoring hour", "my Spanish course"),
    "table": ("the table for four", "our dinner at the bistro", "the place by the window", "the brunch for six"),
    "rental": (
        "the rental car",
        "the hired van",
        "the bike on loan",
        "the trailer from the depot",
        "the leased scooter",
    ),
    "repair": ("the boiler repair", "the plumber's visit", "the work on the roof", "the check of the heating"),
    "delivery": ("the grocery delivery", "the parcel", "the drop-off of the sofa", "the shipment of books"),
    "room": ("the hotel room", "our night at the inn", "the bed in the hostel", "the suite with the balcony"),
    "membership": ("the gym membership", "my fitness plan", "the pool pass", "the club subscription"),
}

WANTED = (
    "I want to", "what I need is to", "please help me to", "my wish is to", "now I ask you to", "I would like to",
    "the thing I came for is to", "I have made up my mind to",
)  # fmt: skip
"""Clauses before what is meant."""

UNWANTED = (
    "I do not want to", "there is no need to", "my sister wants to", "I have already managed to", "nobody asked you to",
    "another time I will ask you to", "I have decided not to", "the man next door would like to", "please take care not to",
    "it was a mistake when I asked to", "yesterday you helped me to", "it is somebody else's wish to",
)  # fmt: skip
"""Clauses before what is not meant. They share their words with WANTED, and each ends with "to" as those do: no pair of words
tells which is which."""

OPENERS = ("", "", "", "Hello. ", "Hi there. ", "Good morning. ", "Me again. ", "A question. ", "Short message. ")
CLOSERS = ("", "", "", " Thanks.", " Thank you.", " Best, Alma", " That is all.", " Cheers, Theo", " Many thanks, Ruth")
