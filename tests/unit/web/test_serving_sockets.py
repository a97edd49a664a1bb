"""What is written to a browser is not held back."""

import asyncio
import socket

import pytest

from annotator.errors import ConfigError
from annotator.web.serving import listen


def test_an_answer_in_two_parts_does_not_wait_for_an_acknowledgement() -> None:
    async def without_delay() -> int:
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen("127.0.0.1", 0)
        async with await asyncio.start_server(answer, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            try:
                return await asked
            finally:
                writer.close()

    assert asyncio.run(without_delay())


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match=f"{taken.getsockname()[1]}.*--port"):
        listen("127.0.0.1", taken.getsockname()[1])
