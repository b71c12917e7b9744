"""A handful of photographs in Karpathy's form, written for a test."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

Form = Literal["folder", "tar", "zip"]


def jpeg(value: int = 100, width: int = 40, height: int = 30, form: str = "JPEG") -> bytes:
    """Return an image file whose red rises to the right and whose green is ``value``."""
    pixels = np.full((height, width, 3), value, dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, quality=95)
    return file.getvalue()


def entry(name: str, split: str = "train", captions: int = 2, **more: object) -> dict[str, Any]:
    """Return an image as Karpathy's JSON lists it."""
    sentences = [{"raw": f"caption {k} of {name}", "sentid": k} for k in range(captions)]
    usual = {"filename": name, "split": split, "imgid": 7, "sentences": sentences}
    return {**usual, **more}


def write_annotations(folder: Path, images: object, zipped: bool = False) -> Path:
    """Write ``dataset_<folder>.json`` or its ``.json.gz``."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"images": images, "dataset": folder.name}).encode()
    path = folder / f"dataset_{folder.name}.json{'.gz' if zipped else ''}"
    path.write_bytes(gzip.compress(text) if zipped else text)
    return path


def write_images(folder: Path, files: dict[str, bytes], form: Form = "folder") -> Path:
    """Write image files into ``images/``, ``images.tar`` or ``images.zip``."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "folder":
        for name, data in files.items():
            path = folder / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder / "images"
    if form == "zip":
        with zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return folder / "images.zip"
    with tarfile.open(folder / "images.tar", "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return folder / "images.tar"
