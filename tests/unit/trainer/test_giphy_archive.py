import gzip
import io
import tarfile
from pathlib import Path

import pytest

from annotator.errors import ConfigError, LocalDiskError, ModelError
from tests.giphy_files import tar_gz
from trainer.giphy.archive import Limits, open_release

PKL = "resources/face_recognition/best_model_states.pkl"
CSV = "resources/face_recognition/labels.csv"
SMALL = Limits(total_bytes=100_000, checkpoint_bytes=50_000, labels_bytes=1_000, members=10)


def read(path: Path, limits: Limits = SMALL) -> tuple[bytes, bytes | None]:
    with open_release(path, scratch_dir=path.parent, limits=limits) as release:
        release.checkpoint.seek(0)
        return release.checkpoint.read(), release.labels


def refusal(path: Path, limits: Limits = SMALL) -> str:
    before = sorted(path.parent.iterdir())
    with pytest.raises(ModelError) as caught:
        read(path, limits)
    assert "\n" not in str(caught.value)
    assert sorted(path.parent.iterdir()) == before
    return str(caught.value)


def odd_archive(path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(content) if member.size else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in values.items():
        setattr(info, key, value)
    return info


def test_the_checkpoint_and_the_labels_are_found_and_the_rest_is_passed_over(tmp_path: Path) -> None:
    members = {
        "resources/face_detection/det1.npy": b"x" * 700,
        PKL: b"p" * 1500,
        "resources/.DS_Store": b"y",
        CSV: b"l",
    }
    assert read(tar_gz(tmp_path / "a.tar.gz", members)) == (b"p" * 1500, b"l")
    assert read(tar_gz(tmp_path / "b.tar.gz", {f"./{PKL}": b"p"})) == (b"p", None)


def test_folders_and_long_headers_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 2000}) as archive:
        archive.addfile(member("resources", tarfile.DIRTYPE))
        archive.addfile(
            member("resources/" + "long/" * 60 + "name", size=3, pax_headers={"mtime": "1.5"}), io.BytesIO(b"abc")
        )
        archive.addfile(member(PKL, size=3), io.BytesIO(b"pkl"))
    assert read(path) == (b"pkl", None)


def test_the_unpacked_folder_will_do(tmp_path: Path) -> None:
    (tmp_path / "face_recognition").mkdir()
    with pytest.raises(ConfigError, match="best_model_states"):
        read(tmp_path)
    (tmp_path / "face_recognition" / "best_model_states.pkl").write_bytes(b"pkl")
    assert read(tmp_path) == (b"pkl", None)
    (tmp_path / "face_recognition" / "labels.csv").write_bytes(b"csv")
    assert read(tmp_path) == (b"pkl", b"csv")
    (tmp_path / "face_recognition" / "labels.csv").write_bytes(b"c" * 1001)
    assert "larger" in refusal(tmp_path)


def test_an_archive_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no archive"):
        read(tmp_path / "resources.tar.gz")


@pytest.mark.parametrize(
    "name", ["../best_model_states.pkl", "resources/../../x", "/etc/best_model_states.pkl", "a/.."]
)
def test_a_path_that_leads_out_is_refused_and_nothing_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.tar.gz"
    path.parent.mkdir()
    assert "leads out" in refusal(tar_gz(path, {name: b"x", PKL: b"p"}))
    assert sorted(tmp_path.iterdir()) == [path.parent]


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_links_and_devices_are_refused_whatever_their_name(kind: bytes, tmp_path: Path) -> None:
    for name in (PKL, "resources/other"):
        path = odd_archive(tmp_path / "a.tar.gz", member(name, kind, linkname="/etc/passwd"))
        assert "no plain file" in refusal(path)


def test_an_archive_that_swells_ends_with_an_error(tmp_path: Path) -> None:
    for name in (PKL, CSV, "resources/other"):
        path = tar_gz(tmp_path / "bomb.tar.gz", {name: b"\0" * 10_000_000})
        assert path.stat().st_size < 100_000
        assert "over the limit" in refusal(path) or "more than 100000 bytes" in refusal(path)


def test_sizes_that_headers_only_claim_are_refused_at_once(tmp_path: Path) -> None:
    for name in (PKL, CSV, "resources/other"):
        header = member(name, size=2**40).tobuf(tarfile.GNU_FORMAT)
        path = tmp_path / "a.tar.gz"
        path.write_bytes(gzip.compress(header))
        refusal(path, Limits())


def test_a_size_below_zero_is_refused(tmp_path: Path) -> None:
    for kind in (tarfile.REGTYPE, tarfile.XHDTYPE):
        path = tmp_path / "a.tar.gz"
        path.write_bytes(gzip.compress(member(PKL, kind, size=-512).tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048))
        assert "below zero" in refusal(path)


def test_a_header_of_a_header_is_bounded(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME):
        path = tmp_path / "a.tar.gz"
        path.write_bytes(gzip.compress(member("h", kind, size=2**30).tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048))
        assert "over the limit" in refusal(path, Limits())


def test_very_many_members_are_refused(tmp_path: Path) -> None:
    path = tar_gz(tmp_path / "a.tar.gz", {f"resources/{number}": b"" for number in range(11)} | {PKL: b"p"})
    assert "more than 10 members" in refusal(path)
    path.write_bytes(gzip.compress(member("h", tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT) * 11 + b"\0" * 1024))
    assert "more than 10 members" in refusal(path)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    path = tar_gz(tmp_path / "a.tar.gz", {PKL: b"p"})
    with pytest.raises(LocalDiskError, match="use --out"), open_release(path, scratch_dir=tmp_path / "none"):
        pass


def test_two_checkpoints_or_none_are_refused(tmp_path: Path) -> None:
    assert "twice" in refusal(tar_gz(tmp_path / "a.tar.gz", {PKL: b"p", "other/best_model_states.pkl": b"q"}))
    assert "holds no best_model_states.pkl" in refusal(tar_gz(tmp_path / "a.tar.gz", {CSV: b"p"}))


def test_broken_archives_are_refused(tmp_path: Path) -> None:
    whole = tar_gz(tmp_path / "whole.tar.gz", {PKL: bytes(range(256)) * 20, CSV: b"l"}).read_bytes()
    path = tmp_path / "a.tar.gz"
    for content in (b"", b"no gzip at all", gzip.compress(b"no tar" * 200), whole[:40], whole[: len(whole) // 2]):
        path.write_bytes(content)
        refusal(path)
    (changed := bytearray(whole))[-100] ^= 255
    path.write_bytes(bytes(changed))
    refusal(path)
