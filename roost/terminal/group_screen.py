"""A group: who is in it and as what, its invites, and whatever our role lets us do with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from protocol.limits import GROUP_NAME_LENGTH_MAX
from roost.errors import RoostError
from roost.group import GroupInvite, GroupMember, Role
from roost.plain import date_and_time, one_line
from roost.terminal.choice import Choice
from roost.terminal.group_rights import may_remove, roles_to_give
from roost.terminal.key_help import drawn_keys
from roost.terminal.names import group_title
from roost.terminal.palette import FAINT
from roost.terminal.standing import why_silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult

    from protocol import AccountId, ConversationId
    from roost.client import Client
    from roost.group import Group, GroupDetails
    from roost.terminal.key_help import Keys
    from roost.terminal.names import Names

__all__ = ["GroupScreen", "facts", "keys_for"]

_RELOAD_DELAY_S: Final = 0.5
_INVITE_USES: Final = (1, 10, 100)
_ROLES: Final = {Role.OWNER: "an owner", Role.ADMIN: "an admin", Role.MEMBER: "a member"}
_PASS_ON: Final = (
    "Whoever has this link can join. It is in the clipboard, too, if this terminal lets programs write there."
)
_NOT_ALLOWED: Final = "That is not for you to do in this group; the keys below are."


def facts(details: GroupDetails) -> str:
    """Return what is to be known of a group besides its name."""
    group, count = details.group, len(details.members)
    words = [f"{count:,} member{'' if count == 1 else 's'}"] if count else []
    words += ["only admins write"] if group.announcement and group.is_open else []
    words += [f"you are {_ROLES[group.role]}"] if group.is_open else [why_silent(group)]
    return " · ".join(words)


def keys_for(details: GroupDetails, account: AccountId, chosen: GroupMember | GroupInvite | None) -> Keys:
    """Return what we may do with a group, and with the line that the cursor is on."""
    group = details.group
    keys: list[tuple[str, str, str]] = []
    if isinstance(chosen, GroupMember):
        keys += [("r", "role", "screen.role")] if roles_to_give(details, account, chosen) else []
        keys += [("Del", "remove", "screen.remove")] if may_remove(details, account, chosen) else []
    elif chosen is not None and group.is_admin:
        keys.append(("Del", "revoke", "screen.remove"))
    if group.is_admin:
        writing = "let all write" if group.announcement else "only admins write"
        keys += [("i", "invite", "screen.invite"), ("n", "rename", "screen.rename"), ("a", writing, "screen.announce")]
    keys += [("l", "leave", "screen.leave")] if group.is_open else []
    keys += [("x", "dissolve", "screen.dissolve")] if group.is_open and group.role is Role.OWNER else []
    return (*keys, ("Esc", "back", "screen.back"))


class GroupScreen(ModalScreen[None]):
    """A window with the members and invites; letters do what the last line says.

    Args:
        client: the account.
        conversation: which group.
        names: what people are called.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("r", "role", "Role"),
        Binding("delete,d", "remove", "Remove"),
        Binding("i", "invite", "Invite"),
        Binding("n", "rename", "Rename"),
        Binding("a", "announce", "Who writes"),
        Binding("l", "leave", "Leave"),
        Binding("x", "dissolve", "Dissolve"),
        Binding("j", "move(1)", "Down"),
        Binding("k", "move(-1)", "Up"),
    ]

    def __init__(self, client: Client, conversation: ConversationId, names: Names) -> None:
        super().__init__()
        self._client = client
        self._conversation = conversation
        self._names = names
        self._details: GroupDetails | None = None
        self._lines: dict[str, GroupMember | GroupInvite] = {}
        self._busy = False
        self._reloading = False

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        with Vertical(id="group"):
            yield Static("", id="group-name", classes="title", markup=False)
            yield Static("", id="group-facts", markup=False)
            yield OptionList(id="group-members", markup=False)
            yield Input(placeholder="what the group is called", id="new-name", max_length=GROUP_NAME_LENGTH_MAX)
            yield Static("", id="group-keys", markup=False)
            yield Static("", id="invite-link", markup=False)
            yield Static("", id="answer", markup=False)

    async def on_mount(self) -> None:
        """Show what is known here, then what the server says."""
        self.query_one("#new-name", Input).display = False
        self._say("")
        self._show_link("")
        self.query_one("#group-members", OptionList).focus()
        self.run_worker(self._load(), name="group")

    async def _load(self) -> None:
        await self._reload()
        if self._details is None or not self._details.group.is_open:
            return
        try:
            await self._client.groups.describe(self._conversation)
        except RoostError as error:
            self._say(error.sentence, refused=True)
        await self._reload()

    def changed(self, group: Group) -> None:
        """Something of a group has changed, perhaps of this one."""
        if group.conversation == self._conversation and not self._reloading:
            self._reloading = True  # many changes within this time are shown together
            self.set_timer(_RELOAD_DELAY_S, self._reload)

    async def _reload(self) -> None:
        self._reloading = False
        try:
            details = await self._client.groups.details(self._conversation)
        except RoostError as error:
            self._say(error.sentence, refused=True)
            return
        if self.is_attached and details != self._details:
            self._details = details
            self._draw(details)

    def _draw(self, details: GroupDetails) -> None:
        self.query_one("#group-name", Static).update(group_title(details.group))
        self.query_one("#group-facts", Static).update(Text(facts(details), style=FAINT))
        shown = self.query_one("#group-members", OptionList)
        before = shown.get_option_at_index(shown.highlighted).id if shown.highlighted is not None else None
        members = sorted(details.members, key=lambda one: (-one.role, self._names.of(one.account).casefold()))
        self._lines = {one.account: one for one in members}
        self._lines |= {f"invite:{one.invite.hex()}": one for one in details.invites}
        shown.set_options(Option(self._line(one), id=key) for key, one in self._lines.items())
        if self._lines:
            shown.highlighted = list(self._lines).index(before) if before in self._lines else 0
        self._show_keys()

    def _line(self, one: GroupMember | GroupInvite) -> Text:
        if isinstance(one, GroupMember):
            own = " (you)" if one.account == self._client.account else ""
            line = Text.assemble((f"{one.role.name.lower():<8}", FAINT), f"{self._names.full(one.account)}{own}")
        else:
            people = "1 person" if one.uses_left == 1 else f"{one.uses_left} people"
            until = date_and_time(one.expires_ms)
            line = Text(f"invite  {people} until {until} ({self._names.of(one.account)})", style=FAINT)
        line.truncate(max(20, self.query_one("#group-members").size.width - 2), overflow="ellipsis")
        return line

    @property
    def _chosen(self) -> GroupMember | GroupInvite | None:
        shown = self.query_one("#group-members", OptionList)
        if shown.highlighted is None:
            return None
        return self._lines.get(shown.get_option_at_index(shown.highlighted).id or "")

    def _show_keys(self) -> None:
        if self._details is not None:
            keys = keys_for(self._details, self._client.account, self._chosen)
            shown = self.query_one("#group-keys", Static)
            shown.update(drawn_keys(keys, max(10, shown.size.width)))

    def on_resize(self) -> None:
        """Lay lines and keys out for the new width."""
        if self._details is not None:
            self.call_after_refresh(self._draw, self._details)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say what can be done with the line that the cursor is on."""
        event.stop()
        self._show_keys()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter does what is done most: give a member another role."""
        event.stop()
        self.action_role()

    # What is done.

    def _may(self, action: str) -> GroupDetails | None:
        """The group, if our role and what is chosen allow this; else say that they do not."""
        if self._details is None or self._busy:
            return None
        keys = keys_for(self._details, self._client.account, self._chosen)
        if any(done == f"screen.{action}" for _, _, done in keys):
            return self._details
        self._say(_NOT_ALLOWED)
        return None

    def _ask(self, question: str, yes: str, doing: Callable[[], Awaitable[object]], done: str = "") -> None:
        """Do something that cannot be undone, after a question; without words for the end, leave then."""

        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._carry_out(doing, done)

        self.app.push_screen(Choice(question, [("no", "no, go back"), ("yes", f"yes, {yes}")]), answered)

    def _carry_out(self, doing: Callable[[], Awaitable[object]], done: str) -> None:
        if not self._busy:
            self._busy = True
            self._say("Asking the server ...")
            self.run_worker(self._watched(doing, done), name="group action")

    async def _watched(self, doing: Callable[[], Awaitable[object]], done: str) -> None:
        try:
            await doing()
        except RoostError as error:
            self._say(error.sentence, refused=True)
        else:
            if not done:
                self.dismiss(None)
                return
            self._say(done)
        finally:
            self._busy = False
        await self._reload()

    def action_role(self) -> None:
        """Ask which role the chosen member shall have."""
        details, chosen = self._may("role"), self._chosen
        if details is None or not isinstance(chosen, GroupMember):
            return
        who, account = self._names.of(chosen.account), chosen.account

        def answered(name: str | None) -> None:
            if name is not None:
                role = Role[name]
                give = partial(self._client.groups.set_role, self._conversation, account, role)
                self._carry_out(give, f"{who} is {_ROLES[role]} now.")

        roles = roles_to_give(details, self._client.account, chosen)
        self.app.push_screen(Choice(f"Make {who}", [(role.name, _ROLES[role]) for role in roles]), answered)

    def action_remove(self) -> None:
        """Remove the chosen member, or revoke the chosen invite."""
        details, chosen = self._may("remove"), self._chosen
        groups = self._client.groups
        if details is None or chosen is None:
            return
        if isinstance(chosen, GroupInvite):
            revoke = partial(self._revoked, chosen)
            self._ask(
                "Revoke this invite?", "it lets nobody in any more", revoke, "The invite lets nobody in any more."
            )
            return
        who, title = self._names.full(chosen.account), group_title(details.group)
        remove = partial(groups.remove, self._conversation, chosen.account)
        self._ask(f"Remove {who} from {title}?", "remove", remove, f"{who} is no member any more.")

    async def _revoked(self, invite: GroupInvite) -> None:
        await self._client.groups.revoke_invite(self._conversation, invite)
        self._show_link("")

    def action_invite(self) -> None:
        """Make an invite and show its link."""
        if self._may("invite") is None:
            return

        def answered(uses: str | None) -> None:
            if uses is not None:
                self._carry_out(partial(self._invited, int(uses)), _PASS_ON)

        answers = [(str(uses), "one person" if uses == 1 else f"{uses} people") for uses in _INVITE_USES]
        self.app.push_screen(Choice("An invite, good for a week, for", answers), answered)

    async def _invited(self, uses: int) -> None:
        link = await self._client.groups.create_invite(self._conversation, uses=uses)
        self._show_link(link.text)
        self.app.copy_to_clipboard(link.text)

    def action_rename(self) -> None:
        """Ask what the group shall be called."""
        details = self._may("rename")
        if details is not None:
            asked = self.query_one("#new-name", Input)
            asked.value, asked.display = details.group.name, True
            asked.focus()
            self._say("Enter gives the group this name, Esc leaves it as it is.")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the group this name."""
        event.stop()
        rename = partial(self._client.groups.rename, self._conversation, event.value)
        self._stop_renaming()
        self._carry_out(rename, "The group has that name now.")

    def _stop_renaming(self) -> None:
        self.query_one("#new-name", Input).display = False
        self.query_one("#group-members", OptionList).focus()
        self._say("")

    def action_announce(self) -> None:
        """Let only admins write, or everybody."""
        details = self._may("announce")
        if details is not None:
            only_admins = not details.group.announcement
            done = "Only admins write now." if only_admins else "All members write now."
            self._carry_out(partial(self._client.groups.set_announcement, self._conversation, only_admins), done)

    def action_leave(self) -> None:
        """Leave the group."""
        details = self._may("leave")
        if details is not None:
            last = " You are the last one, so it ends with you." if len(details.members) == 1 else ""
            question = f"Leave {group_title(details.group)}? Its history stays here; only an invite leads back.{last}"
            self._ask(question, "leave", partial(self._client.groups.leave, self._conversation))

    def action_dissolve(self) -> None:
        """End the group for everybody."""
        details = self._may("dissolve")
        if details is not None:
            question = f"End {group_title(details.group)} for all its members? This cannot be undone."
            self._ask(question, "dissolve", partial(self._client.groups.dissolve, self._conversation))

    def action_move(self, step: int) -> None:
        """Go to the line above or below."""
        shown = self.query_one("#group-members", OptionList)
        (shown.action_cursor_down if step > 0 else shown.action_cursor_up)()

    def action_back(self) -> None:
        """Leave the name as it is, or leave the window."""
        if self.query_one("#new-name", Input).display:
            self._stop_renaming()
        else:
            self.dismiss(None)

    def _show_link(self, link: str) -> None:
        shown = self.query_one("#invite-link", Static)
        shown.update(link)
        shown.display = bool(link)

    def _say(self, sentence: str, *, refused: bool = False) -> None:
        answer = self.query_one("#answer", Static)
        answer.update(one_line(sentence))
        answer.display = bool(sentence)
        answer.set_class(refused, "refused")
        if sentence:
            answer.scroll_visible(animate=False)
