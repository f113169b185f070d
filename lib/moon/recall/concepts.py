"""Words that stand for each other, and classes with their members: a small thesaurus of everyday life and of work with
computers, written for Moon.

A question often names a class where the conversation named a member ("which instrument" and "my violin"), or uses
another word of the same meaning. Such a match counts for less than the word itself (docs/recall.md has the figures).
"""

from __future__ import annotations

import re
from functools import lru_cache

from moon.recall.language import base_stem

# Each line: words of about one meaning.
SAME = """\
kid child son daughter toddler baby
mom mother mum
dad father
parent mom dad mother father
sibling brother sister
grandparent grandmother grandfather grandma grandpa granny
spouse husband wife partner
friend buddy pal mate
colleague coworker workmate teammate
boss manager supervisor
boyfriend girlfriend partner
movie film
picture photo image pic snapshot photograph
job work career profession occupation employment
school college university class
study learn education course degree
car vehicle auto truck van
bike bicycle cycling
house home apartment flat
store shop market boutique
buy purchase get order shopping
present gift
trip travel journey vacation holiday getaway tour visit
begin start launch kick
end finish complete done wrap
like love enjoy fond adore fan
favorite favourite love best prefer
hate dislike
happy glad joy excited thrilled delighted
sad upset down depressed unhappy
angry mad furious annoyed frustrated
scared afraid fear nervous anxious worried
stress stressed destress pressure overwhelmed relax unwind
tired exhausted fatigue
calm peaceful relaxing serene soothing
proud pride accomplished
help support assist aid
advice tip suggestion recommend recommendation suggest
idea plan thought
plan intend aim goal hope upcoming
goal aim dream ambition target aspiration
problem issue trouble challenge difficulty struggle obstacle setback
hobby pastime interest leisure
big large huge
small little tiny
fast quick rapid
beautiful gorgeous pretty stunning
smart clever bright
sick ill unwell disease illness
doctor physician clinic hospital checkup
hurt injury injured pain wound
health fitness wellness healthy diet
exercise workout gym training fitness
money cash funds savings budget
fundraiser charity donate donation raise
volunteer volunteering charity shelter
win won victory prize champion
award prize trophy medal honor recognition
contest competition tournament championship race match
game match play
team squad club
meet met encounter
talk chat speak conversation discuss
tell share mention
speech talk presentation
say mention state
party celebration celebrate gathering
wedding marriage married marry
divorce separation breakup split
birth born birthday
die died death passed pass lost loss funeral
move moved relocate relocation
live reside stay lived
hometown birthplace grew native
country nation homeland
city town
food meal dish cuisine
cook cooking bake baking recipe kitchen
restaurant cafe diner eatery
drink beverage
song music tune track
band musician artist singer group
concert show gig performance festival
perform performance stage
instrument guitar piano violin drum clarinet flute saxophone cello ukulele trumpet keyboard
paint painting art drawing canvas
artwork painting drawing sculpture art piece
write writing author
book novel read reading
writer author
story tale
computer laptop pc desktop
phone smartphone mobile cell
video clip footage
tv television series show
company business firm startup
business store shop company startup
client customer
interview job
hire employ
quit resign leave
fired laid lost
project work
fix repair fixed
broken damaged broke
accident crash collision incident
storm hurricane flood tornado
weather rain sunny snow cold hot
beach ocean sea coast shore
mountain hill peak summit
hike hiking trail trek
camp camping campfire tent campground
outdoors outdoor nature park hiking
garden gardening plant flower
dog puppy pup
cat kitten
pet dog cat puppy kitten hamster rabbit turtle fish bird snake lizard parrot
church faith religion religious spiritual
military army navy soldier veteran service
politics political election campaign candidate office
community neighborhood local
join joined member enroll sign signed
attend attended went participate join
participate take part join
receive get got
give gave donate offer
make create build craft
creative art
design designer
show display exhibit exhibition
learn discover
find discover
realize realise understand
remember recall remind memory
inspire inspiration inspired inspiring motivate motivation motivated
reason why because
feel feeling emotion
believe think belief opinion
decide decision choose choice
adopt adoption
age old
relationship dating single partner married boyfriend girlfriend
personality kind caring thoughtful
clothes clothing outfit shirt dress jacket
jewelry necklace ring bracelet earring
dessert cake cookie pie ice cream chocolate
morning breakfast
visit visited went
often usually regularly weekly
nickname call called
name named called
fall autumn
collect collection collecting
possession item thing
allergy allergic
setback injury
sport basketball soccer football tennis baseball hockey volleyball swimming running surfing
martial karate judo taekwondo kickboxing boxing
dance dancing ballet hip-hop contemporary
yoga meditation pilates
swim swimming pool
run running marathon jog
bug issue error defect failure fault
error exception failure traceback crash
crash crashed panic abort
deploy deployment release ship rollout
release version tag
config configuration setting settings option
database db sqlite postgres postgresql mysql sql
repo repository
auth authentication login credential
password secret token key credential
test tests spec suite
delete remove drop erase
add create insert
change update modify edit
install setup
slow latency performance timeout
server host machine
container docker
script command
directory folder path
function method
dependency package library
log logs logging
branch merge
port address url endpoint
api endpoint
decide decided decision agreed agree
memory ram
event ceremony gathering festival parade conference workshop meeting
conference convention seminar workshop symposium
class lesson course workshop training
teach teacher coach mentor tutor instructor
mentor mentoring mentorship guide
student pupil classmate
exam test quiz
degree diploma major graduate graduation
graduate graduation graduated
skill talent ability
achievement accomplishment milestone success
success succeed successful
fail failure failed
effort attempt
improve improvement progress better
increase grow rise
reduce decrease less lower
important crucial essential vital
difficult hard tough challenging
easy simple
strange weird odd unusual
funny humor joke hilarious laugh
interesting fascinating
boring dull
expensive pricey costly
cheap affordable
rich wealthy
poor broke
save rescue rescued
protect protection safe safety
danger dangerous risk risky
fight argue argument conflict disagreement
apologize sorry apology
forgive forgiveness
trust honest honesty
secret hidden
promise commitment
surprise surprised shocked unexpected
bond bonding connection connect closer
support encouragement encourage cheer
grateful thankful appreciate gratitude thanks
confident confidence courage brave
lonely alone isolated
worry worried concern concerned
grief grieve mourn loss
memory memorial remembrance
hope wish
influence impact affect effect
cause reason
result outcome
method technique strategy approach way
tool equipment gear
material fabric wood clay
decorate decoration decor
celebrate festive
anniversary birthday
holiday christmas thanksgiving easter halloween
neighbor neighbour
guest visitor
crowd audience
leader president mayor chief
law legal lawyer attorney court
police officer
crime theft stolen
fire firefighter burning
nurse hospital medical
medicine medication drug pill prescription treatment
therapy therapist counseling counselor psychologist
surgery operation
symptom fever cough headache
weight obese overweight slim
eat ate meal food diet
vegetarian vegan
snack treat candy
breakfast lunch dinner supper
grill barbecue bbq
spice spicy flavor
party dinner
bar pub brewery
ticket pass
flight plane airport airplane fly
train railway station
boat ship sail kayak canoe
drive road roadtrip
hotel hostel airbnb lodge resort
tourist tourism sightseeing
landmark monument statue tower castle museum
view scenery landscape sunset sunrise
lake river pond stream
forest woods trees
island coast
sky star stars night
photo photography camera photographer
draw sketch illustration
sculpture statue
exhibit gallery museum
theater theatre play drama musical
act acting actor actress
direct director
script screenplay scriptwriting
publish published publisher
poem poetry poet
blog article post journal diary
newspaper news
letter mail email message
social instagram facebook twitter online
website web site page
app application software program
game gaming gamer videogame
tournament esports match
character role
level stage
trade exchange swap
invest investment stock
loan debt mortgage
sponsor sponsorship endorsement brand
advertise advertisement ad marketing promote promotion
customer shopper buyer
open opening launch
rent lease
renovate renovation remodel
clean cleaning tidy
wash laundry
furniture couch sofa
kitchen oven stove
bed bedroom
yard backyard garden
pet animal
train training
vet veterinarian
breed species
feed food
walk stroll
run jog sprint
climb climbing bouldering
ski skiing snowboard snowboarding
surf surfing wave
fish fishing
hunt hunting
shoot shooting
basketball nba
football nfl
coach coaching
player athlete
score points goal
season year
weekly week
daily day everyday
monthly month
childhood kid young child grew
youth young teen teenager
elderly senior old
woman female girl lady
man male guy boy
gay lesbian lgbtq queer transgender
identity gender
race ethnicity culture
language speak
god faith pray prayer
homeless shelter
refugee immigrant
environment climate nature sustainability
recycle recycling
energy power
"""

