"""Names, things and codes, made by small grammars: short lists of parts, joined. None of them is copied from a data set."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Maker = Callable[[Random], str]


def _words(text: str) -> list[str]:
    return text.split()


GIVEN = _words(
    """
    Ada Alma Anton Bela Bruno Cara Cyril Dana Dario Edda Elias Enzo Fay Felix Frida Gita Greta Hanno Hedy Ida
    Igor Ines Jana Joel Juno Kai Karin Lars Lena Leo Lotte Mara Milo Mona Nadia Nils Nora Olaf Olga Oskar
    Petra Pia Quinn Rafi Rosa Runa Sami Selma Silas Tara Tilda Timo Uma Vera Viktor Wanda Willem Xenia Yara
    Yusuf Zeno Zora
    """
)
_FAMILY_HEADS = _words(
    """
    Ald Bar Bren Cor Dal Elm Fen Gar Hal Har Ken Lind Mar Mor Nor Pell Quar Rad Sel Stan Thorn Ul Var Wes Win
    Yor
    """
)
_FAMILY_TAILS = _words(
    """
    berg bury by castle dale den ersen feld ford gate ham hurst ing kamp ley man mark mere mont quist rick son
    stad ton well wood
    """
)
TOWN_HEADS = _words(
    """
    Alder Ash Birch Black Bright Clay Cold East Falcon Fern Glen Gold Green Heron High Iron King Lime Mill
    North Oak Otter Raven Red Silver Stone Swan West White
    """
)
_TOWN_TAILS = _words(
    """
    bank bridge brook burn cliff cross field ford gate haven hill hollow mead moor mouth pool port ridge shore
    stead vale wick
    """
)
_ROADS = _words("Street Lane Road Row Square Walk Hill Close Quay Yard")
MAKERS = _words(
    """
    Anchor Badger Beacon Cedar Comet Copper Coral Crane Delta Ember Falcon Harbour Juniper Kestrel Lantern
    Maple Meridian Nimbus Orchard Pebble Quarry Rowan Saffron Summit Thistle Tundra Velvet Willow
    """
)
_TRADES = _words(
    """
    Works Supply Partners Foundry Kitchens Freight Gardens Motors Press Tools Textiles Outfitters Workshop
    Traders
    """
)
LOOKS = _words(
    """
    amber black blue brown copper cream green grey ivory navy olive orange pink purple red silver striped teal
    white yellow
    """
)
_MATTERS = _words("canvas cedar cotton felt glass iron leather linen oak paper pine plastic steel tin velvet wool")
_THINGS = _words(
    """
    backpack basket bench bottle box bracelet cap chair clock cup drum glove hat jacket jar key-ring kettle
    lamp ladder mirror mug notebook pan pillow purse rope scarf shelf stool suitcase tray umbrella vase wallet
    watch
    """
)
_ANIMALS = _words(
    """
    Biscuit Bramble Clover Cosmo Domino Ginger Hazel Inky Jasper Luna Marble Miso Nutmeg Otto Pepper Pickle
    Pixel Poppy Rufus Smudge Tango Waffle Ziggy
    """
)
_DISH_LOOKS = _words(
    """
    baked chilled creamed glazed grilled herbed pickled poached roasted smoked spiced stuffed toasted warm
    """
)
_DISHES = _words(
    """
    aubergine barley beans beetroot carrots chickpeas cod dumplings fennel leeks lentils mushrooms noodles
    onions peppers potatoes pumpkin rice salmon spinach tofu trout
    """
)
_COURSE_HEADS = _words("Beginners' Everyday Evening Practical Weekend Advanced First Open-air")
_COURSES = _words(
    """
    Basketry Bookbinding Calligraphy Carpentry Ceramics Drawing Fencing Gardening Juggling Knitting
    Photography Sailing Screen-printing Welding Weaving
    """
)
_DEVICES = _words(
    """
    boiler coffee-grinder dishwasher drill espresso-machine fan-heater freezer generator laptop lawn-mower
    mixer oven printer projector pump radio scanner sewing-machine toaster vacuum
    """
)
_FAULT_HEADS = _words("burnt cracked jammed leaking loose missing noisy rusted stuck worn")
_FAULT_TAILS = _words("belt bearing button cable fuse gasket hinge hose lid motor plug seal spring switch valve wheel")
_CHORES = _words("clean clear cut dig edge hoe mow paint plant prune rake sow trim turn water weed")
_PLOTS = _words(
    """
    beds borders compost fence fruit-trees gravel-path greenhouse hedge lawn orchard patio pond roses shrubs
    terrace
    """
)
_GOODS = _words(
    """
    bolts cables candles ceramics coffee engines fabric flour furniture glassware lamps machine-parts
    olive-oil paint paper pumps rice shoes spices tea tiles timber toys tyres wine
    """
)
INGREDIENTS = _words(
    """
    almonds barley beans butter carrots cheese cream flour garlic honey leeks lemons lentils milk mushrooms
    oats onions parsley peas pepper rice sugar thyme tomatoes walnuts yoghurt
    """
)
_BANDS = _words(
    """
    Arrows Bells Comets Drifters Engines Feathers Harbours Lanterns Mirrors Owls Pilots Rivers Sparrows Tides
    Wolves
    """
)
_SHIPS = _words(
    """
    Aurora Bellweather Corvina Dorado Estrella Fairwind Galatea Halcyon Isolde Meridian Nereid Osprey Pelican
    Sirocco Tempest
    """
)
CRAFTS = _words(
    """
    brickwork carpentry drainage flooring glazing heating insulation lighting painting paving plastering
    plumbing roofing scaffolding tiling wiring
    """
)
_BUILDING_CHORES = _words("fit fix hang insulate lay level mend paint remove replace sand seal")
_BUILDING_PARTS = _words("beams ceilings doors floors gutters pipes shutters sockets stairs tiles walls windows")
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


def one(*parts: list[str], joined: str = " ") -> Maker:
    """A maker that takes one of each list."""

    def make(rng: Random) -> str:
        return joined.join(rng.choice(part) for part in parts)

    return make


def code(pattern: str) -> Maker:
    """A maker of codes: `A` stands for a letter, `9` for a digit, all else for itself. `code("AA-999")` makes "KD-204"."""

    def make(rng: Random) -> str:
        return "".join(
            rng.choice(LETTERS) if sign == "A" else rng.choice("0123456789") if sign == "9" else sign
            for sign in pattern
        )

    return make


def family(rng: Random) -> str:
    return rng.choice(_FAMILY_HEADS) + rng.choice(_FAMILY_TAILS)


def person(rng: Random) -> str:
    return f"{rng.choice(GIVEN)} {family(rng)}"


def town(rng: Random) -> str:
    return rng.choice(TOWN_HEADS) + rng.choice(_TOWN_TAILS)


def street(rng: Random) -> str:
    return f"{rng.randint(1, 180)} {town(rng)} {rng.choice(_ROADS)}"


def email(rng: Random) -> str:
    return f"{rng.choice(GIVEN)}.{family(rng)}@{rng.choice(MAKERS)}{rng.choice(_TRADES)}.example".lower()


def phone(rng: Random) -> str:
    return f"0{rng.randint(20, 99)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"


company = one(MAKERS, _TRADES)
article = one(LOOKS, _MATTERS, _THINGS)
pet = one(_ANIMALS)
dish = one(_DISH_LOOKS, _DISHES)
course = one(_COURSE_HEADS, _COURSES)
device = one(_DEVICES)
defect = one(_FAULT_HEADS, _FAULT_TAILS)
chore = one(_CHORES, _PLOTS)
goods = one(_GOODS)
ingredient = one(INGREDIENTS)
band = one(LOOKS, _BANDS)
ship = one(_SHIPS)
building_work = one(_BUILDING_CHORES, _BUILDING_PARTS)
