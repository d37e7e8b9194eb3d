"""How the shop's desk speaks. What a phrase names in braces is a fact the answer conveys."""

from __future__ import annotations

_TO_CONFIRM = "[To confirm|Just to confirm|So that is|Let me repeat]: {details}. "

AGENT_PHRASES: dict[str, tuple[str, ...]] = {
    "system": (
        "You work at the service desk of {place}, a mail-order shop. Today is {weekday}, {today}.",
        "You are the assistant of {place}, an online shop. Today is {weekday}, {today}.",
        "Customer service of the shop {place}. Today is {weekday}, {today}.",
    ),
    "agent.ask.email": (
        "[I need|For that I need|First I need|I will need] your e-mail address[|, please| to go on]: [what is "
        "it|could you give it to me|may I have it]?",
        "[Would you|Can you|Could you] [tell|give] me your e-mail address[|, please| first]?",
        "[What is|May I have|Could you give me] your e-mail address?",
        "[Which|What] e-mail address did you order with?",
    ),
    "agent.ask.postcode": (
        "[I need|For that I need|First I need|I will need] your postcode[|, please| to go on]: [what is it|could "
        "you give it to me|may I have it]?",
        "[To identify you|To be sure], [what is|may I have] your postcode?",
        "[What is|May I have|Could you tell me] your postcode?",
        "And [which|what] postcode?",
    ),
    "agent.ask.product": (
        "[Could you tell me|May I ask] [which item it is|which product it is about]?",
        "[What product|Which of the items|Which article] [are we talking about|is this about|do you mean]?",
        "[Which item|What item|Which product] [is it|is it about|do you mean]?",
    ),
    "agent.ask.size": (
        "[Could you tell me|May I ask] which size [you would like|you need]?",
        "[And the size|What about the size], which [one|size] [do you need|shall it be]?",
        "[Which size|What size] [would you like|do you need|shall it be]?",
    ),
    "agent.ask.colour": (
        "[Could you tell me|May I ask] which colour [you would like|you prefer]?",
        "[And the colour|What about the colour], which [one|colour] [shall it be|do you want]?",
        "[Which colour|What colour] [would you like|do you prefer|shall it be]?",
    ),
    "agent.ask.reason": (
        "[I need a reason|For the form I need a reason]: [what is wrong|why do you return it]?",
        "[What is the matter with it|Why would you like to return it][|, if I may ask]?",
        "[What is wrong with it|What is the reason|May I ask why]?",
        "[Could you tell me|Can you tell me] [the reason|why you return it]?",
    ),
    "agent.ask.refund_to": (
        "[Would you like|Do you prefer] the refund [as a gift card or to the original payment|to the original "
        "payment or as a gift card]?",
        "[Where should the refund go|How would you like the refund]: the original payment or a gift card?",
        "[Shall the refund go|Should the money go back] to the original payment or a gift card?",
    ),
    "agent.nothing.find_customer": (
        "[I'm sorry|Unfortunately|I'm afraid], [these do not match|I can't find a customer with these]. "
        "[Could you check|Can you repeat] your e-mail address and postcode?",
    ),
    "agent.nothing.list_orders": (
        "[I'm sorry|Unfortunately|I'm afraid], [I see no order|there is no order] with a {product}. "
        "[Which product was it|What product is it about]?",
    ),
    "agent.nothing.search_products": (
        "[I'm sorry|Unfortunately|I'm afraid], [it is sold out in|we have none left in] {colour}, size {size}. "
        "[Which other colour or size would do|Would another size or colour do]?",
    ),
    "agent.detail.product": ("the {product}",),
    "agent.detail.colour": ("in {colour}", "{colour}"),
    "agent.detail.size": ("size {size}",),
    "agent.detail.reason": ("reason: {reason}",),
    "agent.detail.refund_to": ("refund to: {refund_to}",),
    "agent.detail.ordered_on": ("ordered on {ordered_on}",),
    "agent.detail.order_id": ("order {order_id}",),
    "agent.detail.total_price": ("{total_price} euros in all",),
    "agent.confirm.return_item": (_TO_CONFIRM + "[Shall I accept the return|May I register that|Is that right]?",),
    "agent.confirm.exchange_item": (
        "[To confirm|Just to confirm|I would exchange it like this]: {details}. "
        "[Shall I exchange it|May I make the exchange|Is that right]?",
    ),
    "agent.confirm.cancel_order": (
        "[To confirm|Just to confirm|This would cancel]: {details}. "
        "[Shall I cancel it|May I cancel it|Do you want me to cancel]?",
    ),
    "agent.report.return_item": (
        "[Done|All set]: the return is accepted, [number|reference] {reference}, [you get|the refund is] {refund} "
        "euros.",
        "[I have registered it|The return is registered] under {reference}; [the refund is|you get back] {refund} "
        "euros.",
    ),
    "agent.report.exchange_item": (
        "[Done|All set]: [a new one|the new one] in {colour}, size {size}, is on its way, reference {reference}.",
        "[I have exchanged it|It's exchanged] under {reference}; [you get|we send] {colour} in size {size}.",
    ),
    "agent.report.cancel_order": (
        "[Done|All set]: the order is cancelled, [reference|number] {reference}, [you get back|the refund is] "
        "{refund} euros.",
        "[I have cancelled it|It's cancelled] under {reference}; [the refund is|you get] {refund} euros.",
    ),
    "agent.failed.return_item": (
        "[I'm sorry|Unfortunately|I'm afraid], [that can't be returned any more|the time for returns is over], "
        "so [nothing was changed|I left it].",
    ),
    "agent.failed.exchange_item": (
        "[I'm sorry|Unfortunately|I'm afraid], [that can't be exchanged any more|the time for exchanges is over], "
        "so [nothing was changed|I left it].",
    ),
    "agent.failed.cancel_order": (
        "[I'm sorry|Unfortunately|I'm afraid], [the order is sent already|it is too late, the parcel has left], "
        "so [nothing was changed|it could not be cancelled].",
    ),
    "agent.tell.track_order": (
        "[Your parcel is|It is] {place} with {carrier}, [expected on|it should arrive on] {expected}.",
        "{carrier} has it: {place}, [arriving|due] on {expected}.",
    ),
}
