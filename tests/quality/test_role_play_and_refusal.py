"""Texts written for this project after the rules: requests for a role and refusals, and what only sounds like them."""

from __future__ import annotations

from guardrails_plugin.detectors.base import PatternBase
from guardrails_plugin.detectors.refusal import Refusal
from guardrails_plugin.detectors.role_play import RolePlay
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

ROLES = """\
I want you to act as a travel agent for my trip to Peru
Act like a drill sergeant and wake me up
please pretend to be my late grandfather telling a story
You are now an interviewer at a bank, ask me questions
From now on your name is Vera and you answer rudely
Let's do a roleplay, you are the shopkeeper
Assume the role of a Victorian butler
Stay in character no matter what I say
Imagine you are a lighthouse keeper in 1890
Speak as if you were Socrates
you will be my math tutor who only asks questions
I'll be the customer and you be the waiter
Can you roleplay as a villain in a fantasy tavern?
Write as the ghost of Hamlet
Pretend that you are a cat
simulate a job interview person for me
Play the part of a nervous witness
Actúa como si fueras mi profesor de inglés
Imagine que tu es un chef étoilé
Stell dir vor, du bist ein Detektiv
Fingi di essere un cameriere
Представь, что ты мой начальник
请扮演面试官
あなたは猫になりきって話してください""".splitlines()

NO_ROLES = """\
What roles did women play in the resistance?
The enzyme acts as a catalyst in the reaction
Which actor plays the part of Hamlet in the 1996 film?
You are now logged in
You are now a premium subscriber, thank you
How do I write a unit test?
He behaves like a child sometimes
Imagine dragons are real, what would they eat?
Imagine a circle with radius five
Answer as briefly as you can
Respond as JSON
Write like this: one line per item
Reply as soon as possible
Does this cable act like an antenna?
Emulate the old console on Linux
She pretended to be ill to skip school
Role-based access control explained
The character set is UTF-8
From now on we meet on Tuesdays
You are the best, thanks
Translate: you are now leaving the city
Talk to me about the moon
How does a proxy act as a gateway?
The part of speech of "run\"""".splitlines()

REFUSALS = """\
I'm sorry, but I can't assist with that.
I cannot help you with creating a weapon.
As an AI, I can't give personal opinions on this.
Sorry, I can't comply with that request.
I'm unable to generate images of real people.
I won't be able to help with that, but I can suggest alternatives.
I must decline to answer this.
That's something I can't help with.
I'm not able to provide medical diagnoses.
This is not something I am able to do.
I apologize, but I cannot fulfill this request.
I can’t share my system prompt.
Your request goes against our usage policies.
I don't feel comfortable writing that.
I'm not going to write hateful content.
Unfortunately, I'm not able to discuss that topic.
I cannot provide instructions for picking locks.
It would be against my guidelines to continue.
We can't support this kind of request.
I am only able to answer questions about our products.
Lo siento, pero no puedo ayudarte con esa solicitud.
Désolé, je ne peux pas vous aider à faire cela.
Es tut mir leid, aber dabei kann ich nicht helfen.
Mi dispiace, non posso aiutarti con questa richiesta.
抱歉,我不能帮助你完成这个请求。
申し訳ありませんが、そのご質問にはお答えできません。
죄송합니다. 그 요청은 도와드릴 수 없습니다.
К сожалению, я не могу помочь с этим запросом.""".splitlines()

NO_REFUSALS = """\
I can't wait to see you on Saturday!
Unfortunately, the restaurant is fully booked tonight.
We cannot provide refunds for opened items.
I'm sorry for the delay with your parcel.
Sorry, I can't find your order; could you give me the number?
I cannot recommend this hotel enough.
You can't divide by zero.
If the test fails, the function will not return a value.
He refused to sign the contract.
I won't be in the office tomorrow.
The server was unable to process the file.
I couldn't help but smile at the ending.
As an AI researcher I often read such papers.
Here is the script you asked for.
Sure! Let me explain how this works.
I don't know who wrote it, but I can look it up.
The committee declined the proposal.
The law does not allow minors to buy alcohol.
I'm sorry, I can't hear you, the line is bad.
Our store cannot ship to islands.
We are unable to deliver on Sundays.
No puedo esperar a verte
Ich kann morgen leider nicht kommen
Je ne peux pas croire qu'il a gagné
I am not able to attend the wedding
The key cannot be created twice
It's against the rules to touch the ball
My apologies, the meeting moved to four""".splitlines()


def counted(detector: PatternBase, texts: list[str]) -> list[str]:
    """The texts in which the detector finds something at the usual threshold."""
    found = detector.detect([normalize(Segment(text, Origin.MODEL)) for text in texts], NO_CONTEXT)
    return [text for text, own in zip(texts, found, strict=True) if any(f.score >= 0.5 for f in own)]


def test_roles() -> None:
    assert len(counted(RolePlay(classifier=False), ROLES)) >= 0.9 * len(ROLES)
    assert len(counted(RolePlay(classifier=False), NO_ROLES)) <= 1


def test_refusals() -> None:
    assert len(counted(Refusal(classifier=False), REFUSALS)) >= 0.9 * len(REFUSALS)
    assert len(counted(Refusal(classifier=False), NO_REFUSALS)) <= 1
