"""What does a message cost its sender and its receiver? One client for a channel, beside one for each command.

    python benchmarks/queue/messages.py

It starts its own Valkey, sends messages of 64 media as the feeder does, takes and acknowledges them as a worker's
consumer does, in turns with Kombu's own channel, and prints the processor time of this process, the best of five.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kombu import Consumer, Message, Queue
from kombu.transport.redis import Channel

from annotator.settings import Settings
from annotator.stack.broker import BrokerChild
from annotator.stack.child import free_port
from annotator.store.queue.chunks import Chunk
from workers import transport
from workers.app import create_app
from workers.beat.broker import RedisBroker

MESSAGES = 300
ROUNDS = 5


def cheapest_us(run: Callable[[], object]) -> float:
    """Return the processor time of one call, in microseconds."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        began_s = time.process_time()
        for _ in range(MESSAGES):
            run()
        best_s = min(best_s, (time.process_time() - began_s) / MESSAGES)
    return best_s * 1e6


def measure(url: str) -> tuple[float, float]:
    """Return the microseconds of sending a message, and of taking and acknowledging one."""
    app = create_app(Settings(broker_url=url))
    broker = RedisBroker(app)
    chunk = Chunk(id=1, network_id=1, lane="gif", media_ids=tuple(range(1_000_000, 1_000_064)), queue="gpu")
    sent_us = cheapest_us(lambda: broker.publish(chunk))
    with app.connection_for_read() as connection:

        def acknowledge(_: object, message: Message) -> None:
            message.ack()

        consumer = Consumer(
            connection.default_channel, queues=[Queue("gpu")], callbacks=[acknowledge], prefetch_count=4
        )
        with consumer:
            taken_us = cheapest_us(lambda: connection.drain_events(timeout=5))
    return sent_us, taken_us


def main() -> None:
    """Measure both, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        server = BrokerChild(Path(folder), free_port())
        try:
            own = transport.StrictChannel._create_client  # noqa: SLF001  (what is compared)
            for name, make_client in (("Kombu's", Channel._create_client), ("one client", own)) * 2:  # noqa: SLF001
                transport.StrictChannel._create_client = make_client  # noqa: SLF001
                sent_us, taken_us = measure(server.url)
                print(f"{name}: sent in {sent_us:.0f} us, taken and acknowledged in {taken_us:.0f} us")
        finally:
            server.process.stop(timeout_s=5.0)


if __name__ == "__main__":
    main()
