"""What the devices of an account ask about its settings, its contacts and block list; and look-ups by others."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from actors.accounts.api import Blocked
from actors.accounts.logic import AUDIENCES, Account
from actors.accounts.owner import nothing
from actors.router.api import UnreachableError
from protocol import AccountId, Code, IdentifierError, normalized_address, normalized_name
from protocol.messages import (
    Done,
    GetSettings,
    ListRelations,
    Lookup,
    Profile,
    Relations,
    SetRelation,
    SetSettings,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.accounts.api import Ask
    from actors.accounts.owner import Owner

__all__ = ["WISHES", "blocked"]


def _get_settings(owner: Owner, ask: Ask, frame: GetSettings) -> None:
    account = owner.owned(ask)
    if account is not None:
        owner.answer(ask, _settings(frame.request, account))


def _set_settings(owner: Owner, ask: Ask, frame: SetSettings) -> None:
    account = owner.owned(ask)
    if account is None:
        return
    for audience in (frame.last_seen, frame.online):
        if audience is not None and audience not in AUDIENCES:
            owner.refuse(ask, Code.SETTING_INVALID, f"That is no audience; choose one of {', '.join(AUDIENCES)}.")
            return
    try:
        name = None if frame.display_name is None else normalized_name(frame.display_name)
    except IdentifierError as error:
        owner.refuse(ask, error.code, error.sentence)
        return
    changed = account.with_settings(frame.read_receipts, frame.last_seen, frame.online, name)
    owner.change(ask, changed, lambda: _settings(frame.request, changed))


def _set_relation(owner: Owner, ask: Ask, frame: SetRelation) -> None:
    account = owner.owned(ask)
    if account is None:
        return
    try:
        other = normalized_address(frame.account)
    except IdentifierError as error:
        owner.refuse(ask, error.code, error.sentence)
        return
    if frame.relation not in ("none", "contact", "blocked"):
        owner.refuse(ask, Code.SETTING_INVALID, 'A relation is "none", "contact" or "blocked".')
    elif other == owner.id:
        owner.refuse(ask, Code.SETTING_INVALID, "You cannot be your own contact or block yourself.")
    elif frame.relation != "none" and len(account.contacts) + len(account.blocked) >= owner.limits.relations_max:
        owner.refuse(ask, Code.OVER_QUOTA, "The lists of contacts and blocked accounts are full; remove some.")
    else:
        if frame.relation == "blocked" and other not in account.blocked:
            with contextlib.suppress(UnreachableError):  # a sign for the operator, and no more than that
                owner.process.cast(owner.router.account(other), Blocked(owner.id))
        owner.change(ask, account.with_relation(other, frame.relation), lambda: Done(frame.request))


def blocked(owner: Owner, by: AccountId) -> None:
    """Many who block one account are a sign of abuse: for the operator, not for anyone else."""
    account, limits = owner.account, owner.limits
    if account is None:
        return
    now_ms = owner.process.runtime.clock.wall_ms()
    window_s, accounts_min = limits.mass_block_window_s, limits.mass_block_accounts_min
    counted, many = account.blocked_by(by, now_ms, window_s * 1_000, accounts_min)
    if many:
        owner.disk.tally.mass_blocked(owner.id, accounts_min, window_s)
    owner.save(counted, nothing, nothing)


def _list_relations(owner: Owner, ask: Ask, frame: ListRelations) -> None:
    account = owner.owned(ask)
    if account is not None:
        contacts = [AccountId(other) for other in sorted(account.contacts)]
        blocked_ones = [AccountId(other) for other in sorted(account.blocked)]
        owner.answer(ask, Relations(frame.request, contacts, blocked_ones))


def _lookup(owner: Owner, ask: Ask, frame: Lookup) -> None:
    account = owner.account
    if account is None:
        owner.refuse(ask, Code.ACCOUNT_UNKNOWN)
    else:
        owner.answer(ask, Profile(frame.request, owner.id, account.display_name, len(account.devices)))


def _settings(request: int, account: Account) -> Settings:
    return Settings(request, account.read_receipts, account.last_seen, account.online, account.display_name)


WISHES: Final[dict[type, Callable[[Owner, Ask, Any], None]]] = {
    GetSettings: _get_settings,
    SetSettings: _set_settings,
    SetRelation: _set_relation,
    ListRelations: _list_relations,
    Lookup: _lookup,
}
