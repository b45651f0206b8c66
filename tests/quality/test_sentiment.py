"""Sixty sentences written for this project, a third of each label; the docstring's numbers are these."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from guardrails_plugin.detectors.sentiment import Sentiment
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

pytestmark = pytest.mark.skipif(find_spec("vaderSentiment") is None, reason="extra: sentiment")

POSITIVE = """\
I love how quickly your support team solved this.
What a wonderful evening, thank you so much!
The new interface is a joy to use.
She was kind, patient and very helpful.
Best purchase I have made this year.
The food was delicious and the staff were friendly.
I am so proud of what we achieved together.
This update fixed everything, great work!
It isn't bad at all, I really like it.
The lecture was inspiring and fun.
We had a fantastic holiday by the lake.
Finally a tool that respects my time. Excellent.
He smiled and hugged his grandmother.
The results exceeded our hopes.
I'm happy with the outcome.
Amazing value, I recommend it to all my friends.
Good morning! The sun is out and I feel great :)
Thanks, that worked perfectly.
My daughter won the prize and we celebrated.
A charming little book with a lovely ending.""".splitlines()

NEGATIVE = """\
I hate waiting two weeks for a refund.
This is the worst service I have ever had.
The room was dirty and smelled awful.
I'm disappointed, the battery died after a day.
Your app keeps crashing and it makes me angry.
He felt lonely and sad after the move.
The film was boring and far too long.
I am not happy with this answer.
A terrible mistake that cost us thousands.
Nobody cared and my complaint was ignored.
The pain is horrible and I cannot sleep.
She cried all night because of the cruel letter.
It was a disaster from start to finish.
I regret buying this useless thing.
What an ugly, noisy, broken machine.
They lied to us and stole our money.
The delays are unacceptable.
I fear the worst for the company.
Rude staff, bad food, never again.
My laptop failed again and I lost my work.""".splitlines()

NEUTRAL = """\
The meeting starts at ten in room four.
Please send me the file by Monday.
The train from Leeds arrives on platform two.
Water boils at a hundred degrees at sea level.
Which column holds the date of the invoice?
The report has twelve pages and two tables.
She walked from the station to the office.
Convert the list to a table with three columns.
The house has a door and six windows.
We moved the server to another rack.
He wrote the letter in ink.
The function returns the number of rows.
Summarise the text in two sentences.
The bus leaves every twenty minutes.
They live on the third floor.
The box weighs five kilos.
How many people live in the town?
The document was printed on both sides.
The patient was given the second dose on Tuesday.
Set the timer for twelve minutes.""".splitlines()


def label(text: str) -> str:
    ((finding,),) = Sentiment().detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    return finding.entity_type


def test_quality() -> None:
    sets = {"POSITIVE": POSITIVE, "NEGATIVE": NEGATIVE, "NEUTRAL": NEUTRAL}
    right = {expected: sum(label(text) == expected for text in texts) for expected, texts in sets.items()}
    assert all(len(texts) == 20 for texts in sets.values())
    assert right["POSITIVE"] >= 18
    assert right["NEGATIVE"] >= 17
    assert right["NEUTRAL"] >= 17  # "please", "number" and "Summarise" are rated positive
