"""Names and categories of the clinic."""

from __future__ import annotations

CLINICS = (
    "Lakeside Clinic", "Elmwood Health Centre", "Clinic at the Gate", "Sunrise Medical Centre", "Birchfield Surgery",
    "Harbour Health", "St Anne's Practice", "Willow Clinic", "Parkview Medical", "Northfield Surgery", "Amber Clinic",
    "Hilltop Health Centre",
)  # fmt: skip
SPECIALITIES = (
    "general practice", "dermatology", "cardiology", "orthopaedics", "paediatrics", "ophthalmology",
)  # fmt: skip
VISITS = ("first visit", "check-up", "follow-up", "vaccination")
MEDICINES = (
    "Amlodin", "Bisoprex", "Cetirol", "Dermalan", "Eutherox", "Fenofix", "Glucomet", "Hydralin", "Ibuflam", "Lansopram",
    "Metroval", "Novothyr", "Ramilor", "Simvalin", "Xylovent",
)  # fmt: skip
PHARMACIES = (
    "Lion Pharmacy", "Station Pharmacy", "Market Pharmacy", "Rose Pharmacy", "Bridge Pharmacy", "Castle Pharmacy",
)  # fmt: skip
