"""What picture files become: upright, of 8 bits, in bounded memory, or refused in one line."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from lmos_opt import InputError
from measurement import pictures
from measurement.networks.preprocessing import preprocessing_for
from measurement.pictures import read_picture

GREY = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
OF_8_BITS = np.rint(GREY / 257).astype(np.uint8)
TURNED = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: np.swapaxes(a, 0, 1),
          6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2), 8: np.rot90}  # fmt: skip
"""What is done to what is stored, so that it stands upright."""


def _oriented(path, orientation, picture, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif, **options)
    return np.asarray(read_picture(path))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_fault_08_exif_orientation_is_honoured(tmp_path, orientation, suffix):
    stored = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    found = _oriented(tmp_path / f"a.{suffix}", orientation, Image.fromarray(stored), **options)
    assert np.array_equal(found, TURNED[orientation](stored))


def test_fault_08_exif_orientation_of_a_jpeg(tmp_path):
    stored = np.zeros((16, 48), np.uint8)
    stored[:, :16] = 255
    found = _oriented(tmp_path / "a.jpg", 6, Image.fromarray(stored), quality=100)
    assert found.shape == (48, 16)
    assert found[:16].min() > 250
    assert found[16:].max() < 5


@pytest.mark.parametrize("name", ["a.png", "a.tif", "big.tif", "32.tif", "a.ppm", "float.tif", "turned.png"])
def test_fault_08_grey_of_more_than_8_bits_is_scaled(tmp_path, name):
    path = tmp_path / name
    match name:
        case "big.tif":
            Image.frombytes("I;16B", (64, 64), GREY.astype(">u2").tobytes()).save(path)
        case "32.tif":
            Image.fromarray(GREY.astype(np.int32)).save(path)
        case "a.ppm":
            path.write_bytes(b"P5\n64 64\n65535\n" + GREY.astype(">u2").tobytes())
        case "float.tif":
            Image.fromarray((GREY / 65535).astype(np.float32)).save(path)
        case "turned.png":
            assert np.array_equal(_oriented(path, 6, Image.fromarray(GREY)), np.rot90(OF_8_BITS, -1))
            return
        case _:
            Image.fromarray(GREY).save(path)
    found = read_picture(path)
    assert found.mode == "L"
    assert np.array_equal(np.asarray(found), OF_8_BITS)


def test_fault_08_sixteen_bits_of_which_zero_is_white(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert np.array_equal(np.asarray(read_picture(tmp_path / "a.tif")), 255 - OF_8_BITS)


@pytest.mark.parametrize(("values", "said"), [
    (np.float32([[0, 255]]), "grey from 0 to 255, and nothing says which is white; expected 0 to 1"),
    (np.float32([[-1, 1]]), "grey from -1 to 1, and nothing says which is white; expected 0 to 1"),
    (np.float32([[0, np.nan]]), "grey from nan to nan"),
    (np.int32([[0, 65536]]), "grey from 0 to 65536, and nothing says which is white; expected 0 to 65535"),
])
def test_fault_08_values_of_which_nothing_says_what_is_white_are_refused(tmp_path, values, said):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=rf"a\.tif: holds {said}"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(("mode", "suffix", "colour", "expected"), [
    ("1", "png", 1, 255), ("L", "png", 7, 7), ("LA", "png", (7, 0), 7), ("RGBA", "png", (1, 2, 3, 0), (1, 2, 3)),
    ("P", "gif", 0, (9, 8, 7)), ("CMYK", "tif", (0, 255, 255, 0), (255, 0, 0)),
])  # fmt: skip
def test_every_mode_becomes_grey_or_rgb_by_its_rule(tmp_path, mode, suffix, colour, expected):
    picture = Image.new(mode, (4, 3), colour)
    if mode == "P":
        picture.putpalette([9, 8, 7])
        picture.info["transparency"] = 0
    picture.save(tmp_path / f"a.{suffix}")
    assert read_picture(tmp_path / f"a.{suffix}").getpixel((1, 1)) == expected


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_frame_counts(tmp_path, suffix):
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if suffix == "webp" else {}
    red.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[blue], **options)
    assert read_picture(tmp_path / f"a.{suffix}").getpixel((3, 3)) == (255, 0, 0)


def _png(wide, high, bits=1):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(min((1 + -(-wide * bits // 8)) * high, 10**6)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, bits, 0, 0, 0, 0)) + chunk(b"IDAT", rows)
            + chunk(b"IEND", b""))


@pytest.mark.parametrize(("wide", "high"), [(4000, 1), (1, 4000), (60_000, 1), (1, 1)])
def test_fault_18_a_long_picture_takes_little_memory(tmp_path, wide, high):
    (tmp_path / "a.png").write_bytes(_png(wide, high))
    prepare = preprocessing_for("torchvision:resnet18", "torchvision:IMAGENET1K_V1", (1, 3, 224, 224))
    picture = read_picture(tmp_path / "a.png")
    sizes = []
    resize = Image.Image.resize

    def resized(self, size, *args, **options):
        sizes.append(size[0] * size[1])
        return resize(self, size, *args, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Image.Image, "resize", resized)
        assert prepare(picture).shape == (1, 3, 224, 224)
    assert max(sizes) <= 16 * 256 * 256


@pytest.mark.parametrize(("wide", "high"), [(9000, 9000), (2**31 - 1, 2**31 - 1), (20_000, 5000)])
def test_fault_18_a_header_that_promises_too_much_is_refused_at_once(tmp_path, recwarn, wide, high):
    (tmp_path / "a.png").write_bytes(_png(wide, high))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"a\.png: has .*pixels; expected at most 67108864 \(64 MiPixel\)"):
            read_picture(tmp_path / "a.png")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
    assert not recwarn.list


@pytest.mark.parametrize(("data", "said"), [
    (b"", "is not a picture that can be read"),
    (b"no picture", "is not a picture that can be read"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture that can be read"),
    (b"P6\n0 5\n255\n", "is"),
    (_png(100, 100)[:45], "is not a picture that can be read"),
    (_png(8, 8)[:-20] + b"x" * 20, "is not a picture that can be read"),
])
def test_fault_18_what_is_no_picture_is_refused_in_one_line(tmp_path, data, said):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.png: {said}") as caught:
        read_picture(tmp_path / "a.png")
    assert "\n" not in str(caught.value)


def test_broken_files_of_every_kind_are_refused_in_one_line(tmp_path):
    rng, path, refused = np.random.default_rng(0), tmp_path / "a", []
    for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm"):
        Image.fromarray(rng.integers(0, 256, (12, 20, 3), np.uint8)).save(tmp_path / f"b.{suffix}")
        whole = (tmp_path / f"b.{suffix}").read_bytes()
        for _ in range(40):
            data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
            data[rng.integers(min(len(data), 60))] = rng.integers(256)
            path.write_bytes(data)
            try:
                assert read_picture(path).mode in {"L", "RGB"}
            except InputError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert not [line for line in refused if "\n" in line]
    assert pictures.MOST_PIXELS == 2**26


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"])
def test_fault_18_a_damaged_tiff_is_refused_in_one_line(tmp_path, capfd, compression):
    """Whatever libtiff, which is no Python, would say of it on standard error."""
    path = tmp_path / "a.tif"
    stored = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(stored).convert("1" if compression == "group4" else "RGB").save(path, compression=compression)
    read_picture(path)
    data = bytearray(path.read_bytes())
    data[200:-400:7] = bytes(byte ^ 0x5A for byte in data[200:-400:7])
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path}: is not a picture that can be read")
    assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")
