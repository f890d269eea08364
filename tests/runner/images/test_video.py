"""Frames of videos and cameras."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmos_opt import InputError
from lmos_opt.errors import MissingExtraError
from runner.images import find_images
from runner.images.video import Video
from tests.runner.running import Plans, network_of

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames, each redder than the one before."""
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (48, 32))
    for k in range(10):
        writer.write(np.full((32, 48, 3), (0, 0, 20 * k), np.uint8))  # blue, green, red
    writer.release()
    return path


def test_frames_come_in_any_order_and_in_rgb(clip: Path) -> None:
    video = Video(clip)
    assert (video.count(None), video.count(4)) == (10, 4)
    for k in (0, 0, 3, 9, 2, 3):
        red, green, blue = np.asarray(video.frame(k)).reshape(-1, 3).mean(0)
        assert abs(red - 20 * k) < 6
        assert max(green, blue) < 8
    with pytest.raises(InputError, match="frame 10 cannot be read"):
        video.frame(10)


def test_a_video_is_a_networks_input(clip: Path, plans: Plans) -> None:
    images = find_images(network_of(plans(0)), clip, 3)
    assert list(images.names) == [f"clip.avi frame {k}" for k in range(3)]
    assert images.what == f"3 frames of {clip}"
    assert images.load(2).shape == (1, 3, 8, 8)
    assert images.preprocessing is not None


def test_what_is_no_video_is_one_line(tmp_path: Path, plans: Plans) -> None:
    (tmp_path / "x.mp4").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"x.mp4: is no video that OpenCV reads"):
        find_images(network_of(plans(0)), tmp_path / "x.mp4")
    with pytest.raises(InputError, match=r"none.mp4: no such file"):
        find_images(network_of(plans(0)), tmp_path / "none.mp4")


def test_a_camera_gives_the_next_frame_and_needs_a_number(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera:
        def __init__(self, which: int, by: int) -> None:
            self.which, self.n = which, 0

        def isOpened(self) -> bool:
            return self.which == 1

        def read(self) -> tuple[bool, Any]:
            self.n += 1
            return self.n < 4, np.full((20, 20, 3), self.n, np.uint8)

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    network = network_of(plans(0))
    with pytest.raises(InputError, match=r"camera:1: never ends; say with -n how many frames to take"):
        find_images(network, Path("camera:1"))
    with pytest.raises(InputError, match=r"camera:0: there is no such camera"):
        find_images(network, Path("camera:0"), 3)
    images = find_images(network, Path("camera:1"), 3)
    assert len(images) == 3
    assert not images.load(0).equal(images.load(0))
    images.load(0)
    with pytest.raises(InputError, match="cannot be read"):
        images.load(0)


def test_without_opencv_it_says_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"opencv-python-headless\) needs the extra 'video': pip install 'lmos\[video\]'"):
        Video(clip)
