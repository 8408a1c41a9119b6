# SPDX-License-Identifier: GPL-2.0-or-later
"""``kdump-initrd status``: is a machine ready to save a crash, and if not, what is missing?"""

from __future__ import annotations

from dataclasses import dataclass

from ..verb import Question


@dataclass(frozen=True)
class Status(Question):
    """Say whether a crash would be saved, and look at each link of the chain."""

    name = "status"
    summary = "tell whether a crash of this machine would be saved, and what is missing"

    def run(self) -> int:
        """See Verb."""
        from ...upkeep import chain
        from ...upkeep.link import answer
        from .. import answers

        links = chain.look(self.root, self.distro)
        if self.json:
            print(answers.as_json(links))
        else:
            command = ["kdump-initrd", self.name]
            for line in answers.lines(links, command=command, coloured=answers.on_terminal()):
                print(line)
        return answers.STATUSES[answer(links)]
