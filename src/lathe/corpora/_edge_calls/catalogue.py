"""Fourteen things that functions do, and six that none does. Names of functions and arguments are drawn anew in each row, so
that they must be read there.

A wish has a word of its function's name or description, and so has a mention, which wishes for nothing; each value has clauses
of its own.
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
    mentions: tuple[str, ...]
    """Sentences with a word of its name or description, in which nobody wishes for it; none of what no function does."""
    arguments: tuple[Argument, ...]


def argument(names: str, kind: Kind, say: str, optional: bool = False) -> Argument:
    """An Argument whose names and clauses are written with bars between them."""
    return Argument(tuple(names.split("|")), kind, tuple(say.split("|")), optional)


def doing(names: str, does: str, wishes: str, mentions: str, *arguments: Argument) -> Doing:
    """A Doing whose names, wishes and mentions are written with bars between them."""
    return Doing(
        tuple(names.split("|")), does, tuple(wishes.split("|")), tuple(filter(None, mentions.split("|"))), arguments
    )


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
        "set_timer|countdown_start|begin_timer", "Starts a timer.",
        "I need a timer for my bread|put a timer on my nap|a timer would help me",
        "The timer of my oven is broken.|Somebody gave me a timer for my birthday.",
        argument("minutes|length_min|duration", Whole(2, 90), "after {} minutes|when {} minutes have gone by"),
        argument("sound|tone", Choice({"bell": ("as a church would sound",), "bird": ("as a robin sings",),
                                       "none": ("in silence",)}), "{}|{}, please", True),
    ),
    doing(
        "send_money|make_transfer|pay_person", "Moves money to an account.",
        "let my friend have the money that I owe|settle my debt with money|I still owe somebody money",
        "Money is not everything.|My brother talks about money all day.",
        argument("to|recipient|payee", Person(), "it goes to {}|{} gets it"),
        argument("amount|sum|value", Amount(3, 400), "{} in all|it comes to {}"),
    ),
    doing(
        "book_table|reserve_seats|restaurant_reservation", "Reserves a table in a restaurant.",
        "we would like a table|find us a table for the evening|we want to eat in a restaurant",
        "The restaurant downstairs is loud.|I am writing this at a table.",
        argument("guests|people|party_size", Whole(2, 14), "there will be {} of us at it|{} will come along"),
        argument("time|at|starts", Clock(), "from {} on|we sit down at {}"),
        argument("area|where", Choice({"inside": ("where it is warm",), "outside": ("in the open air", "under the trees")}),
                 "{}, if you can|and {}", True),
    ),
    doing(
        "find_trip|search_trains|train_lookup", "Looks up train connections.",
        "I want to take a train|how do I get there by train|I need a train to my aunt",
        "My brother likes to look at trains.|A train just went by.",
        argument("origin|from_station|start", Town(), "I set out from {}|{} is where I am now"),
        argument("destination|to_station|goal", Town(), "and it ends in {}|she lives in {}"),
        argument("day|on|date", DAYS, "it is for {}|I go on {}"),
    ),
    doing(
        "order_taxi|call_cab|request_ride", "Sends a taxi.",
        "I need a taxi|let a taxi pick me up|a taxi has to fetch me",
        "There is a taxi in front of the house.|My sister drives a taxi.",
        argument("place|town|pickup", Town(), "I am waiting in {}|the place is {}"),
        argument("seats|passengers", Whole(1, 8), "with room for {}|{} will ride along"),
    ),
    doing(
        "set_heating|thermostat|adjust_temperature", "Sets the temperature of a room.",
        "I want another temperature|it is a bad temperature for me|make the temperature more comfortable",
        "The news spoke of the temperature.|The cat sleeps in the other room.",
        argument("degrees|target|temperature", Whole(14, 26), "{} degrees would be fine|bring it to {}"),
        argument("room|zone|area", Choice({"bath": ("where the tub is",), "hall": ("by the front door",),
                                           "study": ("at my desk",)}), "{}|I mean {}"),
    ),
    doing(
        "add_contact|save_person|new_contact", "Saves a contact.",
        "I have a new contact|keep a contact for me|do not let me forget a contact",
        "I lost contact with my cousin.|My neighbour avoids all contact.",
        argument("name|full_name|who", Person(), "that is {}|I speak of {}"),
        argument("city|home|town", Town(), "with a house in {}|{} is home"),
        argument("group|circle", Choice({"work": ("from the office",), "family": ("a relative", "my kin")}),
                 "{}|{}, by the way", True),
    ),
    doing(
        "play_music|start_playlist|music_on", "Plays music.",
        "I would like to hear music|fill the house with music|I need some music",
        "There was music next door.|My sister studies music.",
        argument("genre|style|kind", Choice({"jazz": ("what they play with a saxophone",), "folk": ("songs of the village",),
                                             "opera": ("something with a soprano",)}), "{}|I fancy {}"),
        argument("volume|loudness|level", Whole(1, 30), "turn the knob to {}|at a level of {}"),
    ),
    doing(
        "water_garden|sprinkler|irrigate", "Waters a bed of the garden.",
        "the garden looks thirsty|water for the garden|do something for my dry garden",
        "My neighbour sits in her garden.|A dog ran through the garden.",
        argument("bed|part|zone", Choice({"roses": ("where the thorns are",), "herbs": ("by the thyme and the mint",),
                                          "lawn": ("on the grass",)}), "{}|above all {}"),
        argument("litres|amount|volume", Whole(5, 80), "{} litres will do|give it {} litres"),
    ),
    doing(
        "plan_meeting|schedule_meeting|calendar_add", "Puts an appointment into the calendar.",
        "I need an appointment|make an appointment for two|write down an appointment",
        "My last appointment was dull.|The calendar on my wall is an old one.",
        argument("with|attendee|person", Person(), "it is {} whom I mean|{} should come"),
        argument("day|on|date", DAYS, "on {}|{} suits me"),
        argument("start|at|time", Clock(), "at {}|{} would be good"),
    ),
    doing(
        "order_pizza|pizza_delivery|deliver_pizza", "Has pizza delivered.",
        "we want pizza tonight|bring us pizza|I would like pizza",
        "I smell pizza.|We had pizza yesterday.",
        argument("count|number|quantity", Whole(1, 12), "{} of them|I think {} will be enough"),
        argument("size|diameter", Choice({"small": ("for children",), "large": ("for big eaters", "the biggest that you have")}),
                 "{}|{}, please"),
    ),
    doing(
        "lock_door|secure_entrance|door_lock", "Locks a door.",
        "see that a door is shut|I left a door open|shut a door for the night",
        "The door squeaks.|Somebody painted my door.",
        argument("door|which|entrance", Choice({"front": ("towards the street",), "back": ("towards the yard",),
                                                "garage": ("where the car is",)}), "the one {}|I mean the one {}"),
        argument("until|opens|release", Clock(), "nobody may pass before {}|until {}", True),
    ),
    doing(
        "translate_text|translation|to_language", "Puts a sentence into another language.",
        "I need this in another language|say it in a language of theirs|greet my host in their language",
        "My aunt studies a language.|This is a long sentence.",
        argument("language|target|into", Choice({"it": ("as in Rome", "for a Roman"), "pt": ("as in Lisbon",),
                                                 "pl": ("as in Warsaw",)}), "{}|{}, if you can"),
        argument("for_whom|listener|reader", Person(), "it is for {}|{} will read it"),
    ),
    doing(
        "track_run|log_exercise|record_sport", "Notes down exercise.",
        "put my exercise on the list|I did some exercise|keep count of my exercise",
        "The exercise in my book is hard.|My brother laughs at exercise.",
        argument("kilometres|distance|km", Whole(2, 42), "it was {} kilometres|{} kilometres in all"),
        argument("kind|sport|activity", Choice({"run": ("on my feet and fast",), "ride": ("on two wheels",),
                                                "row": ("in a boat",)}), "{}|I went {}"),
    ),
)  # fmt: skip

NOBODY = (
    doing(
        "mend_shoes", "Mends shoes.", "mend my shoes|my shoes need new soles|put new heels on my shoes", "",
        argument("most", Amount(10, 90), "for {} at most|{} is all I have"),
        argument("town", Town(), "here in {}|I walk about in {}"),
    ),
    doing(
        "cut_hair", "Cuts hair.", "cut my hair|my hair is too long|do something with my hair", "",
        argument("time", Clock(), "at {}|come to me at {}"),
        argument("person", Person(), "{} did it last time|like that of {}"),
    ),
    doing(
        "write_poem", "Writes poems.", "write me a poem|I want a poem that rhymes|make up a poem", "",
        argument("lines", Whole(4, 40), "of {} lines|{} lines are enough"),
        argument("person", Person(), "for {}|about {}"),
    ),
    doing(
        "sell_bicycle", "Sells bicycles.", "sell my bicycle|find a buyer for my bicycle|my bicycle has to go", "",
        argument("price", Amount(40, 300), "I ask {}|{} would be fair"),
        argument("day", DAYS, "on {}|{} at the latest"),
    ),
    doing(
        "teach_chess", "Teaches chess.", "teach me chess|show me how chess is played|I want to learn chess", "",
        argument("lessons", Whole(2, 30), "in {} lessons|{} lessons, I think"),
        argument("time", Clock(), "from {} on|each time at {}"),
    ),
    doing(
        "feed_cat", "Feeds cats.", "feed my cat|my cat is hungry|give my cat something to eat", "",
        argument("times", Whole(2, 9), "{} times|give {} spoons"),
        argument("town", Town(), "at my house in {}|it sits in {}"),
    ),
)  # fmt: skip
"""What some wish for and no function does."""
