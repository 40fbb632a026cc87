"""Fourteen things that functions do. Names of functions and arguments are drawn anew in each row, so that they must be read there.

A wish says what is wanted in words that no name and no description of its function holds; each value has clauses of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from lathe.corpora._edge_calls.values import Amount, Choice, Clock, Kind, Person, Town, Whole


@dataclass(frozen=True)
class Argument:
    """An argument. names: how a function may call it; say: clauses with {} for the value."""

    names: tuple[str, ...]
    kind: Kind
    say: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True)
class Doing:
    """Something that a function does."""

    names: tuple[str, ...]
    does: str
    wishes: tuple[str, ...]
    arguments: tuple[Argument, ...]


def argument(names: str, kind: Kind, say: str, optional: bool = False) -> Argument:
    """An Argument whose names and clauses are written with bars between them."""
    return Argument(tuple(names.split("|")), kind, tuple(say.split("|")), optional)


def doing(names: str, does: str, wishes: str, *arguments: Argument) -> Doing:
    """A Doing whose names and wishes are written with bars between them."""
    return Doing(tuple(names.split("|")), does, tuple(wishes.split("|")), arguments)


DAYS = Choice(
    {
        "mon": ("Monday", "the first day of the week"),
        "wed": ("Wednesday", "the middle of the week"),
        "fri": ("Friday", "the last working day"),
        "sat": ("Saturday", "the day before Sunday"),
    }
)

CATALOGUE = (
    doing(
        "set_timer|countdown_start|begin_timer", "Counts down and rings.",
        "let me know when my bread is done|give me a ring when it is over|wake me from my nap",
        argument("minutes|length_min|duration", Whole(2, 90), "after {} minutes|when {} minutes have gone by"),
        argument("sound|tone", Choice({"bell": ("as a church would sound",), "bird": ("as a robin sings",),
                                       "none": ("in silence",)}), "{}|{}, please", True),
    ),
    doing(
        "send_money|make_transfer|pay_person", "Moves money to an account.",
        "let my friend have what I owe|settle my debt|I still owe somebody something",
        argument("to|recipient|payee", Person(), "it goes to {}|{} gets it"),
        argument("amount|sum|value", Amount(3, 400), "{} in all|it comes to {}"),
    ),
    doing(
        "book_table|reserve_seats|restaurant_reservation", "Reserves a table in a restaurant.",
        "we would like to eat out|dinner out for all of us|find us somewhere to dine",
        argument("guests|people|party_size", Whole(2, 14), "there will be {} of us at it|{} will come along"),
        argument("time|at|starts", Clock(), "from {} on|we sit down at {}"),
        argument("area|where", Choice({"inside": ("where it is warm",), "outside": ("in the open air", "under the trees")}),
                 "{}, if you can|and {}", True),
    ),
    doing(
        "find_trip|search_trains|train_lookup", "Looks up train connections.",
        "I have to travel|how do I get there by rail|I want to go and see my aunt",
        argument("origin|from_station|start", Town(), "I set out from {}|{} is where I am now"),
        argument("destination|to_station|goal", Town(), "and it ends in {}|she lives in {}"),
        argument("day|on|date", DAYS, "it is for {}|I go on {}"),
    ),
    doing(
        "order_taxi|call_cab|request_ride", "Sends a car to an address.",
        "pick me up|I need to be driven|somebody has to fetch me",
        argument("place|town|pickup", Town(), "I am waiting in {}|the place is {}"),
        argument("seats|passengers", Whole(1, 8), "with room for {}|{} will ride along"),
    ),
    doing(
        "set_heating|thermostat|adjust_temperature", "Sets the temperature of a room.",
        "I am freezing|it is too hot for me|make it more comfortable",
        argument("degrees|target|temperature", Whole(14, 26), "{} degrees would be fine|bring it to {}"),
        argument("room|zone|area", Choice({"bath": ("where the tub is",), "hall": ("by the front door",),
                                           "study": ("at my desk",)}), "{}|I mean {}"),
    ),
    doing(
        "add_contact|save_person|new_contact", "Stores someone in the address book.",
        "remember somebody whom I met|put my colleague on file|do not let me forget whom I met",
        argument("name|full_name|who", Person(), "that is {}|I speak of {}"),
        argument("city|home|town", Town(), "with a house in {}|{} is home"),
        argument("group|circle", Choice({"work": ("from the office",), "family": ("a relative", "my kin")}),
                 "{}|{}, by the way", True),
    ),
    doing(
        "play_music|start_playlist|music_on", "Plays music.",
        "I would like to dance|fill the house with something nice|it is too quiet here",
        argument("genre|style|kind", Choice({"jazz": ("what they play with a saxophone",), "folk": ("songs of the village",),
                                             "opera": ("something with a soprano",)}), "{}|I fancy {}"),
        argument("volume|loudness|level", Whole(1, 30), "turn the knob to {}|at a level of {}"),
    ),
    doing(
        "water_garden|sprinkler|irrigate", "Waters a bed of the garden.",
        "the plants look thirsty|it has not rained for weeks|my flowers hang their heads",
        argument("bed|part|zone", Choice({"roses": ("where the thorns are",), "herbs": ("by the thyme and the mint",),
                                          "lawn": ("on the grass",)}), "{}|above all {}"),
        argument("litres|amount|volume", Whole(5, 80), "{} litres will do|give it {} litres"),
    ),
    doing(
        "plan_meeting|schedule_meeting|calendar_add", "Puts an appointment into the calendar.",
        "I have to talk to somebody|get us two together|we must sit down and speak",
        argument("with|attendee|person", Person(), "it is {} whom I mean|{} should come"),
        argument("day|on|date", DAYS, "on {}|{} suits me"),
        argument("start|at|time", Clock(), "at {}|{} would be good"),
    ),
    doing(
        "order_pizza|pizza_delivery|deliver_pizza", "Has pizza brought to the door.",
        "we are hungry and the oven is broken|no cooking tonight|bring us something round with cheese",
        argument("count|number|quantity", Whole(1, 12), "{} of them|I think {} will be enough"),
        argument("size|diameter", Choice({"small": ("for children",), "large": ("for big eaters", "the biggest that you have")}),
                 "{}|{}, please"),
    ),
    doing(
        "lock_door|secure_entrance|door_lock", "Locks a door.",
        "make sure that nobody gets in|I have left the house|shut everything for the night",
        argument("door|which|entrance", Choice({"front": ("towards the street",), "back": ("towards the yard",),
                                                "garage": ("where the car is",)}), "the one {}|I mean the one {}"),
        argument("until|opens|release", Clock(), "nobody may pass before {}|until {}", True),
    ),
    doing(
        "translate_text|translation|to_language", "Puts a sentence into another language.",
        "how do they say good evening|I want to greet my host|what are the words for thank you",
        argument("language|target|into", Choice({"it": ("as in Rome", "for a Roman"), "pt": ("as in Lisbon",),
                                                 "pl": ("as in Warsaw",)}), "{}|{}, if you can"),
        argument("for_whom|listener|reader", Person(), "it is for {}|{} will read it"),
    ),
    doing(
        "track_run|log_exercise|record_sport", "Notes down exercise.",
        "I was in the woods this morning|I did something for my health|put on the list what I did",
        argument("kilometres|distance|km", Whole(2, 42), "it was {} kilometres|{} kilometres in all"),
        argument("kind|sport|activity", Choice({"run": ("on my feet and fast",), "ride": ("on two wheels",),
                                                "row": ("in a boat",)}), "{}|I went {}"),
    ),
)  # fmt: skip
