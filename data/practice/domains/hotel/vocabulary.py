"""Names and categories of the hotel domain."""

from __future__ import annotations

HOTELS = (
    "Hotel Aurora", "The Linden House", "Hotel Miramar", "Hotel Bellevue", "The Old Mill", "Hotel Kestrel",
    "Villa Rosa", "The Harbour Inn", "Hotel Saffron", "The Grand Larch", "Hotel Tivoli", "The Lighthouse",
    "Hotel Juniper", "Casa Azul", "The Meadow Lodge", "Hotel Polaris",
)  # fmt: skip
FIRST_NAMES = (
    "Ana", "Ben", "Chloe", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kavita", "Liam", "Mei",
    "Noah", "Olga", "Pablo", "Quinn", "Rosa", "Samir", "Tara", "Umar", "Vera", "Walter", "Xenia", "Yusuf", "Zoe",
    "Aisha", "Bruno", "Carmen", "Daniel", "Emeka", "Freya", "Gustav", "Hannah", "Ivan", "Julia", "Kofi", "Lucia",
    "Marco", "Nadia", "Oscar", "Priya", "Rafael", "Sofia", "Tomas", "Ursula", "Viktor", "Wanda", "Yara", "Zara",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Bauer", "Castro", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kowalski",
    "Lopez", "Moreau", "Nakamura", "Okafor", "Petrov", "Quist", "Rossi", "Silva", "Tanaka", "Ueda", "Varga",
    "Weber", "Xu", "Yilmaz", "Zhang", "Andersen", "Brown", "Costa", "Doyle", "Evans", "Ferrari", "Green",
    "Hughes", "Ivanova", "Johnson", "Khan", "Larsen", "Mendes", "Novak", "Olsen", "Patel", "Reid", "Schmidt",
    "Turner", "Vidal", "Walsh", "Young", "Ziegler", "Kim",
)  # fmt: skip
VIEWS = ("garden", "sea", "city", "courtyard", "mountain")
SERVICES = ("dinner table", "wake-up call", "breakfast in room", "luggage pickup", "laundry pickup")
SERVICE_PRICES = {
    "dinner table": 10, "wake-up call": 0, "breakfast in room": 22, "luggage pickup": 8, "laundry pickup": 18,
}  # fmt: skip
#: Earliest and latest opening, closing (minutes after midnight), price.
FACILITIES = {
    "pool": ((360, 600), (1140, 1380), (5, 20)),
    "gym": ((300, 480), (1200, 1410), (3, 15)),
    "breakfast": ((360, 480), (570, 690), (9, 25)),
    "restaurant": ((1020, 1140), (1290, 1410), (25, 60)),
    "bar": ((900, 1080), (1320, 1410), (6, 14)),
    "parking": ((240, 360), (1320, 1410), (8, 30)),
}
PLACES = {
    "pool": ("on the roof", "in the basement", "in the garden", "on the second floor"),
    "gym": ("in the basement", "on the first floor", "on the fifth floor", "behind the lobby"),
    "breakfast": ("in the garden room", "on the ground floor", "on the terrace", "in the winter garden"),
    "restaurant": ("on the ground floor", "on the top floor", "on the terrace", "in the old cellar"),
    "bar": ("in the lobby", "on the roof", "in the library", "on the terrace"),
    "parking": ("in the courtyard", "in the basement", "at the north wing", "in the side street"),
}
TREATMENTS = ("massage", "facial", "body scrub", "manicure", "mud bath")
DIRECTIONS = ("to the airport", "from the airport")
