# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of a capture initrd, to be read from top to bottom: look, decide, write."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .. import __version__
from ..config.settings import CaptureSettings
from ..core import publish
from ..core.log import get_logger, step
from ..core.resources import find_data, search_path
from ..core.root import Root
from ..image import hooks, listing, reservation, stage
from ..image.archive.boundary import window
from ..image.archive.cpio import Packing, write_image
from ..image.hooks import Hook, Needs
from ..image.manifest import IMAGE_ID, MANIFEST, Manifest
from ..image.render import render
from ..image.tree import Entry, Kind, Tree
from ..probe.host import xen
from ..probe.host.hostfacts import HostFacts
from ..probe.kernel import releases
from ..probe.programs import closure
from ..probe.programs.tools import Toolbox
from ..probe.python import minimal
from ..probe.python.minimal import PythonRuntime
from ..saver.imagepaths import PARAMS, RUN, STARTER
from ..saver.params import Params
from . import dumptarget, proof, templatevalues
from .found import Site, find_root
from .parts import (
    capturemodules,
    chosenmodules,
    contract,
    hardware,
    hookprograms,
    imagecodec,
    layers,
    layout,
    makedumpfile,
    pagecodec,
)
from .parts.kernelterms import terms_of
from .parts.layout import LIB
from .proof import Claims

logger = get_logger(__name__)

#: The templates whose header says what they need.
_TEMPLATES = ("init.j2", "python.j2")


@dataclass(frozen=True)
class Capture:
    """A capture initrd, decided: what goes into it, where it is written, and what it is for."""

    out: Path
    tree: Tree
    second: tuple[Entry, ...]
    manifest: Manifest
    packing: Packing
    terms: reservation.Terms
    site: Site

    @property
    def root(self) -> Root:
        """What it was decided from; it remembers everything that it was asked for."""
        return self.site.root

    def lines(self) -> Iterator[str]:
        """Yield the contents of the image, a line for each entry."""
        yield from listing.list_entries(self.tree)
        if self.second:
            yield "# second stage"
            yield from listing.list_entries(self.second)

    def write(self, *, force: bool) -> int:
        """Write the image and return its size in bytes; raises KdumpInitrdError."""
        with step(f"Writing {self.out}"):
            return write_image(self.tree, self.out, self.packing, force=force)

    def summary(self, stored: int) -> Iterator[str]:
        """Yield what the user wants to know about the image, a file of ``stored`` bytes."""
        weight = self._weight(stored)
        unpacked = weight.unpacked + weight.later
        reserve = reservation.crashkernel(weight, self.terms)
        yield f"  image          {self.out}"
        yield f"  size           {stored / 1e6:.2f} MB stored, {unpacked / 1e6:.2f} MB unpacked"
        yield f"  kernel modules {len(self.manifest.modules)} of {self.manifest.kernel}"
        yield f"  dump target    {self.manifest.target} ({self.manifest.fstype})"
        yield f"  reserve        crashkernel={reserve}M"
        yield f"  command line   {self.manifest.cmdline}"

    def _weight(self, stored: int) -> reservation.Weight:
        first = self.tree.unpacked_size()
        later = sum(entry.size for entry in self.second)
        later -= self.tree[stage.SECOND_STAGE].size if self.second else 0
        with self.out.open("rb") as file:
            kept = window(file.read(4096), 0, codec=self.packing.compression)
        files = sum(entry.kind is Kind.FILE for entry in (*self.tree, *self.second))
        return reservation.Weight(stored, first, later, kept, files)


def plan(settings: CaptureSettings) -> Capture:
    """Look at the host and the root, and decide the whole image; nothing is written.

    Raises KdumpInitrdError for anything that would make the image useless.
    """
    with step("Looking at the root, kernel and device"):
        site = _look(settings)
        out = _out(settings, site)
        compression = imagecodec.choose(settings.compress, site.kernel)
    # The second tree is unpacked later, if the image has the tools for that.
    tree, later = Tree(), Tree()
    for each in (tree, later):
        layout.lay_out(each, folders=(*contract.mounts(len(site.targets)), RUN))
    scripts = dumptarget.scripts(site.targets, settings, root=site.root)
    toolbox = _toolbox(settings, site, scripts)
    with step("Resolving kernel modules"):
        modules = capturemodules.add(tree, settings, site, can_wait="insmod" in toolbox.applets)
    with step("Resolving Python, tools and libraries"):
        two_stages = set(stage.COMMANDS) <= set(toolbox.applets)
        runtime, dump_codec, folders = _add_programs(
            settings, site, toolbox, scripts, tree, later if two_stages else tree
        )
        mtime = layout.time_stamp()
        second = stage.add_stage(tree, later, mtime=mtime) if two_stages else ()
    with step("Rendering the scripts"):
        params = contract.params_of(settings, site, dump_codec=dump_codec)
        tree.add_content(PARAMS, params.to_json().encode(), why="what the saver is to do")
        _add_scripts(tree, params, site, scripts, runtime, folders)
    machine = runtime.machine
    manifest = Manifest(
        kind="capture",
        version=__version__,
        distro=site.profile.id,
        kernel=site.kernel.release,
        machine=machine,
        target=", ".join(each.name for each in site.needs),
        fstype=", ".join(each.filesystem for each in site.needs),
        cmdline=" ".join(site.profile.capture_cmdline(machine)),
        modules=tuple(module.name for module in modules),
        image=_identify(tree, second),
        entries={str(entry.dest): entry.why for entry in (*tree, *second)},
    )
    tree.add_content(MANIFEST, manifest.to_json().encode(), why="what this image is")
    with step("Proving the image"):
        proof.prove(
            (*tree, *second),
            Claims(site, tuple(_needs(site, scripts)), runtime, dump_codec, folders),
        )
    terms = terms_of(machine, site.kernel.header, site.kernel.config)
    return Capture(out, tree, second, manifest, Packing(compression, mtime), terms, site)


