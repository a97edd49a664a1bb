"""Work out what an archive needs from the measured costs of its parts: workers, database, broker, partitions.

    python benchmarks/capacity.py                                # 10^8 and 10^9 media
    python benchmarks/capacity.py --media 3e7 --days 14 --tracks 1.2

The costs are the constants below, each with the command that measures it; replace them with what your machines and
media give. One machine with a GPU was measured. Of the others the table says what the processors that
decode, and the bus, would allow, and the accelerator is asked for no more than that.
"""

import argparse
import math
from dataclasses import dataclass
from typing import Final

from annotator.store.partitions import CONTENTS_PER_PARTITION
from workers.backlog.forecast import LABEL_BYTES, MEDIA_BYTES, TRACK_BYTES

# make bench, the line `clips`: 69 clips in 18.8 s.
MEDIA_PER_S_TWO_PROCESSORS: Final = 3.66
# make bench-gpu: four processes; and the line `decode`: 160 frames a second and processor, of which a clip has 15.1.
MEDIA_PER_S_H100: Final = 57.6
DECODE_S: Final = 0.095
# A clip has 667 kB, and 20 frames of it 7.8 MB.
OBJECT_BYTES: Final = 667_000
FRAME_BYTES: Final = 7_800_000
# python benchmarks/queue/million.py
STORE_MS: Final = 0.25
CLIENT_MS: Final = 0.29
BROKER_BYTES: Final = 1_700_000
# python benchmarks/registration.py
REGISTER_MS: Final = 0.0113
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of worker.

    Attributes:
        name: what it is.
        processors: cores (hardware threads) that decode.
        price: an hour of it, in dollars.
        bus_bytes_per_s: of the way to the accelerator; None without one.
        media_per_s: measured; None where what decodes is the limit that is assumed.
        measured_limit: what bound it then.

    """

    name: str
    processors: int
    price: float
    bus_bytes_per_s: float | None = None
    media_per_s: float | None = None
    measured_limit: str = "networks"

    @property
    def decode_per_s(self) -> float:
        """Media that its processors decode in a second."""
        return self.processors / DECODE_S

    @property
    def bus_per_s(self) -> float:
        """Media whose frames pass the bus in a second."""
        return math.inf if self.bus_bytes_per_s is None else self.bus_bytes_per_s / FRAME_BYTES

    @property
    def rate(self) -> float:
        """Media a second, and never more than can be decoded."""
        return self.media_per_s or min(self.decode_per_s, self.bus_per_s)

    @property
    def limit(self) -> str:
        """What binds it."""
        if self.media_per_s is not None:
            return f"{self.measured_limit} (measured)"
        return "decoding (not measured)" if self.decode_per_s <= self.bus_per_s else "bus (not measured)"


# Processors as the smallest machines with these accelerators have them (AWS g6.xlarge, g5.xlarge; an eighth of a
# p5.48xlarge). Prices are examples: g5.xlarge and g6.xlarge as listed for us-east-1 in 2026, an H100 in the middle of
# what clouds ask (2 to 4 $); --price gives yours. A PCIe 4.0 x16 bus moves 31.5 GB/s at most, 5.0 twice that, and half
# of it is a careful figure.
MACHINES: Final = (
    Machine("2 processors, no GPU", 2, 0.09, media_per_s=MEDIA_PER_S_TWO_PROCESSORS),
    Machine("H100, 16 processors, four workers", 16, 3.00, media_per_s=MEDIA_PER_S_H100, measured_limit="four workers"),
    Machine("L4, 4 processors", 4, 0.80, bus_bytes_per_s=15e9),
    Machine("A10G, 4 processors", 4, 1.01, bus_bytes_per_s=15e9),
    Machine("H100, 24 processors", 24, 3.00, bus_bytes_per_s=30e9),
)


def machines_table(sizes: list[float], days: float, prices: list[float]) -> str:
    """Return the table of workers."""
    head = [f"{size:.0e}: machine-hours | cost | machines for {days:g} days" for size in sizes]
    lines = [f"| worker | limit | media/s | $ an hour | {' | '.join(head)} |", "|" + "---|" * (4 + 3 * len(sizes))]
    for one, price in zip(MACHINES, prices, strict=True):
        hours = [size / one.rate / 3600 for size in sizes]
        cells = [f"{spent:,.0f} | ${spent * price:,.0f} | {math.ceil(spent / (days * 24)):,}" for spent in hours]
        lines.append(f"| {one.name} | {one.limit} | {one.rate:.3g} | {price:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def store_table(sizes: list[float], days: float, tracks: float, labels: float) -> str:
    """Return the table of everything that is not a worker."""
    row_bytes = MEDIA_BYTES + tracks * TRACK_BYTES + labels * LABEL_BYTES
    rows = {
        "registering, processor-hours": [f"{size * REGISTER_MS / 3.6e6:,.1f}" for size in sizes],
        "database, processor-hours": [f"{size * STORE_MS / 3.6e6:,.0f}" for size in sizes],
        f"database, processors at work for {days:g} days": [
            f"{size * STORE_MS / 1000 / (days * DAY_S):.2f}" for size in sizes
        ],
        "queue and rows in the workers, processor-hours": [f"{size * CLIENT_MS / 3.6e6:,.0f}" for size in sizes],
        "database, bytes": [f"{size * row_bytes / 1e12:.2f} TB" for size in sizes],
        "partitions of contents": [
            f"{math.ceil(size / CONTENTS_PER_PARTITION):,} in each of 6 tables" for size in sizes
        ],
        "broker, bytes": [f"{BROKER_BYTES / 1e6:.1f} MB, whatever the backlog" for _ in sizes],
        "fetched from the bucket": [f"{size * OBJECT_BYTES / 1e12:,.0f} TB" for size in sizes],
    }
    lines = [f"| | {' | '.join(f'{size:.0e} media' for size in sizes)} |", "|" + "---|" * (1 + len(sizes))]
    return "\n".join(lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()])


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=float, nargs="+", default=[1e8, 1e9])
    parser.add_argument("--days", type=float, default=30.0, help="in which the backlog is to be done")
    parser.add_argument("--tracks", type=float, default=1.7, help="of a media, on average")
    parser.add_argument("--labels", type=float, default=0.4, help="tracks of a media with a name, on average")
    usual = [one.price for one in MACHINES]
    told = f"dollars an hour of {'; '.join(one.name for one in MACHINES)}"
    parser.add_argument("--price", type=float, nargs=len(MACHINES), default=usual, help=told)
    options = parser.parse_args()
    print(machines_table(options.media, options.days, options.price))
    print()
    print(store_table(options.media, options.days, options.tracks, options.labels))


if __name__ == "__main__":
    main()
