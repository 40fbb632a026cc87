"""Where the corpus gets its words: short hand-written lists, and syllable grammars of a dozen sound systems.

    word(random.Random(3))      -> "lantern"
    coined(random.Random(3))    -> "velkarin"      a word no list holds: it can only be copied, never guessed

Coined words are the point: a model that has seen them once must copy them letter by letter. Nothing here is copied
from a text; each grammar is a handful of onsets, vowels and codas that sound like a language.
"""

# ruff: noqa: SIM905 - word lists are read and edited as text
# fmt: off

from __future__ import annotations

from random import Random

NOUNS = """
account actor address agent airport album alarm animal answer apple archive area arm army arrival article artist asset
atlas audience author autumn award axis baby badge bag bakery balance ball band bank bar barrel base basket batch
battery beach beam bean bear bed bell bench bicycle bill bird block blog board boat body bolt bond book border bottle
bowl box branch brand bread bridge broker brush bucket budget building bus button cabin cable cake camera camp canal
candle captain car card cargo carpet case castle cat category cell center chain chair channel chapter charge chart
check chef child choice church circle circuit city claim class client climate clinic clock cloud club coach coal coast
coat code coffee coin college color column command comment community company concert condition consumer container
content contest contract cook copper copy corner cost cotton council count country county course court cover crew crop
cross crowd crystal culture cup currency current curve customer cycle dance data dawn day deal debate decade deck
degree delivery demand department deposit depth desert design desk detail device diagram diet dinner direction
director disk display distance district doctor dollar door draft drawing dream dress driver drum duty eagle ear earth
economy edge editor education effect effort egg election element emission employer engine entry episode equipment
error estate evening event evidence example exchange exhibit expense expert export eye fabric face factor factory
family farm fashion father feature fee fence festival fiber field figure file film filter finger fire firm fish flag
flight floor flower flour folder food foot force forest fork form formula fort forum frame freight friend fruit fuel
function fund furniture gallery game garden gas gate gear generation gift glass goal gold grade grain graph grass
gravity grid group growth guard guest guide guitar habit hair half hall hammer hand harbor hardware hat head health
heart heat height hill history holder holiday home honey hook horse hospital host hotel hour house ice idea image
impact import income index industry ink insect institute insurance interest iron island issue item jacket jar jewel
job journal journey judge juice jury key kitchen knee knife label labor ladder lake lamp land language lantern laser
law lawyer layer leader leaf league leather lecture leg lemon lens lesson letter level library licence life lift light
limit line lion list load loan lobby lock lodge log lunch machine magazine mail manager manor map marble margin market
mask master match material matter meal measure meat media medicine member memory menu metal meter method midnight mile
milk mill mind mine minister mirror mission mode model moment money monitor month moon morning mother motion motor
mountain mouse mouth movie museum music nail name nation nature neck needle nerve nest network news night node noise
north nose note notebook number nurse oak object ocean offer office officer oil onion opera operator opinion orange
orchard organ origin outcome output oven owner package page paint pair palace panel paper parcel parent park part
partner party passage passenger path patient pattern payment peace pearl pen pencil pension people pepper period
permit person phase phone photo piano picture piece pilot pipe plan plane planet plant plate platform player plot
pocket poem point policy pool port position post potato powder power practice premium president press price printer
prison prize problem process producer product professor profile profit program project promise property protein
protocol province pump pupil purpose quality quarter queen query question queue radio rail rain range rate ratio
reader reason receipt record referee region relay rent repair report request rescue research reserve resident resource
response rest result review reward rhythm rice ring risk river road robot rock role roof room root rope rose route row
rule sail salad salary sale salt sample sand satellite sauce scale scene schedule scheme school science scope score
screen script sea season seat section sector seed segment sensor series server service session setting shade shadow
shape share sheep sheet shelf shell shift ship shirt shoe shop shore shoulder shower side signal silk silver singer
site size skill skin sky sleep slice slot smoke snow soap society socket soil soldier solution song source south space
speaker speech speed spice spirit sponsor spoon sport spot spring square stable staff stage stamp standard star state
station statue steam steel step stick stock stone store storm story stove strategy stream street string studio style
subject sugar suit summer sun supply surface survey symbol system table tail talent tank tape target task tax tea
teacher team temple tenant tent term test text theater theory thread ticket tide tiger tile timber title tobacco token
tone tool tooth topic tour tower town toy track trade trail train tree trend trial tribe trick trip truck trunk trust
tube tunnel turn type uncle union unit valley value valve van vault vector vehicle vendor venue version vessel video
view village violin visit visitor voice volume voter wage wagon wall warehouse watch water wave wax weather website
wedding weight west wheel width wife window wine winner winter wire witness wolf wood wool word work worker workshop
world writer yard year youth zone
""".split()

