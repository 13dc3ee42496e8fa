"""Late recovery R: one's own shares of a convicted dealer from the plaintexts of k other receivers. Pure.

Plaintexts that pass the test lie on the dealer's polynomials, since the dealer fixed them before gamma was known; so
any k of them give the same shares. Source: docs/protocol/dkg.md section 4.
"""

from collections.abc import Mapping

from authnet_core.crypto.scalars import block_of, rows_of
from authnet_core.crypto.shamir import lagrange
from authnet_core.protocol.dkg.check import Plain
from authnet_core.protocol.dkg.params import Party


def interpolate_plain(plains: Mapping[Party, Plain], me: Party) -> Plain:
    """All rows at the index of `me`, from k tested plaintexts; v_i is the same in each. The result is to be tested."""
    coefficients = lagrange(sorted(plains), me)
    columns = [rows_of(plains[party].shares) for party in coefficients]
    rows = zip(*columns, strict=True)
    shares = block_of([sum(c * s for c, s in zip(coefficients.values(), row, strict=True)) for row in rows])
    return Plain(shares, next(iter(plains.values())).contribution)
