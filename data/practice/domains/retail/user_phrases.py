"""How shop customers speak: ``user.open`` begins a task, ``inline`` continues its sentence, ``tell`` is a sentence."""

from __future__ import annotations

USER_PHRASES: dict[str, tuple[str, ...]] = {
    # Openings
    "user.open.track_order": (
        "[where is|what happened to|when will I get] [my order|my parcel|my delivery]",
        "[can you|could you] [track|check] [my order|my parcel|my package]",
        "[I'm still waiting for|I haven't received] [my order|my parcel|my delivery]",
        "[I'd like to|I want to] know [where my parcel is|when my order arrives]",
    ),
    "user.open.return_item": (
        "[I'd like to|I want to|I need to] [return|send back] something",
        "[can I|could I|how do I] [return|send back] [something|an item] [I bought|from my order]",
        "[I'm not happy with|I don't want to keep] something I [ordered|bought], [can I return it|I'd like to "
        "return it]",
        "[there's|I have] [a return|something to send back]",
    ),
    "user.open.exchange_item": (
        "[I'd like to|I want to|I need to] [exchange|swap] something[| I bought]",
        "[can I|could I|is it possible to] [exchange|swap] [something|an item] [from my order|I bought]",
        "[I ordered the wrong one|it doesn't suit me|I picked the wrong thing], [can I exchange it|I'd like "
        "another one]",
        "[I need|I'd like] an exchange",
    ),
    "user.open.cancel_order": (
        "[I'd like to|I want to|I need to] [cancel|call off] [my order|an order]",
        "[can you|could you|please] cancel [my order|an order of mine]",
        "[I ordered by mistake|I found it cheaper|I don't need it any more], [please cancel it|so cancel my order]",
        "[is it|am I] too late to cancel [my order|an order]",
    ),
    # Slots that continue the opening
    "user.inline.product": (", [it's|that's] the {product},", ", the {product},"),
    "user.inline.product.track_order": ("with the {product}", ", the one with the {product},"),
    "user.inline.product.cancel_order": ("with the {product}", ", the one with the {product},"),
    # Slots in sentences of their own
    "user.tell.email": (
        "[my e-mail is|my e-mail address is|it's|I'm registered as] {email}",
        "[e-mail|mail|address] {email}",
    ),
    "user.tell.postcode": (
        "[my postcode is|the postcode is|postcode] {postcode}",
        "{postcode} [is my postcode|is the code]",
    ),
    "user.tell.product": (
        "[it's about|it's|I mean|that's] the {product}",
        "the {product}[|, that's the one| is what it's about]",
    ),
    "user.tell.size": ("[I'd like|I need|make it] size {size}", "[in|size] {size}[| would fit]"),
    "user.tell.colour": ("[I'd like it|I'd prefer it|best] in {colour}", "[in|the] {colour}[| one]"),
    "user.tell.reason": ("[well|you see|because], {reason}", "{reason}[|, that's why|, I'm afraid]"),
    "user.tell.refund_to": (
        "[please refund to|I'd prefer|the refund should be] {refund_to}",
        "{refund_to}[|, please| would be best]",
    ),
}
