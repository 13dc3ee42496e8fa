"""Drives one resharing: as a session's driver does, with two committees to speak to and to sign for."""

from __future__ import annotations

from typing import Any

from authnet_core.protocol.dkg.params import Party
from authnet_core.protocol.reshare.effects import SendAllNew, SendNew, SendOld, Submit
from authnet_core.protocol.reshare.machine import Resharing
from authnet_core.protocol.reshare.messages import ReshareDeal, ReshareMessage, ReshareTest
from authnet_core.protocol.reshare.params import ReshareParams, Sender
from authnet_core.protocol.views import ReshareView
from p2p_dkg.runner.driver import SENT, MachineDriver, Surroundings
from p2p_dkg.runner.records import SessionShelves
from p2p_dkg.runner.transactions import reshare_transaction


class ReshareDriver(MachineDriver[ReshareView, Sender, ReshareMessage]):
    """One batch on its way from one committee to the next. `may_deal`: whether it was made with shares to deal."""

    max_per_sender = 16
    """Less than at a session: more of these run at a time, and each message has up to 1.5 MiB."""

    def __init__(
        self,
        params: ReshareParams,
        machine: Resharing,
        shelves: SessionShelves,
        around: Surroundings,
        *,
        may_deal: bool,
    ) -> None:
        super().__init__(params.rid, machine, shelves, around)
        self.from_epoch, self.to_epoch, self.may_deal = params.from_epoch, params.to_epoch, may_deal

    @property
    def is_late(self) -> bool:
        """Whether the chain has settled it already."""
        return self.view is not None and self.view.phase == "final"

    def show(self) -> dict[str, Any]:
        """For `status`."""
        view = self.view
        return {
            "rid": self.key.hex(),
            "first_index": view.first_index if view is not None else 0,
            "count": view.count if view is not None else 0,
            "phase": view.phase if view is not None else "",
            "missing": list(self._missing),
            "outcome": self.outcome,
        }

    async def _speak(self, effect: Any) -> None:
        mesh = self._around.mesh
        match effect:
            case SendOld(to, message):
                SENT.labels(type(message).__name__).inc()
                mesh.send(self.from_epoch, to, message)
            case SendNew(to, message):
                SENT.labels(type(message).__name__).inc()
                mesh.send(self.to_epoch, to, message)
            case SendAllNew(message):
                mesh.send_all(self.to_epoch, message)
            case Submit(message):
                kind, fields = reshare_transaction(message)
                is_old = isinstance(message, ReshareDeal | ReshareTest)
                await self._around.desk.try_send(self.from_epoch if is_old else self.to_epoch, kind, fields)

    def _reach(self, point: str) -> None:
        super()._reach(f"reshare:{point}")

    def _name_of(self, party: Party, reason: str) -> str:
        return f"{'old' if reason.startswith('old') else 'new'}/{party}"
