"""Picture files: transparent, rotated, deep, animated, large or truncated ones, and files that are no pictures."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from lab.data.channels import normalise_images
from lab.data.pictures import FRAME_BUDGET, FRAME_COST, LONGEST, MAX_PIXELS, read_colours, read_picture
from lab.data.pixels import border_of
from lab.errors import InputError


def test_a_transparent_picture_is_laid_on_white() -> None:
    picture = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    picture.putpixel((5, 6), (0, 0, 0, 255))
    out = io.BytesIO()
    picture.save(out, format="PNG")
    grey = read_picture(out.getvalue())
    assert grey.shape == (30, 40)
    assert grey[6, 5] == 0
    assert grey[0, 0] == 255


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no picture", "my.png cannot be read as a picture"),
        (b"", "my.png cannot be read as a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "my.png cannot be read as a picture"),
        (b"\0" * ((10 << 20) + 1), r"my.png has 10,485,761 bytes, more than 10,485,760"),
    ],
)
def test_a_file_that_is_not_a_picture_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_picture(data, name="my.png")


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    out = io.BytesIO()
    Image.new("1", (9000, 9000)).save(out, format="PNG")
    with pytest.raises(InputError, match="has 9000×9000 pixels, more than 50,000,000"):
        read_picture(out.getvalue())


def test_a_photo_is_rotated_by_its_exif_orientation() -> None:
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was rotated to the left
    out = io.BytesIO()
    picture.save(out, format="PNG", exif=exif)
    assert read_picture(out.getvalue()).tolist() == [[120, 0], [160, 40], [200, 80]]


def test_the_decoded_array_is_writeable() -> None:
    out = io.BytesIO()
    Image.new("L", (3, 3)).save(out, format="PNG")
    assert read_picture(out.getvalue()).flags.writeable


def _file(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _bar(low: float, high: float, kind: type) -> np.ndarray:
    """Return a sheet (20, 30) of `high` with a bar of `low` across rows 5 to 9."""
    sheet = np.full((20, 30), high, kind)
    sheet[5:10, 4:26] = low
    return sheet


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (_bar(6_000, 60_000, np.uint16), "PNG"),
        (_bar(6_000, 60_000, np.uint16), "TIFF"),
        (_bar(400, 4_000, np.uint16), "TIFF"),  # twelve bits
        (_bar(0.1, 0.9, np.float32), "TIFF"),
        (_bar(20, 230, np.float32), "TIFF"),
        (_bar(-20, 200, np.float32), "TIFF"),
        (_bar(6_000, 60_000, np.int32), "TIFF"),
    ],
)
def test_more_than_eight_bits_and_floats_keep_their_contrast(pixels: np.ndarray, kind: str) -> None:
    data = _file(Image.fromarray(pixels), kind)
    colours = read_colours(data)
    assert colours.shape == (20, 30, 1)
    assert colours.min() >= 0
    assert 180 < colours[0, 0, 0] <= 255
    assert colours[7, 10, 0] < 60
    grey = read_picture(data)
    assert int(grey[0, 0]) - int(grey[7, 10]) > 120


def test_the_noise_of_an_empty_deep_scan_is_not_stretched_into_ink() -> None:
    noise = np.random.default_rng(0).normal(60_000, 200, (40, 50)).astype(np.uint16)
    colours = read_colours(_file(Image.fromarray(noise), "PNG"))
    assert colours.max() - colours.min() < 10


def test_non_finite_pixels_are_finite_after_reading() -> None:
    sheet = _bar(0.2, 0.8, np.float32)
    sheet[0, 0], sheet[0, 1], sheet[0, 2] = np.nan, np.inf, -np.inf
    assert np.isfinite(read_colours(_file(Image.fromarray(sheet), "TIFF"))).all()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "P", "LAB", "L", "1"])
def test_every_colour_space_keeps_ink_and_paper_apart(mode: str) -> None:
    picture = Image.fromarray(np.stack([_bar(20, 240, np.uint8)] * 3, axis=-1))
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        changed = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
        assert changed is not None
        data = _file(changed, "TIFF")
    else:
        data = _file(picture.convert(mode), "JPEG" if mode in ("CMYK", "YCbCr") else "PNG")
    colours = read_colours(data)
    assert colours[0, 0, 0] - colours[7, 15, 0] > 150
    grey = read_picture(data)
    assert int(grey[0, 0]) - int(grey[7, 15]) > 150


def test_the_neutral_colours_of_cielab_are_in_the_middle_of_their_range() -> None:
    picture = Image.fromarray(np.full((8, 8, 3), 128, np.uint8))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    changed = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
    assert changed is not None
    assert np.abs(read_colours(_file(changed, "TIFF"))[..., 1:] - 128).max() <= 2


@pytest.mark.parametrize("ink", [(255, 255, 255), (240, 230, 60), (0, 0, 0), (90, 20, 20)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_ink_on_transparency_is_visible_whether_light_or_dark(mode: str, ink: tuple[int, int, int]) -> None:
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[5:10, 4:26] = (*ink, 255)
    picture = Image.fromarray(layer)
    if mode == "P":
        flat = Image.fromarray((layer[..., 3] > 0).astype(np.uint8)).convert("P")
        flat.putpalette([0, 0, 0, *ink])
        data = _file(flat, "PNG", transparency=0)
    else:
        data = _file(picture.convert(mode), "PNG")
    colours = read_colours(data).mean(axis=2)
    assert abs(float(colours[0, 0]) - float(colours[7, 15])) > 120


def test_a_picture_that_is_all_transparent_keeps_its_colours() -> None:
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[..., :3] = np.repeat(_bar(20, 240, np.uint8)[..., None], 3, axis=2)
    colours = read_colours(_file(Image.fromarray(layer), "PNG"))
    assert colours[0, 0, 0] - colours[7, 15, 0] == 220


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("fullest", [0, 2, 5])
def test_the_fullest_frame_of_an_animation_is_read(kind: str, fullest: int) -> None:
    frames = []
    for number in range(6):
        sheet = np.full((30, 40), 255, np.uint8)
        sheet[4 : 6 + 3 * (number == fullest) + number % 2, 4:36] = 0
        frames.append(Image.fromarray(sheet))
    more = {"lossless": True} if kind == "WEBP" else {}
    data = _file(frames[0], kind, save_all=True, append_images=frames[1:], **more)
    seen = read_picture(data) < 128
    assert seen.sum() == 32 * (5 + fullest % 2)


def test_only_as_many_frames_of_an_animation_are_examined_as_the_budget_allows() -> None:
    empty, full = Image.new("L", (16, 16), 255), Image.new("L", (16, 16), 255)
    full.paste(0, (2, 2, 9, 14))
    allowed = FRAME_BUDGET // FRAME_COST
    frames = [empty.point(lambda v, n=n: v - n % 2) for n in range(allowed + 500)]
    late = _file(frames[0], "GIF", save_all=True, append_images=[*frames[1:], full], duration=20)
    early = _file(frames[0], "GIF", save_all=True, append_images=[*frames[1:50], full, *frames[50:]], duration=20)
    assert (read_picture(early) < 128).any()
    assert not (read_picture(late) < 128).any()


def test_a_jpeg_of_more_than_fifty_megapixels_is_reduced_while_it_is_decoded() -> None:
    data = _file(Image.new("L", (9_000, 7_000), 200), "JPEG")
    grey = read_picture(data)
    assert max(grey.shape) <= LONGEST
    assert grey.shape[1] / grey.shape[0] == pytest.approx(9 / 7, rel=0.01)
    assert abs(int(grey[5, 5]) - 200) <= 1


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "I;16", "RGBA"])
def test_large_pictures_are_reduced_in_every_mode(mode: str) -> None:
    picture = Image.new(mode, (3_000, 2_500))
    assert read_colours(_file(picture, "PNG")).shape[:2] == (1_250, 1_500)


def _header(wide: int, tall: int, colour: int = 0, bits: int = 1) -> bytes:
    """Return a PNG that declares a size and has almost no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, tall, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_header(2**31 - 1, 2**31 - 1), rf"bomb.png has more than {MAX_PIXELS:,} pixels: make it smaller first"),
        (_header(100_000, 1_000), rf"bomb.png has more than {MAX_PIXELS:,} pixels: make it smaller first"),
        (_header(10_000, 8_000), r"bomb.png has 10000×8000 pixels, more than 50,000,000: make it smaller first"),
        (_header(9_000, 5_000, 2, 8), r"9000×5000 pixels in 3 channels, more than 40,000,000: make it smaller"),
        (_header(9_000, 5_000, 6, 16), r"9000×5000 pixels in 4 channels, more than 30,000,000: make it smaller"),
    ],
)
def test_pictures_that_cannot_be_reduced_are_refused_by_their_header(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_colours(data, name="bomb.png")


def _jpeg_header(frame: int, wide: int, tall: int) -> bytes:
    """Return a grey JPEG that declares a size and has no data. frame: 0xC0 for baseline, 0xC2 for progressive."""
    size = struct.pack(">BHHB3B", 8, tall, wide, 1, 1, 0x11, 0)
    start = struct.pack(">BBH", 0xFF, frame, 2 + len(size)) + size
    return b"\xff\xd8" + start + b"\xff\xda" + struct.pack(">H6B", 8, 1, 1, 0, 0, 63, 0) + b"\xff\xd9"


@pytest.mark.parametrize(
    ("frame", "wide", "limit"),
    [
        (0xC2, 10_000, None),
        (0xC2, 10_001, 100_000_000),
        (0xC0, 10_001, None),
        (0xC0, 25_000, None),
        (0xC0, 25_001, 250_000_000),
    ],
)
def test_a_progressive_jpeg_has_a_lower_pixel_limit_than_a_baseline_one(
    frame: int, wide: int, limit: int | None
) -> None:
    refused = f"large.jpg has {wide}×10000 pixels, more than {limit:,}" if limit else "large.jpg cannot be read"
    with pytest.raises(InputError, match=refused):
        read_picture(_jpeg_header(frame, wide, 10_000), name="large.jpg")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_a_truncated_file_is_read_or_refused_in_one_sentence(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    data = _file(Image.fromarray(noise), kind)
    try:
        assert read_colours(data[: int(share * len(data))], name="cut").shape[2] in (1, 3)
    except InputError as error:
        assert str(error).startswith("cut cannot be read as a picture (")
        assert len(str(error)) < 300


def test_heic_without_its_package_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    data = b"\0\0\0\x18ftypheic" + bytes(200)
    with pytest.raises(InputError, match=r"my.heic is a HEIC photo, which needs the package pillow-heif: install it"):
        read_colours(data, name="my.heic")


def test_heic_is_read_if_its_package_is_installed() -> None:
    heif = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    heif.from_pillow(Image.fromarray(np.stack([_bar(20, 240, np.uint8)] * 3, axis=-1))).save(out)
    grey = read_picture(out.getvalue())
    assert grey[0, 0] > 200
    assert grey[7, 15] < 60


@pytest.mark.parametrize(("side", "decoded"), [(2_048, 2_048), (2_049, 1_025), (4_096, 2_048), (4_097, 1_366)])
def test_the_longer_side_of_a_decoded_picture_is_at_most_2048(side: int, decoded: int) -> None:
    assert read_picture(_file(Image.new("L", (side, 20), 200), "PNG")).shape[1] == decoded


def test_fewer_frames_are_examined_if_they_are_large() -> None:
    """Twelve frames of two megapixels are the budget of 24; the ink is in the last one."""
    empty, full = Image.new("L", (2_000, 1_000), 255), Image.new("L", (2_000, 1_000), 255)
    full.paste(0, (100, 100, 400, 900))
    for frames, seen in ((12, True), (13, False)):
        pages = [*(empty.point(lambda v, n=n: v - n % 2) for n in range(frames - 1)), full]
        data = _file(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
        assert (read_picture(data) < 128).any() == seen


def test_a_networks_input_follows_the_normalisation_formula_in_single_precision() -> None:
    """Black is 0 and white is 1 before mean and deviation; grey images gain their channel."""
    grey = np.array([[[0, 51], [204, 255]]], np.uint8)
    found = normalise_images(grey, mean=0.5, std=0.25)
    assert (found.dtype, found.shape) == (np.float32, (1, 1, 2, 2))
    np.testing.assert_allclose(found[0, 0], [[-2.0, -1.2], [1.2, 2.0]], rtol=1e-6)
    colours = np.array([[[[255]], [[0]], [[51]]]], np.uint8)
    np.testing.assert_allclose(normalise_images(colours, mean=0.0, std=1.0).ravel(), [1.0, 0.0, 0.2], rtol=1e-6)


def test_the_border_of_a_picture_is_each_of_its_outermost_pixels_once() -> None:
    numbered = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert sorted(border_of(numbered).tolist()) == [0, 1, 2, 3, 4, 5, 9, 10, 14, 15, 16, 17, 18, 19]
