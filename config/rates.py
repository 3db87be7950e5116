"""The section of the settings that says how often one may ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.setting import Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesConfig:
    """How often one may ask: a burst at once, then so many a minute (a token bucket). Each worker counts for itself."""

    sends_per_minute: int = field(
        default=6_000,
        metadata=Whole(
            "Messages of one account, all its devices together; people never meet this, bots may.", 1, 10_000_000
        ).metadata(),
    )
    sends_burst: int = field(
        default=1_000,
        metadata=Whole("Messages at once, such as an outbox typed offline.", 1, 10_000_000).metadata(),
    )
    marks_per_minute: int = field(
        default=6_000,
        metadata=Whole("Delivered and read marks of one account.", 1, 10_000_000).metadata(),
    )
    marks_burst: int = field(
        default=3_000,
        metadata=Whole("Such marks at once, as after a long time offline.", 1, 10_000_000).metadata(),
    )
    typing_per_minute: int = field(
        default=120,
        metadata=Whole("Typing signals of one account.", 1, 1_000_000).metadata(),
    )
    typing_burst: int = field(
        default=20,
        metadata=Whole("Typing signals at once.", 1, 1_000_000).metadata(),
    )
    opens_per_minute: int = field(
        default=240,
        metadata=Whole(
            "Chats opened and closed, and changes of foreground state, of one account.", 1, 1_000_000
        ).metadata(),
    )
    opens_burst: int = field(
        default=200,
        metadata=Whole("The same at once, as when all its devices reconnect.", 1, 1_000_000).metadata(),
    )
    lookups_per_minute: int = field(
        default=60,
        metadata=Whole(
            "Accounts that one account looks up; slows those who try every address.", 1, 1_000_000
        ).metadata(),
    )
    lookups_burst: int = field(
        default=100,
        metadata=Whole("Accounts looked up at once.", 1, 1_000_000).metadata(),
    )
    queries_per_minute: int = field(
        default=240,
        metadata=Whole("One account's questions about itself, groups and marks.", 1, 1_000_000).metadata(),
    )
    queries_burst: int = field(
        default=60,
        metadata=Whole("Such questions at once.", 1, 1_000_000).metadata(),
    )
    changes_per_minute: int = field(
        default=60,
        metadata=Whole("Changes by one account to itself or its groups.", 1, 1_000_000).metadata(),
    )
    changes_burst: int = field(
        default=60,
        metadata=Whole("Such changes at once.", 1, 1_000_000).metadata(),
    )
    groups_per_minute: int = field(
        default=2,
        metadata=Whole("Groups that one account creates.", 1, 1_000_000).metadata(),
    )
    groups_burst: int = field(
        default=20,
        metadata=Whole("Groups created at once.", 1, 1_000_000).metadata(),
    )
    joins_per_minute: int = field(
        default=5,
        metadata=Whole("Invites that one account tries; slows those who guess.", 1, 1_000_000).metadata(),
    )
    joins_burst: int = field(
        default=20,
        metadata=Whole("Invites tried at once.", 1, 1_000_000).metadata(),
    )
    logins_per_minute: int = field(
        default=30,
        metadata=Whole("Logins of one device; all else of a client is counted by account.", 1, 1_000_000).metadata(),
    )
    logins_burst: int = field(
        default=20,
        metadata=Whole("Logins at once, as on a failing line.", 1, 1_000_000).metadata(),
    )
    connects_per_minute: int = field(
        default=600,
        metadata=Whole("Connections that one network address opens.", 1, 10_000_000).metadata(),
    )
    connects_burst: int = field(
        default=300,
        metadata=Whole("The same at once, as after a restart.", 1, 10_000_000).metadata(),
    )
    links_per_minute: int = field(
        default=20,
        metadata=Whole("New devices of one network address that wait to be linked.", 1, 1_000_000).metadata(),
    )
    links_burst: int = field(
        default=20,
        metadata=Whole("The same at once.", 1, 1_000_000).metadata(),
    )
    code_requests_per_hour: int = field(
        default=5,
        metadata=Whole(
            "Codes that one network may have sent to one account address; all networks together, four times as many.",
            1,
            10_000,
        ).metadata(),
    )
    code_attempts_max: int = field(
        default=5,
        metadata=Whole("Wrong codes before a new one must be requested.", 1, 100).metadata(),
    )
    registrations_per_address_per_hour: int = field(
        default=20,
        metadata=Whole("Codes requested and accounts registered from one network address.", 1, 1_000_000).metadata(),
    )