ATTRIBUTES = """
active actual additional allowed amber annual assigned available average basic best blue bold brief bright broad busy
calm central certain cheap clean clear closed coastal cold common compact complete cool current daily dark deep
default direct distant domestic double dry early eastern easy electric empty equal exact extra fair false famous fast
final fine first fixed flat foreign formal free frequent fresh full future general gentle global golden good grand
gray great green gross happy hard heavy hidden high hollow honest huge human initial inner internal joint junior keen
large last late left legal light linked live local lone long loud low lucky main major manual maximum mean minimum
minor mobile modern monthly mutual narrow native natural neat net new next noble normal northern odd official old open
optional ordinary original other outer overall parallel partial past patient perfect personal plain polite poor
popular preferred present previous primary prime private proper public pure quick quiet random rapid rare raw ready
real recent red regional regular remote rich right rising rough round royal safe scarlet secondary secret senior
separate serious shared sharp short silent silver similar simple single slow small smart smooth social soft solar
solid southern special square stable standard steady steep still strict strong sudden sunny sweet swift tall tender
thick thin tight tiny total tough true typical unique upper urban urgent usual valid verified vital warm weekly
western white whole wide wild wise wooden yellow young
""".split()

VERBS = """
accept add adjust agree allow answer arrive ask attach avoid become begin believe belong blame borrow break bring
build buy call carry catch cause change choose clean close collect compare complain connect consider contain continue
cook cover create cross cut decide deliver deny depend describe develop discover discuss divide draw drive drop earn
eat enjoy enter examine expect explain explore fail fall feel fill find finish fix follow forget gather give grow
guess handle happen hear help hide hold hope hurry improve include inspect invite join jump keep kick know land laugh
lead learn leave lend lift like listen live lose love make manage mark meet mention miss mix move need notice offer
open order paint pass pay perform pick plan play point pour prepare press prevent produce promise protect prove pull
push put raise reach read receive reduce refuse release remain remember remove repair repeat replace reply rest return
ride ring rise roll run save say see seem sell send serve set share shine show sing sit sleep sort speak spend spread
stand start stay stop study suggest support take talk taste teach tell test think throw touch train travel treat try
turn understand use visit wait walk want warn wash watch wear win wish wonder work worry write
""".split()

FUNCTION_WORDS = """
about above across after again against all along although among and another any around as at away back because before
behind below beside between beyond both but by despite down during each either else enough even ever every except few
for from half here how however if in indeed inside instead into just least less like many more most much near neither
never no nor not now of off often on once only or out outside over perhaps quite rather several since so some soon
still such than that the their then there therefore these they this those though through throughout to together too
toward under until up upon very when where whether which while whose why with within without yet
""".split()

# name: (onsets, vowels, codas of inner syllables, endings); an empty string means "none", repeated entries weigh more.
_GRAMMARS: dict[str, tuple[list[str], list[str], list[str], list[str]]] = {
    "english": ("b br c ch cl d dr f fl g gr h j k l m n p pr r s sh sl st t th tr w wh".split(), "a e i o u ea oo ai".split(),
                ["", "", "n", "l", "r", "s", "ck", "m"], "er ing ton ly ford ham well son ley worth field man y".split()),
    "german": ("b br d f fr g gr h k kl kr l m n p r s sch schw st str t w z".split(), "a e i o u au ei ie ü ö ä".split(),
               ["", "n", "r", "l", "ch", "ss", "nd"], "er en mann berg burg heim feld stein ig ung bach dorf".split()),
    "spanish": ("b c d f g j l m n p r s t v ll ch qu".split(), "a e i o u ia ue".split(),
                ["", "", "", "n", "r", "s", "l"], "o a ez os ero illa ado ina al ón ío ña".split()),
    "italian": ("b c d f g l m n p r s t v z br gi chi".split(), "a e i o u".split(),
                ["", "", "n", "l", "r", "tt", "ll"], "i o a ini etti ano ella one ucci aro".split()),
    "french": ("b bl c ch d f g j l m n p pr r s t v".split(), "a e i o u ou eau ai é è".split(),
               ["", "", "n", "r", "l"], "et eau ier elle ard oux ot ine ois ette ège".split()),
    "slavic": ("b br d dr g k kr l m n p pr r s st t v vl z zh".split(), "a e i o u y".split(),
               ["", "n", "r", "sk", "v", "l"], "ov ski ova ic enko in ek ak na ica ić ý".split()),
    "nordic": ("b br d f fj g h hj k kn l m n r s sk sv t v".split(), "a e i o u ø å æ".split(),
               ["", "n", "r", "l", "nd", "rs"], "sen sson gaard berg dal vik stad lund ø heim".split()),
    "finnish": ("h j k l m n p r s t v".split(), "a e i o u aa ee ii uo ä yö".split(),
                ["", "", "n", "s", "l", "kk", "tt"], "nen la lä ri ko ja sto vaara niemi".split()),
    "japanese": ("k s t n h m y r w sh ch ts g z d b".split(), "a i u e o".split(),
                 ["", "", "", "", "n"], "ka to mi ko ru shi no ta ro ya ki moto mura".split()),
    "hindi": ("a b bh ch d dh g gh j k kh l m n p r s sh t v y".split(), "a aa i u e o ai".split(),
              ["", "", "n", "r", "sh", "m"], "a an esh i ar endra it ani eep wal".split()),
    "african": ("b ch d f g k kw l m mb n nd ng ny s t w y z".split(), "a e i o u".split(),
                ["", "", "", "m", "n"], "a e i o u ka ne ma we ji".split()),
    "arabic": ("b d f gh h j k kh l m n q r s sh t w y z".split(), "a i u aa ee ou".split(),
               ["", "n", "r", "s", "l", "d"], "ah i ir an ed im ouf ar iya een".split()),
    "latin": ("b c cr d f fl g l m n p pl qu r s sp t v".split(), "a e i o u ae".split(),
              ["", "n", "r", "l", "s", "m"], "us um a is io or ex ens alis arum".split()),
}
LANGUAGES = tuple(_GRAMMARS)
# fmt: on