# Each line: a class and members of it; a question for the class finds the members, not the other way round.
CLASSES = """\
activity: painting hiking swimming running camping pottery yoga dancing biking reading cooking gardening fishing surfing
activity: skiing climbing kayaking
hobby: painting reading gardening cooking photography dancing gaming knitting pottery fishing writing
animal: dog cat horse bird turtle fish rabbit snake bear dinosaur
color: colour red blue green yellow purple pink black white orange brown gray
country: usa england france spain italy germany canada mexico japan china india sweden ireland brazil
country: australia thailand greece turkey
european: england france spain italy germany sweden ireland greece portugal norway
state: california florida texas washington oregon minnesota colorado alaska hawaii michigan georgia nevada arizona
city: paris london rome tokyo york boston chicago seattle barcelona berlin dubai toronto vancouver
place: city country park beach museum restaurant
food: pizza pasta salad soup chicken fish sushi burger sandwich cheese rice bread
dessert: cake cookie pie brownie cupcake tart pudding muffin
drink: coffee tea wine beer juice water soda
console: nintendo playstation xbox switch
vehicle: car truck bike van bus train
weekday: monday tuesday wednesday thursday friday saturday sunday
month: january february march april may june july august september october november december
season: spring summer autumn winter fall
family: mom dad mother father sister brother son daughter husband wife kid cousin aunt uncle grandma grandpa parent
relative: cousin aunt uncle grandma grandpa niece nephew
children: kid son daughter
people: group crowd
job: engineer teacher nurse counselor manager designer writer developer lawyer chef
career: counseling teaching engineering nursing business
subject: math science history biology
art: painting drawing sculpture pottery photography
craft: pottery knitting sewing woodworking
genre: fantasy romance horror comedy drama thriller fiction mystery jazz rock pop classical
book: novel series trilogy
electronics: phone laptop computer tablet camera
gift: necklace flower book card
emotion: happy sad proud excited angry scared grateful nervous
disaster: flood fire hurricane storm earthquake
furniture: couch sofa chair table desk bed
clothing: shirt dress shoes jacket hat
body: knee ankle back shoulder heart
plant: flower tree succulent rose
fruit: apple banana strawberry berry orange
vegetable: carrot tomato potato spinach pepper
outdoor: hiking camping park picnic fishing mountaineering climbing
exercise: yoga running weights swimming boxing cycling
health: weight doctor diet exercise blood
certificate: certification degree diploma
transport: bus train bike car plane
pastime: painting hiking reading gaming gardening fishing cooking knitting photography
item: book necklace camera toy shirt phone picture guitar
gadget: phone laptop tablet camera console headphones
device: phone laptop tablet camera console
technology: phone laptop computer app robot
language: english spanish french german italian chinese japanese russian python java rust javascript typescript
programming: python java rust javascript typescript code
continent: europe asia africa america australia
european: paris london rome berlin madrid barcelona
asian: japan china india thailand korea vietnam
nationality: american english french german spanish italian canadian mexican chinese japanese indian swedish irish
landmark: tower bridge castle museum cathedral temple statue
nature: mountain forest lake river ocean beach waterfall park
water: swimming kayaking surfing sailing diving
winter: skiing snowboarding snow skating
holiday: christmas thanksgiving easter halloween hanukkah diwali
relationship: boyfriend girlfriend husband wife partner friend single married divorced
trait: kind thoughtful honest caring brave driven creative patient loyal generous
personality: kind thoughtful honest caring brave driven creative patient loyal generous
symptom: pain fever cough headache fatigue nausea
illness: cancer flu cold asthma diabetes
condition: asthma diabetes allergy anxiety depression
problem: broken damaged flat leak crash
damage: broken cracked dented flooded
toy: doll puzzle lego ball bear
instrument: ukulele harp banjo trombone bass
game: chess monopoly catan uno cards poker
video: youtube tiktok stream clip
movie: comedy drama thriller horror romance fantasy animation
shape: circle square triangle heart
material: wood clay metal glass plastic fabric leather
meal: breakfast lunch dinner brunch
dish: pasta pizza curry stew soup salad roast casserole lasagna taco
ingredient: flour sugar butter egg milk garlic onion
cuisine: italian mexican chinese japanese thai indian french
flavor: vanilla chocolate strawberry coconut caramel mint
pet: goldfish ferret gecko tortoise guinea pig
wildlife: deer fox bear eagle owl wolf
insect: bee butterfly ant spider
farm: cow pig sheep goat chicken
degree: bachelor master phd mba
school: kindergarten elementary middle high
field: psychology medicine engineering law business education biology physics art
profession: engineer teacher nurse doctor lawyer chef artist designer writer developer
business: shop store studio cafe restaurant bakery salon startup
service: volunteering charity fundraiser military
charity: fundraiser donation shelter volunteer foodbank
cause: veterans education homeless environment animals hunger
sport: volleyball rugby cricket golf boxing wrestling gymnastics skiing skating climbing
exercise: pushups squats treadmill stretching crossfit zumba
position: guard forward center goalkeeper quarterback pitcher
award: trophy medal certificate
vehicle: motorcycle scooter suv tractor
clothing: jeans sweater boots sneakers scarf gloves
accessory: necklace bracelet ring earrings watch hat scarf
jewelry: necklace bracelet ring earrings pendant
furniture: bookshelf lamp cabinet mirror
room: kitchen bedroom bathroom garage basement attic
appliance: fridge oven washer dryer microwave
weather: rain snow storm sunny wind heat fog
disaster: wildfire tsunami drought landslide outage
feeling: happy sad excited proud scared nervous angry grateful relieved lonely calm
family: niece nephew granddaughter grandson stepmother stepfather twin
parent: mom dad mother father
child: son daughter baby toddler
crime: theft robbery fraud burglary
transport: subway taxi ferry tram
document: report contract letter invoice certificate
service: api daemon server worker queue
server: nginx apache host vm
editor: vim emacs vscode
cloud: aws gcp azure
tool: docker git make npm pip terraform ansible
file: readme makefile dockerfile config log
number: one two three four five six seven eight nine ten
"""


@lru_cache(maxsize=1000)
def related(word: str) -> tuple[str, ...]:
    """Words that may answer for a folded word, without the word itself, in a fixed order."""
    wanted = base_stem(word)
    start = re.compile(rf"\b{re.escape(wanted[:3])}\w*")
    found: dict[str, None] = {}
    for table, heads_only in ((SAME, False), (CLASSES, True)):
        for match in start.finditer(table):
            if base_stem(match.group()) != wanted or (heads_only and table[match.end() : match.end() + 1] != ":"):
                continue
            begin = table.rfind("\n", 0, match.start()) + 1
            line = table[begin : table.find("\n", begin)]
            found.update(dict.fromkeys(line.split(": ")[-1].split()))
    return tuple(each for each in found if base_stem(each) != wanted)
