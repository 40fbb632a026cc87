"""Ten medium schemas: one level of nesting or one list, seven to ten fields."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lathe.corpora._edge_json import words
from lathe.corpora._edge_json.kinds import Address, Choice, Clock, Day, Money, Real, Text, Whole, YesNo, later
from lathe.corpora._edge_json.parts import Group, Plan, Several, Table, field

if TYPE_CHECKING:
    from lathe.records import Json

_STATES = Choice(
    ("waiting", "in_work", "done"), (("on the bench", "in_work"), ("finished", "done"), ("queued", "waiting"))
)


def _repair(rng: Random, record: dict[str, Json]) -> None:
    record["promised_on"] = later(record["received_on"], rng, 2, 20)
    record["cost"] = round(record["parts_cost"] + record["labour_cost"], 2)


def _garden(_: Random, record: dict[str, Json]) -> None:
    record["minutes_in_all"] = sum(job["minutes"] for job in record["jobs"])


def _catering(_: Random, record: dict[str, Json]) -> None:
    for row in record["menu"]:
        row["row_sum"] = round(row["plates"] * row["plate_price"], 2)
    record["net_sum"] = round(sum(row["row_sum"] for row in record["menu"]), 2)
    record["vat"] = round(record["net_sum"] * 0.1, 2)
    record["gross_sum"] = round(record["net_sum"] + record["vat"], 2)


def _course(rng: Random, record: dict[str, Json]) -> None:
    record["last_day"] = later(record["first_day"], rng, 14, 120)


def _pallets(_: Random, record: dict[str, Json]) -> None:
    record["boxes_in_all"] = sum(pallet["boxes"] for pallet in record["pallets"])


def _inspection(rng: Random, record: dict[str, Json]) -> None:
    if "next_visit" in record:
        record["next_visit"] = later(record["inspected_on"], rng, 20, 200)


def _kitchen(rng: Random, record: dict[str, Json]) -> None:
    for row in record["ingredients"]:
        row["amount"] = rng.randint(1, 12) if row["unit"] in ("spoons", "pieces") else 10 * rng.randint(2, 90)
    record["minutes_in_all"] = record["prepare_minutes"] + record["cook_minutes"]


def _trip(rng: Random, record: dict[str, Json]) -> None:
    record["trip"]["back_on"] = later(record["trip"]["out_on"], rng, 1, 9)
    record["claimed"] = round(sum(row["paid"] for row in record["outlays"]), 2)


def _service(rng: Random, record: dict[str, Json]) -> None:
    record["next_service"] = later(record["serviced_on"], rng, 180, 400)


MEDIUM = (
    Plan(
        "repair_job", "medium", "Repair job",
        (
            field("job", Text(words.code("AA-9999")), "Job|Job number|Slip", "the job is {}|we filed it under {}"),
            field("device", Text(words.device), "Device|Appliance|Brought in", "they brought a {}|on the bench is a {}"),
            Group("client", ("Client", "Brought by"), (
                field("name", Text(words.person), "Name|Full name", "{} brought it in|the client is {}"),
                field("phone", Text(words.phone), "Phone|Call", "call {} when it is ready|the number is {}"),
            )),
            Several("defects", Text(words.defect), ("Defects", "Broken", "Found"), ("we found {}", "broken: {}"), 1, 3),
            field("received_on", Day(), "Received on|In", "it came in on {}|we have had it since {}"),
            field("promised_on", Day(), "Promised on|Ready by|Out", "we promised it for {}|it should be ready on {}"),
            field("parts_cost", Money(5, 90), "Parts cost|Parts|Material", "the parts come to {}|material is {}"),
            field("labour_cost", Money(20, 180), "Labour cost|Labour|Work", "labour is {}|the work costs {}"),
            field("cost", Money(0, 0), "Cost|Sum|To pay", "together that is {}|in all {}"),
            field("state", _STATES, "State|Status", "it is {} now|as of today it is {}", True),
        ),
        _repair, "cost = parts_cost + labour_cost; promised_on is after received_on.",
    ),
    Plan(
        "garden_visit", "medium", "Garden visit",
        (
            field("gardener", Text(words.person), "Gardener|Done by|Hand", "{} did the work|the gardener was {}"),
            field("visited_on", Day(), "Visited on|Day of visit|Date", "the visit was on {}|we were there on {}"),
            Group("garden", ("Garden", "Place"), (
                field("street", Text(words.street), "Street|Address", "the garden is at {}|we went to {}"),
                field("town", Text(words.town), "Town|Village", "that is in {}|the town is {}"),
                field("gate_code", Text(words.code("9999")), "Gate code|Gate", "the gate opens with {}", True),
            )),
            Table("jobs", ("Jobs", "Done", "Tasks"), (
                field("job", Text(words.chore), "Job|Task"),
                field("minutes", Whole(10, 120), "Minutes|Min"),
            ), ("{job} took {minutes} minutes", "{minutes} minutes went into this: {job}"), 1, 4),
            field("minutes_in_all", Whole(0, 0), "Minutes in all|Total minutes", "in all {} minutes|that makes {} minutes"),
            field("tip", Money(2, 20), "Tip|Extra", "there was a tip of {}|they added {}", True),
        ),
        _garden, "minutes_in_all is the sum of the jobs' minutes.",
    ),
    Plan(
        "catering_offer", "medium", "Catering offer",
        (
            field("offer", Text(words.code("C-9999")), "Offer|Offer number|Ref", "this is offer {}|our sign is {}"),
            field("event_on", Day(), "Event on|Day of event|Date", "the feast is on {}|we cook on {}"),
            field("guests", Whole(10, 200), "Guests|Heads|People", "there will be {} guests|we count {} heads"),
            Table("menu", ("Menu", "Dishes", "We serve"), (
                field("dish", Text(words.dish), "Dish|What"),
                field("plates", Whole(5, 80), "Plates|Number"),
                field("plate_price", Money(3, 24), "Plate price|Each"),
                field("row_sum", Money(0, 0), "Row sum|Amount"),
            ), ("{plates} plates of {dish} at {plate_price} each make {row_sum}",
                "{dish}: {plates} plates, {plate_price} a plate, so {row_sum}"), 1, 3),
            field("net_sum", Money(0, 0), "Net sum|Net|Before VAT", "the net sum is {}|without VAT that is {}"),
            field("vat", Money(0, 0), "VAT|Tax", "VAT on it is {}|{} is VAT"),
            field("gross_sum", Money(0, 0), "Gross sum|Gross|To pay", "you pay {}|with VAT it is {}"),
            field("outdoors", YesNo("we serve outdoors", "we serve indoors"), "Outdoors|Open air", optional=True),
        ),
        _catering, "row_sum = plates x plate_price; net_sum is the sum of the rows; gross_sum = net_sum + vat.",
    ),
    Plan(
        "ferry_ticket", "medium", "Ferry ticket",
        (
            field("ticket", Text(words.code("F9A99")), "Ticket|Ticket number|Booking", "the ticket is {}|booked as {}"),
            Group("route", ("Route", "Crossing"), (
                field("from_port", Text(words.town), "From port|Leaves from", "the boat leaves {}|from {} you sail"),
                field("to_port", Text(words.town), "To port|Goes to", "it goes to {}|you land in {}"),
            )),
            field("sails_on", Day(), "Sails on|Date|Day", "you sail on {}|the day is {}"),
            field("sails_at", Clock(5, 22), "Sails at|Departure|Time", "it casts off at {}|departure is {}"),
            Table("travellers", ("Travellers", "On board", "People"), (
                field("name", Text(words.person), "Name|Traveller"),
                field("age", Whole(2, 84), "Age|Years"),
            ), ("{name} is {age} years old", "{name}, {age}, comes along"), 1, 4),
            field("plate", Text(words.code("AA 999 A")), "Plate|Car", "they bring the car {}", True),
            field("paid", YesNo("it is paid", "it is still to be paid"), "Paid|Settled"),
        ),
    ),
    Plan(
        "course_list", "medium", "Course list",
        (
            field("course", Text(words.course), "Course|Class|Subject", "the course is {}|we offer {}"),
            field("tutor", Text(words.person), "Tutor|Teacher|Led by", "{} teaches it|the tutor is {}"),
            field("tutor_email", Address(words.email), "Tutor email|Mail|Write to", "write to {}|mail goes to {}", True),
            field("level", Choice(("basic", "middle", "high"), (("for starters", "basic"), ("for experts", "high"))),
                  "Level|Grade", "the level: {}|it is {}"),
            field("first_day", Day(), "First day|Begins|From", "it begins on {}|the first day is {}"),
            field("last_day", Day(), "Last day|Ends|To", "it ends on {}|the last day is {}"),
            Several("learners", Text(words.person), ("Learners", "Enrolled", "Who comes"),
                    ("enrolled are {}", "we expect {}"), 1, 5),
            field("fee", Money(15, 280), "Fee|Price", "the fee is {}|it costs {}", True),
        ),
        _course, "last_day is after first_day.",
    ),
    Plan(
        "stock_move", "medium", "Stock move",
        (
            field("move", Text(words.code("M99999")), "Move|Move number|Slip", "the move is {}|slip {}"),
            field("from_bay", Text(words.code("A-99")), "From bay|Out of|Source", "it leaves bay {}|take it from {}"),
            field("to_bay", Text(words.code("A-99")), "To bay|Into|Target", "it goes to bay {}|put it into {}"),
            Table("pallets", ("Pallets", "Load", "Moved"), (
                field("goods", Text(words.goods), "Goods|What"),
                field("boxes", Whole(2, 90), "Boxes|Count"),
                field("lot", Text(words.code("A999")), "Lot|Batch", optional=True),
            ), ("{boxes} boxes of {goods}", "{goods}, {boxes} boxes"), 1, 4),
            field("boxes_in_all", Whole(0, 0), "Boxes in all|All boxes|Total", "in all {} boxes|that makes {} boxes"),
            field("driver", Text(words.person), "Driver|Moved by", "{} drives the fork-lift|{} does it"),
            field("speed", Choice(("normal", "urgent"), (("rush", "urgent"), ("no hurry", "normal"))), "Speed|Priority",
                  "handling: {}|it is marked {}", True),
        ),
        _pallets, "boxes_in_all is the sum of the pallets' boxes.",
    ),
    Plan(
        "site_inspection", "medium", "Site inspection",
        (
            field("site", Text(words.street), "Site|Building|Place", "I looked at {}|the site is {}"),
            field("inspector", Text(words.person), "Inspector|Checked by", "{} was there|the inspector was {}"),
            field("inspected_on", Day(), "Inspected on|Date|Day", "that was on {}|the day was {}"),
            Table("findings", ("Findings", "Defects", "Noted"), (
                field("part", Text(words.defect), "Part|What"),
                field("weight", Choice(("minor", "major", "critical"), (("slight", "minor"), ("dangerous", "critical"))),
                      "Weight|How bad"),
                field("floor", Whole(0, 12), "Floor|Storey", optional=True),
            ), ("{part}: {weight}", "a {weight} finding, {part}"), 1, 4),
            field("passed", YesNo("the site passed", "the site failed"), "Passed|Pass"),
            field("next_visit", Day(), "Next visit|Again on", "I come again on {}|the next visit is on {}", True),
        ),
        _inspection, "next_visit is after inspected_on.",
    ),
    Plan(
        "kitchen_card", "medium", "Kitchen card",
        (
            field("dish", Text(words.dish), "Dish|Recipe|Name", "today we make {}|the dish: {}"),
            field("serves", Whole(2, 12), "Serves|For", "it serves {}|enough for {} people"),
            field("prepare_minutes", Whole(5, 60), "Prepare minutes|Preparation", "you prepare for {} minutes"),
            field("cook_minutes", Whole(10, 120), "Cook minutes|Cooking|On the stove", "it cooks for {} minutes"),
            field("minutes_in_all", Whole(0, 0), "Minutes in all|Total time", "in all {} minutes|you need {} minutes"),
            Table("ingredients", ("Ingredients", "You need", "Shopping"), (
                field("ingredient", Text(words.ingredient), "Ingredient|What"),
                field("amount", Whole(0, 0), "Amount|How much"),
                field("unit", Choice(("g", "ml", "spoons", "pieces"), (("grams", "g"),)), "Unit|Measure"),
            ), ("take {amount} {unit} of {ingredient}", "{ingredient}: {amount} {unit}"), 2, 5),
            field("vegan", YesNo("it is vegan", "it is not vegan"), "Vegan|Plants only", optional=True),
        ),
        _kitchen, "minutes_in_all = prepare_minutes + cook_minutes.",
    ),
    Plan(
        "travel_claim", "medium", "Travel claim",
        (
            field("claimant", Text(words.person), "Claimant|Claimed by|Traveller", "{} was away|the claim is by {}"),
            Group("trip", ("Trip", "Journey"), (
                field("place", Text(words.town), "Place|Where", "the trip went to {}|it was a visit to {}"),
                field("out_on", Day(), "Out on|Left", "it began on {}|the way out was on {}"),
                field("back_on", Day(), "Back on|Returned", "the way back was on {}|home again on {}"),
            )),
            Table("outlays", ("Outlays", "Spent", "Receipts"), (
                field("sort", Choice(("travel", "meals", "lodging", "other"), (("hotel", "lodging"), ("train", "travel"))),
                      "Sort|For"),
                field("paid", Money(4, 260), "Paid|Amount"),
            ), ("{paid} for {sort}", "{sort} came to {paid}"), 1, 4),
            field("claimed", Money(0, 0), "Claimed|Sum|Total", "the claim is {}|in all {}"),
            field("approved_by", Text(words.person), "Approved by|Signed", "{} has signed it|{} approved", True),
        ),
        _trip, "claimed is the sum of the outlays; back_on is after out_on.",
    ),
    Plan(
        "van_service", "medium", "Van service",
        (
            Group("van", ("Van", "Vehicle"), (
                field("plate", Text(words.code("AA 999 A")), "Plate|Registration", "the van is {}|plate {}"),
                field("maker", Text(words.company), "Maker|Make", "it was made by {}|{} built it", True),
            )),
            field("odometer_km", Whole(4000, 240000, "km"), "Odometer km|Odometer|Driven", "it has run {}|the clock says {}"),
            Several("work", Text(words.defect), ("Work", "Replaced", "Mended"), ("we mended {}", "on the list were {}"), 1, 4),
            field("garage", Text(words.company), "Garage|Workshop|Done at", "{} did it|it stood at {}"),
            field("serviced_on", Day(), "Serviced on|Date|Done", "that was on {}|it was done on {}"),
            field("next_service", Day(), "Next service|Next due|Again", "the next one is due on {}|come again on {}"),
            field("oil_litres", Real(2.0, 9.0, "l"), "Oil litres|Oil", "it took {} of oil|oil filled in: {}", True),
        ),
        _service, "next_service is after serviced_on.",
    ),
)  # fmt: skip
