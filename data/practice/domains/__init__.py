"""The practice domains, by name. A domain is a folder here and one line below; ``check_domain`` must find nothing."""

from __future__ import annotations

from collections.abc import Mapping

from data.practice.declarations import Domain
from data.practice.domains.hotel import HOTEL

DOMAINS: Mapping[str, Domain] = {domain.name: domain for domain in (HOTEL,)}
