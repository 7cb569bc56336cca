"""The words of the embedded corpus: a small lexicon that carries the verdict, a large one that does not.

Words that carry a role (praise, blame, markers) never stand in the filler lists, so the text alone fixes the
role of every word. Negating pronouns and the markers of contrast, verdict and other people's views stand,
with their roles, in the patterns of the grammar. The filler has the long tail that real reviews have: lists
written by hand, most frequent first, then names and compounds put together from parts.
"""

from __future__ import annotations

# --- words with a role -------------------------------------------------------------------------------

PRAISE_ADJECTIVES = (
    "superb brilliant wonderful charming moving gripping delightful clever funny elegant tender inspired "
    "graceful thrilling splendid touching witty dazzling"
)
BLAME_ADJECTIVES = (
    "dreadful boring awful clumsy tedious lifeless stupid dull shallow pointless lazy hollow dismal "
    "painful ugly wooden tiresome messy"
)
PRAISE_VERBS = "loved enjoyed admired adored"
BLAME_VERBS = "hated loathed resented despised"
PRAISE_NOUNS = "triumph delight gem joy"
BLAME_NOUNS = "disaster bore mess chore"

NEGATING_ADVERBS = "not never hardly scarcely"
INTENSIFIERS = "truly utterly deeply thoroughly"

# --- the film and its parts --------------------------------------------------------------------------

FILM_NOUNS = "film movie picture"
FILM_PARTS = (
    "story acting script ending plot direction cast dialogue music photography pacing production editing "
    "premise opening finale score"
)

# --- filler, by hand, most frequent first --------------------------------------------------------------

JOBS = (
    "detective teacher soldier farmer doctor captain widow painter lawyer sailor nurse student baker "
    "judge priest reporter gardener violinist smuggler clerk butcher pilot librarian mechanic tailor "
    "banker poet carpenter ranger waiter translator archivist beekeeper chemist clockmaker diver "
    "fisherman geologist governess hunter jeweller locksmith magician mason midwife miller notary "
    "pharmacist photographer plumber postman potter printer puppeteer sculptor shepherd surgeon surveyor "
    "tutor vintner warden weaver"
)

NOUNS = (
    "house night town letter war train road family river garden city door island village secret car "
    "daughter son mother father ship forest storm window wedding murder school summer winter bridge "
    "station mountain horse dog key map kitchen church harbour photograph diary debt farm border court "
    "field fire bank boat room table suitcase market stranger friend uncle aunt cousin sister guest "
    "prison tower castle desert valley beach lake fog mirror piano violin song dance dinner breakfast "
    "orchard well barn fence gate wall roof cellar stair corridor factory mine quarry mill dam canal "
    "ferry lighthouse cliff cave marsh meadow hill path crossroads telephone telegram radio camera "
    "projector theatre circus carnival museum library manuscript book page poem dictionary painting "
    "portrait statue necklace ring watch clock lamp candle lantern match cigarette knife rope ladder net "
    "sail compass wheel bicycle motorcycle tractor wagon carriage sledge balloon parachute coat hat glove "
    "boot scarf blanket pillow bed chair desk drawer cupboard trunk box parcel stamp ticket passport visa "
    "contract lottery loan mortgage strike trial jury witness rumour promise bet duel feud ransom "
    "robbery forgery kidnapping chase journey voyage pilgrimage holiday reunion funeral christening "
    "birthday harvest festival parade concert rehearsal premiere regatta race wolf fox bear crow gull "
    "pigeon cat goat sheep cow bee spider snake whale salmon willow pine rose tulip fern moss stone bell "
    "chimney fountain greenhouse haystack kettle loom mask needle pulley quilt raft saddle teapot "
    "vineyard workshop"
)

THING_ADJECTIVES = (
    "small long old grey northern distant narrow famous empty early late second foreign western southern "
    "coastal winding crowded snowy silent round square low tall broad eastern dusty foggy windy sunny "
    "frozen sunken hidden locked painted brick marble copper silver golden green blue yellow crimson "
    "violet white black brown amber ivory scarlet heavy light thick thin ancient modern medieval colonial "
    "provincial suburban royal rented borrowed stolen missing unmarked sealed folded faded polished "
    "varnished embroidered knitted wooded"
)
PERSON_ADJECTIVES = (
    "young old quiet tall retired married lonely bearded local foreign talkative nameless barefoot "
    "freckled tanned hungry sleepless former rural travelling wandering thirsty"
)

VERBS = (
    "finds leaves follows meets loses hides watches buys sells steals paints repairs visits remembers "
    "crosses guards inherits enters burns builds opens carries photographs describes measures borrows "
    "returns rents searches buries defends collects studies abandons reaches climbs cleans sketches signs "
    "copies delivers translates catalogues decorates dismantles exchanges fences floods gathers hires "
    "inspects labels maps misplaces occupies packs polishes questions records rebuilds recognises "
    "restores salvages seals shares shelters surveys tends trades unlocks unpacks weighs"
)

ADVERBS = (
    "slowly quietly soon again alone together outside upstairs downstairs twice daily nightly indoors "
    "overnight sideways backwards halfway elsewhere nearby southward northward ashore offstage "
    "uphill downstream barefooted midweek"
)

UNITS = "years days hours weeks months minutes nights winters summers seasons evenings mornings"
NUMBERS = (
    "two three four ten five seven six twenty twelve eight thirty nine forty eleven fifteen fifty sixteen "
    "ninety thirteen eighteen seventy"
)
GENRES = (
    "thriller drama comedy western romance musical mystery documentary fable melodrama adventure sequel "
    "remake biography satire farce"
)
DAYS = "Monday Friday Sunday Saturday Tuesday Thursday Wednesday January June October March"

# --- filler, put together from parts -------------------------------------------------------------------

COMPOUND_HEADS = "yard mill gate house ford wick stead field bridge works mark fall lane lock croft row"
COMPOUND_MODIFIERS = (
    "water salt glass moon stone river north wind copper lamp fox sand iron hay oak rope snow bell crow "
    "thorn clay silver wool honey ash peat tin reed frost amber cedar flint marsh coal barley harbour "
    "linen plum"
)
FIRST_NAME_STARTS = (
    "Ma Jo El Tho An Ri Le So Mi Ha Cla Vi Be Ro Da Ni Ka Fe Lu Ga Te Is Or Pe Sil Ever Wil Am"
)
FIRST_NAME_ENDS = "ra nas la ren ton ria lia mon na bert ver ko vin dra lo rik sa than mira zo"
SURNAME_STARTS = (
    "Hart Tell Mor Lind Wester Cald Brand Holm Farn Ask Whit Grant Kel Rad Stan Thorn Ost Bel Cran Dun Ell "
    "Fair Gil Hux Ing Jar Kirk Lang Mar Nor"
)
SURNAME_ENDS = "well man ley berg ton son ford wood ham by strom wick field sen dale mond low croft"
PLACE_STARTS = (
    "Ald Bran Car Dor Eller Fen Glen Hallow Ivy Kings Lang Mill Nether Old Penn Quill Rook Sel "
    "Thistle Under Vale West Yar Ash Black Cold Dun East Fal Grey"
)
PLACE_ENDS = "ton mouth bury wick holm ford stadt port moor haven gate minster"
