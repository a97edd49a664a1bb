"""Media that kill, hang or fill whatever looks at them: named, and no other suffers."""

import resource
import signal
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from annotator.store.tables import WorkState
from annotator.types import U8
from tests.faults.clips import FILM_KEY
from tests.faults.ends import end_without_waits, only, with_failure
from tests.faults.programs import DecoderDeed
from tests.faults.rows import Rows, assert_same_rows
from tests.faults.servers import Servers
from tests.faults.system import Backlog, MakeSystem, System, prepare_backlog
from tests.media_factory import read_media

pytestmark = [pytest.mark.servers, pytest.mark.faults]

GUILTY, BOMB, INNOCENT = "gifs/stranger.gif", "gifs/bomb.png", "gifs/ben.gif"
LARGE = "gifs/edith.gif"
# Less than the large clip, more than the small ones and any log of a test.
DISK_BYTES = 130_000


@pytest.fixture
def guilty_frames(backlog: Backlog, tmp_path: Path) -> Sequence[U8]:
    """All frames of the guilty clip; no other has any of them."""
    path = tmp_path / "guilty.gif"
    path.write_bytes(backlog.clips[GUILTY])
    return list(read_media(path)[0].images)


# ------------------------------------------------------------------------------------------------------------- decoders


DECODER_ENDS: Final[Mapping[DecoderDeed, tuple[str, str]]] = {
    "die": ("undecodable", "makes the decoder die of signal 11; re-encode it or fetch it anew."),
    "hang": ("decode_timeout", "takes more than 4 s of wall time to decode; cut it or raise the limit."),
}


@pytest.mark.parametrize("deed", DECODER_ENDS)
def test_a_media_that_lets_its_decoder(
    make_system: MakeSystem, backlog: Backlog, undisturbed: Rows, deed: DecoderDeed
) -> None:
    system = make_system(decode__timeout_s=4)
    system.start_beat()
    worker = system.worker()
    worker.spoil_decoder(deed, backlog.clips[GUILTY])
    worker.start()
    reason, why = DECODER_ENDS[deed]
    system.assert_ends_as(with_failure(undisturbed, GUILTY, reason, f"{GUILTY} {why}"))


@pytest.mark.parametrize("key", [LARGE, FILM_KEY])
def test_a_decoder_that_is_killed_by_somebody_else_is_not_its_medias_fault(
    system: System, backlog: Backlog, undisturbed: Rows, key: str
) -> None:
    system.start_beat()
    worker = system.worker()
    worker.spoil_decoder("be-killed", backlog.clips[key])
    worker.start()
    worker.wait_for_deed("decoder-be-killed")
    end_without_waits(system)
    system.assert_ends_as(undisturbed)
    assert system.s3.reads[key] == 2


def test_a_media_that_fills_the_memory_of_its_decoder(servers: Servers, backlog: Backlog, tmp_path: Path) -> None:
    clips = {INNOCENT: backlog.clips[INNOCENT], BOMB: png_bomb(6000)}
    assert len(clips[BOMB]) < 1_000_000
    found = prepare_backlog(servers, tmp_path, clips, decode__memory_bytes=256 << 20).rows
    assert found.failures == {BOMB: "too_large"}
    assert_same_rows(only(found, {INNOCENT}), only(backlog.rows, {INNOCENT}))
    (message,) = (values[2] for key, values in found.work.items() if key[1] == BOMB)
    assert message == f"{BOMB} needs more than 256 MiB to decode; make it smaller or raise the limit."


def png_bomb(side_px: int) -> bytes:
    """Return a picture of one colour in 8 bytes a pixel, small as a file."""
    packing = zlib.compressobj()
    row = bytes(1 + 8 * side_px)
    pixels = b"".join(packing.compress(row) for _ in range(side_px)) + packing.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 16, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


# ------------------------------------------------------------------------------------------------------------- networks


def test_a_media_that_kills_its_worker_each_time_is_quarantined_and_no_other(
    system: System, undisturbed: Rows, guilty_frames: Sequence[U8]
) -> None:
    system.start_beat()
    for _ in range(4):  # once among others, three times alone
        worker = system.worker()
        worker.spoil_network("die", guilty_frames)
        worker.start()
        assert worker.wait_for_end() == -signal.SIGKILL
    system.start_worker()
    why = "its worker process died three times with nothing else in hand"
    expected = with_failure(undisturbed, GUILTY, "worker_died", why, state=WorkState.QUARANTINED)
    system.assert_ends_as(expected)
    assert system.count("work", "deaths > 0") == 1


def test_a_media_at_which_the_networks_raise_is_named_and_no_other(
    make_system: MakeSystem, undisturbed: Rows, guilty_frames: Sequence[U8]
) -> None:
    system = make_system(worker__max_attempts=2)
    system.start_beat()
    worker = system.worker()
    worker.spoil_network("raise", guilty_frames)
    worker.start()
    end_without_waits(system)
    why = "an unexpected RuntimeError: these frames break the network"
    system.assert_ends_as(with_failure(undisturbed, GUILTY, "internal", why))
    assert system.count("worker_sessions") == 1


def test_a_media_from_which_the_networks_do_not_return_in_time_costs_a_process_and_is_done_by_the_next(
    make_system: MakeSystem, undisturbed: Rows, guilty_frames: Sequence[U8]
) -> None:
    system = make_system(worker__gif_deadline_s=5, worker__film_deadline_s=5)
    system.start_beat()
    worker = system.worker()
    worker.spoil_network("hang", guilty_frames)
    worker.start()
    assert worker.wait_for_end() == 1
    system.wait_for_rows("work", "suspect AND losses = 1")
    system.start_worker()
    end_without_waits(system)
    system.assert_ends_as(undisturbed)


# ----------------------------------------------------------------------------------------------------------------- disk


def test_a_disk_that_is_full_costs_time_only(system: System, undisturbed: Rows) -> None:
    system.start_beat()
    worker = system.start_worker()
    # No file of this process may grow beyond that: as if its disk were full.
    resource.prlimit(worker.child.pid, resource.RLIMIT_FSIZE, (DISK_BYTES, resource.RLIM_INFINITY))
    system.wait_for_rows("work", "state = 0 AND reason = 'local_disk' AND not_before IS NOT NULL")
    system.wait_for_rows("work", "state >= 2", at_least=10)
    resource.prlimit(worker.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    end_without_waits(system)
    system.assert_ends_as(undisturbed)
