"""Five complex schemas: lists inside lists, groups, optional parts, enumerations; up to four hundred words."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lathe.corpora._edge_json import words
from lathe.corpora._edge_json.kinds import (
    Address,
    Choice,
    Clock,
    Day,
    Money,
    Real,
    Text,
    Whole,
    YesNo,
    later,
    minutes_later,
)
from lathe.corpora._edge_json.parts import Group, Plan, Several, Table, field

if TYPE_CHECKING:
    from lathe.records import Json

_TIERS = Choice(("day", "weekend", "camping"), (("one day", "day"), ("with tent", "camping")))
_SORTS = Choice(("child", "adult", "group"), (("grown-up", "adult"),))
_CRAFTS = Text(words.one(words.CRAFTS))


def _tender(rng: Random, record: dict[str, Json]) -> None:
    record["closes_on"] = later(record["opens_on"], rng, 5, 60)
    for trade in record["trades"]:
        for line in trade["lines"]:
            line["line_sum"] = round(line["quantity"] * line["rate"], 2)
        trade["trade_sum"] = round(sum(line["line_sum"] for line in trade["lines"]), 2)
    record["net_sum"] = round(sum(trade["trade_sum"] for trade in record["trades"]), 2)
    record["vat"] = round(record["net_sum"] * 0.2, 2)
    record["gross_sum"] = round(record["net_sum"] + record["vat"], 2)


def _outing(rng: Random, record: dict[str, Json]) -> None:
    time = record["stops"][0]["arrive"]
    for stop in record["stops"]:
        stop["arrive"] = minutes_later(time, 0)
        stop["leave"] = time = minutes_later(time, 45)
        time = minutes_later(time, 30)
        bought = stop.get("tickets", [])
        for ticket, sort in zip(bought, rng.sample(_SORTS.words, len(bought))):
            ticket["sort"] = sort
            ticket["ticket_sum"] = round(ticket["number"] * ticket["price"], 2)
    record["ticket_total"] = round(
        sum((ticket["ticket_sum"] for stop in record["stops"] for ticket in stop.get("tickets", [])), 0.0), 2
    )


def _manifest(rng: Random, record: dict[str, Json]) -> None:
    record["voyage"]["lands_on"] = later(record["voyage"]["sails_on"], rng, 2, 40)
    for container in record["containers"]:
        container["packages"] = sum(goods["number"] for goods in container["contents"])
    record["packages_in_all"] = sum(container["packages"] for container in record["containers"])


def _festival(rng: Random, record: dict[str, Json]) -> None:
    record["ends_on"] = later(record["starts_on"], rng, 1, 4)
    for stage in record["stages"]:
        time = stage["acts"][0]["starts_at"]
        for act in stage["acts"]:
            act["starts_at"] = time
            act["minutes"] = 5 * rng.randint(6, 18)
            act["ends_at"] = minutes_later(time, act["minutes"])
            time = minutes_later(act["ends_at"], 5 * rng.randint(2, 8))
    for ticket, tier in zip(record["tickets"], rng.sample(_TIERS.words, len(record["tickets"]))):
        ticket["tier"] = tier


def _harvest(rng: Random, record: dict[str, Json]) -> None:
    for plot in record["plots"]:
        day = f"{record['season']}-08-01"
        for load in plot["loads"]:
            load["picked_on"] = day = later(day, rng, 3, 30)
        plot["crates"] = sum(load["crates"] for load in plot["loads"])
    record["crates_in_all"] = sum(plot["crates"] for plot in record["plots"])


NESTED = (
    Plan(
        "building_tender", "complex", "Building tender",
        (
            field("tender", Text(words.code("BT-999")), "Tender|Tender number|Ref", "the tender is {}|file {}"),
            Group("client", ("Client", "Commissioned by"), (
                field("name", Text(words.company), "Name|Company", "the client is {}|{} wants to build"),
                field("contact", Text(words.person), "Contact|Speak to", "speak to {}|{} answers questions"),
                field("email", Address(words.email), "Email|Mail", "mail goes to {}|write to {}", True),
            )),
            field("opens_on", Day(), "Opens on|From", "it opens on {}|bids are taken from {}"),
            field("closes_on", Day(), "Closes on|Until", "it closes on {}|the last day for bids is {}"),
            Table("trades", ("Trades", "Lots", "Parts of the work"), (
                field("trade", _CRAFTS, "Trade|Craft"),
                field("foreman", Text(words.person), "Foreman|Led by", optional=True),
                Table("lines", ("Lines", "Work"), (
                    field("work", Text(words.building_work), "Work|What"),
                    field("quantity", Whole(2, 60), "Quantity|Number"),
                    field("rate", Money(4, 90), "Rate|Each"),
                    field("line_sum", Money(0, 0), "Line sum|Amount"),
                ), ("{work}, {quantity} times at {rate}, is {line_sum}",), 1, 2),
                field("trade_sum", Money(0, 0), "Trade sum|Sum"),
            ), ("{trade} comes to {trade_sum}", "for {trade} we count {trade_sum}"), 1, 3),
            field("net_sum", Money(0, 0), "Net sum|Net", "the net sum is {}|without VAT it is {}"),
            field("vat", Money(0, 0), "VAT|Tax", "VAT is {}|{} goes to the tax office"),
            field("gross_sum", Money(0, 0), "Gross sum|Gross|To pay", "the gross sum is {}|with VAT it is {}"),
            field("status", Choice(("draft", "published", "awarded"), (("out", "published"), ("given away", "awarded"))),
                  "Status|State", "its status: {}|it is {}", True),
        ),
        _tender, "line_sum = quantity x rate; trade_sum, net_sum are sums; gross_sum = net_sum + vat; closes_on is after opens_on.",
    ),
    Plan(
        "school_outing", "complex", "School outing",
        (
            field("school", Text(words.one(words.TOWN_HEADS, ["School", "College", "Academy"])), "School|Who",
                  "{} goes out|this is the outing of {}"),
            field("outing_on", Day(), "Outing on|Day|Date", "the day is {}|we go on {}"),
            Group("party", ("Party", "Group"), (
                field("year", Whole(1, 9), "Year|Grade", "it is for year {}|year {} goes"),
                field("pupils", Whole(9, 60), "Pupils|Children", "{} pupils come|number of pupils: {}"),
                field("adults", Whole(2, 8), "Adults|Teachers", "{} adults go with them", True),
            )),
            Several("leaders", Text(words.person), ("Leaders", "Led by"), ("it is led by {}", "in charge: {}"), 1, 3),
            Table("stops", ("Stops", "Stations", "Plan"), (
                field("place", Text(words.town), "Place|Where"),
                field("arrive", Clock(8, 10), "Arrive|In"),
                field("leave", Clock(), "Leave|Out"),
                Table("tickets", ("Tickets", "Entry"), (
                    field("sort", _SORTS, "Sort|For"),
                    field("number", Whole(2, 40), "Number|How many"),
                    field("price", Money(2, 15), "Price|Each"),
                    field("ticket_sum", Money(0, 0), "Ticket sum|Amount"),
                ), ("{sort} tickets: {number} at {price}, so {ticket_sum}",), 1, 2, True),
            ), ("we reach {place} at {arrive} and go on at {leave}", "{place} from {arrive} to {leave}"), 1, 3),
            field("ticket_total", Money(0, 0), "Ticket total|All tickets", "all tickets come to {}"),
            field("lunch", YesNo("lunch is included", "everybody brings lunch"), "Lunch|Lunch included", optional=True),
        ),
        _outing, "ticket_sum = number x price; ticket_total is their sum; leave is after arrive, stops follow each other.",
    ),
    Plan(
        "cargo_manifest", "complex", "Cargo manifest",
        (
            Group("vessel", ("Vessel", "Ship"), (
                field("name", Text(words.ship), "Name|Called", "the ship is the {}|she is called {}"),
                field("call_sign", Text(words.code("AAA9")), "Call sign|Radio", "her call sign is {}|radio {}"),
                field("built", Whole(1975, 2023, grouped=False), "Built|Year built", "she was built in {}", True),
            )),
            Group("voyage", ("Voyage", "Passage"), (
                field("from_port", Text(words.town), "From port|Sails from", "she sails from {}|she leaves {}"),
                field("to_port", Text(words.town), "To port|Bound for", "she is bound for {}|she goes to {}"),
                field("sails_on", Day(), "Sails on|Departure", "she departs on {}|she sails on {}"),
                field("lands_on", Day(), "Lands on|Arrival", "she arrives on {}|she lands on {}"),
            )),
            field("master", Text(words.person), "Master|Captain", "{} is the master|captain {} commands", True),
            Table("containers", ("Containers", "Boxes aboard", "Cargo"), (
                field("number", Text(words.code("AAA99999")), "Number|Container"),
                field("hazard", YesNo("with dangerous goods", "without dangerous goods"), "Hazard|Dangerous"),
                Table("contents", ("Contents", "Goods"), (
                    field("goods", Text(words.goods), "Goods|What"),
                    field("number", Whole(2, 90), "Number|Packages"),
                    field("weight_kg", Real(20, 900, "kg"), "Weight kg|Weight", optional=True),
                ), ("inside are {number} packages of {goods}",), 1, 3),
                field("packages", Whole(0, 0), "Packages|Count"),
            ), ("container {number}, {hazard}, holds {packages} packages",), 1, 3),
            field("packages_in_all", Whole(0, 0), "Packages in all|All packages", "in all {} packages|she carries {} packages"),
        ),
        _manifest, "packages are the sum of the contents, packages_in_all of the containers; lands_on is after sails_on.",
    ),
    Plan(
        "festival_plan", "complex", "Festival plan",
        (
            field("festival", Text(words.one(words.TOWN_HEADS, ["Sounds", "Nights", "Weekender", "Gathering"])), "Festival|Name",
                  "the festival is {}|we speak of {}"),
            field("town", Text(words.town), "Town|Place", "it is held in {}|come to {}"),
            field("starts_on", Day(), "Starts on|From", "it starts on {}|the first day is {}"),
            field("ends_on", Day(), "Ends on|To", "it ends on {}|the last day is {}"),
            Table("stages", ("Stages", "Where they play"), (
                field("stage", Text(words.one(words.MAKERS, ["Stage", "Tent", "Hall"])), "Stage|Name"),
                field("places", Whole(80, 4000), "Places|Room for", optional=True),
                Table("acts", ("Acts", "Bands"), (
                    field("act", Text(words.band), "Act|Band"),
                    field("starts_at", Clock(12, 16), "Starts at|Begin"),
                    field("ends_at", Clock(), "Ends at|End"),
                    field("minutes", Whole(0, 0), "Minutes|Length"),
                ), ("{act} play from {starts_at} to {ends_at}, {minutes} minutes",), 1, 3),
            ), ("then there is the {stage}", "on the {stage} you hear them"), 1, 3),
            Table("tickets", ("Tickets", "Prices"), (
                field("tier", _TIERS, "Tier|Ticket"),
                field("price", Money(15, 180), "Price|Costs"),
            ), ("{tier} tickets cost {price}", "{price} for {tier}"), 1, 3),
            field("sold_out", YesNo("it is sold out", "there are tickets left"), "Sold out|Full", optional=True),
        ),
        _festival, "ends_at = starts_at + minutes; acts of a stage follow each other; ends_on is after starts_on.",
    ),
    Plan(
        "harvest_book", "complex", "Harvest book",
        (
            Group("farm", ("Farm", "Holding"), (
                field("name", Text(words.one(words.TOWN_HEADS, ["Farm", "Acres", "Orchard"])), "Name|Called", "the farm is {}"),
                field("village", Text(words.town), "Village|Near", "it lies near {}|the village is {}"),
                field("farmer", Text(words.person), "Farmer|Run by", "{} runs it|the farmer is {}"),
            )),
            field("season", Whole(2019, 2027, grouped=False), "Season|Year", "the season is {}|we write the year {}"),
            Table("plots", ("Plots", "Fields", "Land"), (
                field("plot", Text(words.code("A9")), "Plot|Field"),
                field("crop", Choice(("apples", "pears", "plums", "cherries")), "Crop|Fruit"),
                field("hectares", Real(0.4, 9.0, "ha"), "Hectares|Area", optional=True),
                Table("loads", ("Loads", "Brought in"), (
                    field("picked_on", Day(), "Picked on|Day"),
                    field("crates", Whole(3, 80), "Crates|Count"),
                    field("grade", Choice(("first", "second", "juice"), (("top", "first"), ("for pressing", "juice"))),
                          "Grade|Class"),
                ), ("on {picked_on} {crates} crates came in, grade: {grade}",), 1, 3),
                field("crates", Whole(0, 0), "Crates|Crates of the plot"),
            ), ("plot {plot} has {crop} and gave {crates} crates", "{crop} from plot {plot}, {crates} crates"), 1, 3),
            field("crates_in_all", Whole(0, 0), "Crates in all|All crates", "in all {} crates|the barn holds {} crates"),
            field("buyer", Text(words.company), "Buyer|Sold to", "{} buys all of it|it is sold to {}", True),
            field("organic", YesNo("all of it is organic", "it is not organic"), "Organic|Certified", optional=True),
        ),
        _harvest,
        "crates of a plot are the sum of its loads, crates_in_all of the plots; loads follow each other within the season.",
    ),
)  # fmt: skip
