"""The fixed texts that detectors are tried on; a text is never changed."""

CANARIES: dict[str, str] = {
    "letter": """Dear Ruth, thank you for the jam and for the long letter, which came
on Saturday with the rain. The roof is mended at last. Old Mr Hale would not take
money for it, so I gave him the two hens he has been eyeing since spring, and now he
complains that they will not lay. The boys are well. Peter fell off the wall again and
says it does not hurt, so of course it does. Will you come in October, when the plums
are over? Bring your boots, and do not bring that dog. Your loving sister, Anne""",
    "news": """The council voted nine to four on Tuesday night to close the swimming
pool in Mill Street for repairs that are expected to take until March. Engineers found
in August that the beams above the shallow end had rusted through. A petition with
2,300 names had asked for the work to be put off until after the winter. "We do not
like it either, but we will not have children under that roof," the chairman said.
Season tickets will be paid back, and school classes will travel to the pool in the
next town by bus.""",
    "recipe": """Peel and slice three large onions and cook them slowly in butter,
with a pinch of salt, for at least forty minutes, until they are brown and soft. Do
not hurry them. Stir in a spoon of flour, then half a glass of dry cider, and scrape
the bottom of the pan. Add a litre of good stock and two bay leaves and simmer for
half an hour. Toast thick slices of yesterday's bread, lay them in the bowls, pour the
soup over them, cover with grated cheese and brown them under a hot grill. Serves
four, or two who are hungry.""",
    "encyclopaedia": """The lapwing is a wading bird of the plover family. It is about
thirty centimetres long, with rounded wings, a green and purple gloss on the back, a
white belly and a thin crest that is longer in the male. It breeds on farmland, wet
meadows and moors across the temperate parts of Europe and Asia, laying four eggs in a
scrape on the ground. Outside the breeding season it gathers in large flocks. It feeds
on worms and insects, often at night. Numbers have fallen since the middle of the last
century, chiefly because meadows were drained and spring crops gave way to autumn
sowing.""",
    "assistant": """Great question! Choosing the right houseplant can be a rewarding
experience, and there are several important factors to consider. First, think about
the amount of natural light in your space, as different plants have different needs.
Additionally, it is essential to establish a consistent watering routine, since
overwatering is one of the most common mistakes beginners make. Popular options
include the snake plant, which is known for its resilience, and the pothos, which
thrives in a variety of conditions. Ultimately, the best choice depends on your
lifestyle and preferences. I hope this helps! Let me know if you would like
personalised recommendations.""",
    "list": """Things to do before the fair:
- ring the tent people about the small marquee, they open at nine
- four trestle tables from the school, ask Joan for the key
- raffle: we still need a first prize, the hamper is only second
- float for the tills, mostly coins
- somebody must stand by the pond all afternoon, last year was enough
- cakes by noon on Friday, no nuts, with a label on each
- extension leads, tape, the long ladder
- tell the band that they start at two and not at one
- bins, and sacks for the bins
- a wet weather plan, if anyone believes in it""",
    "comment": """# The readings come from three stations that do not agree about the
# time. The harbour clock is set by hand every Monday and runs about two
# seconds fast a day, so its readings are moved back by what it has
# gained since. The other two stamp a reading when it is sent, not when
# it is taken, which may be a minute later if the line is busy. We
# therefore keep whichever of two readings has the older stamp, and only
# drop the other when both are within ninety seconds and differ by less
# than a centimetre. Do not sort by station first: the tide table below
# relies on the order of arrival.""",
    "poem": """The ferryman has left his boat
to knock against the stair,
the river has put on its coat
of leaves and evening air;
a lamp goes down the farther side
and stops where someone stands,
and what they say is for the tide,
which has no use of hands.
I had a word to send across,
I kept it in my sleeve,
and now the ropes are green with moss
and no one comes to leave.
The bell that used to call him rings
for nobody and me,
and all the small forgotten things
go by and out to sea.""",
}
