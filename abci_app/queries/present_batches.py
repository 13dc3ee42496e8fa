"""Views of batches and of their resharing."""

from __future__ import annotations

from abci_app.state import batch_records as b
from abci_app.state.bits import parties
from authnet_core.protocol import views as v


def batch_view(batch: b.Batch) -> v.BatchView:
    return v.BatchView(
        id=batch.id.hex(),
        epoch=batch.epoch,
        first_index=batch.first_index,
        count=batch.count,
        root=batch.root.hex(),
        holders=parties(batch.holders),
        source=batch.source.hex(),
    )


def reshare_view(reshare: b.Reshare, height: int) -> v.ReshareView:
    deals = {
        dealer: v.ReshareDealView(e=deal.e.hex(), pok=deal.pok.hex(), root=deal.root.hex(), height=deal.height)
        for dealer, deal in enumerate(reshare.deals, start=1)
        if deal is not None
    }
    complaints = tuple(
        v.ComplaintView(dealer=c.dealer, complainer=c.complainer, upheld=c.upheld, height=c.height)
        for c in reshare.complaints
    )
    digest = reshare.hash.hex()
    return v.ReshareView(
        rid=reshare.rid.hex(),
        from_epoch=reshare.from_epoch,
        to_epoch=reshare.to_epoch,
        curve=reshare.curve,
        first_index=reshare.first_index,
        count=reshare.count,
        root=reshare.root.hex(),
        source=reshare.source.hex(),
        mask_index=reshare.mask_index,
        mask_source=reshare.mask_source.hex(),
        attempt=reshare.attempt,
        counter=reshare.counter,
        eks=tuple(ek.hex() for ek in reshare.eks),
        phase=reshare.phase,
        h0=reshare.h0,
        t0_ms=reshare.t0_ms,
        deals=deals,
        dealers=reshare.dealers,
        gamma_seed=reshare.gamma_seed.hex(),
        tests={dealer: tuple(c.hex() for c in u) for dealer, u in enumerate(reshare.tests, start=1) if u},
        acks={member: bitmap for member, bitmap in enumerate(reshare.acks, start=1) if bitmap},
        sums={member: said.hex() for member, said in enumerate(reshare.sums, start=1) if said},
        complaints=complaints,
        candidates=reshare.candidates,
        blamed=reshare.blamed,
        q=reshare.q,
        readies=dict.fromkeys(parties(reshare.readies), digest),
        hash=digest,
        holders=parties(reshare.holders),
        final_height=reshare.final_height,
        final_ms=reshare.final_ms,
        height=height,
    )