def word(rng: Random) -> str:
    """A lower-case English noun, attribute or verb of the lists."""
    return rng.choice(rng.choice((NOUNS, NOUNS, ATTRIBUTES, VERBS)))


def coined(rng: Random, language: str | None = None) -> str:
    """A lower-case word built by a syllable grammar, 3 to 14 letters; `language` is one of LANGUAGES, None draws
    one."""
    onsets, vowels, codas, endings = _GRAMMARS[language or rng.choice(LANGUAGES)]
    syllables = rng.choice((1, 1, 1, 2, 2, 3))
    body = "".join(rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas) for _ in range(syllables))
    return (body + rng.choice(endings))[:14]


def any_word(rng: Random) -> str:
    """Mostly a listed word, sometimes a coined one."""
    return coined(rng) if rng.random() < 0.3 else word(rng)


def person(rng: Random) -> str:
    """A personal name in one of several shapes; both parts come from one sound system."""
    language = rng.choice(LANGUAGES)
    given, family = coined(rng, language).capitalize(), coined(rng, language).capitalize()
    shape = rng.random()
    if shape < 0.70:
        return f"{given} {family}"
    if shape < 0.78:
        return f"{given} {coined(rng, language).capitalize()} {family}"
    if shape < 0.86:
        return f"{rng.choice(('Dr.', 'Ms.', 'Mr.', 'Mrs.', 'Prof.'))} {given} {family}"
    if shape < 0.92:
        return f"{given} {rng.choice('ABCDEFGHJKLMNPRSTVW')}. {family}"
    if shape < 0.96:
        return f"{given} {family}-{coined(rng, language).capitalize()}"
    return given


def place(rng: Random) -> str:
    """A town-like name."""
    name = coined(rng).capitalize()
    shape = rng.random()
    if shape < 0.5:
        return name
    if shape < 0.8:
        return f"{rng.choice(('Port', 'Lake', 'New', 'East', 'West', 'North', 'South', 'Saint', 'Upper', 'Old', 'Fort'))} {name}"
    return name + rng.choice(
        ("ville", "burgh", "town", "shire", "mouth", " Bay", " Hills", "view", "side", "chester", "port", " Falls")
    )


def company(rng: Random) -> str:
    """A company-like name."""
    first = coined(rng).capitalize() if rng.random() < 0.7 else word(rng).capitalize()
    shape = rng.random()
    if shape < 0.3:
        return f"{first} {rng.choice(('Ltd', 'Inc', 'GmbH', 'LLC', 'Group', 'PLC', 'and Sons', 'S.A.', 'AG', 'Oy', 'Co.'))}"
    if shape < 0.6:
        return f"{first} {rng.choice(NOUNS).capitalize()}"
    if shape < 0.8:
        return f"{first}, {coined(rng).capitalize()} and {coined(rng).capitalize()}"
    return f"{first}-{coined(rng).capitalize()}"


def phrase(rng: Random, fewest: int = 2, most: int = 6) -> str:
    """A lower-case chain of words without grammar: what a title, a subject or a note looks like."""
    return " ".join(
        any_word(rng) if rng.random() < 0.75 else rng.choice(FUNCTION_WORDS) for _ in range(rng.randint(fewest, most))
    )


def sentence(rng: Random) -> str:
    """One sentence of a small grammar, ending in a full stop (rarely ! or ?)."""

    def noun_group() -> str:
        attribute = rng.choice(ATTRIBUTES) + " " if rng.random() < 0.5 else ""
        return f"{rng.choice(('the', 'a', 'this', 'every', 'our', 'their', 'one', 'another'))} {attribute}{rng.choice(NOUNS)}"

    subject = person(rng) if rng.random() < 0.3 else noun_group()
    verb = rng.choice(VERBS)
    shape = rng.random()
    if shape < 0.35:
        text = f"{subject} will {verb} {noun_group()}"
    elif shape < 0.55:
        text = f"{subject} has to {verb} {noun_group()} "
        text += f"{rng.choice(('before', 'after', 'near', 'without', 'for', 'with'))} {noun_group()}"
    elif shape < 0.7:
        text = f"{rng.choice(('when', 'because', 'although', 'if', 'while'))} {subject} can {verb}, "
        text += f"{noun_group()} should {rng.choice(VERBS)}"
    elif shape < 0.85:
        text = f"{subject} did not {verb} {rng.choice(('in', 'at', 'near', 'outside'))} {place(rng)}"
    else:
        text = phrase(rng, 4, 11)
    return text[0].upper() + text[1:] + rng.choice("......!?")
