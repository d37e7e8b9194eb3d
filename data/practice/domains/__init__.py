"""The practice domains, by name. A domain is a folder here and one line below; ``check_domain`` must find nothing."""

from __future__ import annotations

from collections.abc import Mapping

from data.practice.declarations import Domain
from data.practice.domains.bank import BANK
from data.practice.domains.clinic import CLINIC
from data.practice.domains.hotel import HOTEL
from data.practice.domains.municipal import MUNICIPAL
from data.practice.domains.retail import RETAIL
from data.practice.domains.telecom import TELECOM

DOMAINS: Mapping[str, Domain] = {domain.name: domain for domain in (HOTEL, BANK, TELECOM, RETAIL, CLINIC, MUNICIPAL)}
