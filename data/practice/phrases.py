"""What users and desks of every domain say alike: greetings, assent, refusal, misunderstanding, farewell.

A domain says the rest itself and may override any key. Nobody is called a guest
to his face.
"""

from __future__ import annotations

from data.practice.language import Phrases

COMMON_USER: Phrases = {
    "user.greet": (
        "",
        "",
        "[Hi|Hello|Hey][| there],",
        "[Good morning|Good afternoon|Good evening],",
        "[Excuse me|Hello again|Hi, quick one|Sorry to bother you],",
    ),
    "user.next": (
        "[Also|And|Then|One more thing:|Next,]",
        "[Yes|Yes please|Actually yes],",
        "[Great|Perfect|Good|Lovely], [and|also]",
        "[There's something else|I have another question|Second thing]:",
    ),
    "user.announce": (
        "[I have two things|There are two things|Two things today].",
        "[I've got a couple of questions|It's about two matters].",
    ),
    "user.chat": (
        "It has been a [long|tiring|busy|strange] [day|week|month].",
        "[What a day|The weather is awful today|I'm on my lunch break, so].",
        "[Sorry, the line is bad|I hope you're having a good day|Thanks for being there].",
        "[My sister|A friend|A colleague|My neighbour] [told me about you|said you could help].",
        "[I've never done this before|I'm not good with these things], [by the way|to be honest].",
    ),
    "user.fill": ("", "", "", "[Sure|Of course|Right|OK],", "[Let me see|Well|Hmm|One second],"),
    "user.affirm": (
        "[Yes|Yep|Yeah|Sure|OK][|, please|, that's right|, go ahead|, thank you].",
        "[That's correct|Correct|Perfect|Exactly|All good][|, go ahead|, please do|, thanks].",
        "[Please do|Please go ahead|Go ahead|Do that|Sounds good][|, thanks|, thank you].",
    ),
    "user.refuse": (
        "[No|Hmm, no|Actually no], [leave it|don't do that|forget it][|, please|, thanks].",
        "[I changed my mind|On second thoughts, no|I'd rather not], [leave everything as it is|don't go ahead].",
        "[Stop|Wait], [I need to ask my partner first|I'm not sure any more], [so no|so don't do it|so leave it].",
    ),
    "user.decline": (
        "[No|Neither|Not for me], [thanks|thank you], [that's not what I hoped for|I'll keep looking].",
        "[Hmm|Oh], [none of that suits me|I'll have to think about it][|, thanks].",
    ),
    "user.accept": (
        "[Yes|Sure|OK|Great], [that works|I'll take it|that one is fine][|, please].",
        "[That sounds good|Sounds fine|Perfect][|, let's take it|, please].",
    ),
    "user.prefer": (
        "[Hmm|Not quite], [is there anything else|what else is there|do you have another]? [I was hoping for|I'd like]",
        "[I'd prefer something else|That's not it|Could I have another]:",
    ),
    "user.correct": (
        "[No|Wait|Hold on|Sorry], [make it|it should be|I meant] {right}.",
        "[Actually|Oh, sorry], [make that|I'd rather have|change that to] {right}[|, please].",
        "[Almost|Not quite]: [it's|it has to be] {right}[| instead].",
    ),
    "user.change_mind": (
        "[Actually|Hmm, you know what|Wait], [I've changed my mind|I thought again]: [make it|let's say] {right}.",
        "[On second thoughts|Come to think of it], {right} [would be better|suits me better|is what I need].",
    ),
    "user.outside": (
        "[Before that|By the way|Quick question], "
        "[can you tell me about|do you know anything about|what about] the {matter}?",
        "[Could you|Can you] [check|look up] the {matter} for me[|, too|, by the way]?",
        "[Oh, and|And] [do you have|have you got] [any news|information|details] on the {matter}?",
    ),
    "user.detail": (
        "[And|OK, and|Thanks, and] [what is|what about|what's] the {detail}?",
        "[Could you|Can you] also [tell me|give me] the {detail}?",
    ),
    "user.dunno": (
        "[I don't know|I have no idea|I couldn't say|I don't have that][|, sorry].",
        "[That doesn't matter|No preference|It's all the same to me][|, really].",
    ),
    "user.clarify": (
        "[Go ahead with what exactly|What exactly would you do|Sorry, do what exactly]?",
        "[Could you say|Can you tell me] [exactly |]what you [would|are going to] do[| first]?",
    ),
    "user.wait": ("[OK|Fine|Sure|All right][|, I'll wait|, take your time].", "[Thanks|Thank you][|, I'll hold]."),
    "user.repeat": (
        "[Sorry, I don't follow|I don't quite understand|That's not what I asked|Hm].",
        "[Again|As I said|Once more|Let me say it again]:",
    ),
    "user.give_up": (
        "[Never mind|Forget it|This isn't working], [I'll call|I'll try] [again later|someone else|another time].",
        "[This leads nowhere|I'm getting nowhere], [goodbye|I'll leave it|bye].",
    ),
    "user.leave_early": (
        "[Sorry|Oh], [I have to go|my bus is here|someone is at the door|I'm being called], "
        "[don't do anything yet|leave it for now|I'll call back]. [Bye|Goodbye|Thanks, bye].",
        "[I must run|I need to hang up], [don't go ahead|nothing for now], [bye|I'll be back|talk later].",
    ),
    "user.leave": (
        "[No|Nope], [that's all|that's everything|nothing else][|, thanks|, thank you].",
        "[That's it|That was all][| for today], [thanks|thank you|cheers|bye].",
        "[Thanks|Thank you][| so much| a lot], [bye|goodbye|see you|have a nice day].",
    ),
    "user.choose.first": ("the first [one|option]", "[I'll take|I'd like|Let's take] the first[| one]", "number one"),
    "user.choose.second": (
        "the second [one|option]",
        "[I'll take|I'd like|Let's take] the second[| one]",
        "number two",
        "the [latter|last one you said]",
    ),
    "user.choose.third": ("the third [one|option]", "[I'll take|I'd like] the third[| one]", "number three"),
}

