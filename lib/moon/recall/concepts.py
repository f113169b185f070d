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
