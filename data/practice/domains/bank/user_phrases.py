"""How bank customers speak: ``user.open`` begins a task, ``inline`` continues its sentence, ``tell`` is a sentence."""

from __future__ import annotations

USER_PHRASES: dict[str, tuple[str, ...]] = {
    # Openings
    "user.open.check_balance": (
        "[how much|how much money] [do I have|is left|is there]",
        "[I'd like to|I want to|I need to] [know|check|hear] [my balance|my account balance|what I have left]",
        "[can you|could you] [tell me|check|give me] [my balance|the balance|how much is left]",
        "[what is|what's] [my balance|the balance|my current balance]",
        "[I'm wondering|I need to know] [if my salary came|how much I can still spend], so [what's the "
        "balance|what's left]",
    ),
    "user.open.transfer_money": (
        "[I'd like to|I want to|I need to|I have to] [send|transfer|wire] [money|some money]",
        "[can you|could you] [make|set up|do] a [transfer|payment][| for me]",
        "[please|can you] [transfer|send|move] some money",
        "[I owe somebody|a bill came|rent is due], so [I need to make|please make] a [transfer|payment]",
        "[there's|I have] a [transfer|payment] [to make|I'd like to make|I need made]",
    ),
    "user.open.block_card": (
        "[I need to|I'd like to|I want to|I have to] [block|freeze|stop] [a card|my card]",
        "[can you|could you|please] [block|stop|deactivate] [my card|a card of mine]",
        "[my card is gone|something happened to my card|there's a problem with my card], [please block it|so block it]",
        "[I need|it's urgent, I need] [a card|my card] [blocked|stopped][| right away| at once]",
    ),
    "user.open.find_payment": (
        "[I'm looking for|I'd like to find|I want to check|I need to look up] a [payment|charge|debit]",
        "[can you|could you] [look up|find|check] a [payment|charge][| for me]",
        "[when did I pay|what did I pay for|what was] [something|a charge] [I see here|I made recently]",
        "[there's|I see] a [payment|charge] [I want to check|I'd like to know more about]",
    ),
    "user.open.dispute_payment": (
        "[I'd like to|I want to|I need to] [dispute|contest|challenge] a [payment|charge]",
        "[can you|could you] [open a dispute|help me dispute a payment|start a dispute]",
        "[there's|I found] a [payment|charge] [that isn't right|I want to contest|that is wrong]",
        "[something is off with|I don't agree with] a [payment|charge][|, I want to dispute it]",
    ),
    # Slots that continue the opening
    "user.inline.account_type": ("[on|from] my {account_type} account", ", it's [about|] the {account_type} account,"),
    "user.inline.account_type.check_balance": ("[on|in] my {account_type} account", "for the {account_type} account"),
    "user.inline.account_type.transfer_money": ("from my {account_type} account", "out of the {account_type} account"),
    "user.inline.payee": ("to [my|the] {payee}", ", it's for the {payee},"),
    "user.inline.amount": (", {amount},", "of {amount}"),
    "user.inline.merchant": (", [something at|one to|one from] {merchant},", ", {merchant} [it says|is the name],"),
    "user.inline.card_type": (", [it's|that's] the {card_type} [card|one],", ", my {card_type} card,"),
    # Slots in sentences of their own
    "user.tell.customer_id": (
        "[my customer number is|I'm customer|the number is|it's] {customer_id}",
        "[customer number|number|customer] {customer_id}",
    ),
    "user.tell.birth_date": (
        "[I was born on|born|my date of birth is|my birthday is] {birth_date}",
        "[date of birth|birth date] {birth_date}",
    ),
    "user.tell.account_type": (
        "[it's|that's|I mean|use] [the|my] {account_type} account",
        "[the|my] {account_type} [account|one][|, I mean]",
    ),
    "user.tell.card_type": (
        "[it's|that's|I mean] [the|my] {card_type} card",
        "[the|my] {card_type} [card|one][| is the one]",
    ),
    "user.tell.payee": (
        "[it goes|it's|the money goes|send it] to [my|the] {payee}",
        "[my|the] {payee} [gets it|should get it|is the one]",
    ),
    "user.tell.amount": (
        "[it's|make it|that's|the amount is] {amount}",
        "{amount}[|, please| in total| exactly]",
    ),
    "user.tell.merchant": (
        "[it was|the shop is|it says|the name is] {merchant}",
        "[at|to|from] {merchant}",
    ),
    "user.tell.reason": ("[well|you see|because], {reason}", "{reason}[|, that's why|, I'm afraid]"),
}