def _identify(tree: Tree, second: Iterable[Entry]) -> str:
    """Add the file that tells this image from others; return what is in it."""
    digest = hashlib.sha256()
    # How the second stage is packed makes no difference.
    for entry in (*(each for each in tree if each.dest != stage.SECOND_STAGE), *second):
        digest.update(f"{entry.dest} {entry.identity}\n".encode())
    found = digest.hexdigest()
    tree.add_content(IMAGE_ID, f"{found}\n".encode(), why="tells this image from others")
    return found


def _look(settings: CaptureSettings) -> Site:
    root, profile = find_root(settings, target=settings.output)
    if root.is_host:
        xen.check()
    release = releases.find(
        settings.release or os.uname().release, root=root, layout=profile.kernel
    )
    releases.check_capture_options(release)
    targets, needs = dumptarget.find(settings, root=root, profile=profile)
    watchdogs = hardware.ticking_watchdogs(settings, needs, host=HostFacts(root.asked))
    program = makedumpfile.find(settings, root=root, profile=profile)
    for each in targets:
        profile = each.fit(profile)
    found = layers.needed_by(needs, root=root, profile=profile)
    return Site(root, profile, release, targets, needs, watchdogs, program, found)


def _out(settings: CaptureSettings, site: Site) -> Path:
    """Return the image to write; if it cannot be written, this fails before all the work."""
    if settings.output:
        return Path(settings.output)
    name = site.profile.kernel.capture_image.format(release=site.kernel.release)
    out = site.root.place(name)
    if not settings.dry_run:
        publish.check(out, force=settings.force)
    return out


def _needs(site: Site, scripts: tuple[Hook, ...]) -> list[Needs]:
    """Return what the headers of the hooks and other scripts say that they need."""
    needs = [hook.needs for hook in scripts]
    own = (*layout.shared(len(site.targets)), *(layers.SCRIPTS if site.layers else ()))
    named = [*(("hooks", name) for name in own), *(("templates", name) for name in _TEMPLATES)]
    named += [("hooks", f"filesystems/{name}") for each in site.needs for name in each.scripts]
    for kind, name in named:
        path = find_data(kind, name, root=site.root)
        needs.append(hooks.read_needs(site.root.read_text(path), path))
    return needs


def _toolbox(settings: CaptureSettings, site: Site, scripts: tuple[Hook, ...]) -> Toolbox:
    """Decide where the shell, the scripts' commands and the targets' programs come from."""
    own = tuple(name for each in site.needs for name in each.programs)
    return layout.choose_toolbox(
        settings.tools,
        [*_needs(site, scripts), Needs(own, (), 0)],
        own=own,
        root=site.root,
        profile=site.profile,
    )


def _add_programs(
    settings: CaptureSettings,
    site: Site,
    toolbox: Toolbox,
    scripts: Sequence[Hook],
    tree: Tree,
    python_tree: Tree,
) -> tuple[PythonRuntime, str, tuple[PurePosixPath, ...]]:
    """Add shell and tools to one tree, Python and what assembles devices to the other.

    Returns the Python, the codec of the dump, and the folders that LD_LIBRARY_PATH must name.
    """
    programs = layout.add_toolbox(tree, toolbox)
    folders = layout.add_libraries(tree, closure.closure(programs, root=site.root))
    extra = hookprograms.wanted(settings, (each.filesystem for each in site.needs))
    folders += hookprograms.add(tree, scripts, extra, root=site.root, profile=site.profile)
    programs = layers.add(
        python_tree, site.layers, helpers=False, root=site.root, profile=site.profile
    )
    folders += layout.add_libraries(python_tree, closure.closure(programs, root=site.root))
    wanted = Path(settings.python) if settings.python else None
    chosen = chosenmodules.of_image(site.targets, site.kernel, settings)
    runtime = minimal.find_python(site.root, python=wanted, chosen=chosen)
    dump_codec, codec_library = pagecodec.choose(settings.dump_compress, runtime, site)
    layout.add_python(python_tree, runtime)
    folders += layout.add_libraries(python_tree, runtime.libraries)
    folders += layout.add_libraries(python_tree, codec_library)
    folders += makedumpfile.add(python_tree, site.makedumpfile, root=site.root)
    return runtime, dump_codec, folders


def _add_scripts(
    tree: Tree,
    params: Params,
    site: Site,
    scripts: tuple[Hook, ...],
    runtime: PythonRuntime,
    folders: tuple[PurePosixPath, ...],
) -> None:
    """Add /init, the saver's starter and the hooks."""
    values = templatevalues.of_capture(
        params, site, hooks=scripts, runtime=runtime, library_path=folders
    )
    templates = search_path("templates", root=site.root)
    text = render("init.j2", values, search_path=templates, root=site.root)
    tree.add_content("init", text.encode(), why="the first process", mode=0o755)
    text = render("python.j2", values, search_path=templates, root=site.root)
    tree.add_content(STARTER, text.encode(), why="starts the saver", mode=0o755)
    layout.add_shared(tree, len(site.targets), root=site.root)
    layers.add_scripts(tree, site.needs, root=site.root)
    layout.add_filesystems(tree, site.needs, root=site.root)
    for each in site.needs:
        for dest, source in each.files.items():
            tree.add_file(dest, source, why=f"for the target {each.name}")
    for hook in scripts:
        tree.add_file(LIB / "hooks" / hook.path, hook.source, why=f"hook of stage {hook.stage}")
