"""Names and categories of the bank."""

from __future__ import annotations

BANKS = (
    "Northgate Bank", "Bank of Lindau", "Meridian Savings", "Harbour Credit Union", "First Alder Bank", "Solvane Bank",
    "Castle Street Bank", "Tern & Vale Bank", "People's Bank of Orla", "Cobalt Bank", "Riverside Savings",
    "Helvia Bank",
)  # fmt: skip
ACCOUNTS = ("current", "savings", "joint", "business")
CARDS = ("debit", "credit")
BLOCK_REASONS = ("lost", "stolen", "damaged")
DISPUTE_REASONS = ("not recognised", "charged twice", "wrong amount")
PAYEES = (
    "landlord", "electricity company", "kindergarten", "gym", "tax office", "dentist", "music school", "insurance",
    "water company", "sports club", "housing cooperative", "garage",
)  # fmt: skip
MERCHANTS = (
    "Bluebird Books", "Corner Cafe", "Fresh Basket", "Skyline Air", "Metro Fuel", "Pixel Games", "Green Pharmacy",
    "Urban Shoes", "Nova Electronics", "Luna Cinema", "Bella Pizza", "Harvest Market", "Velo Bikes", "Atlas Travel",
    "Cloud Storage Plus", "Garden World",
)  # fmt: skip