COMMON_AGENT: Phrases = {
    "agent.start": (
        "",
        "",
        "[Sure|Certainly|Of course|Gladly|With pleasure].",
        "[Happy to help|No problem|All right].",
    ),
    "agent.more": (
        "[Can I help with|Is there|Do you need] anything else?",
        "[What else can I do for you|Anything else I can do for you|Is there anything more]?",
        "[Is there something else|Would you like anything else|May I help with something else][| today| for now]?",
    ),
    "agent.goodbye": (
        "[You're welcome|My pleasure|Thank you], [have a lovely day|goodbye|see you soon].",
        "[Thanks for calling|Thank you for your patience|Glad I could help][|, goodbye|. Have a nice day|, take care].",
        "[Goodbye|Take care|All the best] and [have a nice day|thank you|see you soon].",
    ),
    "agent.refused": (
        "[All right|No problem|Understood|Of course], [I won't do anything|I'll leave it|nothing has been changed].",
        "[That's fine|Very well], [I have left everything as it was|I will not go ahead].",
        "[As you like|Just as you wish|Fine], [nothing happens|everything stays as it is|I'll do nothing].",
    ),
    "agent.outside": (
        "[I'm sorry|I'm afraid|Unfortunately], I [can't look up|have no information on|can't help with] the {matter}.",
        "[The {matter} is something|I'm afraid the {matter} is something] I [can't look up|can't check] from here.",
    ),
    "agent.offer.one": (
        "[I have|There is|I can offer] {a}. [Would you like it|Does that suit you|Shall we take it]?",
        "[Good news|Yes]: [I have|there is] {a}. [Is that all right|Would that do]?",
    ),
    "agent.offer.two": (
        "[I have|There is|I can offer] {a} and {b}. "
        "[Which one would you like|Which do you prefer|Which one suits you]?",
        "[You could have|We have|Available:] {a}, or {b}. [Which would you like|Which one shall it be]?",
    ),
}

COMMON: Phrases = {**COMMON_USER, **COMMON_AGENT}
