"""Ten simple schemas: flat, four to six fields, thirty to eighty words of text."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lathe.corpora._edge_json import words
from lathe.corpora._edge_json.kinds import Choice, Clock, Day, Money, Real, Text, Whole, YesNo, later, minutes_later
from lathe.corpora._edge_json.parts import Plan, field

if TYPE_CHECKING:
    from lathe.records import Json


def _pickup(rng: Random, record: dict[str, Json]) -> None:
    record["window_end"] = minutes_later(record["window_start"], 30 * rng.randint(1, 6))


def _booking(rng: Random, record: dict[str, Json]) -> None:
    record["until_time"] = minutes_later(record["from_time"], 15 * rng.randint(2, 12))


def _meter(rng: Random, record: dict[str, Json]) -> None:
    record["used"] = rng.randint(12, 900)
    record["reading"] = record["last_reading"] + record["used"]


def _loan(rng: Random, record: dict[str, Json]) -> None:
    record["due_on"] = later(record["lent_on"], rng, 7, 42)


def _stay(rng: Random, record: dict[str, Json]) -> None:
    record["leaves_on"] = later(record["arrives_on"], rng, 1, 21)


def _permit(rng: Random, record: dict[str, Json]) -> None:
    record["valid_until"] = later(record["valid_from"], rng, 30, 365)


def _rental(_: Random, record: dict[str, Json]) -> None:
    record["charge"] = round(record["rental_days"] * record["day_rate"], 2)


SIMPLE = (
    Plan(
        "parcel_pickup", "simple", "Parcel pickup",
        (
            field("sender", Text(words.person), "Sender|Sent by|From", "the parcel is from {}|{} is sending it"),
            field("pickup_day", Day(), "Pickup day|Collection day|Collect on", "we collect it on {}|pickup is on {}"),
            field("window_start", Clock(7, 15), "Window start|Not before|Earliest", "the driver comes at {} at the earliest"),
            field("window_end", Clock(), "Window end|Not after|Latest", "nobody is there after {}|the latest is {}"),
            field("weight_kg", Real(0.4, 28.0, "kg"), "Weight kg|Weight|Scale says", "it weighs {}|the scale says {}"),
            field("fragile", YesNo("it can break", "nothing in it can break"), "Fragile|Breakable", optional=True),
        ),
        _pickup, "window_end is after window_start.",
    ),
    Plan(
        "lost_property", "simple", "Lost property slip",
        (
            field("article", Text(words.article), "Article|Item|What", "somebody left behind: {}|we have this here: {}"),
            field("found_at", Text(words.town), "Found at|Place|Station", "it was found at {}|it lay on the platform in {}"),
            field("found_on", Day(), "Found on|Date found|Day", "that was on {}|it came in on {}"),
            field("shelf", Text(words.code("A-99")), "Shelf|Stored in|Bay", "it now lies on shelf {}|you find it in bay {}"),
            field("finder", Text(words.person), "Finder|Handed in by", "{} handed it in", optional=True),
        ),
    ),
    Plan(
        "room_booking", "simple", "Room booking",
        (
            field("room", Text(words.code("A9.99")), "Room|Where|Space", "we are in {}|room {} would be right"),
            field("booked_by", Text(words.person), "Booked by|Contact|For", "{} asked for it|book it for {}"),
            field("booked_day", Day(), "Booked day|Date|When", "it is for {}|the day is {}"),
            field("from_time", Clock(7, 15), "From time|Begin|Start", "we start at {}|doors open at {}"),
            field("until_time", Clock(), "Until time|Finish|End", "we are out by {}|it ends at {}"),
            field("seats", Whole(4, 60), "Seats|Chairs|Head count", "we need {} chairs|seats needed: {}", True),
        ),
        _booking, "until_time is after from_time.",
    ),
    Plan(
        "meter_reading", "simple", "Meter reading",
        (
            field("meter", Text(words.code("AA9999")), "Meter|Meter number|Device", "the meter is {}|this is about meter {}"),
            field("read_on", Day(), "Read on|Reading date|Date", "I read it on {}|the reading is of {}"),
            field("last_reading", Whole(1000, 60000), "Last reading|Old value|Before", "it stood at {} last time"),
            field("reading", Whole(0, 0), "Reading|New value|Now", "it now shows {}|today's figure is {}"),
            field("used", Whole(0, 0), "Used|Difference|Consumption", "that makes {} used|the difference is {}"),
        ),
        _meter, "reading = last_reading + used.",
    ),
    Plan(
        "library_loan", "simple", "Library loan",
        (
            field("borrower", Text(words.person), "Borrower|Reader|Lent to", "{} took it out|the reader is {}"),
            field("course_book", Text(words.course), "Course book|Title|Book", "the book is {}|it is about {}"),
            field("copy_code", Text(words.code("AA.999")), "Copy code|Copy|Barcode", "the copy is {}|barcode {}"),
            field("lent_on", Day(), "Lent on|Out on|Taken", "it left on {}|it went out on {}"),
            field("due_on", Day(), "Due on|Back by|Return by", "we want it back by {}|it is due on {}"),
            field("renewed", YesNo("the loan was renewed", "the loan was never renewed"), "Renewed|Extended", optional=True),
        ),
        _loan, "due_on is after lent_on.",
    ),
    Plan(
        "pet_boarding", "simple", "Pet boarding",
        (
            field("pet", Text(words.pet), "Pet|Guest|Animal's name", "our guest is called {}|the name is {}"),
            field(
                "species", Choice(("dog", "cat", "rabbit", "bird"), (("puppy", "dog"), ("kitten", "cat"), ("budgie", "bird"))),
                "Species|Kind of animal|Animal", "it is a {}|we speak of a {}",
            ),
            field("owner", Text(words.person), "Owner|Belongs to|Keeper", "{} is the owner|it belongs to {}"),
            field("arrives_on", Day(), "Arrives on|From|Check-in", "it arrives on {}|it comes on {}"),
            field("leaves_on", Day(), "Leaves on|To|Check-out", "it goes home on {}|it stays until {}"),
            field("medicine", YesNo("it takes medicine", "it takes no medicine"), "Medicine|Needs medicine", optional=True),
        ),
        _stay, "leaves_on is after arrives_on.",
    ),
    Plan(
        "parking_permit", "simple", "Parking permit",
        (
            field("holder", Text(words.person), "Holder|Issued to|Name", "the permit is for {}|it goes to {}"),
            field("plate", Text(words.code("AA 999 A")), "Plate|Licence plate|Car", "the plate reads {}|the car is {}"),
            field("zone", Choice(("north", "south", "centre", "harbour"), (("downtown", "centre"), ("docks", "harbour"))),
                  "Zone|Area|District", "it holds in the zone {}|the zone is {}"),
            field("valid_from", Day(), "Valid from|Begins|Starts", "it begins on {}|it starts on {}"),
            field("valid_until", Day(), "Valid until|Expires|Ends", "it runs out on {}|it expires on {}"),
            field("fee", Money(20, 240), "Fee|Price|Paid", "it cost {}|we took {} for it", True),
        ),
        _permit, "valid_until is after valid_from.",
    ),
    Plan(
        "shift_swap", "simple", "Shift swap",
        (
            field("gives", Text(words.person), "Gives|Gives away|Off", "{} cannot come|{} gives the shift away"),
            field("takes", Text(words.person), "Takes|Takes over|On", "{} takes over|{} jumps in"),
            field("shift_day", Day(), "Shift day|Date|Day", "it is about {}|the day is {}"),
            field("shift", Choice(("early", "late", "night"), (("morning", "early"), ("evening", "late"))),
                  "Shift|Which shift|Slot", "we mean the {} shift|shift: {}"),
            field("agreed", YesNo("the boss has agreed", "the boss has not agreed yet"), "Agreed|Approved|Boss says"),
        ),
    ),
    Plan(
        "cake_order", "simple", "Cake order",
        (
            field("cake", Text(words.one(words.LOOKS, words.INGREDIENTS, ["cake", "tart", "roll"])), "Cake|What to bake|Kind",
                  "they want a {}|the wish is a {}"),
            field("portions", Whole(4, 40), "Portions|Pieces|Feeds", "it must feed {} people|cut it into {} pieces"),
            field("wanted_on", Day(), "Wanted on|Ready by|Needed", "it is for {}|it must be ready on {}"),
            field("price", Money(12, 160), "Price|Costs|To pay", "it costs {}|we agreed on {}"),
            field("customer", Text(words.person), "Customer|For|Ordered by", "{} ordered it|{} picks it up"),
            field("no_nuts", YesNo("leave out all nuts", "nuts are fine"), "No nuts|Nut-free", optional=True),
        ),
    ),
    Plan(
        "tool_rental", "simple", "Tool rental",
        (
            field("tool", Text(words.device), "Tool|Machine|Rented", "the tool is a {}|{} is what we lend"),
            field("renter", Text(words.person), "Renter|Rented to|Client", "{} has it|it went to {}"),
            field("rental_days", Whole(1, 12), "Rental days|Days|How long", "it is out for {} days|number of days: {}"),
            field("day_rate", Money(5, 60), "Day rate|Rate|Each day", "a day costs {}|the daily rate is {}"),
            field("charge", Money(0, 0), "Charge|In all|Total", "that makes {}|in all {}"),
            field("deposit", Money(20, 100), "Deposit|Left with us|Security", "we hold {} as a deposit", True),
        ),
        _rental, "charge = rental_days x day_rate.",
    ),
)  # fmt: skip
