# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the grammars share: words in, requests or the complaint out."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from kdump_initrd.commands.grammar.choice import understand
from kdump_initrd.commands.verb import Request
from kdump_initrd.commands.verbs.build import Capture, Image, Images
from kdump_initrd.core.errors import UsageError

UUID = "UUID=4e1bd2b4-6a4d-4d5c-8f2e-3f0f4a3a9f10"


def asked(words: str) -> Request | Image:
    """Return the one request of a command line that is right and worth no warning.

    Of a request for one image it is the image.
    """
    command = understand(shlex.split(words))
    assert command.warnings == ()
    (request,) = command.requests
    if isinstance(request, Images):
        (image,) = request.images
        return image
    return request


def said(words: str) -> dict[str, Any]:
    """Return what a command line says of the one capture initrd that it asks for."""
    (request,) = understand(shlex.split(words)).requests
    assert isinstance(request, Images)
    (image,) = request.images
    assert isinstance(image, Capture)
    return dict(image.said)


def complaint(words: str) -> UsageError:
    """Return the usage error of a command line, which must have a hint."""
    with pytest.raises(UsageError) as caught:
        understand(shlex.split(words))
    assert caught.value.hint
    assert caught.value.exit_status == 2
    assert "\n" not in caught.value.message
    return caught.value


def warned(words: str) -> tuple[str, ...]:
    """Return what a command line that is right is warned of."""
    return understand(shlex.split(words)).warnings
