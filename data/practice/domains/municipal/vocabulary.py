"""Names and categories of the municipal office."""

from __future__ import annotations

TOWNS = (
    "Alderbridge", "Brookhaven", "Castlebury", "Dunmore", "Eastwick", "Fallowfield", "Grantham Vale", "Hollybank",
    "Kingsport", "Larchmont", "Millbrook", "Northwold",
)  # fmt: skip
#: Documents: lowest and highest fee, and the words for what to bring.
DOCUMENTS = {
    "passport": (40, 90), "identity card": (20, 45), "residence certificate": (5, 20), "birth certificate": (8, 25),
    "driving licence": (25, 70), "fishing licence": (12, 40),
}  # fmt: skip
TO_BRING = (
    "a photo", "the old document", "a signed form", "proof of address", "a birth certificate", "two photos",
)  # fmt: skip
OFFICES = ("town hall", "library branch", "river branch", "station branch")
DISTRICTS = ("centre", "riverside", "park quarter", "mill quarter", "new town")
STREETS = (
    "Acorn Street", "Baker Row", "Canal Street", "Dove Lane", "Ferry Road", "Glen Avenue", "Hazel Street", "Inn Lane",
    "Juniper Way", "Lark Street", "Meadow Road", "Orchard Street", "Pine Street", "Quarry Road", "Spring Lane",
)  # fmt: skip
WASTE = ("sofa", "mattress", "wardrobe", "washing machine", "fridge", "carpet", "bicycle", "bathtub")
