"""The process that knows who has which shard: it claims, starts and stops those of its node, and tells the others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from actors.directory_keys import places_key
from actors.placement.api import (
    PLACEMENT,
    Gone,
    Holdings,
    ListShards,
    MoveCode,
    Moved,
    MoveLimits,
    MoveRefused,
    MoveShard,
    Place,
    ShardList,
    ShardPlace,
    Unowned,
)
from actors.placement.copies import Copies, CopyKept, ReviewCopies
from actors.placement.departure import DepartureActor
from actors.placement.logic import Atlas, decode_places, encode_places
from actors.placement.moves import Declined, Departed, NotMoved, Offer, Speak, Vacate, Vacated
from actors.placement.residents import Residents
from actors.shard.api import LoadingActor, Reachable, answers, inform
from cluster import MEMBERSHIP, NodeDown, NodeUp, Subscribe, rendezvous
from protocol.ids import SHARDS
from runtime import Down, Exit, From, Named, Pid, Reply
from storage import ShardAwayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.placement.estate import Estate
    from actors.router.api import Router
    from storage import Store

__all__ = ["PlacementActor"]

TRANSFER_SIZE_BYTES: Final = 16
RESUBSCRIBE_S: Final = 0.1
TAKE_AGAIN_S: Final = 0.2
TELL_AGAIN_S: Final = 0.2


class Remembered(NamedTuple):
    """From the disk: who had what when this node ended."""

    value: bytes | None


class Resubscribe(NamedTuple):
    """The timer that asks again to be told who is up."""


class TellAgain(NamedTuple):
    """The timer that tells those again on whose link there was no room."""


class TakeAgain(NamedTuple):
    """The timer that takes a shard with which the disk was not done.

    Attributes:
        shard: Its number.
        arrived: Whether it has come from another node, which has let go of it.
    """

    shard: int
    arrived: bool


class Noted(NamedTuple):
    """From the disk: whether it is written who has what, and with it what was taken before.

    Attributes:
        is_durable: Whether it is.
        taken: Shard -> epoch, of what was taken and not known to be on the disk when it was asked for.
    """

    is_durable: bool
    taken: dict[int, int]


class NoteAgain(NamedTuple):
    """The timer that writes it once more."""


class Leaving(NamedTuple):
    """A shard on its way to another node."""

    to: str
    transfer: bytes
    departure: Pid
    caller: From
    since_s: float


class PlacementActor(LoadingActor):
    """Knows who has which shard.

    Args:
        weights: The nodes of the cluster and their weights, this one among them.
        store: The node's store.
        router: Is told where shards are.
        estate: The shards that run here.
        warn: Tells the operator: an event, and what belongs to it.
        move_limits: The bounds of each move.
    """

    __slots__ = (
        "_atlas",
        "_copies",
        "_estate",
        "_leaving",
        "_move_limits",
        "_node",
        "_residents",
        "_router",
        "_store",
        "_taken",
        "_untold",
        "_unwritten",
        "_up",
        "_warn",
        "_weights",
    )

    departure: ClassVar[type[DepartureActor]] = DepartureActor
    _atlas: Atlas

    def __init__(
        self,
        weights: Mapping[str, float],
        store: Store,
        router: Router,
        estate: Estate,
        warn: Callable[..., object],
        move_limits: MoveLimits = MoveLimits(),  # noqa: B008  # immutable
    ) -> None:
        super().__init__()
        self._weights = weights
        self._store = store
        self._router = router
        self._estate = estate
        self._warn = warn
        self._move_limits = move_limits
        self._up: set[str] = set()
        self._untold: set[str] = set()
        self._leaving: dict[int, Leaving] = {}
        self._taken: set[int] = set()
        self._unwritten: dict[int, int] = {}

    def init(self) -> None:
        """Ask what was known before, and who is up."""
        self._node = self.process.runtime.node
        self._residents = Residents(self.process, self._router, self._estate)
        self._copies = Copies(self.process, self._store)
        self.process.trap_exit = True  # moves end with this process, and not the other way round
        self._store.directory.get(places_key(), *answers(self.process, Remembered))
        self._subscribe()

    def _subscribe(self) -> None:
        process = self.process
        membership = process.runtime.whereis(MEMBERSHIP)
        if membership is None:
            process.send_after(RESUBSCRIBE_S, Resubscribe())
        else:
            for node in self._up - process.runtime.foreign.linked.keys():
                self._lose(node)  # nobody was there to tell
            process.monitor(membership)
            process.cast(membership, Subscribe(process.pid))

    def receive_info(self, message: Any) -> None:
        """What comes from the disk, from membership, supervisors and monitors."""
        match message:
            case Remembered(value):
                self._remember(value)
            case NodeUp(node):
                self._up.add(node)
                self._tell((node,))
                self.process.insist(Named(node, PLACEMENT), Speak(self._node))  # one who died may have heard it
            case NodeDown(node):
                self._lose(node)
            case Reply():
                self._residents.answered(message)
            case Down():
                self.process.send_after(RESUBSCRIBE_S, Resubscribe())
            case Resubscribe():
                self._subscribe()
            case TakeAgain():
                self._take_again(message)
            case Noted():
                self._noted(message)
            case NoteAgain():
                self._note()
            case CopyKept():
                self._copies.review_later()
            case ReviewCopies():
                self._copies.review()
            case TellAgain():
                untold, self._untold = self._untold & self._up, set()
                self._tell(untold)
            case Exit(source, reason) if source == self.process.parent:
                self.process.stop(reason)
            case Exit(source):
                if not self._copies.ended(source):
                    self._departure_ended(source)

    def _lose(self, node: str) -> None:
        """A link has broken. If another took its place at once, that node may have spoken over it already."""
        self._up.discard(node)
        if self.is_loaded:
            if node in self.process.runtime.foreign.linked:
                self._learned({shard for shard, place in self._atlas.places.items() if place.node == node})
            else:
                self._atlas.lose(node)

    def _remember(self, value: bytes | None) -> None:
        places = decode_places(value)
        others = {shard: place for shard, place in places.items() if place.node != self._node}
        self._atlas = Atlas(self._node, self._weights, others)
        for shard, epoch in self._estate.shards.items():
            self._atlas.put(shard, Place(self._node, epoch))
        for shard, node in self._atlas.orphans().items():
            self._warn("shard_without_node", shard=shard, node=node, fix="name it in cluster.nodes; move its shards")
        self._learned(self._atlas.places)
        self._copies.review()
        self.loaded()
        self._yield(self._node)
        forgotten = self._store.holdings().keys() - self._estate.shards.keys()
        forgotten = {shard for shard in forgotten if self._is_mine(shard)}
        if forgotten:
            self._take(sorted(forgotten))  # this process has crashed while they were to move
        else:
            self._tell(self._up)
        self._claim()

    # Who has what.

    def _holdings(self) -> Holdings:
        running = self._estate.shards  # also one that another node has only been asked to take
        leaving = {shard: leaving.transfer for shard, leaving in self._leaving.items() if shard not in running}
        leaving |= dict.fromkeys(self._unwritten, b"")
        idle = [it for it in self._store.holdings() if it not in running and it not in leaving and self._is_mine(it)]
        leaving |= dict.fromkeys(idle, b"")  # they run again soon; nobody may take them for lost
        gone = {shard: Gone(gone.node, gone.transfer, gone.epoch) for shard, gone in self._store.gone().items()}
        held = {shard: epoch for shard, epoch in running.items() if shard not in self._unwritten}
        places = {shard: place for shard, place in self._atlas.places.items() if shard not in self._unwritten}
        return Holdings(self._node, held, leaving, gone, places)

    def _tell(self, nodes: Iterable[str]) -> None:
        if self.is_loaded:
            holdings = self._holdings()
            untold = [node for node in sorted(nodes) if not self.process.insist(Named(node, PLACEMENT), holdings)]
            if untold and self._untold.isdisjoint(untold):
                self.process.send_after(TELL_AGAIN_S, TellAgain())
            self._untold.update(untold)

    def _hear(self, holdings: Holdings) -> None:
        """Another node has spoken: at a new link, or because something has changed."""
        atlas, node = self._atlas, holdings.node
        is_new = node not in atlas.heard
        news = atlas.hear(holdings)
        for lacking in (holdings, self._holdings()) if is_new else ():
            for shard in atlas.missing(lacking):
                if lacking is holdings or shard not in self._taken:  # else the disk has yet to note that it is ours
                    self._warn("shard_lost", shard=shard, node=lacking.node, fix="restore its data folder from a copy")
        self._yield(node)
        for shard, gone in holdings.gone.items():
            self._activate(shard, gone)
        self._copies.hear(holdings)
        unknown = {shard for shard in holdings.shards if self._router.node_of(shard) is None}
        self._learned(news | unknown | (holdings.shards.keys() if is_new else set()))
        for shard in holdings.leaving:
            if self._router.places.get(shard) == node:
                del self._router.places[shard]  # whoever asks is told at once that nobody has it, and when to ask again
        if news:
            self._note()
        self._claim()

    def _yield(self, teller: str) -> None:
        """Run nothing that is known to be another's, nor under an epoch below one that this node had before."""
        for shard, epoch in tuple(self._estate.shards.items()):
            place = self._atlas.places[shard]
            if place.node != self._node:
                fix = f"the data of {self._node} is older: find out why"
                self._warn("shard_fenced", shard=shard, owner=place.node, fix=fix)
                self._residents.stop(shard, _nothing)
                self._router.places[shard] = place.node
            elif place.epoch > epoch:
                fix = "nothing to do if its data folder is a copy that was restored"
                self._warn("shard_restored", shard=shard, told_by=teller, fix=fix)
                self._residents.stop(shard, partial(self._take, (shard,)))

    def _is_mine(self, shard: int) -> bool:
        """Whether nobody else is known to have a shard whose data are here."""
        place = self._atlas.places.get(shard)
        return place is None or place.node == self._node

    def _learned(self, shards: Iterable[int]) -> None:
        """Let router and shards know where these are; what was said to them meanwhile may be lost."""
        reachable = tuple(sorted(shards))
        for shard in reachable:
            place = self._atlas.places[shard]
            if place.node != self._node:
                self._router.places[shard] = place.node
        for shard in self._estate.shards:
            pid = self._router.live_shard(shard)
            if pid is not None and reachable:
                self.process.cast(pid, Reachable(reachable))

    def _note(self) -> None:
        """Remember durably who has what: nobody claims a shard of a node that has lost it."""
        written = dict(self._unwritten)
        noted = inform(self.process, lambda is_durable: Noted(is_durable, written))
        self._store.directory.put(places_key(), encode_places(self._atlas.places), noted)

    def _noted(self, noted: Noted) -> None:
        """What was taken before is on the disk too: now it may be told, for nobody will forget it."""
        if not noted.is_durable:
            self.process.send_after(TAKE_AGAIN_S, NoteAgain())
            return
        for shard, epoch in noted.taken.items():
            if self._unwritten.get(shard) == epoch:
                del self._unwritten[shard]
        if noted.taken:
            self._tell(self._up)

    def _claim(self) -> None:
        claims = self._atlas.claims(range(SHARDS))
        if claims:
            self._take(claims)

    def _take(self, shards: Iterable[int], *, arrived: bool = False) -> None:
        """Own shards and run them; everybody hears of it once it is on the disk.

        The disk may want to finish something with one first.
        """
        for shard in shards:
            place = self._atlas.places.get(shard)
            above = place.epoch if place is not None and place.node == self._node else 0
            try:
                (epoch,) = self._store.take_ownership((shard,), above).values()
            except ShardAwayError:
                self.process.send_after(TAKE_AGAIN_S, TakeAgain(shard, arrived))
            else:
                self._taken.add(shard)
                self._unwritten[shard] = epoch
                self._atlas.put(shard, Place(self._node, epoch))
                self._residents.start(shard, epoch)
        self._note()

    def _take_again(self, again: TakeAgain) -> None:
        """The disk may be done with it, unless it has gone after all, or somebody else has it now."""
        shard = again.shard
        if again.arrived:
            is_free = self._copies.whole(shard) is not None
        else:
            is_free = self._is_mine(shard) and shard not in self._store.gone()
        if is_free and shard not in self._leaving and shard not in self._estate.shards:
            self._take((shard,), arrived=again.arrived)
        else:
            self._tell(self._up)

    def _unowned(self, unowned: Unowned) -> None:
        """The disk would not note that a shard is ours, so nothing that is written there counts: once more."""
        shard = unowned.shard
        if self._estate.shards.get(shard) == unowned.epoch:
            self._unwritten.pop(shard, None)
            again = TakeAgain(shard, arrived=self._copies.whole(shard) is not None)
            self._residents.stop(shard, lambda: self.process.send_after(TAKE_AGAIN_S, again))

    def _activate(self, shard: int, gone: Gone) -> None:
        """Its former node has let go of a shard; if the copy here is the one, it lives here now."""
        whole = self._copies.whole(shard)
        is_it = whole is not None and whole.transfer == gone.transfer
        if gone.node == self._node and is_it and shard not in self._estate.shards:  # said again before it is durable
            self._take((shard,), arrived=True)

    # Moves.

    def handle_call(self, request: Any, caller: From) -> None:
        """Questions of operators."""
        if not self.is_loaded:
            sentence = "This node starts; ask again in a moment."
            self.process.reply(caller, MoveRefused(-1, sentence, MoveCode.STARTING))
            return
        match request:
            case ListShards():
                self.process.reply(caller, ShardList([self._place(shard) for shard in range(SHARDS)]))
            case MoveShard(shard, to):
                leaving = {number: leaving.to for number, leaving in self._leaving.items()}
                reason = self._atlas.reason_against(shard, to, self._estate.shards, leaving, self._up)
                if reason is None:
                    self._depart(shard, to, caller)
                else:
                    code, sentence = reason
                    self.process.reply(caller, MoveRefused(shard, sentence, code))
            case _:
                super().handle_call(request, caller)

    def _place(self, shard: int) -> ShardPlace:
        due = rendezvous(shard, self._weights)
        place = self._atlas.places.get(shard)
        if place is None:
            return ShardPlace(shard, "", 0, due, "unclaimed")
        here = place.node == self._node
        state = "moving" if shard in self._leaving else "up" if here or place.node in self._up else "away"
        return ShardPlace(shard, place.node, place.epoch, due, state)

    def _depart(self, shard: int, to: str, caller: From) -> None:
        process = self.process
        transfer = process.runtime.randomness.bytes(TRANSFER_SIZE_BYTES)
        departure = self.departure(self._store, shard, to, transfer, process.pid, self._move_limits)
        pid = process.start_link(departure)
        self._leaving[shard] = Leaving(to, transfer, pid, caller, 0.0)

    def _vacate(self, vacate: Vacate) -> None:
        """The other side is ready: from now on the shard runs nowhere."""
        leaving = self._leaving.get(vacate.shard)
        if leaving is None or leaving.departure != vacate.departure:
            return
        if vacate.shard not in self._estate.shards:
            self.process.cast(vacate.departure, Declined(f"{self._node} does not run shard {vacate.shard} any more."))
            return
        self._leaving[vacate.shard] = leaving._replace(since_s=self.process.runtime.clock.now_s())
        self._residents.stop(vacate.shard, lambda: self.process.cast(vacate.departure, Vacated()))
        self._tell(self._up)

    def _departed(self, departed: Departed) -> None:
        leaving = self._leaving.pop(departed.shard, None)
        if leaving is not None:
            still_s = self.process.runtime.clock.now_s() - leaving.since_s
            answer = Moved(departed.shard, leaving.to, departed.rows, departed.size_bytes, still_s)
            self._tell(self._up)
            self.process.reply(leaving.caller, answer)

    def _not_moved(self, not_moved: NotMoved) -> None:
        leaving = self._leaving.pop(not_moved.shard, None)
        if leaving is None:
            return
        if not_moved.shard not in self._estate.shards and self._is_mine(not_moved.shard):
            self._take((not_moved.shard,))
        else:
            self._tell(self._up)
        self.process.reply(leaving.caller, MoveRefused(not_moved.shard, not_moved.sentence, not_moved.code))

    def _departure_ended(self, pid: Pid) -> None:
        """It has said how it ended, unless it crashed."""
        for shard, leaving in tuple(self._leaving.items()):
            if leaving.departure == pid:
                if shard in self._store.gone():
                    self._departed(Departed(shard, 0, 0))
                else:
                    sentence = "The move crashed; see the log, and ask again."
                    self._not_moved(NotMoved(shard, MoveCode.CRASHED, sentence))

    def _offered(self, offer: Offer) -> None:
        """Another node wants to hand a shard over."""
        sentence = self._copies.reason_against(offer)
        if offer.shard in self._estate.shards:
            sentence = f"{self._node} has shard {offer.shard} itself."
        elif sentence is None and (full := self._store.accepting()) is not None:
            sentence = f"{self._node} takes nothing now: {full.sentence}"
        if sentence is not None:
            self.process.insist(offer.departure, Declined(sentence))
            return
        self._copies.bring(offer)

    def receive(self, message: Any) -> None:
        """What other nodes and the moves say."""
        self._routes[type(message)](self, message)

    _routes: Final[dict[type, Any]] = {
        Holdings: _hear,
        Speak: lambda self, speak: self._tell((speak.node,)),
        Offer: _offered,
        Vacate: _vacate,
        Departed: _departed,
        NotMoved: _not_moved,
        Unowned: _unowned,
    }


def _nothing() -> None:
    """Nothing follows."""
