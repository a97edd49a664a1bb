"""A map as a browser takes it: one answer of few bytes, with the names that the database has now.

    u32         bytes of the JSON, padded with spaces so that the numbers after it are aligned
    JSON        people (rows of id, name, photographs, sampled faces, [place, cosine in percent, …]), counts, model, …
    f16 (M, 3)  points: people, then faces with a name, then faces without
    u32 (N,)    of each face with a name, the place of its person

All little-endian. The u32 begin at a multiple of four: an odd M has two bytes of nothing before them.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from annotator.space.placing import SpaceMap
from annotator.types import I64

_WORD: Final = 4
MEDIA_TYPE: Final = "application/octet-stream"


def pack_map(space: SpaceMap, names: Mapping[int, tuple[int, str]]) -> bytes:
    """Return the bytes.

    Args:
        space: the map.
        names: of identities, who stands for them now and under which name. Who is not in it is not shown: such faces
            have no name.

    """
    is_shown = np.array([one in names for one in space.identity_id.tolist()], np.bool_)
    place = np.cumsum(is_shown) - 1
    by_id: dict[int, int] = {}
    for old, identity_id in enumerate(space.identity_id.tolist()):
        if is_shown[old]:
            by_id[identity_id] = int(place[old])
    is_named = np.array([one in by_id for one in space.named_id.tolist()], np.bool_)
    whose = np.array([by_id[one] for one in space.named_id[is_named].tolist()], "<u4")
    points = np.concatenate(
        [space.people_xyz[is_shown], space.named_xyz[is_named], space.named_xyz[~is_named], space.unnamed_xyz]
    )
    header = {
        "model": space.model,
        "made_at": space.made_at.isoformat(),
        "explained": [round(float(one), 4) for one in space.explained],
        "named": len(whose),
        "unnamed": len(space.unnamed_xyz) + int((~is_named).sum()),
        "people": _people(space, names, place, np.bincount(whose, minlength=len(place))),
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _WORD)
    halves = points.astype("<f2").tobytes()
    halves += b"\0" * (-len(halves) % _WORD)
    return len(text).to_bytes(_WORD, "little") + text + halves + whose.tobytes()


def _people(space: SpaceMap, names: Mapping[int, tuple[int, str]], place: I64, faces: I64) -> list[list[Any]]:
    """Return the rows of the people; ``faces`` are counted by their new places."""
    ids = space.identity_id.tolist()
    rows: list[list[Any]] = []
    for old in [place for place, identity_id in enumerate(ids) if identity_id in names]:
        survivor_id, name = names[ids[old]]
        alike = [
            number
            for other, cosine in zip(space.alike[old].tolist(), space.alike_cosine[old].tolist(), strict=True)
            if ids[other] in names
            for number in (int(place[other]), round(100 * cosine))
        ]
        rows.append([survivor_id, name, int(space.photographs[old]), int(faces[place[old]]), alike])
    return rows
