"""Picture files: transparent, turned, and none at all."""

import io

import numpy as np
import pytest
from PIL import Image

from lab.data.pictures import read_picture
from lab.errors import InputError


def test_a_transparent_picture_lies_on_white() -> None:
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
def test_what_is_no_picture_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_picture(data, name="my.png")


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    out = io.BytesIO()
    Image.new("1", (9000, 9000)).save(out, format="PNG")
    with pytest.raises(InputError, match="has 9000×9000 pixels, more than 50,000,000"):
        read_picture(out.getvalue())


def test_a_photo_is_turned_as_its_camera_was() -> None:
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was turned to the left
    out = io.BytesIO()
    picture.save(out, format="PNG", exif=exif)
    assert read_picture(out.getvalue()).tolist() == [[120, 0], [160, 40], [200, 80]]


def test_what_was_read_can_be_written_to() -> None:
    out = io.BytesIO()
    Image.new("L", (3, 3)).save(out, format="PNG")
    assert read_picture(out.getvalue()).flags.writeable
