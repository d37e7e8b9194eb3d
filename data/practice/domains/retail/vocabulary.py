"""Names and categories of the mail-order shop."""

from __future__ import annotations

SHOPS = (
    "Mill Lane Outfitters", "Fern & Field", "The Wool Cupboard", "Harlequin Home", "Brisk & Co", "Kite Street Shop",
    "Oakline", "Saltbox Store", "Plain Goods", "Tall Pine Trading", "Maple Corner", "Larkspur Living",
)  # fmt: skip
#: Sizes a product comes in, lowest and highest price.
PRODUCTS = {
    "jacket": (("S", "M", "L", "XL"), (60, 160)),
    "jumper": (("S", "M", "L", "XL"), (30, 90)),
    "dress": (("S", "M", "L"), (40, 120)),
    "shirt": (("S", "M", "L", "XL"), (20, 60)),
    "trousers": (("S", "M", "L", "XL"), (35, 95)),
    "boots": (("38", "40", "42", "44"), (70, 180)),
    "sandals": (("38", "40", "42"), (25, 80)),
    "backpack": (("20 litres", "30 litres", "40 litres"), (40, 140)),
    "tent": (("2 persons", "3 persons", "4 persons"), (90, 320)),
    "duvet": (("single", "double", "king"), (50, 190)),
}
COLOURS = ("black", "navy", "green", "red", "grey", "beige")
RETURN_REASONS = ("too small", "too big", "damaged", "not as described", "change of mind")
REFUNDS = ("original payment", "gift card")
CARRIERS = ("ParcelBee", "SwiftPost", "GoVan", "Norfreight")
PARCEL_PLACES = (
    "in the sorting centre", "on the delivery van", "at the pick-up shop", "at the airport depot", "at customs",
)  # fmt: skip
STREETS = (
    "Mill Lane", "Station Road", "Church Street", "Elm Avenue", "Harbour Street", "Castle Road", "Rose Lane",
    "Garden Street", "River Road", "Bridge Street", "Market Square", "School Lane", "Forest Road", "Hill Street",
)  # fmt: skip
