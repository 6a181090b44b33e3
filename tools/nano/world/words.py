"""Word pools. Plain lists, so that the world can be read at a glance."""

NAMES = """Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Victor Wendy
Alice Bob Carol Dan Eva Frank Gina Hugo Ivan Julia Karl Laura Max Nina Oscar Peter Ruth Simon Tom Vera Will Zoe Adam
Bella Chris Diana Eric Fiona George Hannah Isaac Jane Kevin Lily Mark Nora Owen Petra Robin Sara Theo Uma Yusuf
Maria John Mary Alex Lucy Omar""".split()
COLOURS = "red blue green yellow orange purple black white brown pink grey silver".split()
CITIES = """Paris Rome London Berlin Madrid Lisbon Vienna Prague Oslo Dublin Athens Cairo Tokyo Delhi Boston Chicago Lima
Sydney Toronto Seoul Milan Munich Geneva Warsaw Naples Porto Dallas Denver Moscow Nairobi Bergen Hamburg Kyoto Havana
Quito Riga Zurich Venice Austin Miami""".split()
ANIMALS = """fox dog cat bear wolf lion tiger rabbit mouse horse cow pig sheep goat duck owl eagle frog turtle snake whale
dolphin monkey elephant giraffe zebra camel deer hedgehog squirrel otter penguin parrot crow swan bee ant spider beaver
badger dragon""".split()
PETS = "dog cat rabbit parrot hamster turtle goldfish pony snake mouse lizard frog".split()
PET_NAMES = "Rex Luna Milo Coco Daisy Buddy Pip Shadow Ginger Biscuit Rocky Molly Tiger Snowy Pepper Ziggy".split()
FOODS = """pizza pasta soup rice bread cheese salad curry cake apples grapes honey noodles fish beans eggs pancakes
chocolate soup tacos sushi cherries pears carrots""".split()
JOBS = """teacher doctor baker pilot farmer painter singer driver nurse cook writer lawyer sailor gardener plumber dentist
builder dancer""".split()
OBJECTS = """ball book box cup hat key lamp coat chair table bike car boat phone clock bag pen ring bottle shoe spoon
blanket umbrella guitar camera candle basket ladder mirror pillow kite drum plate scarf wallet ticket map letter
""".split()
PLACES = """kitchen garden garage attic cellar bedroom hall office library bathroom shed drawer cupboard car basket tower
balcony tent""".split()
SPORTS = "tennis football chess swimming running cycling hockey skating golf judo rowing climbing".split()
COUNTABLE = """apples pears books coins stamps marbles cards eggs stickers pencils shells cookies balloons stones tickets
flowers""".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
ROOMS = "kitchen bedroom office hall garage bathroom attic garden cellar lounge".split()
LANGUAGES = "French German Spanish Italian Dutch Polish Greek Turkish Danish Latin".split()
SPELLING_EXTRA = """apple banana orange lemon cherry table window door house garden river mountain ocean forest island bridge
castle school teacher student pencil paper letter number music piano violin winter summer spring autumn morning evening night
yellow purple silver golden bright happy sad angry quiet loud quick slow strong weak simple clever brave gentle bread butter
cheese pepper sugar coffee water juice kitchen bottle spoon plate knife basket blanket pillow mirror candle ladder hammer
camera phone clock watch train plane rocket planet star moon cloud storm thunder rainbow snow flower tree leaf root branch
stone metal glass wood cotton jacket shirt shoe glove scarf button pocket market street village city country world people
child family friend mother father sister brother doctor nurse farmer sailor pilot king queen prince story book page word
sentence question answer puzzle game ball guitar drum dance song picture colour light shadow fire smoke engine wheel road
ticket journey travel money coin bank shop office letter stamp card model tiny stream mill grain flour barrel harbor anchor
sail wave shell sand beach desert valley meadow field fence gate tower roof wall floor stairs cellar carpet curtain towel
mouse spider butterfly kangaroo crocodile ostrich lobster salmon shark pigeon robin sparrow walrus leopard donkey
hello world computer strawberry mississippi chicken potato tomato onion carrot garlic mango peach melon""".split()
SPELLING = sorted({w.lower() for w in SPELLING_EXTRA + ANIMALS + FOODS + JOBS + OBJECTS + COLOURS + PLACES if len(w) <= 9})

OPPOSITES = """hot/cold big/small up/down left/right day/night open/closed fast/slow happy/sad old/young full/empty hard/soft
light/dark wet/dry loud/quiet rich/poor high/low long/short near/far early/late strong/weak thick/thin true/false
clean/dirty heavy/light first/last good/bad in/out on/off yes/no black/white""".split()
