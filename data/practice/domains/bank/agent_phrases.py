"""How the bank's desk speaks. What a phrase names in braces is a fact the answer conveys."""

from __future__ import annotations

_TO_CONFIRM = "[To confirm|Just to confirm|So that is|Let me repeat]: {details}. "

AGENT_PHRASES: dict[str, tuple[str, ...]] = {
    "system": (
        "You work at the customer desk of {place}. Today is {weekday}, {today}.",
        "You are the assistant of {place}. Today is {weekday}, {today}.",
        "Customer service of {place}. Today is {weekday}, {today}.",
    ),
    "agent.ask.customer_id": (
        "[I need|For that I need|First I need|I will need] your customer number[|, please| to go on]: [what is "
        "it|could you give it to me|may I have it]?",
        "[Would you|Can you|Could you] [tell|give] me your customer number[|, please| first]?",
        "[What is|May I have|Could you give me] your customer number?",
        "[Which customer number|What customer number] do you have?",
    ),
    "agent.ask.birth_date": (
        "[I need|For that I need|First I need|I will need] your date of birth[|, please| to go on]: [what is "
        "it|could you give it to me|may I have it]?",
        "[To verify you|For verification|For your security], [what is|may I have] your date of birth?",
        "[What is|May I have|Could you tell me] your date of birth?",
        "When were you born?",
    ),
    "agent.ask.account_type": (
        "[And which account|And what account] [do you mean|shall I look at|is it]?",
        "[Could you tell me|May I ask] which account [you mean|it is about|I should use]?",
        "[Which account|Which of your accounts] [is it|do you mean|shall I use]?",
        "[What account|Which account] is it about?",
    ),
    "agent.ask.card_type": (
        "[Could you tell me|May I ask] which card [you mean|it is about], [debit or credit|the debit or the "
        "credit card]?",
        "[Is it|Do you mean] the debit or the credit card?",
        "[Which card|Which of your cards] [is it|do you mean], debit or credit?",
    ),
    "agent.ask.payee": (
        "[Who|Which payee] [should receive it|gets the money|is it for]?",
        "[Could you tell me|May I ask] [who should receive it|the payee|which payee it goes to]?",
        "[To whom|To which payee] [shall I send it|should it go|does it go]?",
    ),
    "agent.ask.amount": (
        "[Could you tell me|May I ask] [how much it should be|the amount|how much to send]?",
        "[And how much|How much money] [is it|shall it be|should go out]?",
        "[How much|What amount] [shall I send|should it be|would you like to send]?",
    ),
    "agent.ask.merchant": (
        "[Could you tell me|May I ask] [which shop it was|the name of the shop|which merchant it was]?",
        "[Which merchant|Which shop] [was it|was the payment to|is it about]?",
        "[To which merchant|At which shop] was the payment?",
    ),
    "agent.ask.reason": (
        "[Why is that|What is wrong|What went wrong][|, if I may ask]?",
        "[I need a reason|For the form I need a reason]: [what happened|why is it]?",
        "[What happened|What is the reason|May I ask why]?",
        "[Could you tell me|Can you tell me] [the reason|what happened]?",
    ),
    "agent.nothing.verify_customer": (
        "[I'm sorry|Unfortunately|I'm afraid], [this number and date of birth do not match|I can't find you with "
        "these]. "
        "[Could you check|Can you repeat] your customer number and date of birth?",
    ),
    "agent.nothing.find_payee": (
        "[I'm sorry|Unfortunately], [there is no stored payee|I can't find a payee] {payee}. Who should receive it?",
    ),
    "agent.nothing.find_payments": (
        "[I'm sorry|Unfortunately], [I see no payment|there is no payment] to {merchant}. Which shop was it?",
    ),
    "agent.detail.amount": ("{amount}",),
    "agent.detail.payee": ("to the {payee}",),
    "agent.detail.account_type": ("from the {account_type} account",),
    "agent.detail.card_type": ("the {card_type} card",),
    "agent.detail.last_digits": ("ending in {last_digits}",),
    "agent.detail.reason": ("reason: {reason}",),
    "agent.detail.merchant": ("the payment to {merchant}",),
    "agent.detail.paid_on": ("of {paid_on}",),
    "agent.confirm.transfer_money": (_TO_CONFIRM + "[Shall I send it|May I transfer that|Is that right]?",),
    "agent.confirm.block_card": (_TO_CONFIRM + "[Shall I block it|May I block it for good|Is that right]?",),
    "agent.confirm.dispute_payment": (_TO_CONFIRM + "[Shall I open the dispute|May I file that|Is that right]?",),
    "agent.report.transfer_money": (
        "[Done|It's sent|All set]: the reference is {reference}, [the new balance is|you now have] {balance} euros.",
        "[I have sent it|The transfer is made] under {reference}; [your balance is|that leaves] {balance} euros.",
    ),
    "agent.report.block_card": (
        "[Done|All set]: [the|your] card is blocked, [reference|under reference] {reference}.",
        "[I have blocked it|It's blocked]; [your reference is|the reference is] {reference}.",
    ),
    "agent.report.dispute_payment": (
        "[Done|All set]: the dispute is opened, [reference|under reference] {reference}.",
        "[I have opened it|Your dispute is filed]; [your reference is|the reference is] {reference}.",
    ),
    "agent.failed.block_card": (
        "[I'm sorry|As it happens|I'm afraid], [this|that] card [is blocked already|was blocked before], "
        "so [nothing was changed|there was nothing to change].",
    ),
    "agent.failed.transfer_money": (
        "[I'm sorry|Unfortunately|I'm afraid], [the balance does not cover that|there is not enough money], "
        "so [nothing was sent|I sent nothing].",
    ),
    "agent.failed.dispute_payment": (
        "[I'm sorry|As it happens|I'm afraid], that payment [is disputed already|was disputed before], "
        "so [nothing was changed|there was nothing to open].",
    ),
    "agent.tell.check_balance": (
        "[There are|You have] {balance} euros [on|in] [your|the] {account_type} account.",
        "[The balance of|On] your {account_type} account: {balance} euros.",
        "Your {account_type} account [holds|stands at|has] {balance} euros.",
    ),
    "agent.tell.find_payment": (
        "[You paid|There is a payment of] {amount} to {merchant} on {paid_on}.",
        "[I see|I found] {amount} to {merchant}, [booked|paid] on {paid_on}.",
    ),
}
