"""One picture of what the demo has found: two of its clips, and the contact sheet of the third."""

from pathlib import Path
from typing import Final

from PIL import Image

GAP_PX: Final = 8
STILLS: Final = ("two_people.gif", "astronaut.gif")
SHEET: Final = "three_shots.mp4.faces.png"
JPEG_QUALITY: Final = 86


def draw_overview(rendered: Path, path: Path) -> None:
    """Write the overview as JPEG.

    Args:
        rendered: the folder that ``annotator annotate demo/clips --render`` has filled.
        path: of the picture.

    """
    stills = [_middle_frame(rendered / name) for name in STILLS]
    width = sum(still.width for still in stills) + GAP_PX * (len(stills) - 1)
    with Image.open(rendered / SHEET) as sheet:  # noqa: TID251 (drawn by the demo itself)
        shown = sheet.convert("RGB")
    shown = shown.resize((width, round(shown.height * width / shown.width)), Image.Resampling.LANCZOS)
    height = max(still.height for still in stills)
    overview = Image.new("RGB", (width, height + GAP_PX + shown.height), "white")
    left = 0
    for still in stills:
        overview.paste(still, (left, 0))
        left += still.width + GAP_PX
    overview.paste(shown, (0, height + GAP_PX))
    overview.save(path, quality=JPEG_QUALITY, optimize=True)


def _middle_frame(path: Path) -> Image.Image:
    with Image.open(path) as image:  # noqa: TID251 (drawn by the demo itself)
        image.seek(getattr(image, "n_frames", 1) // 2)
        return image.convert("RGB")
