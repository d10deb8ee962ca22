"""Synthesises photographs and scans from pictures of digits: fourteen kinds, with parameters from a seeded generator.

A digit's picture is enlarged to a smooth mask of ink, rotated slightly, placed on a sheet, lit, photographed (blur,
noise, 8 bits) and saved as a file. Every picture has new random parameters.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image, ImageCms

Random = np.random.Generator
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(slots=True, eq=False)
class Scene:
    """A sheet under the camera.

    paper, ink: colours (0 to 255). mask: coverage of ink (H, W). light: factor (H, W).
    """

    paper: np.ndarray
    ink: np.ndarray
    mask: np.ndarray
    light: np.ndarray = field(init=False)
    lines: np.ndarray | None = None  # coverage of printed lines (H, W)
    line_colour: np.ndarray = field(default_factory=lambda: np.array([60.0, 60.0, 60.0]))

    def __post_init__(self) -> None:
        self.light = np.ones(self.mask.shape, np.float32)

    def render(self) -> np.ndarray:
        """Return the colours that reach the lens, float32 (H, W, 3)."""
        picture: np.ndarray = np.broadcast_to(self.paper, (*self.mask.shape, 3)).astype(np.float32)
        if self.lines is not None:
            picture = picture + self.lines[..., None] * (self.line_colour - picture)
        picture = picture + self.mask[..., None] * (self.ink - picture)
        lit: np.ndarray = (picture * self.light[..., None]).astype(np.float32)
        return lit


def enlarge(image: np.ndarray, height: float, random: Random, *, turn: float = 6.0) -> np.ndarray:
    """Return a mask float32 in [0, 1] of a picture's digit (uint8, light on black), `height` pixels high.

    turn: maximum angle of its random rotation, in degrees.
    """
    rows, columns = np.flatnonzero(image.max(axis=1) > 40), np.flatnonzero(image.max(axis=0) > 40)
    crop = np.pad(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 3)
    scale = height / (rows[-1] - rows[0] + 1)
    large: np.ndarray = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    large = cv2.GaussianBlur(large, (0, 0), max(0.3, 0.35 * scale))
    tall, wide = large.shape
    matrix = cv2.getRotationMatrix2D((wide / 2, tall / 2), float(random.uniform(-turn, turn)), 1.0)
    turned = cv2.warpAffine(large, matrix, (wide, tall))
    soft = max(8.0, 128 / scale)
    mask: np.ndarray = np.clip((turned - 110 + soft / 2) / soft, 0, 1)
    return mask


def lay(mask: np.ndarray, size: tuple[int, int], random: Random, *, margin: float = 0.1) -> np.ndarray:
    """Return a mask at a random position on an empty sheet of `size` (height, width).

    margin: least distance from the edges, as a share of the side.
    """
    tall, wide = size
    sheet = np.zeros(size, np.float32)
    top = _place(tall, mask.shape[0], margin, random)
    left = _place(wide, mask.shape[1], margin, random)
    part = sheet[top : top + mask.shape[0], left : left + mask.shape[1]]
    part[:] = mask[: part.shape[0], : part.shape[1]]
    return sheet


def _place(room: int, length: int, margin: float, random: Random) -> int:
    low, high = margin * room, (1 - margin) * room - length
    return max(0, int(random.uniform(low, high) if high > low else (room - length) / 2))


def scene(image: np.ndarray, random: Random, *, share: tuple[float, float] = (0.25, 0.6)) -> Scene:
    """Return one digit on a light sheet of random size and tint. share: range of its height / shorter side."""
    tall, wide = int(random.integers(300, 900)), int(random.integers(300, 900))
    mask = enlarge(image, float(random.uniform(*share)) * min(tall, wide), random)
    paper = np.clip(random.uniform(225, 250) + random.uniform(-8, 4, 3), 0, 252)
    ink = np.clip(random.uniform(10, 60) + random.uniform(-10, 30, 3) * random.integers(0, 2), 0, 110)
    return Scene(paper, ink, lay(mask, (tall, wide), random))


def photograph(picture: np.ndarray, random: Random, *, noise: float = 4.0, blur: float = 1.2) -> np.ndarray:
    """Return colours float32 (H, W, 3) as uint8, with the blur of a lens and the noise of a sensor."""
    blurred = cv2.GaussianBlur(picture, (0, 0), float(random.uniform(0.3, blur)))
    sigma = float(random.uniform(0.5, noise))
    grain = random.normal(0, sigma, (*picture.shape[:2], 1)) + random.normal(0, sigma / 2, picture.shape)
    seen: np.ndarray = np.clip(blurred + grain, 0, 255).astype(np.uint8)
    return seen


def save(pixels: np.ndarray, random: Random) -> bytes:
    """Return the bytes of a JPEG (quality 60 to 95) or, one time in three, of a PNG."""
    out = io.BytesIO()
    picture = Image.fromarray(pixels)
    if random.integers(0, 3):
        picture.save(out, "JPEG", quality=int(random.integers(60, 96)))
    else:
        picture.save(out, "PNG")
    return out.getvalue()


def _shot(made: Scene, random: Random) -> bytes:
    return save(photograph(made.render(), random), random)


def _dim(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random)
    grey = random.uniform(60, 135)
    made.paper = np.full(3, grey) + random.uniform(-6, 6, 3)
    made.ink = made.paper * random.uniform(0.2, 0.5)
    return _shot(made, random)


def _shadow(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random)
    rows, columns = np.indices(made.mask.shape)
    middle = [np.average(axis, weights=made.mask) for axis in (rows, columns)]
    for _ in range(int(random.integers(1, 3))):
        angle = random.uniform(0, 2 * math.pi)
        offset = random.uniform(-0.35, 0.35) * min(made.mask.shape)
        depth = (rows - middle[0]) * math.sin(angle) + (columns - middle[1]) * math.cos(angle) - offset
        soft = random.uniform(2, 40)
        made.light *= 1 - random.uniform(0.3, 0.6) / (1 + np.exp(np.clip(-4 * depth / soft, -50, 50)))
    return _shot(made, random)


def _vignette(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random)
    tall, wide = made.mask.shape
    rows, columns = np.indices((tall, wide))
    y, x = random.uniform(0.2, 0.8) * tall, random.uniform(0.2, 0.8) * wide
    reach = np.hypot(max(y, tall - y), max(x, wide - x))
    made.light *= 1 - random.uniform(0.4, 0.8) * (np.hypot(rows - y, columns - x) / reach) ** random.uniform(1.2, 3)
    return _shot(made, random)


def _table(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random, share=(0.3, 0.65))
    sheet = made.render()
    tall, wide = made.mask.shape
    full = int(tall * random.uniform(1.25, 1.8)), int(wide * random.uniform(1.25, 1.8))
    corners = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float32)
    angle = math.radians(float(random.uniform(-12, 12)))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.array([full[1], full[0]]) * random.uniform(0.46, 0.54, 2)
    placed = (corners - [wide / 2, tall / 2]) * random.uniform(0.85, 1.0) @ turn.T + middle
    placed += random.uniform(-0.03, 0.03, (4, 2)) * min(tall, wide)
    matrix = cv2.getPerspectiveTransform(corners, placed.astype(np.float32))
    size = (full[1], full[0])
    table = _wood(full, random)
    cover = cv2.warpPerspective(np.ones((tall, wide), np.float32), matrix, size)[..., None]
    warped = cv2.warpPerspective(sheet, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return save(photograph(table + cover * (warped - table), random), random)


def _wood(size: tuple[int, int], random: Random) -> np.ndarray:
    """Return a dark table (H, W, 3), plain or with a grain."""
    level = random.uniform(20, 100)
    tint = np.array([1.0, random.uniform(0.75, 1.0), random.uniform(0.5, 1.0)])
    coarse = random.normal(0, 1, (max(2, size[0] // 6), max(2, size[1] // 90))).astype(np.float32)
    grain = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    table: np.ndarray = (level + random.uniform(0, 10) * grain)[..., None] * tint
    wood: np.ndarray = np.clip(table, 5, 255).astype(np.float32)
    return wood


def _scanner(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random)
    picture = made.render()
    tall, wide = made.mask.shape
    rows, columns = np.indices((tall, wide))
    sides = random.permutation(4)[: int(random.integers(1, 4))]
    colour = random.uniform(0, 60) if random.integers(0, 4) else random.uniform(100, 170)
    for side in sides:
        depth = (rows, columns, tall - 1 - rows, wide - 1 - columns)[side]
        along = columns if side % 2 == 0 else rows
        edge = random.uniform(0.01, 0.08) * min(tall, wide) + math.tan(math.radians(random.uniform(-1.5, 1.5))) * along
        cover = np.clip((edge - depth) / random.uniform(1, 4) + 0.5, 0, 1)[..., None]
        picture += cover * (colour - picture)
    return save(photograph(picture, random, noise=3), random)


def _ruling(size: tuple[int, int], random: Random, *, spacing: float, across: bool, thick: float) -> np.ndarray:
    """Return the coverage of parallel lines, (H, W), along the rows or across them, tilted by a few degrees."""
    rows, columns = np.indices(size)
    askew = math.radians(float(random.uniform(-4, 4)))
    depth = (
        (columns * math.cos(askew) + rows * math.sin(askew))
        if across
        else (rows * math.cos(askew) - columns * math.sin(askew))
    )
    away = np.abs((depth + random.uniform(0, spacing)) % spacing - spacing / 2)
    lines: np.ndarray = np.clip(thick / 2 + 0.5 - away, 0, 1).astype(np.float32)
    return lines


def _line_colour(made: Scene, random: Random) -> np.ndarray:
    choice = int(random.integers(0, 3))
    if choice == 0:
        return np.array([random.uniform(120, 180), random.uniform(150, 200), random.uniform(190, 230)])  # pale blue
    return made.ink + random.uniform(0, 90 if choice == 1 else 25)


def _grid(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random, share=(0.3, 0.6))
    spacing, thick = random.uniform(14, 60), random.uniform(1, 2.6)
    state = random.bit_generator.state
    down = _ruling(made.mask.shape, random, spacing=spacing, across=False, thick=thick)
    random.bit_generator.state = state  # the same angle and phase: squares
    made.lines = np.maximum(down, _ruling(made.mask.shape, random, spacing=spacing, across=True, thick=thick))
    made.line_colour = _line_colour(made, random)
    return _shot(made, random)


def _lines(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random, share=(0.3, 0.6))
    made.lines = _ruling(
        made.mask.shape, random, spacing=random.uniform(25, 90), across=False, thick=random.uniform(1, 3)
    )
    made.line_colour = _line_colour(made, random)
    if random.integers(0, 2):  # a margin
        wide = made.mask.shape[1]
        left = int(random.uniform(0.03, 0.1) * wide)
        made.lines[:, left : left + int(random.integers(1, 4))] = 1
    return _shot(made, random)


def _box(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random, share=(0.25, 0.5))
    rows, columns = np.flatnonzero(made.mask.max(axis=1) > 0.5), np.flatnonzero(made.mask.max(axis=0) > 0.5)
    height, width = rows[-1] - rows[0], columns[-1] - columns[0]
    middle = (float(columns[0] + columns[-1]) / 2, float(rows[0] + rows[-1]) / 2)
    side = max(height, width) * random.uniform(1.25, 1.7)
    size = (side * random.uniform(1.0, 1.5), side)
    corners = cv2.boxPoints((middle, size, float(random.uniform(-3, 3))))
    canvas = np.zeros((made.mask.shape[0] * 4, made.mask.shape[1] * 4), np.uint8)
    thick = max(4, round(4 * random.uniform(1.0, 5.0)))
    shifts = range(-2, 3) if random.integers(0, 3) == 0 else range(1)  # one time in three, a row of boxes
    for shift in shifts:
        moved = corners + (corners[2] - corners[1]) * shift
        cv2.polylines(canvas, [np.round(4 * moved).astype(np.int32)], True, 255, thick, cv2.LINE_AA)
    made.lines = cv2.resize(canvas, made.mask.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    made.line_colour = _line_colour(made, random)
    return _shot(made, random)


def _sixteen(image: np.ndarray, random: Random) -> bytes:
    pixels = photograph(scene(image, random).render(), random).astype(np.float32) @ _LUMA
    choice = int(random.integers(0, 4))
    out = io.BytesIO()
    if choice == 0:  # a float TIFF, 0 to 1
        Image.fromarray((pixels / 255).astype(np.float32)).save(out, "TIFF")
    elif choice == 1:  # twelve bits in sixteen
        Image.fromarray((pixels * (4095 / 255)).astype(np.uint16)).save(out, "TIFF")
    else:
        low = random.uniform(0, 0.5) * 65535
        deep = low + pixels / 255 * (65535 - low)
        Image.fromarray(deep.astype(np.uint16)).save(out, "PNG" if choice == 2 else "TIFF")
    return out.getvalue()


def _alpha(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random)
    light = bool(random.integers(0, 3))
    colour = random.uniform(190, 255, 3) if light else random.uniform(0, 90, 3)
    layer = np.empty((*made.mask.shape, 4), np.uint8)
    layer[..., :3] = colour
    layer[..., 3] = np.rint(255 * made.mask)
    if random.integers(0, 2):  # transparent pixels are black
        layer[layer[..., 3] == 0] = 0
    picture = Image.fromarray(layer)
    out = io.BytesIO()
    if random.integers(0, 3) == 0:
        picture = picture.convert("LA")
    picture.save(out, "WEBP" if picture.mode == "RGBA" and random.integers(0, 3) == 0 else "PNG", lossless=True)
    return out.getvalue()


def _colour(image: np.ndarray, random: Random) -> bytes:
    """Return ink and paper with the same brightness but different hues; as RGB, CMYK or CIELAB."""
    made = scene(image, random)
    while True:
        made.paper, made.ink = random.uniform(20, 235, 3), random.uniform(20, 235, 3)
        made.ink += (made.paper - made.ink) @ _LUMA  # makes them equally bright
        if np.abs(made.paper - made.ink).max() > 90 and made.ink.min() >= 0 and made.ink.max() <= 255:
            break
    picture = Image.fromarray(photograph(made.render(), random, noise=3))
    out = io.BytesIO()
    choice = int(random.integers(0, 4))
    if choice == 0:
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        changed = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
        assert changed is not None
        changed.save(out, "TIFF")
    elif choice == 1:
        picture.convert("CMYK").save(out, "JPEG", quality=90, subsampling=0)
    else:
        picture.save(out, *(("PNG",) if choice == 2 else ("JPEG",)), quality=90)
    return out.getvalue()


def _small(image: np.ndarray, random: Random) -> bytes:
    made = scene(image, random)
    size = int(random.integers(1000, 2000)), int(random.integers(1000, 2000))
    made.mask = lay(enlarge(image, float(random.uniform(36, 64)), random), size, random)
    made.light = np.ones(size, np.float32)
    return _shot(made, random)


def _crop(mask: np.ndarray, margin: int) -> np.ndarray:
    """Return a mask cropped to its ink, with `margin` pixels of paper around it."""
    rows, columns = np.flatnonzero(mask.max(axis=1) > 0.3), np.flatnonzero(mask.max(axis=0) > 0.3)
    return np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], margin)


def _tight(image: np.ndarray, random: Random) -> bytes:
    """Return a crop with at most a few pixels of margin; a third are light on dark, a third are unevenly lit."""
    cut = _crop(enlarge(image, float(random.uniform(120, 420)), random), max(0, int(random.integers(-6, 12))))
    paper, ink = np.full(3, random.uniform(215, 250)), np.full(3, random.uniform(10, 80))
    made = Scene(ink, paper, cut) if random.integers(0, 3) == 0 else Scene(paper, ink, cut)
    if random.integers(0, 3) == 0:
        made.light *= np.linspace(1, random.uniform(0.4, 0.8), cut.shape[1], dtype=np.float32)[None]
    return save(photograph(made.render(), random, noise=3), random)


def _bold(image: np.ndarray, random: Random) -> bytes:
    """Return a digit with strokes widened by up to a sixth of its height."""
    mask = np.pad(_crop(enlarge(image, 300, random), 0), 60)
    wide = int(random.integers(20, 50))
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide)))
    made = Scene(
        np.full(3, random.uniform(215, 250)),
        np.full(3, random.uniform(10, 80)),
        _crop(mask, int(random.integers(6, 60))),
    )
    return _shot(made, random)


def _touching(images: np.ndarray, random: Random) -> bytes:
    """Return several digits side by side, each moved to the left until it touches, and by up to 8 pixels further."""
    masks = [_crop(enlarge(image, 200, random), 0) for image in images]
    sheet = np.zeros((max(len(mask) for mask in masks) + 160, 300 * len(masks) + 200), np.float32)
    end = 150
    for number, mask in enumerate(masks):
        left = end
        if number:
            near = cv2.dilate(sheet, np.ones((3, 3)))[80 : 80 + len(mask)]
            left += 40
            while left > 150 and not (np.minimum(mask, near[:, left : left + mask.shape[1]]) > 0.8).any():
                left -= 2
            left = max(150, left - int(random.integers(0, 8)))
        part = sheet[80 : 80 + len(mask), left : left + mask.shape[1]]
        np.maximum(part, mask, out=part)
        end = max(end, left + mask.shape[1])
    paper, ink = np.full(3, random.uniform(215, 248)), np.full(3, random.uniform(15, 80))
    return _shot(Scene(paper, ink, sheet), random)


SEVERAL: dict[str, tuple[int, Callable[[np.ndarray, Random], bytes]]] = {  # number of digits, and their photograph
    "two that touch": (2, _touching),
    "three that touch": (3, _touching),
}
KINDS: dict[str, Callable[[np.ndarray, Random], bytes]] = {
    "dim": _dim,
    "shadow": _shadow,
    "vignette": _vignette,
    "table": _table,
    "scanner": _scanner,
    "grid": _grid,
    "lines": _lines,
    "box": _box,
    "16-bit": _sixteen,
    "alpha": _alpha,
    "colour": _colour,
    "small": _small,
    "tight": _tight,
    "bold": _bold,
}
