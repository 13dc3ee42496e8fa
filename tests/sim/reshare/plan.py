"""One simulated resharing, drawn from one seed: sizes, who lies how, crashes, weather."""

from dataclasses import dataclass
from random import Random

from authnet_core.protocol.committee import Committee
from tests.sim.reshare.dealers import OLD_STRATEGIES
from tests.sim.reshare.receivers import NEW_STRATEGIES

SIZES = ((5, 5), (5, 9), (9, 6), (9, 5), (6, 5), (9, 9))


@dataclass(frozen=True)
class Weather:
    """Shares of peer messages and transactions that get lost or come twice, and the delay of each in ms."""

    loss: float = 0.0
    twice: float = 0.0
    delay: tuple[int, int] = (1, 60)


@dataclass(frozen=True)
class Plan:
    """`shared` nodes are in both committees, old j being new j. `crashes`: node number -> which of its stores it does
    not survive, one after the other."""

    seed: int
    old: int = 5
    new: int = 5
    shared: int = 0
    count: int = 2
    old_lies: tuple[tuple[int, str], ...] = ()
    new_lies: tuple[tuple[int, str], ...] = ()
    company: int = 0
    """So many old members, the last ones, share keys that they agreed on instead of the true ones."""
    crashes: tuple[tuple[int, tuple[int, ...]], ...] = ()
    weather: Weather = Weather()
    upgraded: tuple[int, ...] = ()
    without_key: tuple[int, ...] = ()

    @property
    def is_calm(self) -> bool:
        return self.weather == Weather() and not self.crashes


def draw(seed: int) -> Plan:
    """A plan within the bounds: at most t old and t' new liars, so that it must complete."""
    rng = Random(seed)
    old, new = rng.choice(SIZES)
    shared = rng.choice((0, min(old, new), rng.randint(1, min(old, new))))
    count = rng.randint(1, 3)
    old_liars = rng.sample(range(1, old + 1), rng.randint(0, Committee.of(old).t))
    new_liars = rng.sample(range(1, new + 1), rng.randint(0, Committee.of(new).t))
    nodes = old + new - shared
    crashes = {rng.randrange(nodes): tuple(sorted(rng.sample(range(1, 16), 3))) for _ in range(rng.choice((0, 1, 3)))}
    weathers = (Weather(), Weather(delay=(1, 900)), Weather(0.15, 0.2, (1, 400)))
    return Plan(
        seed=seed,
        old=old,
        new=new,
        shared=shared,
        count=count,
        old_lies=tuple((j, rng.choice(OLD_STRATEGIES)) for j in old_liars),
        new_lies=tuple((m, rng.choice(NEW_STRATEGIES)) for m in new_liars),
        crashes=tuple(sorted(crashes.items())),
        weather=rng.choice(weathers),
        upgraded=(0,) if rng.random() < 0.2 else (),
        without_key=(rng.randint(1, new),) if not new_liars and rng.random() < 0.2 else (),
    )
