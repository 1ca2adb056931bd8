"""Settings that change while a worker serves: taken over where they are used, the moment the configuration changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..config.settings import Settings
from ..domain.errors import SettingRefused
from ..erasure.set import ErasureSet
from ..placement.parity import Parities, ParityError, parities
from ..s3.call import REQUESTS_MAX
from ..s3.dispatch import Dispatcher
from ..services.configuration import Configuration
from ..services.identity.directory import Directory

log = logging.getLogger("sos.worker.settings")

WATCHED = ("region", "site", "api", "drive", "storage_class")


class LiveSettings:
    """Of one worker.

    :param classes: parities for new objects by set; changed here. The quorum that the index of a set is written with is
        none of it: it is chosen when the worker starts
    """

    def __init__(
        self,
        configuration: Configuration,
        directory: Directory,
        dispatcher: Dispatcher,
        sets: Sequence[ErasureSet],
        classes: list[Parities],
    ) -> None:
        self._configuration = configuration
        self._directory = directory
        self._dispatcher = dispatcher
        self._sets = sets
        self._classes = classes
        configuration.register_check("storage_class", self._check_classes)
        for name in WATCHED:
            configuration.watch(name, self.apply)

    def apply(self) -> None:
        """Take over what is in force now."""
        settings = self._configuration.settings()
        self._directory.allow_root(settings.root_access)
        self._dispatcher.settings = replace(
            self._dispatcher.settings,
            region=settings.region,
            origins=settings.cors_allow_origin,
            requests_max=settings.requests_max or REQUESTS_MAX,
        )
        for one in self._sets:
            one.writer.allow(settings.drive_deadline_s)
        self._take_classes(settings)

    def _take_classes(self, settings: Settings) -> None:
        try:
            self._classes[:] = self._parities(settings.storage_class_standard, settings.storage_class_rrs)
        except ParityError as error:  # stored for other drives than there are now
            log.error("the storage classes stay as they were: %s", error)

    def _parities(self, standard: str, reduced: str) -> list[Parities]:
        # the default, which a set of one drive cannot have
        reduced = "" if reduced == "EC:1" else reduced
        return [parities(len(one.view.engines), standard, reduced) for one in self._sets]

    async def _check_classes(self, values: Mapping[str, str]) -> None:
        """:raises SettingRefused: a set cannot have them"""
        try:
            self._parities(values["standard"], values["rrs"])
        except ParityError as error:
            raise SettingRefused(str(error)) from None
